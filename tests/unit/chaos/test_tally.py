"""The accounts of ``make chaos`` explain what has to be missing, and nothing more."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.chaos.accidents import CALM, Accident
from tests.chaos.schedule import FURTHEST_S, Happened, is_on_wire, schedule
from tests.chaos.tally import Hole, Tally

S = 1_000_000_000
SECURITY = "binance:BTCUSDT"
LOST = Hole(100, 109, 129, 50 * S, 52 * S)
DROP = Happened(Accident("drop", venue="binance"), 49 * S, 60 * S)


def row(first_id: int, last_id: int, feed: str = "book", state: str = "open") -> dict[str, Any]:
    return {"feed": feed, "first_id": first_id, "last_id": last_id, "state": state, "cause": "venue"}


def tally(*rows: dict[str, Any], happened: Happened = DROP, lost: Hole = LOST) -> Tally:
    one = Tally()
    unsent = {"book": [lost[:3]], "trades": []}
    one.ledger(SECURITY, rows, {"book": [lost], "trades": []}, unsent, [happened])
    return one


def test_a_hole_from_what_was_not_received_to_the_first_usable_snapshot_is_explained() -> None:
    one = tally(row(100, 129))
    assert one.clean
    assert (one.ids.total(), one.unreceived, one.unsent, one.ratio) == (30, 10, 30, 1.0)


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


@pytest.mark.parametrize("rows", [[], [row(101, 129)], [row(100, 105)], [row(100, 109, feed="trades")]])
def test_what_was_not_received_and_no_row_names_is_lost(rows: list[dict[str, Any]]) -> None:
    assert tally(*rows).lost


def test_what_came_behind_later_ids_and_was_stored_is_not_lost() -> None:
    for stored, is_lost in ((range(90, 110), False), (range(90, 109), True), (range(110, 130), True)):
        one = Tally()
        unreceived, unsent = {"book": [LOST], "trades": []}, {"book": [LOST[:3]], "trades": []}
        one.ledger(SECURITY, [], unreceived, unsent, [DROP], {"book": [stored], "trades": []})
        assert bool(one.lost) == is_lost


def test_healed_rows_miss_nothing() -> None:
    one = Tally()
    lost = Hole(5, 9, 9, 50 * S, 52 * S)
    rows = [row(5, 9, feed="trades", state="healed")]
    one.ledger(SECURITY, rows, {"book": [], "trades": [lost]}, {"book": [], "trades": [(5, 9, 9)]}, [DROP])
    assert one.clean
    assert (one.healed, one.ids.total(), one.unsent) == (1, 0, 0)


def bursts(steps: Sequence[Accident]) -> list[list[Accident]]:
    found: list[list[Accident]] = [[]]
    for step in steps:
        if step == CALM:
            found.append([])
        else:
            found[-1].append(step)
    return found


def test_a_seed_has_one_schedule_that_ends_in_calm() -> None:
    for seed in range(50):
        for lines in (1, 2):
            steps = schedule(seed, 84, lines)
            assert steps == schedule(seed, 84, lines)
            assert steps[-1] == CALM
            assert sum(step != CALM for step in steps) == 84
    assert schedule(1, 12, 1) != schedule(3, 12, 1)


def test_with_two_lines_one_of_each_venue_is_whole_at_any_time() -> None:
    for seed in range(200):
        for burst in bursts(schedule(seed, 84, 2)):
            killed = {name[-1] for each in burst for name in each.processes if name.startswith("ingest-")}
            assert "crash" not in {each.what for each in burst}
            assert not (killed and is_on_wire(burst))
            assert len(killed) < 2
            assert len(burst) == 1 or "restart" not in {each.what for each in burst}


def test_a_wrong_book_meets_an_audit_alone_and_each_venue_once() -> None:
    for seed in range(200):
        for lines in (1, 2):
            found = bursts(schedule(seed, 84, lines))
            wrong = [each.venue for burst in found for each in burst if each.what == "wrong"]
            assert len(wrong) == len(set(wrong))
            assert all(len(burst) == 1 for burst in found if "wrong" in {each.what for each in burst})


def test_the_clock_stays_within_hours_of_the_true_time() -> None:
    for seed in range(200):
        off_s = 0
        for each in schedule(seed, 84, 1):
            off_s += each.fields["seconds"] if each.what == "step" else 0
            assert abs(off_s) <= FURTHEST_S
