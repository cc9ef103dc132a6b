"""Trades that were missing and come after all: each id once, the same pieces in whatever order they came."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from book.healing import MOST_HOLES, MOST_IDS, MOST_TRIES, PAGE_IDS, Filled, Healing, Row
from book.tape import Print
from journal.group import Kind
from journal.payload import Rest, pack
from tests.journaled import unpacked
from tests.unit.book.play import NAME, S, Story, copied, ints, maintainer, messages, of_type, play
from venue import binance
from wire.runs import Healed, Hole, RunMessage, Trades


def body(ids: Iterable[int], times_ns: dict[int, int], price: str = "10.5") -> bytes:
    return msgspec.json.encode(
        [
            {
                "id": trade_id,
                "price": price,
                "qty": "1",
                "time": times_ns.get(trade_id, 0) // 1_000_000,
                "isBuyerMaker": True,
            }
            for trade_id in ids
        ]
    )


def answer(story: Story, seconds: float, content: bytes, page: tuple[int, int], status: int = 200) -> Story:
    path = binance.trades_request("XUSDT", *page).path
    rest = Rest("trades", "gap", status, story.at(seconds), path, 0, content)
    story.journal.ticks_until(story.at(seconds))
    story.journal.other(Kind.REST, story.at(seconds), NAME, pack(rest))
    return story


def holed(first: int = 8, last: int = 13, *, begin: float = 8.5, end: float = 31.5) -> Story:
    """Return a story whose trades *first* to *last* are missing, from *begin* to *end* seconds."""
    return Story().begin().trade(begin, first - 1).trade(end, last + 1)


def rows(said: Sequence[RunMessage]) -> list[tuple[int, int | None, str, int]]:
    return [(h.first_id, h.last_id, h.state, h.covered) for h in of_type(said, Hole) if h.feed == "trades"]


def pieces(said: Sequence[RunMessage]) -> dict[tuple[int, int], tuple[list[int], list[int]]]:
    """Return the ids and effective times of each healed piece by the window and the first id."""
    found: dict[tuple[int, int], tuple[list[int], list[int]]] = {}
    for each in of_type(said, Healed):
        ids = ints(each.ids)
        assert (each.start_ns, ids[0]) not in found
        found[each.start_ns, ids[0]] = ids, ints(each.effective_ns)
    return found


def test_a_hole_that_rest_fills_is_a_piece_for_each_window_and_its_row_is_healed() -> None:
    story = holed()
    times = {n: story.at(9 + 4 * (n - 8)) for n in range(8, 14)}  # 9, 13, 17, 21, 25, 29
    said = answer(story, 33, body(range(7, 15), times), (8, 13)).said()
    assert {k: v[0] for k, v in pieces(said).items()} == {
        (story.at(0), 8): [8],
        (story.at(10), 9): [9, 10],
        (story.at(20), 11): [11, 12, 13],
    }
    assert rows(said) == [(8, 13, "open", 1), (8, 13, "healed", 2)]
    assert [h.start_ns for h in of_type(said, Hole)] == [story.at(0)] * 2


def test_effective_times_lie_between_those_of_the_trades_around_the_hole() -> None:
    story = holed(8, 10)
    times = {8: story.at(2), 9: story.at(20), 10: story.at(40)}
    said = answer(story, 33, body(range(8, 11), times), (8, 10)).said()
    effective = [ns for _, column in pieces(said).values() for ns in column]
    assert effective == [story.at(8.5), story.at(20), story.at(31.5)]
    assert [t for m in of_type(said, Healed) for t in ints(m.times_ns)] == [times[8], times[9], times[10]]


def test_a_trade_of_the_stream_that_comes_too_late_heals_its_row() -> None:
    said = holed(8, 8).trade(33, 8, time=20).said()
    assert [v[0] for v in pieces(said).values()] == [[8]]
    assert rows(said)[-1] == (8, 8, "healed", 2)


def test_the_same_answer_twice_says_nothing_more() -> None:
    story = holed(8, 9)
    once = answer(story, 33, body([8, 9], {}), (8, 9)).said()
    twice = answer(story, 34, body([8, 9], {}), (8, 9)).said()
    assert of_type(twice, Healed) == of_type(once, Healed)
    assert rows(twice) == rows(once)


def test_an_id_that_the_venue_has_not_stays_missing_and_the_others_come() -> None:
    story = holed(8, 10)
    for n in range(MOST_TRIES):
        assert of_type(story.said(), Healed) == []
        answer(story, 33 + n, body([8, 10], {}), (8, 10) if n == 0 else (9, 10))
    # (the first answer brought something: the page that is wished afterwards is another one)
    said = answer(story, 40, body([8, 10], {}), (9, 10)).said()
    assert sorted(v[0] for v in pieces(said).values()) == [[8], [10]]
    assert rows(said) == [(8, 10, "open", 1), (8, 8, "healed", 2), (9, 9, "open", 1)]
    assert play(story.groups)[0].securities[NAME].trades.healing.page is None


@pytest.mark.parametrize(("status", "content"), [(404, b""), (401, b"{}"), (200, b"[{"), (200, b"[]")])
def test_a_venue_that_does_not_give_them_is_asked_a_few_times_and_no_more(
    status: int, content: bytes
) -> None:
    story = holed(8, 8)
    for n in range(MOST_TRIES):
        assert play(story.groups)[0].securities[NAME].trades.healing.page == (8, 8)
        answer(story, 33 + n, content, (8, 8), status)
    made, said = play(story.groups)
    assert made.securities[NAME].trades.healing.page is None
    assert rows(said) == [(8, 8, "open", 1)]


@pytest.mark.parametrize("status", [418, 429, 500, 503])
def test_a_venue_that_says_later_is_asked_on(status: int) -> None:
    story = holed(8, 8)
    for n in range(MOST_TRIES + 1):
        answer(story, 33 + n, b"", (8, 8), status)
    assert play(story.groups)[0].securities[NAME].trades.healing.page == (8, 8)


def test_an_answer_for_another_page_is_no_try() -> None:
    story = holed(8, 8)
    for n in range(MOST_TRIES + 1):
        answer(story, 33 + n, b"[]", (2, 3))
    assert play(story.groups)[0].securities[NAME].trades.healing.page == (8, 8)


def test_trades_that_passed_while_nobody_recorded_are_not_asked_for() -> None:
    story = Story().begin().trade(0.5, 7)
    story.journal.command(story.at(1), NAME, "remove")
    story.journal.add(story.at(2), NAME, "depth", since_ns=2)
    made, said = play(story.trade(3, 10).groups)
    assert rows(said) == [(8, 9, "open", 1)]
    assert made.securities[NAME].trades.healing.page is None


def test_a_price_finer_than_all_before_has_a_scale_of_its_own() -> None:
    story = holed(8, 8)
    [healed] = of_type(answer(story, 33, body([8], {}, "10.12345"), (8, 8)).trade(34, 15).said(), Healed)
    assert (healed.price_scale, ints(healed.prices)) == (5, [1012345])


def test_a_price_that_no_scale_holds_leaves_its_hole() -> None:
    story = holed(8, 9)
    rest = msgspec.json.decode(body([8, 9], {}))
    rest[0]["price"] = "99999999999999999999999"
    said = answer(story, 33, msgspec.json.encode(rest), (8, 9)).said()
    assert [v[0] for v in pieces(said).values()] == [[9]]
    assert rows(said) == [(8, 9, "open", 1), (8, 8, "open", 2)]


# --- any order, any restart ------------------------------------------------------------------

FIRST, LAST = 8, 19
parts = st.lists(
    st.tuples(st.sampled_from(["rest", "rest", "late"]), st.integers(FIRST, LAST), st.integers(0, 6)),
    max_size=12,
)
clocks = st.lists(st.integers(-2, 40), min_size=LAST - FIRST + 1, max_size=LAST - FIRST + 1)


def told(steps: Sequence[tuple[str, int, int]], seconds: Sequence[int]) -> Story:
    """Return the story of a hole between 5 and 31 s, of which *steps* bring parts, and then all comes."""
    story = holed(FIRST, LAST, begin=5, end=31)
    times = {FIRST + n: story.at(each) for n, each in enumerate(seconds)}
    for n, (what, first, more) in enumerate([*steps, ("rest", FIRST, LAST)]):
        ids = range(first, min(first + more, LAST) + 1)
        if what == "late":
            story.trade(32 + n, first, time=(times[first] - story.at(0)) / S)
        else:
            answer(story, 32 + n, body(ids, times), (1, 2))
    return story


@settings(max_examples=60, deadline=None)
@given(parts, clocks)
def test_any_parts_in_any_order_and_twice_make_the_same_pieces(
    steps: list[tuple[str, int, int]], seconds: list[int]
) -> None:
    said, at_once = told(steps, seconds).said(), told([], seconds).said()
    assert pieces(said) == pieces(at_once)
    assert rows(said) == rows(at_once) == [(FIRST, LAST, "open", 1), (FIRST, LAST, "healed", 2)]
    check_order(said)


def check_order(said: Sequence[RunMessage]) -> None:
    """Check what a reader relies on: in the order of ids each once, effective times never go back."""
    timed: list[tuple[int, int]] = []
    for each in [*of_type(said, Trades), *of_type(said, Healed)]:
        found = list(zip(ints(each.ids), ints(each.effective_ns), strict=True))
        assert all(each.start_ns <= ns < each.start_ns + 10 * S for _, ns in found)
        timed += found
    timed.sort()
    assert [trade_id for trade_id, _ in timed] == list(range(FIRST - 1, LAST + 2))
    assert [ns for _, ns in timed] == sorted(ns for _, ns in timed)


def bare(said: Iterable[RunMessage]) -> list[Any]:
    kinds = (Healed, Hole)
    return [msgspec.structs.replace(m, marks={}, read={}, run=0) for m in said if isinstance(m, kinds)]


@settings(max_examples=25, deadline=None)
@given(parts, clocks)
def test_a_worker_stopped_after_every_group_says_the_same(
    steps: list[tuple[str, int, int]], seconds: list[int]
) -> None:
    groups = told(steps, seconds).groups
    made, said = maintainer(), []
    for group in unpacked(groups):
        made = copied(made)
        said += messages(made, [group])
    whole = play(groups)[1]
    assert [msgspec.structs.replace(m, number=0) for m in bare(said)] == [
        msgspec.structs.replace(m, number=0) for m in bare(whole)
    ]


# --- bounds ----------------------------------------------------------------------------------


def row(first: int, last: int) -> Row:
    return Row(first, last, 1, 2, 0, "network")


def prints(first: int, last: int) -> list[Print]:
    return [Print(n, n, "1", "1", 0, 1, 1, 1, "binance/a") for n in range(first, last + 1)]


def ids_of(filled: Filled) -> list[int]:
    return [each.id for run, _ in filled.runs for each in run]


def test_only_the_newest_of_a_long_hole_are_asked_for_page_by_page() -> None:
    healing = Healing()
    last = 3 * MOST_IDS
    assert healing.open(row(1, last), 0, last) == []
    pages, filled = [], []
    while (page := healing.page) is not None:
        pages.append(page)
        filled += healing.take(prints(*page))
    assert pages[0] == (last - MOST_IDS + 1, last - MOST_IDS + PAGE_IDS)
    assert len(pages) == MOST_IDS // PAGE_IDS
    assert [(ids_of(each)[0], len(ids_of(each))) for each in filled] == [(last - MOST_IDS + 1, MOST_IDS)]


def test_a_hole_too_many_lets_the_oldest_go_with_what_came_for_it() -> None:
    healing = Healing()
    let_go = []
    for n in range(MOST_HOLES + 1):
        let_go += healing.open(row(10 * n + 1, 10 * n + 5), 0, 99)
        let_go += healing.take(prints(10 * n + 2, 10 * n + 3))
    assert [(each.row.first_id, ids_of(each)) for each in let_go] == [(1, [2, 3])]
    assert healing.page == (11, 15)


def test_what_is_kept_for_holes_that_never_fill_is_bounded() -> None:
    healing = Healing()
    let_go = []
    for n in range(4):
        first = n * MOST_IDS + 2
        healing.open(row(first - 1, first + MOST_IDS - 3), 0, 99)
        let_go += healing.take(prints(first, first + MOST_IDS - 3))
    assert [len(ids_of(each)) for each in let_go] == [MOST_IDS - 2] * 2
