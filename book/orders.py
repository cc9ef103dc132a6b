"""An L3 book: orders by id, each price a queue in the order of arrival, and the L2 book they fold to.

event     on a known order                                              on an unknown order
OPEN      is placed anew, behind all others                             goes behind all others
MATCH     the maker's size falls; at 0 the order is gone                Desync
DONE      is gone from the price it is stored at (the message's price   normal, counted
          may differ: protocols.md 2.10)
CHANGE    smaller at the same price: keeps its place; larger or at      normal, counted
          another price: goes behind all others; 0: is gone
RECEIVED  nothing                                                       nothing
NOOP      nothing                                                       nothing

A match of more than the maker has is a Desync too, and so is an order placed across the other side's
best, unless there is an auction (``may_cross``).  An order's place is *certain* when the event
that gave it was seen: the rows of a REST body are in queue order by assumption only.

This is the plain book; where the project was compiled a worker has ``book.compiled_orders``, which does the
same in less time and a fifth of the memory.
"""

from collections.abc import Iterable

import numpy as np

from book.events import (
    WHY,
    Desync,
    Event,
    Events,
    FoldChanges,
    LevelChange,
    OrderColumns,
    Row,
    fold_changes,
)
from book.hash import L3_WORDS, PENDING_ROWS, Sums, of_orders, words_of_id
from book.levels import Levels
from book.scales import LARGEST, Column, Refused, Scales, factor, rescaled
from venue.api import OrderKind
from wire.runs import ABSENT


class _Order:
    __slots__ = ("certain", "order_id", "placed_id", "price", "side", "size")

    def __init__(self, row: Row) -> None:
        self.side, self.price, self.size, self.order_id, self.placed_id, self.certain = row

    def row(self) -> Row:
        return Row(self.side, self.price, self.size, self.order_id, self.placed_id, self.certain)


