"""A true snapshot carried forward is equal to the book, and what differs is found."""

from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from book.compare import Difference, Levels, compare, compare_levels
from book.compare import audit as audit_of
from book.depth import Span
from book.orderflow import OrderFlow
from book.outlet import Outlet
from book.scales import Finer
from book.sync import Update
from tests.unit.book.play import (
    NAME,
    ints,
    of_type,
    play,
)
from tests.unit.book.test_any_journal import Market, check_numbers
from tests.unit.book.test_audit import ASKS, Audited, audits, found, live
from venue.api import OrderEvent, OrderKind, OrderSnapshot, Side
from wire.runs import Changes, RunMessage


def orders(last: int, *bids: tuple[str, str, int]) -> OrderSnapshot:
    return OrderSnapshot("X", last, [(price, size, name_of(n)) for price, size, n in bids], [], False)


def name_of(n: int) -> bytes:
    return bytes([n]) * 16


def event(last: int, kind: OrderKind, n: int, **fields: Any) -> Update:
    decoded = OrderEvent("X", last, 0, kind, Side.BUY, name_of(n), **fields)
    return Update(last, last, last, 0, 0, 1, b"", "coinbase/a", decoded)


def test_orders_are_compared_one_by_one_and_their_queues_apart() -> None:
    ours = OrderFlow()
    ours.replace(orders(10, ("9", "1", 1), ("9", "2", 2), ("8", "3", 3), ("8", "1", 4)), 10)
    theirs = orders(10, ("9", "1", 2), ("9", "1", 1), ("8", "3", 3))
    result = audit_of(ours, theirs, 10, [], lambda update: update)
    assert result.comparison == (
        4,
        [Difference(0, 9, 2, 1, name_of(2)), Difference(0, 8, 1, 0, name_of(4))],
        2,
    )
    assert (result.certified, result.beyond) == ((None, None), None)


def test_an_event_that_cannot_be_true_of_the_snapshot_leaves_what_it_should_have_changed_different() -> None:
    ours = OrderFlow()
    updates = [
        event(11, OrderKind.OPEN, 5, price="7", size="1"),
        event(12, OrderKind.MATCH, 1, price="9", size="0.5"),
        event(13, OrderKind.DONE, 3),
    ]
    ours.replace(orders(10, ("9", "1", 1), ("8", "3", 3)), 10)
    for update in updates:
        batch = None
        while batch is None:
            try:
                batch = ours.prepare([update])
            except Finer as finer:
                ours.rescale(finer.scales)
        ours.apply(batch, 0, 1, Span(0, update.last_id, [0]), Outlet("X", {}))
    result = audit_of(ours, orders(10, ("8", "3", 3)), 10, updates, lambda update: update)
    assert result.comparison.differences == [Difference(0, 9, 5, 0, name_of(1))]
    assert result.comparison.equal == 1


# --- any book, any snapshot ------------------------------------------------------------------


rows = st.dictionaries(
    st.tuples(st.integers(0, 1), st.integers(1, 5), st.sampled_from([b"a", b"b", b"c"])), st.integers(1, 3)
)


@given(rows, rows)
def test_equal_rows_and_differences_are_all_rows(ours: dict[Any, int], theirs: dict[Any, int]) -> None:
    result = compare(ours, theirs)
    assert result.levels == len(ours.keys() | theirs.keys())
    named = {(each.side, each.price, each.order_id): (each.ours, each.theirs) for each in result.differences}
    assert len(named) == len(result.differences)
    for row in ours.keys() | theirs.keys():
        sizes = ours.get(row, 0), theirs.get(row, 0)
        assert named.get(row, sizes) == sizes
        assert (row in named) == (sizes[0] != sizes[1])
    assert compare(ours, ours) == (len(ours), [], 0)
    keys = [(d.side, d.price if d.side else -d.price) for d in result.differences]
    assert keys == sorted(keys)


sides = st.dictionaries(st.integers(-5, 5), st.integers(1, 3))


@given(sides, sides)
def test_levels_are_equal_or_named_as_the_orders_of_such_prices_are(
    ours: dict[int, int], theirs: dict[int, int]
) -> None:
    found = compare_levels(*(levels_of(book) for book in (ours, theirs)))
    assert found == compare(*(rows_of(book) for book in (ours, theirs)))


def levels_of(book: dict[int, int]) -> Levels:
    keys = sorted(book)
    return Levels(np.array(keys, np.int64), np.array([book[key] for key in keys], np.int64))


def rows_of(book: dict[int, int]) -> dict[Any, int]:
    return {(int(key >= 0), abs(key), b""): size for key, size in sorted(book.items())}


