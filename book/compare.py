"""Compares a book with a fresh snapshot of it, at the book's own update: what an audit finds.

The snapshot is carried forward by the updates after its id (``carried_forward``), so that both are books
right after the same update.  One that the snapshot's id lies inside of is applied too: sizes are absolute.
An event that cannot be true of the snapshot's book is left out: what it should have changed differs then.

rows       compared where
levels     inside the span of prices that both books are certified for
orders     everywhere: price, size and side of each; the queues' order is counted apart (``misplaced``)
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from book.depth import Depth, Span
from book.orderflow import OrderFlow
from book.outlet import Outlet
from book.scales import Finer, Scales, factor, raised, rescaled
from book.sync import Update
from venue.api import BookSnapshot, OrderSnapshot

Column = NDArray[np.int64]
Mask = NDArray[np.bool_]
Book = Depth | OrderFlow
B = TypeVar("B", Depth, OrderFlow)
Certified = tuple[int | None, int | None]

Row = tuple[int, int, bytes]
"""Side (0 bid, 1 ask), price, and the id of an order."""


class Levels(NamedTuple):
    """Levels of a book."""

    keys: Column
    """As in book.table, ascending: the bids and the asks, the best first."""
    sizes: Column

    def where(self, mask: Mask) -> "Levels":
        """Return those of *mask*."""
        return Levels(self.keys[mask], self.sizes[mask])

    def sizes_at(self, keys: Column) -> Column:
        """Return the size of each of *keys*, 0 where there is none."""
        found = np.zeros(len(keys), np.int64)
        _, at, own = np.intersect1d(keys, self.keys, assume_unique=True, return_indices=True)
        found[at] = self.sizes[own]
        return found


class Difference(NamedTuple):
    """A row that the books do not agree on; a size is 0 where a book has no such row."""

    side: int
    price: int
    ours: int
    theirs: int
    order_id: bytes = b""


class Comparison(NamedTuple):
    """What two books have in common."""

    levels: int
    """Rows of either book."""
    differences: list[Difference]
    """By side, best first."""
    misplaced: int = 0
    """Orders of queues whose order is another one."""

    @property
    def equal(self) -> int:
        """Return how many rows are the same in both."""
        return self.levels - len(self.differences)


class Beyond(NamedTuple):
    """Levels that the fresh book vouches for and the own one does not."""

    certified: Certified
    """What the own book vouches for with them."""
    keys: Column
    """As in book.table."""
    sizes: Column


class Audited(NamedTuple):
    """The result, in units of ``scales``."""

    scales: Scales
    certified: Certified
    """The span of prices in which both were compared."""
    comparison: Comparison
    beyond: Beyond | None


def audit(
    ours: Book,
    snapshot: BookSnapshot | OrderSnapshot,
    snapshot_id: int,
    updates: Iterable[Update],
    decode: Callable[[Update], Update],
) -> Audited:
    """Compare *ours* with *snapshot*, to which *updates* lead on, those up to the own book's last id.

    Raises:
        Refused: the snapshot is none of such a book, or a value does not fit 64 bits at the finer scales.
    """
    since = snapshot, snapshot_id, updates, decode
    if isinstance(ours, OrderFlow):
        return _audit_orders(ours, carried_forward(ours, *since))
    return _audit_levels(ours, carried_forward(ours, *since))


def carried_forward(
    ours: B,
    snapshot: BookSnapshot | OrderSnapshot,
    snapshot_id: int,
    updates: Iterable[Update],
    decode: Callable[[Update], Update],
) -> B:
    """Return the book that *snapshot* becomes by *updates*.

    Raises:
        Refused: as ``audit`` says.
    """
    book = type(ours)()
    book.rescale(ours.scales)  # nearly always those of the snapshot, which so is read once
    book.may_cross = ours.may_cross
    book.replace(snapshot, snapshot_id)
    book.may_cross = True
    nobody = Outlet("", {})
    for update in updates:
        if update.last_id > snapshot_id:
            _apply(book, decode(update), nobody)
    return book


def _audit_orders(ours: OrderFlow, theirs: OrderFlow) -> Audited:
    scales = raised(ours.scales, theirs.scales)
    return Audited(scales, (None, None), compare(_orders(ours, scales), _orders(theirs, scales)), None)


def _audit_levels(ours: Depth, theirs: Depth) -> Audited:
    scales = raised(ours.scales, theirs.scales)
    own, other = _certified(ours, scales), _certified(theirs, scales)
    certified = _inner(own, other)
    our_levels, their_levels = _levels(ours, scales), _levels(theirs, scales)
    inside = [levels.where(_is_inside(levels.keys, certified)) for levels in (our_levels, their_levels)]
    beyond = _beyond(our_levels, their_levels, own, other)
    return Audited(scales, certified, compare_levels(*inside), beyond)


def compare(ours: Mapping[Row, int], theirs: Mapping[Row, int]) -> Comparison:
    """Compare the sizes of orders; those of a price are given in the order of their queue."""
    found = [
        Difference(row[0], row[1], size, theirs.get(row, 0), row[2])
        for row, size in ours.items()
        if theirs.get(row, 0) != size
    ]
    strange = [row for row in theirs if row not in ours]
    found += [Difference(side, price, 0, theirs[side, price, name], name) for side, price, name in strange]
    found.sort(key=lambda each: (each.side, each.price if each.side else -each.price, each.order_id))
    return Comparison(len(ours) + len(strange), found, _misplaced(ours, theirs))


def compare_levels(ours: Levels, theirs: Levels) -> Comparison:
    """Compare the sizes of levels."""
    keys = np.union1d(ours.keys, theirs.keys)
    our_sizes, their_sizes = ours.sizes_at(keys), theirs.sizes_at(keys)
    differ = our_sizes != their_sizes
    rows = zip(*(column[differ].tolist() for column in (keys, our_sizes, their_sizes)), strict=True)
    return Comparison(len(keys), [Difference(int(key >= 0), abs(key), *sizes) for key, *sizes in rows])


def _misplaced(ours: Mapping[Row, int], theirs: Mapping[Row, int]) -> int:
    if list(ours) == list(theirs):
        return 0
    queues: tuple[dict[tuple[int, int], list[bytes]], ...] = (defaultdict(list), defaultdict(list))
    for queue, rows, others in ((queues[0], ours, theirs), (queues[1], theirs, ours)):
        for side, price, order_id in rows:
            if order_id and (side, price, order_id) in others:
                queue[side, price].append(order_id)
    return sum(len(queue) for place, queue in queues[0].items() if queue != queues[1][place])


def _apply(book: Book, update: Update, nobody: Outlet) -> None:
    while True:
        try:
            batch = book.prepare([update])
            break
        except Finer as finer:
            book.rescale(raised(book.scales, finer.scales))
    book.apply(batch, 0, 1, Span(0, 0, [0]), nobody)  # type: ignore[arg-type]
    nobody.take({})


def _orders(book: OrderFlow, scales: Scales) -> dict[Row, int]:
    price_by, size_by = factor(book.scales.price, scales.price), factor(book.scales.size, scales.size)
    rows = book.book.sizes()
    if price_by == size_by == 1:
        return rows
    return {
        (side, rescaled(price, price_by), name): rescaled(size, size_by)
        for (side, price, name), size in rows.items()
    }


def _levels(book: Depth, scales: Scales) -> Levels:
    keys, sizes = book.levels.keys_and_sizes()
    price_by, size_by = factor(book.scales.price, scales.price), factor(book.scales.size, scales.size)
    return Levels(_rescaled(keys, price_by), _rescaled(sizes, size_by))


def _rescaled(values: Column, by: int) -> Column:
    if by == 1 or not len(values):
        return values
    rescaled(int(np.abs(values).max()), by)
    return values * by


def _certified(book: Depth, scales: Scales) -> Certified:
    low, high = book.levels.certified
    by = factor(book.scales.price, scales.price)
    return None if low is None else rescaled(low, by), None if high is None else rescaled(high, by)


def _inner(one: Certified, other: Certified) -> Certified:
    lows, highs = [[end for end in ends if end is not None] for ends in zip(one, other, strict=True)]
    return max(lows, default=None), min(highs, default=None)


def _outer(one: Certified, other: Certified) -> Certified:
    low = None if one[0] is None or other[0] is None else min(one[0], other[0])
    high = None if one[1] is None or other[1] is None else max(one[1], other[1])
    return low, high


def _is_inside(keys: Column, certified: Certified) -> Mask:
    low, high = certified
    bids = keys < 0 if low is None else keys <= -low
    asks = keys >= 0 if high is None else (keys >= 0) & (keys <= high)
    return bids | asks


def _beyond(ours: Levels, theirs: Levels, own: Certified, other: Certified) -> Beyond | None:
    """Return what makes the certified span of the own book wider; a level that it knows stays as it is."""
    certified = _outer(own, other)
    if certified == own:
        return None
    keys = theirs.keys
    added = _is_inside(keys, certified) & ~_is_inside(keys, own) & ~np.isin(keys, ours.keys)
    return Beyond(certified, *theirs.where(added))
