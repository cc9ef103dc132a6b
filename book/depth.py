"""An L2 book as a feed of level updates: a batch of updates in, columns of changes out.

Prices and sizes of all updates of a batch are made integers by one call each; the levels of update i
are the next ``counts[2 * i]`` bids, then ``counts[2 * i + 1]`` asks.
"""

import struct
from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from book.compiled_table import COMPILED, new_table, scaled_rows
from book.levels import Levels
from book.outlet import Outlet
from book.run import Run
from book.scales import Refused, Scales, exact, until_exact
from book.sync import Update
from book.table import Rows, Table
from venue import numbers
from venue.api import BookSnapshot, DepthUpdate, OrderSnapshot
from venue.columns import DepthColumns
from wire.messages import Policy
from wire.runs import Changes, Image

Column = NDArray[np.int64]


_ZERO = np.zeros(1, dtype=np.int64)


class Batch(NamedTuple):
    """Updates in exact integers."""

    last_ids: Sequence[int]
    times_ns: Sequence[int]
    received_ns: Sequence[int]
    counts: Column
    """Levels of each side: the bids of the first update, its asks, the bids of the second, ..."""
    rows: Rows
    """Their levels."""


class Unclear(Exception):
    """An update names a price twice; it has to be looked at alone."""


class Span(NamedTuple):
    """What is the same for the updates of one message."""

    start_ns: int
    first_id: int
    """Of its first update: one more than the last id before, however far back the update reaches."""
    effective_ns: Sequence[int]
    nets: bool = False
    """Whether the window is stored net, for which the old sizes are sent too."""


class Depth:
    """The book of a feed whose updates are absolute sizes of levels."""

    KIND = "l2"
    feed = "changes"

    def __init__(self) -> None:
        self.levels = new_table()
        self.may_cross = False
        self.absent_deletes = 0
        """Removals of levels that were not there: normal (protocols.md 1.6)."""

    @property
    def scales(self) -> Scales:
        """Return the book's scales."""
        return self.levels.scales

    def enter(self, policy: Policy, last_id: int) -> bool:  # noqa: ARG002 - an L3 book has three modes
        """Write as *policy* says from now on; return whether that is another mode."""
        return False

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
        levels = new_table()
        levels.replace(prices, sizes, len(snapshot.bids), scales, snapshot.limit)
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
        moments = zip(*((u.last_id, u.time_ns, u.recv_ns) for u in updates), strict=True)
        counts = np.array([len(side) for side in levels])
        batch = _batch(*moments, counts=counts, prices=prices, sizes=sizes)
        if not _distinct(batch):
            if len(updates) > 1:
                raise Unclear
            batch = _last_of_each(batch)
        return batch

    def prepare_run(self, run: Run) -> Batch | None:
        """Return *run* at the book's scales; None where its updates have to be looked at one by one."""
        columns = run.columns
        if not isinstance(columns, DepthColumns):
            return None
        moments = columns.last_ids, columns.times_ns, run.frames.received_ns
        if COMPILED:
            rows = scaled_rows(columns, self.scales)
            if rows is not None:
                return Batch(*moments, columns.counts, rows)
        prices = numbers.at_scale(columns.prices, columns.decimals, self.scales.price)
        sizes = numbers.at_scale(columns.sizes, columns.decimals, self.scales.size)
        if prices is None or sizes is None:
            return None
        batch = _batch(*moments, counts=columns.counts, prices=prices, sizes=sizes)
        return batch if _distinct(batch) else None

    def apply(self, batch: Batch, begin: int, end: int, span: Span, outlet: Outlet) -> int:
        """Apply the updates *begin* to *end*, and send them; return where it stopped.

        It stops before an update that makes the book cross: that one is not applied.
        """
        rows = batch.rows.between(begin, end)
        count, olds = self.levels.apply(rows, may_cross=self.may_cross)
        if not count:
            return begin
        stop = begin + count
        sizes = rows.sizes[: len(olds)]
        self.absent_deletes += int(np.count_nonzero((sizes | olds) == 0))
        emit_changes(
            outlet,
            span,
            self.scales,
            (batch.last_ids[begin:stop], batch.times_ns[begin:stop], batch.received_ns[begin:stop]),
            (batch.counts[2 * begin : 2 * stop : 2], batch.counts[2 * begin + 1 : 2 * stop : 2]),
            (np.abs(rows.keys[: len(olds)]), sizes, olds),
        )
        return stop

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
    moments: tuple[Sequence[int], Sequence[int], Sequence[int]],
    counts: tuple[Sequence[int] | Column, Sequence[int] | Column],
    columns: tuple[Column, Column, Column],
) -> None:
    """Send updates as Changes; *moments* are their last ids, exchange times and receive times.

    *columns* are prices, sizes and old sizes.
    """
    prices, sizes, olds = columns
    last_ids, times_ns, received_ns = moments
    outlet.emit(
        Changes,
        start_ns=span.start_ns,
        price_scale=scales.price,
        size_scale=scales.size,
        first_ids=packed([span.first_id, *(last_id + 1 for last_id in last_ids[:-1])]),
        last_ids=packed(last_ids),
        times_ns=packed(times_ns),
        effective_ns=packed(span.effective_ns[: len(last_ids)]),
        received_ns=packed(received_ns),
        bid_counts=packed(counts[0]),
        ask_counts=packed(counts[1]),
        prices=prices.tobytes(),
        sizes=sizes.tobytes(),
        old_sizes=olds.tobytes() if span.nets else b"",
    )


