"""Net changes do to any book what the updates do, and name no level that did not change."""

from collections.abc import Iterable

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from condition.codec import ChangeColumns
from condition.netting import Updates, chain_starts, net
from tests.unit.condition.drawn import array

EVERY_NS = 1_000
Level = tuple[bool, int]
Update = tuple[int, list[tuple[bool, int, int]]]


def columns(updates: list[Update]) -> Updates:
    """Updates as a maintainer sends them: time, then (ask, price, size), with each level's old size."""
    book: dict[Level, int] = {}
    levels = []
    times = np.cumsum(array([later for later, _ in updates]))
    for _, changed in updates:
        for ask, price, size in sorted(changed):
            levels.append((price, size, book.get((ask, price), 0)))
            book[ask, price] = size
    ids = np.arange(len(updates), dtype=np.int64) * 3 + 10
    asks = array([sum(ask for ask, _, _ in changed) for _, changed in updates])
    counts = array([len(changed) for _, changed in updates])
    prices, sizes, old = (array([level[n] for level in levels]) for n in range(3))
    rows = ChangeColumns(ids, ids + 2, times, times, times + 5, counts - asks, asks, prices, sizes)
    return Updates(rows, old)


def books(rows: ChangeColumns) -> Iterable[tuple[dict[Level, int], dict[Level, int]]]:
    """Yield what each row names and the book after it."""
    book: dict[Level, int] = {}
    at = 0
    for bids, asks in zip(rows.bid_counts.tolist(), rows.ask_counts.tolist(), strict=True):
        named = {}
        for n in range(bids + asks):
            named[n >= bids, int(rows.prices[at])] = int(rows.sizes[at])
            at += 1
        book = {level: size for level, size in (book | named).items() if size}
        yield named, book


levels = st.lists(
    st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 2)),
    max_size=5,
    unique_by=lambda level: level[:2],
)
updates_drawn = st.lists(st.tuples(st.integers(0, 700), levels), min_size=1, max_size=25)


@settings(max_examples=200, deadline=None)
@given(updates_drawn, st.data())
def test_the_book_at_every_intervals_end_is_the_true_book(updates: list[Update], data: st.DataObject) -> None:
    all_updates = columns(updates)
    rows = all_updates.rows
    cuts = array(data.draw(st.lists(st.booleans(), min_size=len(updates), max_size=len(updates)))) == 1
    netted = net(all_updates, EVERY_NS, cuts)
    true = dict(zip(rows.last_ids.tolist(), (book for _, book in books(rows)), strict=True))
    before: dict[Level, int] = {}
    for last_id, (named, book) in zip(netted.last_ids.tolist(), books(netted), strict=True):
        assert book == true[last_id]
        assert all(before.get(level, 0) != size for level, size in named.items()), (
            "a level that did not change"
        )
        before = book
    begins = np.flatnonzero(
        cuts | (np.diff(rows.effective_ns // EVERY_NS, prepend=-1) != 0) | (rows.first_ids == 10)
    )
    assert netted.first_ids.tolist() == rows.first_ids[begins].tolist()
    assert (netted.first_ids[1:] == netted.last_ids[:-1] + 1).all(), "ids stay contiguous"


def test_an_interval_that_changed_nothing_still_has_its_row() -> None:
    updates = columns([(0, [(False, 5, 7)]), (1_000, [(False, 5, 1)]), (10, [(False, 5, 7)])])
    netted = net(updates, EVERY_NS, np.zeros(3, np.bool_))
    assert netted.bid_counts.tolist() == [1, 0]
    assert netted.last_ids.tolist() == updates.rows.last_ids[[0, 2]].tolist()
    assert netted.times_ns.tolist() == [0, 1_010]


def test_nothing_is_netted_across_a_chain() -> None:
    updates = columns([(0, [(True, 5, 7)]), (1, [(True, 5, 0)])])
    starts = chain_starts(updates.rows.first_ids, [10, 13])
    assert net(updates, EVERY_NS, starts).sizes.tolist() == [7, 0]
    assert net(updates, EVERY_NS, chain_starts(updates.rows.first_ids, [10])).sizes.tolist() == []