class OrderBook:
    """The orders of both sides, their hash, and the fold."""

    def __init__(self) -> None:
        self.fold = Levels()
        self.unknown = 0
        """DONE and CHANGE for orders that are not in the book."""
        self.may_cross = False
        """In an auction orders do not match, and the book is crossed legitimately (protocols.md 2.10)."""
        self._orders: dict[bytes, _Order] = {}
        self._queues: tuple[dict[int, dict[bytes, _Order]], ...] = ({}, {})
        self._sums = Sums(L3_WORDS)
        self._touched: list[tuple[int, ...]] = []

    @property
    def scales(self) -> Scales:
        """Return the scales of the book and of its fold."""
        return self.fold.scales

    def __len__(self) -> int:
        return len(self._orders)

    def replace(self, rows: Iterable[Row], scales: Scales) -> None:
        """Become *rows*, the orders of a price in queue order.

        Raises:
            Refused: what rests at a price does not fit 64 bits; the book is as it was.
        """
        orders: dict[bytes, _Order] = {}
        queues: tuple[dict[int, dict[bytes, _Order]], ...] = ({}, {})
        totals: tuple[dict[int, int], dict[int, int]] = ({}, {})
        for row in rows:
            if row.size and row.order_id not in orders:
                order = orders[row.order_id] = _Order(row)
                queues[row.side].setdefault(row.price, {})[row.order_id] = order
                totals[row.side][row.price] = rescaled(totals[row.side].get(row.price, 0) + row.size, 1)
        self._orders, self._queues = orders, queues
        self.fold.replace(totals[0].items(), totals[1].items(), scales)
        self.sum_up()

    def fill(self, columns: OrderColumns, scales: Scales) -> None:
        """Become *columns*, as ``replace`` does.

        Raises:
            Refused: what rests at a price does not fit 64 bits; the book is as it was.
        """
        self.replace(columns.rows(), scales)

    def apply(self, event: Event) -> list[LevelChange]:
        """Apply *event*; return the levels of the fold that it changed.

        Raises:
            Desync: the book is as it was.
        """
        if len(self._touched) > PENDING_ROWS:
            self.hash()
        kind = event.kind
        if kind == OrderKind.OPEN:
            return self._open(event)
        if kind == OrderKind.MATCH:
            return self._match(event)
        if kind not in (OrderKind.DONE, OrderKind.CHANGE):
            return []
        order = self._orders.get(event.order_id)
        if order is None:
            self.unknown += 1
            return []
        return self._remove(order) if kind == OrderKind.DONE else self._change(event, order)

    def apply_all(
        self, events: Events, begin: int, end: int, *, fold: bool
    ) -> tuple[int, FoldChanges | None]:
        """Apply the events *begin* to *end*; return where it stopped, and with *fold* what changed there.

        It stops before an event that cannot be true of the book.
        """
        changes: list[list[LevelChange]] = []
        ids, prices, sizes = (c[begin:end].tolist() for c in (events.ids, events.prices, events.sizes))
        names = [events.order_ids[16 * n : 16 * n + 16] for n in range(begin, end)]
        kinds, sides = events.kinds_u1[begin:end], events.sides_u1[begin:end]
        for event in map(Event, ids, kinds, sides, names, prices, sizes):
            try:
                changes.append(self.apply(event))
            except Desync:
                break
        return begin + len(changes), fold_changes(changes) if fold else None

    def crossed(self) -> bool:
        """Say whether somebody bids what somebody else asks."""
        return self.fold.crossed()

    def columns(self) -> OrderColumns:
        """Return all orders."""
        bids, rows = self.rows()
        prices, sizes, placed = (np.array([row[k] for row in rows], dtype="<i8").tobytes() for k in (1, 2, 4))
        ids, certain = b"".join(row.order_id for row in rows), bytes(row.certain for row in rows)
        return OrderColumns(bids, prices, sizes, ids, placed, certain)

    def fold_hash(self) -> bytes:
        """Return the hash of the fold, made from its levels."""
        return self.fold.hash_from_scratch()

    def levels(self) -> tuple[int, Column, Column]:
        """Return how many bids there are, and price and size of all levels of the fold, best first."""
        bids, _, prices, sizes = self.fold.columns()
        return bids, np.array(prices, np.int64), np.array(sizes, np.int64)

    def rows(self, depth: int | None = None) -> tuple[int, list[Row]]:
        """Return how many are bids, and the rows of *depth* levels a side, best first, in queue order."""
        sides: list[list[Row]] = []
        for side, queues in enumerate(self._queues):
            prices = sorted(queues, reverse=side == 0)[:depth]
            sides.append([order.row() for price in prices for order in queues[price].values()])
        return len(sides[0]), sides[0] + sides[1]

    def place(self, order_id: bytes) -> tuple[Row, int, int] | None:
        """Return the order, how many rest before it at its price, and their size; None: it is gone."""
        order = self._orders.get(order_id)
        if order is None:
            return None
        count = size = 0
        for other in self._queues[order.side][order.price].values():
            if other is order:
                break
            count, size = count + 1, size + other.size
        return order.row(), count, size

    def sizes(self) -> dict[tuple[int, int, bytes], int]:
        """Return the size of each order by side, price and id, the orders of a price in queue order."""
        return {
            (side, price, order_id): order.size
            for side, queues in enumerate(self._queues)
            for price in sorted(queues)
            for order_id, order in queues[price].items()
        }

    def hash(self) -> bytes:
        """Return the book's hash (book.hash)."""
        if self._touched:
            table = np.array(self._touched, dtype=np.int64)
            self._sums.add([np.ascontiguousarray(table[:, k]) for k in range(L3_WORDS)], table[:, L3_WORDS])
            self._touched = []
        return self._sums.hash()

    def hash_from_scratch(self) -> bytes:
        """Return the same hash, made from the orders alone."""
        rows = [order.row() for order in self._orders.values()]
        return of_orders(
            [row.side for row in rows],
            [row.price for row in rows],
            [row.size for row in rows],
            b"".join(row.order_id for row in rows),
            [row.placed_id for row in rows],
            self.scales.price,
            self.scales.size,
        )

    def sum_up(self) -> None:
        """Make the hash anew from the orders."""
        self._sums = Sums(L3_WORDS, self.scales.price, self.scales.size)
        self._touched = [self._words(order, 1) for order in self._orders.values()]

    def rescale(self, scales: Scales) -> None:
        """Bring every order to higher *scales*.

        Raises:
            Refused: an order or a level would not fit 64 bits; the book is as it was.
        """
        self.hash()
        price_by = factor(self.scales.price, scales.price)
        size_by = factor(self.scales.size, scales.size)
        self.fold.rescale(scales)  # a level is at least as large as each of its orders
        for order in self._orders.values():
            order.price *= price_by
            order.size *= size_by
        bids, asks = self._queues
        self._queues = (
            {price * price_by: queue for price, queue in bids.items()},
            {price * price_by: queue for price, queue in asks.items()},
        )
        self._sums.rescale(scales.price, scales.size)

    def _open(self, event: Event) -> list[LevelChange]:
        if event.price == ABSENT or event.size == ABSENT:
            raise Desync(WHY[1])
        self._check(event.side, event.price, event.size)
        changes = []
        known = self._orders.get(event.order_id)
        if known is not None:
            changes += self._remove(known)
        return changes + self._place(event.side, event.price, event.size, event)

    def _match(self, event: Event) -> list[LevelChange]:
        order = self._orders.get(event.order_id)
        if order is None:
            raise Desync(WHY[4])
        if event.size > order.size or event.size == ABSENT:
            raise Desync(WHY[5])
        return self._resize(order, order.size - event.size)

    def _change(self, event: Event, order: _Order) -> list[LevelChange]:
        price = order.price if event.price == ABSENT else event.price
        size = order.size if event.size == ABSENT else event.size
        if price == order.price and size <= order.size:
            return self._resize(order, size)
        side = order.side
        self._check(side, price, size)
        return self._remove(order) + self._place(side, price, size, event)

    def _check(self, side: int, price: int, size: int) -> None:
        """Refuse an order that cannot rest there."""
        if (self.fold.asks if side else self.fold.bids).sizes.get(price, 0) + size > LARGEST:
            raise Desync(WHY[2])
        other = (self.fold.bids if side else self.fold.asks).best()
        if other is None or not size or self.may_cross:
            return
        if price <= other if side else price >= other:
            raise Desync(WHY[3])

    def _place(self, side: int, price: int, size: int, event: Event) -> list[LevelChange]:
        if not size:
            return []
        order = _Order(Row(side, price, size, event.order_id, event.id, True))
        self._orders[order.order_id] = order
        self._queues[side].setdefault(price, {})[order.order_id] = order
        self._touched.append(self._words(order, 1))
        return [self._level(side, price, size)]

    def _resize(self, order: _Order, size: int) -> list[LevelChange]:
        if not size:
            return self._remove(order)
        if size == order.size:
            return []
        self._touched.append(self._words(order, -1))
        by = size - order.size
        order.size = size
        self._touched.append(self._words(order, 1))
        return [self._level(order.side, order.price, by)]

    def _remove(self, order: _Order) -> list[LevelChange]:
        self._touched.append(self._words(order, -1))
        del self._orders[order.order_id]
        queue = self._queues[order.side][order.price]
        del queue[order.order_id]
        if not queue:
            del self._queues[order.side][order.price]
        return [self._level(order.side, order.price, -order.size)]

    def _level(self, side: int, price: int, by: int) -> LevelChange:
        ladder = self.fold.asks if side else self.fold.bids
        old = ladder.sizes.get(price, 0)
        size = old + by
        ladder.apply((price,), (size,))
        return side, price, size, old

    @staticmethod
    def _words(order: _Order, sign: int) -> tuple[int, ...]:
        low, high = words_of_id(order.order_id)
        return order.side, order.price, order.size, low, high, order.placed_id, sign


__all__ = ["Desync", "Event", "LevelChange", "OrderBook", "Refused", "Row"]
