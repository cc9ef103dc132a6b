"""An L2 book as a feed of level updates: a batch of updates in, columns of changes out.

Prices and sizes of all updates of a batch are made integers by one call each; the levels of update i
are the next ``bid_counts[i]`` bids, then ``ask_counts[i]`` asks.
"""

from collections.abc import Sequence
from itertools import accumulate, chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from book.levels import Levels
from book.outlet import Outlet
from book.scales import Refused, Scales, exact, until_exact
from book.sync import Update
from venue.api import BookSnapshot, DepthUpdate, OrderSnapshot
from wire.messages import Changes, Image

Column = NDArray[np.int64]


class Batch(NamedTuple):
    """Updates in exact integers."""

    updates: Sequence[Update]
    bid_counts: list[int]
    ask_counts: list[int]
    starts: list[int]
    """Where the levels of each update begin, and where those of the last one end."""
    sides: Column
    prices: Column
    sizes: Column


class Unclear(Exception):
    """An update names a price twice; it has to be looked at alone."""


class Span(NamedTuple):
    """What is the same for the updates of one message."""

    start_ns: int
    first_id: int
    """Of its first update: one more than the last id before, however far back the update reaches."""
    effective_ns: Sequence[int]


class Depth:
    """The book of a feed whose updates are absolute sizes of levels."""

    KIND = "l2"
    MODES = ("changes",)

    def __init__(self) -> None:
        self.levels = Levels()
        self.may_cross = False
        self.absent_deletes = 0
        """Removals of levels that were not there: normal (protocols.md 1.6)."""

    @property
    def scales(self) -> Scales:
        """Return the book's scales."""
        return self.levels.scales

    def mode(self, every_ms: int) -> str:  # noqa: ARG002 - an L3 book has two
        """Return the feed that a policy of *every_ms* writes."""
        return "changes"

    def enter(self, mode: str) -> None:
        """Write *mode* from now on."""

    def replace(self, snapshot: BookSnapshot | OrderSnapshot, snapshot_id: int) -> None:  # noqa: ARG002
        """Become *snapshot*.

        Raises:
            Refused: a value does not fit, or bids and asks cross; the book is as it was.
        """
        if not isinstance(snapshot, BookSnapshot):
            raise Refused("a snapshot of orders for a book of levels")
        rows = [*snapshot.bids, *snapshot.asks]
        texts = [price for price, _ in rows], [size for _, size in rows]
        (prices, sizes), scales = until_exact(self.scales, lambda at: exact(*texts, at))
        levels = Levels()
        pairs, bids = list(zip(prices.tolist(), sizes.tolist(), strict=True)), len(snapshot.bids)
        levels.replace(pairs[:bids], pairs[bids:], scales, snapshot.limit)
        if levels.crossed() and not self.may_cross:
            raise Refused("a snapshot whose bids and asks cross")
        self.levels = levels

    def prepare(self, updates: Sequence[Update]) -> Batch:
        """Return *updates* in exact integers at the book's scales.

        Raises:
            Finer, Refused: as ``scales.exact`` says.
            Unclear: several updates, of which one names a price twice.
        """
        levels = [side for update in updates for side in _sides(update)]
        texts = list(chain.from_iterable(chain.from_iterable(levels)))
        prices, sizes = exact(texts[0::2], texts[1::2], self.scales)
        counts = [len(side) for side in levels]
        sides = np.repeat(np.tile([0, 1], len(updates)), counts)
        if not _distinct(counts, sides, prices):
            if len(updates) > 1:
                raise Unclear
            counts, sides, prices, sizes = _last_of_each(sides, prices, sizes)
        bid_counts, ask_counts = counts[0::2], counts[1::2]
        starts = [0, *accumulate(map(int.__add__, bid_counts, ask_counts))]
        return Batch(updates, bid_counts, ask_counts, starts, sides, prices, sizes)

    def apply(self, batch: Batch, begin: int, end: int, span: Span, outlet: Outlet) -> int:
        """Apply the updates *begin* to *end*, and send them; return where it stopped.

        It stops before an update that makes the book cross: that one is not applied.
        """
        bids, asks = self.levels.bids, self.levels.asks
        low, high = batch.starts[begin], batch.starts[end]
        prices, sizes = batch.prices[low:high].tolist(), batch.sizes[low:high].tolist()
        olds: list[int] = []
        stop = end
        for n in range(begin, end):
            a = batch.starts[n] - low
            b = a + batch.bid_counts[n]
            c = batch.starts[n + 1] - low
            bid_olds = bids.apply(prices[a:b], sizes[a:b])
            ask_olds = asks.apply(prices[b:c], sizes[b:c])
            if self.levels.crossed() and not self.may_cross:
                bids.undo(prices[a:b], bid_olds)
                asks.undo(prices[b:c], ask_olds)
                stop = n
                break
            olds += bid_olds
            olds += ask_olds
        if stop > begin:
            self._send(batch, begin, stop, np.array(olds, dtype=np.int64), span, outlet)
        return stop

    def _send(self, batch: Batch, begin: int, end: int, olds: Column, span: Span, outlet: Outlet) -> None:
        rows = slice(batch.starts[begin], batch.starts[end])
        prices, sizes = batch.prices[rows], batch.sizes[rows]
        self.levels.note(batch.sides[rows], prices, sizes, olds)
        self.absent_deletes += int(np.count_nonzero((sizes == 0) & (olds == 0)))
        emit_changes(
            outlet,
            span,
            self.scales,
            batch.updates[begin:end],
            (batch.bid_counts[begin:end], batch.ask_counts[begin:end]),
            (prices, sizes, olds),
        )

    def image(self, outlet: Outlet, update_id: int, time_ns: int, effective_ns: int, start_ns: int) -> None:
        """Send the whole book as it is after *update_id*."""
        emit_levels(self.levels, outlet, update_id, time_ns, effective_ns, start_ns)

    def hash(self) -> bytes:
        """Return the book's hash."""
        return self.levels.hash()

    def rescale(self, scales: Scales) -> None:
        """Go on at higher *scales*.

        Raises:
            Refused: the book would not fit 64 bits; it is as it was.
        """
        self.levels.rescale(scales)

    def dump(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {"levels": dump_levels(self.levels), "absent": self.absent_deletes}

    def load(self, state: dict[str, Any]) -> None:
        """Become what ``dump`` returned."""
        self.levels = load_levels(state["levels"])
        self.absent_deletes = state["absent"]


def emit_changes(
    outlet: Outlet,
    span: Span,
    scales: Scales,
    updates: Sequence[Update],
    counts: tuple[Sequence[int], Sequence[int]],
    columns: tuple[Column, Column, Column],
) -> None:
    """Send *updates* as Changes; *columns* are prices, sizes and old sizes."""
    prices, sizes, olds = columns
    last_ids = [update.last_id for update in updates]
    outlet.emit(
        Changes,
        start_ns=span.start_ns,
        price_scale=scales.price,
        size_scale=scales.size,
        first_ids=packed([span.first_id, *(last_id + 1 for last_id in last_ids[:-1])]),
        last_ids=packed(last_ids),
        times_ns=packed([update.time_ns for update in updates]),
        effective_ns=packed(span.effective_ns),
        received_ns=packed([update.recv_ns for update in updates]),
        bid_counts=packed(counts[0]),
        ask_counts=packed(counts[1]),
        prices=prices.tobytes(),
        sizes=sizes.tobytes(),
        old_sizes=olds.tobytes(),
    )


def emit_levels(
    levels: Levels, outlet: Outlet, update_id: int, time_ns: int, effective_ns: int, start_ns: int
) -> None:
    """Send *levels* as an L2 image."""
    bids, asks, prices, sizes = levels.columns()
    outlet.emit(
        Image,
        start_ns=start_ns,
        update_id=update_id,
        time_ns=time_ns,
        effective_ns=effective_ns,
        book="l2",
        price_scale=levels.scales.price,
        size_scale=levels.scales.size,
        certified=levels.certified,
        hash=levels.hash(),
        bids=bids,
        asks=asks,
        prices=packed(prices),
        sizes=packed(sizes),
    )


def packed(values: Sequence[int]) -> bytes:
    """Return *values* as a column of a message."""
    return np.array(values, dtype="<i8").tobytes()


def dump_levels(levels: Levels) -> dict[str, Any]:
    """Return the state of *levels* for a checkpoint."""
    bids, asks, prices, sizes = levels.columns()
    return {
        "scales": (levels.scales.price, levels.scales.size),
        "certified": levels.certified,
        "bids": bids,
        "asks": asks,
        "prices": packed(prices),
        "sizes": packed(sizes),
    }


def load_levels(state: dict[str, Any]) -> Levels:
    """Return the levels that ``dump_levels`` saw."""
    prices = np.frombuffer(state["prices"], dtype="<i8").tolist()
    sizes = np.frombuffer(state["sizes"], dtype="<i8").tolist()
    pairs = list(zip(prices, sizes, strict=True))
    levels = Levels()
    levels.replace(pairs[: state["bids"]], pairs[state["bids"] :], Scales(*state["scales"]))
    low, high = state["certified"]
    levels.certified = (low, high)
    return levels


def _sides(update: Update) -> tuple[Sequence[tuple[str, str]], Sequence[tuple[str, str]]]:
    if not isinstance(update.decoded, DepthUpdate):
        raise TypeError("an update of levels must be decoded before it is applied")
    return update.decoded.bids, update.decoded.asks


def _distinct(counts: list[int], sides: Column, prices: Column) -> bool:
    """Say whether no side of an update names a price twice (nearly always they are sorted)."""
    lists = np.repeat(np.arange(len(counts)), counts)
    steps = np.diff(prices)
    sorted_ = np.where(sides[1:] == 1, steps > 0, steps < 0) | (lists[1:] != lists[:-1])
    if sorted_.all():
        return True
    return len(set(zip(lists.tolist(), prices.tolist(), strict=True))) == len(prices)


def _last_of_each(sides: Column, prices: Column, sizes: Column) -> tuple[list[int], Column, Column, Column]:
    """Return the levels of one update, of each price only what it said last."""
    keys = zip(sides.tolist(), prices.tolist(), strict=True)
    rows = sorted((key, size) for key, size in dict(zip(keys, sizes.tolist(), strict=True)).items())
    table = np.array([(side, price, size) for (side, price), size in rows], dtype=np.int64)
    asks = int(table[:, 0].sum())
    columns = [np.ascontiguousarray(table[:, k]) for k in range(3)]
    return [len(rows) - asks, asks], columns[0], columns[1], columns[2]
