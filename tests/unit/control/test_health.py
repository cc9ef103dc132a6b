"""Status is what the beats say, and a process that is silent for 5 s is lost."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.health import SILENCE_S, STEADY_S, Board, Workers
from control.registry import EMPTY, add, find
from wire.messages import Beat, Policy

A, B = "binance:BTCUSDT", "coinbase:BTC-USD"
WORKERS = Workers(("binance/a", "coinbase/a"), 1, 1, 1)
DESIRED = add(EMPTY, [A, B], Policy(), 1_700_000_000_000_000_000)
T_NS = 1_723_161_600_250_000_000


def board(*beats: tuple[str, dict[str, Any]], at_s: float = 0) -> Board:
    made = Board(WORKERS)
    for process, health in beats:
        made.hear(Beat(process, 1, 1, health), at_s)
    return made


def healthy() -> Board:
    book = {"state": "live", "feed": "depth", "update_id": 7, "time_ns": T_NS, "lag_s": 0.0, "gaps_24h": 0}
    return board(
        ("ingest-binance-a", {"securities": {A: {"state": "subscribed", "feed": "depth"}}}),
        ("ingest-coinbase-a", {"securities": {B: {"state": "subscribed", "feed": "full"}}}),
        ("book-0", {"securities": {A: book, B: book}, "rss_bytes": 5, "lag_s": 0.5}),
        ("condition-0", {"securities": {A: {"state": "live", "bytes_per_change": 2.6}}}),
        ("store-0", {"securities": {}, "database": {"reachable": True, "behind_s": 0.2}}),
        ("compact", {"merged": 3}),
    )


def status(made: Board, now_s: float = 0) -> dict[str, Any]:
    return made.status(DESIRED, now_s, T_NS + 1_500_000_000, free=100, reserve=10)


def test_when_all_is_well_status_says_so_in_the_fields_of_the_design() -> None:
    answer = status(healthy())
    assert answer["ok"]
    assert answer["securities"][0] == {
        "security": A,
        "state": "live",
        "feed": "depth",
        "update_id": 7,
        "time": "2024-08-09T00:00:00.250Z",
        "age_s": 1.5,
        "lag_s": 0.0,
        "lag_bytes": None,
        "gaps_24h": 0,
        "bytes_per_change": 2.6,
        "audit_pct": None,
    }
    assert answer["processes"][2] == {
        "name": "book-0",
        "pid": 1,
        "state": "live",
        "lag_s": 0.5,
        "rss_bytes": 5,
        "restarts": 0,
    }
    assert answer["database"] == {"reachable": True, "behind_s": 0.2}


def test_a_venues_own_digits_are_shown() -> None:
    assert status(healthy())["securities"][1]["time"] == "2024-08-09T00:00:00.250000Z"


def test_a_silent_process_is_lost_and_its_securities_an_error() -> None:
    answer = status(healthy(), SILENCE_S + 0.1)
    assert {row["state"] for row in answer["processes"]} == {"lost"}
    assert {row["state"] for row in answer["securities"]} == {"error"}
    assert not answer["ok"]
    assert not answer["database"]["reachable"]


def test_what_a_lost_process_said_of_being_behind_grows_by_its_silence() -> None:
    made = healthy()
    made.hear(Beat("condition-0", 1, 1, {}), 100)
    answer = status(made, 100)
    assert [row["lag_s"] for row in answer["securities"]] == [100.0, 100.0]
    assert answer["database"] == {"reachable": False, "behind_s": 100.2}


def test_a_security_whose_maintainer_only_starts_is_syncing_and_no_error() -> None:
    made = board(("ingest-binance-a", {"securities": {A: {"state": "subscribed"}}}))
    assert [row["state"] for row in made.listed(DESIRED, 0)] == ["syncing", "pending"]
    made.hear(Beat("book-0", 1, 1, {}), 0)
    made.hear(Beat("ingest-binance-a", 1, 1, {"securities": {A: {"state": "subscribed"}}}), SILENCE_S + 1)
    assert made.listed(DESIRED, SILENCE_S + 1)[0]["state"] == "error"


def test_processes_never_heard_of_are_starting() -> None:
    rows = board().processes(0)
    assert [(row["name"], row["state"]) for row in rows] == [
        (name, "starting")
        for name in ("ingest-binance-a", "ingest-coinbase-a", "book-0", "condition-0", "store-0", "compact")
    ]


def test_a_new_pid_is_a_restart_and_a_second_beat_is_not() -> None:
    made = board()
    for pid in (1, 1, 2, 2, 3):
        made.hear(Beat("book-0", pid, pid, {}), 0)
    assert made.processes(0)[2]["restarts"] == 2


@pytest.mark.parametrize(
    ("change", "state"),
    [
        (("ingest-binance-a", {"securities": {A: {"state": "refused", "reason": "no"}}}), "error"),
        (("ingest-binance-a", {"securities": {A: {"state": "pending"}}}), "pending"),
        (("ingest-binance-a", {"securities": {}}), "pending"),
        (("book-0", {"securities": {}}), "syncing"),
        (("book-0", {"securities": {A: {"state": "gap"}}}), "gap"),
        (("condition-0", {"securities": {A: {"state": "error"}}}), "error"),
        (("store-0", {"securities": {A: {"state": "error", "reason": "refused"}}}), "error"),
    ],
)
def test_the_state_is_the_first_row_of_the_table_that_holds(
    change: tuple[str, dict[str, Any]], state: str
) -> None:
    made = healthy()
    made.hear(Beat(change[0], 1, 1, change[1]), 0)
    assert made.state(find(DESIRED, A), 0) == state


def test_a_word_on_an_earlier_recording_of_a_security_does_not_count() -> None:
    old = {"securities": {A: {"state": "refused", "reason": "no", "since_ns": 5}}}
    assert board(("ingest-binance-a", old)).lines_word(find(DESIRED, A), 0) == ("", "")


TWO = Workers(("binance/a", "binance/b", "coinbase/a", "coinbase/b"), 1, 1, 1)


def two_lines(*states: str, at_s: float = 0) -> Board:
    """Return a board where line a and then b have said *states* of A, and its book is live."""
    made = Board(TWO)
    made.hear(Beat("book-0", 1, 1, {"securities": {A: {"state": "live"}}}), at_s)
    for letter, state in zip("ab", states, strict=False):
        entry = {"state": state, "reason": f"{letter} says {state}"}
        made.hear(Beat(f"ingest-binance-{letter}", 1, 1, {"securities": {A: entry}}), at_s)
    return made


@pytest.mark.parametrize(
    ("states", "state"),
    [
        (("subscribed", "subscribed"), "live"),
        (("pending", "subscribed"), "live"),
        (("refused", "subscribed"), "live"),
        (("refused", "pending"), "pending"),
        (("pending",), "pending"),
        (("refused",), "error"),
        (("refused", "refused"), "error"),
        ((), "pending"),
    ],
)
def test_one_of_two_lines_is_enough_and_it_takes_both_to_refuse(states: tuple[str, ...], state: str) -> None:
    assert two_lines(*states).state(find(DESIRED, A), 0) == state


@pytest.mark.parametrize("letter", ["a", "b"])
def test_a_security_outlives_one_of_its_lines_and_not_both(letter: str) -> None:
    made = two_lines("subscribed", "subscribed")
    later_s = SILENCE_S + 1
    made.hear(Beat("book-0", 1, 1, {"securities": {A: {"state": "live"}}}), later_s)
    assert made.state(find(DESIRED, A), later_s) == "error"
    made.hear(Beat(f"ingest-binance-{letter}", 1, 1, {"securities": {A: {"state": "subscribed"}}}), later_s)
    assert made.state(find(DESIRED, A), later_s) == "live"
    states = {row["name"]: row["state"] for row in made.processes(later_s)}
    lost = {"a": "b", "b": "a"}[letter]
    assert (states[f"ingest-binance-{letter}"], states[f"ingest-binance-{lost}"]) == ("live", "lost")


def test_a_word_of_a_lost_line_does_not_count_beside_that_of_a_living_one() -> None:
    made = two_lines("subscribed", "pending")
    made.hear(Beat("ingest-binance-b", 1, 1, {"securities": {A: {"state": "pending"}}}), SILENCE_S + 1)
    assert made.lines_word(find(DESIRED, A), SILENCE_S + 1)[0] == "pending"


def test_a_line_that_has_only_the_trades_of_a_security_cannot_stand_in_for_its_book() -> None:
    made = Board(TWO)
    book, trades = {"state": "pending"}, {"state": "subscribed", "reason": "trades only", "book": False}
    made.hear(Beat("book-0", 1, 1, {"securities": {B: {"state": "live"}}}), 0)
    made.hear(Beat("ingest-coinbase-b", 1, 1, {"securities": {B: trades}}), 0)
    made.hear(Beat("ingest-coinbase-a", 1, 1, {"securities": {B: book}}), 0)
    assert made.state(find(DESIRED, B), 0) == "pending"
    made.hear(Beat("ingest-coinbase-a", 1, 1, {"securities": {B: {**book, "state": "subscribed"}}}), 0)
    assert made.state(find(DESIRED, B), 0) == "live"
    assert made.by_line([B], 0) == {"ingest-coinbase-a": [B]}


def test_a_snapshot_is_asked_of_the_first_line_that_beats() -> None:
    made = two_lines("subscribed", "subscribed")
    assert made.by_line([A, B], 0) == {"ingest-binance-a": [A], "ingest-coinbase-a": [B]}
    made.hear(Beat("ingest-binance-b", 1, 1, {}), SILENCE_S + 1)
    assert made.by_line([A], SILENCE_S + 1) == {"ingest-binance-b": [A]}


def test_list_says_policy_feed_and_since() -> None:
    assert healthy().listed(DESIRED, 0)[1] == {
        "security": B,
        "state": "live",
        "policy": "update",
        "feed": "full",
        "since": "2023-11-14T22:13:20Z",
        "images_s": None,
        "orders": "full",
    }


def test_status_says_how_long_the_disk_lasts_and_why_nothing_is_recorded() -> None:
    made = board(("ingest-binance-a", {"state": "paused", "disk": {"reason": "disk is full: free space"}}))
    made.growth.measured(0, 0.0)
    made.growth.measured(3600, 3600.0)  # a byte a second
    answer = made.status(DESIRED, 0, T_NS, free=996_400, reserve=132_400)
    assert answer["disk"] == {
        "free_bytes": 996_400,
        "reserve_bytes": 132_400,
        "days_left": 10.0,
        "reason": "disk is full: free space",
    }
    assert not answer["ok"]


def test_securities_go_to_the_line_of_their_venue() -> None:
    assert board().by_line([A, B, "kraken:X"], 0) == {"ingest-binance-a": [A], "ingest-coinbase-a": [B]}


anything = st.none() | st.integers() | st.text() | st.lists(st.integers())
entries = st.dictionaries(st.sampled_from(["state", "reason", "feed", "time_ns", "since_ns"]), anything)
bodies = anything | st.dictionaries(
    st.sampled_from([A, "reachable", "behind_s", "error"]), anything | entries
)


@given(
    st.sampled_from(list(WORKERS.names())),
    st.dictionaries(
        st.sampled_from(["securities", "database", "disk", "held_elsewhere", "state", "lag_s", "rss_bytes"]),
        bodies,
    ),
)
def test_what_a_process_says_wrongly_does_not_stop_the_others(process: str, health: dict[str, Any]) -> None:
    made = healthy()
    made.hear(Beat(process, 1, 1, health), 0)
    assert len(status(made)["securities"]) == 2
    made.held_elsewhere()
    made.newest_ns(A)


def test_a_process_that_was_started_again_is_not_well_until_it_has_stayed_up() -> None:
    made = board()
    made.hear(Beat("store-0", 1, 1, {}), 0.0)
    made.hear(Beat("store-0", 2, 2, {}), 1.0)
    made.hear(Beat("store-0", 2, 2, {}), 1.0 + STEADY_S)
    [early] = [row["state"] for row in made.processes(2.0) if row["name"] == "store-0"]
    [late] = [row["state"] for row in made.processes(1.0 + STEADY_S) if row["name"] == "store-0"]
    assert (early, late) == ("restarting", "live")
