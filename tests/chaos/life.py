"""A life of the logger: it starts, has accidents, comes to rest, and is compared with its journals."""

import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from store.connection import connect
from store.embedded import running as database_running
from tests.chaos.accidents import PATIENCE_S, Accident, happen
from tests.chaos.comparing import different, documents, rebuilt
from tests.chaos.evidence import Evidence
from tests.chaos.market import archive_of, compare
from tests.chaos.schedule import Happened
from tests.chaos.tally import Tally
from tests.chaos.wire import happen_on_wire, lines_are_up
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
        AUDIT_SECONDS="3",
        **exchanges(simulator),
        **settings,
    )


def live(
    logger: Logger, simulator: Simulator, accidents: Sequence[Accident], lines: int = 1
) -> list[Happened]:
    """Let *accidents* happen one after the other, come to rest, and stop in order; return what happened."""
    logger.start()
    logger.eventually("control answers", lambda: logger.obl("ping").returncode == 0, PATIENCE_S)
    for security in SECURITIES:
        logger.eventually(f"{security} is live", lambda s=security: logger.state(s) == "live", PATIENCE_S)
    logger.eventually("all lines are up", lambda: lines_are_up(simulator, lines), PATIENCE_S)
    happened = _happen(logger, simulator, accidents, lines)
    for security in SECURITIES:
        simulator.fault(security.partition(":")[0], "clear")
        is_stored_until_now(logger, simulator, security)
    logger.eventually("missing trades are fetched", lambda: not _open_trades(logger), PATIENCE_S)
    assert logger.stop() == 0, logger.logs()[-6000:]
    return happened


def _happen(
    logger: Logger, simulator: Simulator, accidents: Sequence[Accident], lines: int
) -> list[Happened]:
    """Let *accidents* happen; what comes before a calm may have consequences until its end."""
    happened: list[Happened] = []
    pending: list[tuple[Accident, int]] = []
    for accident in accidents:
        from_ns = time.time_ns()
        if accident.venue:
            happen_on_wire(accident, logger, simulator)
        else:
            happen(accident, logger, simulator, SECURITIES)
        pending.append((accident, from_ns))
        if accident.what == "calm":
            logger.eventually("all lines are up", lambda: lines_are_up(simulator, lines), PATIENCE_S)
            happened += [Happened(*each, time.time_ns()) for each in pending]
            pending = []
    return happened + [Happened(*each, time.time_ns()) for each in pending]


def _open_trades(logger: Logger) -> list[dict[str, Any]]:
    """Return the rows of trades that are not healed yet."""
    return [row for row in holes(logger) if row["feed"] == "trades" and row["state"] != "healed"]


def is_what_the_journals_say(logger: Logger) -> None:
    """Compare every stored document with those made anew from the journals, and have them proven."""
    settings = load_settings(logger.environment)
    with database_running(settings), connect(settings) as client:
        whole = documents(client, RECORDED)
        assert {name.partition(" ")[0] for name in whole} >= {"images", "changes", "orders", "trades"}
        rebuilt(logger, "--into", ANEW)
        assert different(whole, documents(client, ANEW)) == []
        assert [row["first_bad"] for row in logger.answers("verify")] == [None] * len(SECURITIES)


def is_what_the_market_was(
    logger: Logger, simulator: Simulator, happened: Sequence[Happened], seed: int, instants: int, tally: Tally
) -> None:
    """Compare trades and random instants with the truth, and the ledger with journals and schedule."""
    rng = random.Random(seed)
    with archive_of(logger.environment) as archive:
        for security in SECURITIES:
            tally.compared(compare(archive, simulator, security, rng, instants))
            evidence = Evidence(logger.folder / "data/journal", security)
            unreceived = {feed: evidence.lost(feed) for feed in ("book", "trades")}
            tally.ledger(security, archive.gaps(security), unreceived, happened)


def differing_audits(logger: Logger) -> list[dict[str, Any]]:
    """Return the audits that found a difference: there is none between a true snapshot and a true book."""
    return [row for row in logger.answers("audit") if row["found"]]


def holes(logger: Logger) -> list[dict[str, Any]]:
    """Return the rows of the gap ledger."""
    rows: list[dict[str, Any]] = logger.answers("gaps")
    return rows