def test_orders_of_a_queue_in_another_order_are_counted_apart() -> None:
    ours = {(0, 10, b"a"): 1, (0, 10, b"b"): 1, (0, 9, b"c"): 1}
    theirs = {(0, 10, b"b"): 1, (0, 10, b"a"): 2, (0, 9, b"c"): 1}
    assert compare(ours, theirs) == (3, [Difference(0, 10, 1, 2, b"a")], 2)


moves = st.tuples(
    st.integers(0, 1), st.sampled_from(["9", "9.5", "10", "10.25", "11", "12"]), st.sampled_from("0123")
)
steps = st.lists(st.tuples(moves, st.integers(1, 3)), min_size=2, max_size=30)


class Recorded:
    """A market's updates in a journal, and its whole book after each."""

    def __init__(self, moved: list[Any], asked_at: int, per_group: int) -> None:
        self.story = Audited(per_group=per_group).begin()
        self.market = Market()
        self.bodies = [(self.market.last_id, self.market.body())]
        self.story.journal.rest(self.story.at(0), NAME, self.market.body())
        for n, ((side, price, size), span) in enumerate(moved):
            if n == asked_at:
                self.story.journal.command(self.story.at(n), NAME, "asked")
                self.asked_id = self.market.last_id
            time_ns = self.story.at(n + 0.5)
            self.story.journal.frame(time_ns, NAME, self.market.update(time_ns, side, price, size, span))
            self.bodies.append((self.market.last_id, self.market.body()))

    def audit(self, body: bytes) -> list[RunMessage]:
        journal = self.story.journal
        journal.rest(self.story.at(40), NAME, body, cause="audit")
        time_ns = self.story.at(41)
        journal.frame(time_ns, NAME, self.market.update(time_ns, 0, "8", "1", 1))
        return play(self.story.groups)[1]


@settings(max_examples=60, deadline=None)
@given(steps, st.data())
def test_a_true_snapshot_at_any_id_since_it_was_asked_for_is_equal(
    moved: list[Any], data: st.DataObject
) -> None:
    recorded = Recorded(
        moved, data.draw(st.integers(1, max(1, len(moved) - 1))), data.draw(st.sampled_from([1, 4]))
    )
    if len(moved) < 2:
        return
    usable = [each for each in recorded.bodies if each[0] >= recorded.asked_id]
    at, body = data.draw(st.sampled_from(usable))
    inside = next((b for a, b in pairwise([i for i, _ in recorded.bodies]) if a == at), at + 1)
    decoded = msgspec.json.decode(body)
    decoded["lastUpdateId"] = data.draw(st.integers(at, inside - 1))
    said = recorded.audit(msgspec.json.encode(decoded))
    [audit] = audits(said)
    assert audit.levels == audit.equal > 0
    check_numbers(said)


@settings(max_examples=60, deadline=None)
@given(steps, st.data())
def test_one_changed_level_is_found_unless_an_update_says_it_anew(
    moved: list[Any], data: st.DataObject
) -> None:
    recorded = Recorded(moved, 1, 1)
    at, body = data.draw(st.sampled_from([each for each in recorded.bodies if each[0] >= recorded.asked_id]))
    decoded = msgspec.json.decode(body)
    side = data.draw(st.sampled_from([name for name in ("bids", "asks") if decoded[name]] or [""]))
    if not side:
        return
    row = data.draw(st.sampled_from(decoded[side]))
    row[1] = "77"
    said = recorded.audit(msgspec.json.encode(decoded))
    [audit] = audits(said)
    later = [
        price
        for frame in recorded.market.sent
        for update in [msgspec.json.decode(frame)["data"]]
        if at < update["u"] <= audit.update_id
        for price, _ in update["b" if side == "bids" else "a"]
    ]
    assert (audit.levels - audit.equal == 0) == (row[0] in later)
    if audit.levels > audit.equal:
        [(found_side, _, _, theirs)] = found(audit)
        assert (found_side, theirs) == (int(side == "asks"), 77)


def test_changes_before_and_after_are_told_as_without_an_audit() -> None:
    plain, audited = live(), live().asked(0.5)
    for story in (plain, audited):
        for n in range(12, 30):
            story.update(1 + n / 10, n, bids=[("10", str(n))])
    audited.body(5, 29, [("10", "29"), ("9", "2")], ASKS)
    of_changes = [of_type(story.said(), Changes) for story in (plain, audited)]
    assert [ints(m.last_ids) for m in of_changes[0]] == [ints(m.last_ids) for m in of_changes[1]]
