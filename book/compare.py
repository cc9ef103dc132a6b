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
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from book.depth import Depth, Span
from book.orderflow import OrderFlow
from book.outlet import Outlet
from book.scales import Finer, Scales, factor, raised, rescaled
from book.sync import Update
from venue.api import BookSnapshot, OrderSnapshot

Column = NDArray[np.int64]
Book = Depth | OrderFlow
Certified = tuple[int | None, int | None]

Row = tuple[int, int, bytes]
"""Side (0 bid, 1 ask), price, and the id of an order; a level has none."""


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
    theirs = carried_forward(ours, snapshot, snapshot_id, updates, decode)
    scales = raised(ours.scales, theirs.scales)
    own, other = _certified(ours, scales), _certified(theirs, scales)
    certified = _inner(own, other)
    our_rows, their_rows = _rows(ours, scales), _rows(theirs, scales)
    comparison = compare(_inside(our_rows, certified), _inside(their_rows, certified))
    return Audited(scales, certified, comparison, _beyond(our_rows, their_rows, own, other))


def carried_forward(
    ours: Book,
    snapshot: BookSnapshot | OrderSnapshot,
    snapshot_id: int,
    updates: Iterable[Update],
    decode: Callable[[Update], Update],
) -> Book:
    """Return the book that *snapshot* becomes by *updates*.

    Raises:
        Refused: as ``audit`` says.
    """
    book: Book = OrderFlow() if isinstance(ours, OrderFlow) else Depth()
    book.may_cross = ours.may_cross
    book.replace(snapshot, snapshot_id)
    book.may_cross = True
    nobody = Outlet("", {})
    for update in updates:
        if update.last_id > snapshot_id:
            _apply(book, decode(update), nobody)
    return book


def compare(ours: Mapping[Row, int], theirs: Mapping[Row, int]) -> Comparison:
    """Compare the sizes of rows; the rows of a price are given in the order of their queue."""
    found = [
        Difference(row[0], row[1], size, theirs.get(row, 0), row[2])
        for row, size in ours.items()
        if theirs.get(row, 0) != size
    ]
    strange = [row for row in theirs if row not in ours]
    found += [Difference(side, price, 0, theirs[side, price, name], name) for side, price, name in strange]
    found.sort(key=lambda each: (each.side, each.price if each.side else -each.price, each.order_id))
    return Comparison(len(ours) + len(strange), found, _misplaced(ours, theirs))


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


def _rows(book: Book, scales: Scales) -> dict[Row, int]:
    price_by, size_by = factor(book.scales.price, scales.price), factor(book.scales.size, scales.size)
    if isinstance(book, OrderFlow):
        rows = book.book.sizes()
    else:
        bids, _, prices, sizes = book.levels.columns()
        sides = [int(n >= bids) for n in range(len(prices))]
        rows = {(side, price, b""): size for side, price, size in zip(sides, prices, sizes, strict=True)}
    if price_by == size_by == 1:
        return rows
    return {
        (side, rescaled(price, price_by), name): rescaled(size, size_by)
        for (side, price, name), size in rows.items()
    }


def _certified(book: Book, scales: Scales) -> Certified:
    if isinstance(book, OrderFlow):
        return None, None
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


def _is_inside(side: int, price: int, certified: Certified) -> bool:
    low, high = certified
    return (high is None or price <= high) if side else (low is None or price >= low)


def _inside(rows: Mapping[Row, int], certified: Certified) -> Mapping[Row, int]:
    if certified == (None, None):
        return rows
    return {row: size for row, size in rows.items() if _is_inside(row[0], row[1], certified)}


def _beyond(
    ours: Mapping[Row, int], theirs: Mapping[Row, int], own: Certified, other: Certified
) -> Beyond | None:
    """Return what makes the certified span of the own book wider; a level that it knows stays as it is."""
    certified = _outer(own, other)
    if certified == own:
        return None
    added = {
        price if side else -price: size
        for (side, price, _), size in theirs.items()
        if (side, price, b"") not in ours
        and not _is_inside(side, price, own)
        and _is_inside(side, price, certified)
    }
    keys = np.array(sorted(added), dtype=np.int64)
    return Beyond(certified, keys, np.array([added[key] for key in keys.tolist()], dtype=np.int64))
