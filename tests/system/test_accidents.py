"""After any accidents the database is what the journals say, and only what no line received is missing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.accidents import INGESTERS, STAGES, Accident, drawn
from tests.chaos.life import holes, is_what_the_journals_say, live, logger_of
from tests.simulator.process import Simulator, running
from tests.system.running import KEY

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]

CALM = Accident("calm")


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
