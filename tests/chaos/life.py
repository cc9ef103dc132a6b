"""A life of the logger: it starts, has accidents, comes to rest, and is compared with its journals."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from store.connection import connect
from store.embedded import running as database_running
from tests.chaos.accidents import PATIENCE_S, Accident, happen
from tests.chaos.comparing import different, documents, rebuilt
from tests.simulator.process import Simulator
from tests.system.running import Logger, exchanges
from tests.system.test_end_to_end import is_stored_until_now
from wire.settings import load_settings

SECURITIES = ("binance:BTCUSDT", "coinbase:BTC-USD")
RECORDED, ANEW = "recorded", "anew"


def logger_of(folder: Path, simulator: Simulator, **settings: str) -> Logger:
    """Return a logger whose windows, images and checkpoints come fast, and whose journal is kept whole."""
    return Logger(
        folder,
        SECURITIES=",".join(SECURITIES),
        ORDERBOOK_UPDATEFREQUENCY="100",
        MONGODB_DATABASE=RECORDED,
        WINDOW_SECONDS="2",
        BASE_IMAGE_SECONDS="6",
        CHECKPOINT_SECONDS="3",
        JOURNAL_KEEP_SECONDS="86400",
        **exchanges(simulator),
        **settings,
    )


def live(logger: Logger, simulator: Simulator, accidents: Sequence[Accident]) -> None:
    """Let *accidents* happen one after the other, come to rest, and stop in order."""
    logger.start()
    logger.eventually("control answers", lambda: logger.obl("ping").returncode == 0, PATIENCE_S)
    for security in SECURITIES:
        logger.eventually(f"{security} is live", lambda s=security: logger.state(s) == "live", PATIENCE_S)
    for accident in accidents:
        happen(accident, logger, simulator, SECURITIES)
    for security in SECURITIES:
        is_stored_until_now(logger, simulator, security)
    assert logger.stop() == 0, logger.logs()[-6000:]


def is_what_the_journals_say(logger: Logger) -> None:
    """Compare every stored document with those made anew from the journals, and have them proven."""
    settings = load_settings(logger.environment)
    with database_running(settings), connect(settings) as client:
        whole = documents(client, RECORDED)
        assert {name.partition(" ")[0] for name in whole} >= {"images", "changes", "orders", "trades"}
        rebuilt(logger, "--into", ANEW)
        assert different(whole, documents(client, ANEW)) == []
        assert [row["first_bad"] for row in logger.answers("verify")] == [None] * len(SECURITIES)


def holes(logger: Logger) -> list[dict[str, Any]]:
    """Return the rows of the gap ledger."""
    rows: list[dict[str, Any]] = logger.answers("gaps")
    return rows
