"""The accounts of ``make chaos`` explain what has to be missing, and nothing more."""

from itertools import pairwise
from typing import Any

import pytest

from tests.chaos.accidents import Accident
from tests.chaos.evidence import Lost
from tests.chaos.schedule import Happened, schedule
from tests.chaos.tally import Tally

S = 1_000_000_000
SECURITY = "binance:BTCUSDT"
LOST = Lost(100, 109, 50 * S, 52 * S, placed_id=129)
DROP = Happened(Accident("drop", venue="binance"), 49 * S, 60 * S)


def row(first_id: int, last_id: int, feed: str = "book", state: str = "open") -> dict[str, Any]:
    return {"feed": feed, "first_id": first_id, "last_id": last_id, "state": state, "cause": "venue"}


def tally(*rows: dict[str, Any], happened: Happened = DROP, lost: Lost = LOST) -> Tally:
    one = Tally()
    one.ledger(SECURITY, rows, {"book": [lost], "trades": []}, [happened])
    return one


def test_a_hole_from_what_was_not_received_to_the_first_usable_snapshot_is_explained() -> None:
    one = tally(row(100, 129))
    assert one.clean
    assert (one.ids.total(), one.unreceived) == (30, 10)


@pytest.mark.parametrize("rows", [row(99, 129), row(100, 130), row(200, 201), row(100, 101, feed="trades")])
def test_ids_that_were_received_and_could_be_placed_are_not(rows: dict[str, Any]) -> None:
    assert tally(rows).unexplained


@pytest.mark.parametrize(
    "happened",
    [
        DROP._replace(from_ns=54 * S),
        DROP._replace(until_ns=49 * S),
        DROP._replace(accident=Accident("drop", venue="coinbase")),
        DROP._replace(accident=Accident("duplicate", venue="binance")),
        DROP._replace(accident=Accident("shutdown", venue="binance")),
        DROP._replace(accident=Accident("kill", ("book-0", "ingest-coinbase-a"))),
    ],
)
def test_a_hole_without_a_fault_that_costs_data_is_not_explained(happened: Happened) -> None:
    assert tally(row(100, 129), happened=happened).unexplained


@pytest.mark.parametrize("what", [Accident("crash"), Accident("kill", ("ingest-binance-a",))])
def test_faults_of_processes_explain_the_hole_of_their_venue(what: Accident) -> None:
    assert tally(row(100, 129), happened=DROP._replace(accident=what)).clean


def test_healed_rows_miss_nothing() -> None:
    one = tally(row(5, 9, feed="trades", state="healed"))
    assert one.clean
    assert (one.healed, one.ids.total()) == (1, 0)


def test_a_seed_has_one_schedule_that_ends_in_calm() -> None:
    for seed in range(50):
        for lines in (1, 2):
            steps = schedule(seed, 12, lines)
            assert steps == schedule(seed, 12, lines)
            assert steps[-1].what == "calm"
            assert sum(step.what != "calm" for step in steps) == 12
    assert schedule(1, 12, 1) != schedule(3, 12, 1)


def test_with_two_lines_each_fault_is_got_over_before_the_next() -> None:
    for seed in range(50):
        steps = [step.what for step in schedule(seed, 12, 2)]
        assert all("calm" in pair for pair in pairwise(steps))
