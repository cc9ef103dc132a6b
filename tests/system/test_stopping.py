"""An orderly stop stores what is open, or leaves it in the journal and says so."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from store.process import NOT_ASKED_YET
from store.times import moment
from tests.embedded import Server
from tests.simulator.process import Simulator, running
from tests.system.running import KEY, Logger, exchanges
from wire.endpoints import runtime_folder

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

SECURITY = "binance:BTCUSDT"
HOUR = "3600"


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with running("--binance-port", "0", "--coinbase-port", "0", "--rate", "20", "--require-key", KEY) as one:
        yield one


def logger_of(folder: Path, simulator: Simulator, **settings: str) -> Logger:
    """Return a logger whose windows are so long that they are open whenever it stops."""
    return Logger(
        folder,
        SECURITIES=SECURITY,
        ORDERBOOK_UPDATEFREQUENCY="100",
        WINDOW_SECONDS=HOUR,
        CHECKPOINT_SECONDS="2",
        **exchanges(simulator),
        **settings,
    )


def run_until_past_now(logger: Logger, simulator: Simulator, *, database: bool = True) -> None:
    """Run until the database answers (or is known to be away) and the book is past what was true at first."""
    logger.start()
    logger.eventually("control answers", lambda: logger.obl("ping").returncode == 0)
    logger.eventually("it is live", lambda: logger.state(SECURITY) == "live")
    logger.eventually("the database is where it should be", lambda: is_reached(logger) is database)
    now = simulator.truth_range("binance", "BTCUSDT")["last_id"]
    logger.eventually("the book moves on", lambda: (logger.status(SECURITY)["update_id"] or 0) > now)


def is_reached(logger: Logger) -> bool | None:
    """Return whether the store reaches the database; None while that is not known."""
    database = logger.answer("status")["database"]
    return None if NOT_ASKED_YET in database.get("error", "") else database["reachable"]


def rows_of(logger: Logger) -> dict[str, dict[str, Any]]:
    """Return the newest span of each feed that `obl coverage` shows."""
    return {row["feed"]: row for row in logger.answers("coverage", SECURITY)}


def last_of(logger: Logger, process: str, event: str) -> str:
    """Return the last line of a process's log that tells *event*, "" if none does."""
    lines = (logger.folder / "data" / "logs" / f"{process}.log").read_text().splitlines()
    return next((line for line in reversed(lines) if f"event={event}" in line), "")


def test_open_windows_are_stored_and_replaced_by_what_falls_into_them_later(
    tmp_path: Path, simulator: Simulator
) -> None:
    logger = logger_of(tmp_path, simulator)
    try:
        run_until_past_now(logger, simulator)
        reached = simulator.truth_range("binance", "BTCUSDT")["first_ns"]
        assert logger.stop() == 0
        assert last_of(logger, "condition-0", "all_stored"), logger.logs()[-6000:]
        first = rows_of(logger)
        assert (moment(first["book"]["to"]) or 0) > reached

        run_until_past_now(logger, simulator)
        sockets = runtime_folder(tmp_path / "data")
        assert logger.stop() == 0
        assert not sockets.exists()
        [hole] = [row for row in logger.answers("gaps", SECURITY) if row["feed"] == "book"]
        assert hole["first_id"] == first["book"]["last_id"] + 1
        assert hole["cause"] == "own_restart"
        spans = [row for row in logger.answers("coverage", SECURITY) if row["feed"] == "book"]
        assert [row["first_id"] for row in spans] == [first["book"]["first_id"], hole["last_id"] + 1]
        assert spans[0]["last_id"] == first["book"]["last_id"]
        true = simulator.truth_book("binance", "BTCUSDT", update_id=spans[1]["last_id"])
        stored = json.loads(logger.obl("at", SECURITY, "latest", "--depth", "20", "--json").stdout)
        assert (stored["bids"], stored["asks"]) == (true["bids"][:20], true["asks"][:20])
    finally:
        logger.kill()


def test_with_the_database_away_they_stay_in_the_journal_and_the_last_line_says_so(
    tmp_path: Path, simulator: Simulator
) -> None:
    server = Server(tmp_path / "database")
    logger = logger_of(tmp_path, simulator, MONGODB_ENDPOINT=server.uri)
    try:
        run_until_past_now(logger, simulator, database=False)
        reached = logger.status(SECURITY)["update_id"]
        assert logger.stop() == 0
        assert last_of(logger, "condition-0", "unanswered")
        assert last_of(logger, "store-0", "left_in_journal")

        server.start()
        run_until_past_now(logger, simulator)
        assert logger.stop() == 0
        spans = [row for row in logger.answers("coverage", SECURITY) if row["feed"] == "book"]
        assert len(spans) == 2
        assert spans[0]["last_id"] >= reached
    finally:
        logger.kill()
        server.kill()
