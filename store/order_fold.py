"""The L3 book that an image and the order events after it come to, in the recorder's own queue order.

It is the recorder's book (book.compiled_orders, or its plain twin), and goes on at the finest scales that
were needed so far.  A block may claim anything: what the compiled loops could not bear never gets to them.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from book import events
from book.compiled_orders import new_order_book
from book.events import Desync, Event, Events, FoldChanges, LevelChange, Row, fold_changes
from book.scales import Refused, Scales
from condition.codec import ChangeColumns, Ids, ImageColumns, Int64s, OrderColumns
from store.pieces import Piece
from store.scaling import finer, times_present
from store.unreadable import Damaged
from venue.api import OrderKind, Side
from wire.runs import ABSENT


class Orders(NamedTuple):
    """The orders of an L3 book: ``bids`` rows of bids best first, then asks best first, in queue order."""

    bids: int
    prices: Int64s
    sizes: Int64s
    order_ids: Ids
    placed_ids: Int64s
    certain: Int64s


class Told(NamedTuple):
    """Order events as they are stored, the scales of their prices and sizes, and whose they are."""

    rows: OrderColumns
    scales: Scales
    name: str


class OrderFold:
    """An L3 book."""

    def __init__(
        self,
        held: Orders | ImageColumns,
        scales: Scales,
        certified: tuple[int | None, int | None],
        *,
        named: bool = False,
    ) -> None:
        """Begin with the orders *held*; *named*: they have names (book.naming), for their ids were not kept.

        Raises:
            Refused: they are no book of 64 bits.
        """
        if len(held.sizes) and held.sizes.min() < 0:
            raise Refused(f"an order of size {held.sizes.min()}")
        self.certified = certified
        self.named = named
        self._book = new_order_book()
        # what the recorder applied was possible: there may have been an auction
        self._book.may_cross = True
        certain = (held.certain != 0).astype(np.uint8)
        self._book.fill(
            events.OrderColumns(
                held.bids,
                held.prices.tobytes(),
                held.sizes.tobytes(),
                held.order_ids.tobytes(),
                held.placed_ids.tobytes(),
                certain.tobytes(),
            ),
            scales,
        )

    @property
    def scales(self) -> Scales:
        """Return the book's scales."""
        return self._book.scales

    def apply(self, piece: Piece) -> None:
        """Apply its events.

        Raises:
            Damaged: one of them cannot be true of this book.
        """
        self._apply(told(piece), fold=False)

    def changes(self, found: Told) -> ChangeColumns:
        """Apply the events and return what each does to the levels, a row an event.

        Raises:
            Damaged: one of them cannot be true of this book.
        """
        moved = self._apply(found, fold=True) or fold_changes([])
        rows, levels = found.rows, (moved.bids, moved.asks, moved.prices, moved.sizes)
        times = (rows.times_ns, rows.effective_ns, rows.received_ns)
        return ChangeColumns(rows.ids, rows.ids, *times, *map(np.ascontiguousarray, levels))

    def moved(self, found: Told) -> Iterator[tuple[Event, list[LevelChange]]]:
        """Apply the events one by one, yielding each with the levels it changed.

        Raises:
            Damaged: one of them cannot be true of this book.
        """
        made = self._events(found)
        for at in range(len(made.ids)):
            event = _event(made, at)
            try:
                yield event, self._book.apply(event)
            except Desync as error:
                raise Damaged(found.name, str(error)) from error

    def rescale(self, scales: Scales) -> None:
        """Go on at finer *scales*.

        Raises:
            Refused: the book would not fit 64 bits.
        """
        self._book.rescale(scales)

    def levels(self) -> tuple[Int64s, Int64s]:
        """Return bids and asks, rows of price and size, best first."""
        bids, prices, sizes = self._book.levels()
        rows = np.stack((prices, sizes), axis=1)
        return rows[:bids], rows[bids:]

    def orders(self) -> Orders:
        """Return every order, in queue order."""
        found = self._book.columns()
        prices, sizes, placed_ids = (column.copy() for column in found.numbers())
        ids = np.frombuffer(found.order_ids, np.uint8).reshape(-1, 16).copy()
        return Orders(
            found.bids,
            prices,
            sizes,
            ids,
            placed_ids,
            np.frombuffer(found.certain_u1, np.uint8).astype(np.int64),
        )

    def place(self, order_id: bytes) -> tuple[Row, int, int] | None:
        """Return the order, how many rest before it at its price, and their size; None: it is not there."""
        return self._book.place(order_id)

    def hash(self) -> bytes:
        """Return the book's hash."""
        return self._book.hash()

    def _apply(self, found: Told, *, fold: bool) -> FoldChanges | None:
        made = self._events(found)
        stop, moved = self._book.apply_all(made, 0, len(made.ids), fold=fold)
        if stop < len(made.ids):
            try:
                self._book.apply(_event(made, stop))
            except Desync as error:
                raise Damaged(found.name, str(error)) from error
        return moved

    def _events(self, found: Told) -> Events:
        """Return the events in the book's scales, which become finer where they must.

        Raises:
            Damaged: they are none, or do not fit 64 bits.
        """
        rows, scales, name = found
        for column, known in ((rows.kinds, OrderKind), (rows.sides, Side)):
            if ((column < 0) | (column >= len(known))).any():
                raise Damaged(name, "an event of a kind or side that is not known here")
        if ((rows.sizes < 0) & (rows.sizes != ABSENT)).any():
            raise Damaged(name, "an order of less than nothing")
        finest = finer(self.scales, scales.price, scales.size)
        try:
            if finest != self.scales:
                self.rescale(finest)
            prices = times_present(rows.prices, finest.price - scales.price)
            sizes = times_present(rows.sizes, finest.size - scales.size)
        except Refused as error:
            raise Damaged(name, str(error)) from error
        kinds, sides = rows.kinds.astype(np.uint8).tobytes(), rows.sides.astype(np.uint8).tobytes()
        return Events(rows.ids, kinds, sides, rows.order_ids.tobytes(), prices, sizes)


def told(piece: Piece) -> Told:
    """Return the events of *piece*.

    Raises:
        Damaged: it has changes of levels.
    """
    rows, block = piece.rows, piece.block
    if not isinstance(rows, OrderColumns):
        raise Damaged(block.id, "changes of levels after an image of orders")
    return Told(rows, Scales(block.price_scale, block.size_scale), block.id)


def _event(made: Events, at: int) -> Event:
    order_id = made.order_ids[16 * at : 16 * at + 16]
    price, size = int(made.prices[at]), int(made.sizes[at])
    return Event(int(made.ids[at]), made.kinds_u1[at], made.sides_u1[at], order_id, price, size)
