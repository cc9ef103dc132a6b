"""After any accidents the database is what the journals say, and only what no line received is missing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.accidents import INGESTERS, STAGES, Accident, drawn
from tests.chaos.life import holes, is_what_the_journals_say, is_what_the_market_was, live, logger_of
from tests.chaos.schedule import schedule
from tests.chaos.tally import Tally
from tests.simulator.process import Simulator, running
from tests.system.running import KEY

pytestmark = [pytest.mark.faults, pytest.mark.system, pytest.mark.timeout(400)]

CALM = Accident("calm")
WIRE_SEED = 24
"""Its schedule has most of what can happen to frames."""


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with running("--binance-port", "0", "--coinbase-port", "0", "--rate", "20", "--require-key", KEY) as one:
        yield one


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
        live(logger, simulator, [Accident("crash"), CALM, Accident("kill", INGESTERS[:1]), CALM])
        is_what_the_journals_say(logger)
        assert {row["cause"] for row in holes(logger)} == {"own_restart"}
    finally:
        logger.kill()


def test_with_two_lines_an_ingester_may_die_or_stand_still(tmp_path: Path, simulator: Simulator) -> None:
    logger = logger_of(tmp_path, simulator, INGEST_LINES="2")
    accidents = [step for one in drawn(5, 4, INGESTERS, ["kill one", "stall"]) for step in (one, CALM)]
    try:
        live(logger, simulator, [*accidents, Accident("restart", ("ingest",)), CALM])
        assert holes(logger) == []
        is_what_the_journals_say(logger)
    finally:
        logger.kill()


def test_faults_of_the_wire_cost_only_what_no_line_received(tmp_path: Path, simulator: Simulator) -> None:
    """`make chaos` in small: spoilt, reordered, doubled and dropped frames, and ingesters that are killed."""
    logger, tally = logger_of(tmp_path, simulator), Tally()
    try:
        happened = live(logger, simulator, schedule(WIRE_SEED, 6, lines=1))
        tally.happened(1, happened)
        is_what_the_market_was(logger, simulator, happened, WIRE_SEED, 20, tally)
        assert tally.clean, tally.bad()
        assert tally.rows, tally.table()
    finally:
        logger.kill()
