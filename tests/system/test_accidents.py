"""After any accidents the database is what the journals say, and only what no line received is missing."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from store.connection import connect
from store.embedded import running as database_running
from tests.chaos.accidents import STAGES, Accident, drawn, happen
from tests.chaos.comparing import different, documents, rebuilt
from tests.simulator.process import Simulator, running
from tests.system.running import KEY, Logger, exchanges
from tests.system.test_end_to_end import is_stored_until_now
from wire.settings import load_settings

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]

SECURITIES = ("binance:BTCUSDT", "coinbase:BTC-USD")
INGESTERS = ("ingest-binance-a", "ingest-binance-b", "ingest-coinbase-a", "ingest-coinbase-b")
RECORDED, ANEW = "recorded", "anew"


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with running("--binance-port", "0", "--coinbase-port", "0", "--rate", "20", "--require-key", KEY) as one:
        yield one


def logger_of(folder: Path, simulator: Simulator, **settings: str) -> Logger:
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
    logger.eventually("control answers", lambda: logger.obl("ping").returncode == 0)
    for security in SECURITIES:
        logger.eventually(f"{security} is live", lambda s=security: logger.state(s) == "live")
    for accident in accidents:
        happen(accident, logger, simulator, SECURITIES)
    for security in SECURITIES:
        is_stored_until_now(logger, simulator, security)
    assert logger.stop() == 0


def is_what_the_journals_say(logger: Logger) -> None:
    settings = load_settings(logger.environment)
    with database_running(settings), connect(settings) as client:
        whole = documents(client, RECORDED)
        assert {name.partition(" ")[0] for name in whole} >= {"images", "changes", "orders", "trades"}
        rebuilt(logger, "--into", ANEW)
        assert different(whole, documents(client, ANEW)) == []
        assert [row["first_bad"] for row in logger.answers("verify")] == [None] * len(SECURITIES)


def holes(logger: Logger) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = logger.answers("gaps")
    return rows


def test_stages_that_are_killed_at_any_instant_lose_nothing(tmp_path: Path, simulator: Simulator) -> None:
    logger = logger_of(tmp_path, simulator)
    try:
        live(logger, simulator, drawn(3, 6, STAGES, ["kill", "kill", "calm"]))
        is_what_the_journals_say(logger)
        assert holes(logger) == []
    finally:
        logger.kill()


def test_a_supervisor_that_is_killed_costs_what_nobody_received(tmp_path: Path, simulator: Simulator) -> None:
    logger = logger_of(tmp_path, simulator)
    try:
        kill = Accident("kill", ("ingest-binance-a",))
        live(logger, simulator, [Accident("crash"), Accident("calm"), kill, Accident("calm")])
        is_what_the_journals_say(logger)
        assert {row["cause"] for row in holes(logger)} == {"own_restart"}
    finally:
        logger.kill()


def test_with_two_lines_an_ingester_may_die_or_stand_still(tmp_path: Path, simulator: Simulator) -> None:
    logger = logger_of(tmp_path, simulator, INGEST_LINES="2")
    accidents = [
        step for one in drawn(5, 4, INGESTERS, ["kill one", "stall"]) for step in (one, Accident("calm"))
    ]
    try:
        live(logger, simulator, accidents)
        assert holes(logger) == []
        is_what_the_journals_say(logger)
    finally:
        logger.kill()