def emit_levels(
    levels: Levels | Table, outlet: Outlet, update_id: int, time_ns: int, effective_ns: int, start_ns: int
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


def packed(values: Sequence[int] | Column) -> bytes:
    """Return *values* as a column of a message."""
    if isinstance(values, np.ndarray):
        return values.astype("<i8", copy=False).tobytes()
    if len(values) == 1:  # (a quarter of the time)
        return values[0].to_bytes(8, "little", signed=True)
    return struct.pack(f"<{len(values)}q", *values)  # a third of what numpy takes for a list


def dump_levels(levels: Levels | Table) -> dict[str, Any]:
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


def load_levels(state: dict[str, Any]) -> Table:
    """Return the levels that ``dump_levels`` saw."""
    prices, sizes = (np.frombuffer(state[column], dtype="<i8") for column in ("prices", "sizes"))
    levels = new_table()
    levels.replace(prices, sizes, state["bids"], Scales(*state["scales"]))
    low, high = state["certified"]
    levels.certified = (low, high)
    return levels


def _sides(update: Update) -> tuple[Sequence[tuple[str, str]], Sequence[tuple[str, str]]]:
    if not isinstance(update.decoded, DepthUpdate):
        raise TypeError("an update of levels must be decoded before it is applied")
    return update.decoded.bids, update.decoded.asks


def _batch(
    last_ids: Sequence[int],
    times_ns: Sequence[int],
    received_ns: Sequence[int],
    *,
    counts: Column,
    prices: Column,
    sizes: Column,
) -> Batch:
    """Return a batch of the updates whose levels are the next *counts* of *prices* and *sizes*."""
    starts = np.concatenate((_ZERO, counts.cumsum()[1::2]))
    signs = np.ones(len(counts), dtype=np.int64)
    signs[::2] = -1  # bids
    return Batch(last_ids, times_ns, received_ns, counts, Rows(prices * signs.repeat(counts), sizes, starts))


def _distinct(batch: Batch) -> bool:
    """Say whether no side of an update names a price twice (nearly always they are sorted)."""
    keys, owners = batch.rows.keys, batch.rows.owners
    if ((keys[1:] > keys[:-1]) | (owners[1:] != owners[:-1])).all():
        return True
    return len(set(zip(owners.tolist(), keys.tolist(), strict=True))) == len(keys)


def _last_of_each(batch: Batch) -> Batch:
    """Return the levels of one update, of each price only what it said last."""
    levels = dict(zip(batch.rows.keys.tolist(), batch.rows.sizes.tolist(), strict=True))
    rows = sorted(levels.items(), key=lambda row: (row[0] > 0, abs(row[0])))
    keys, sizes = np.array(rows, dtype=np.int64).T
    asks = int(np.count_nonzero(keys > 0))
    return _batch(
        batch.last_ids,
        batch.times_ns,
        batch.received_ns,
        counts=np.array([len(rows) - asks, asks]),
        prices=np.abs(keys),
        sizes=np.ascontiguousarray(sizes),
    )
