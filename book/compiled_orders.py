"""The L3 book where the loops were compiled, and the choice between it and the plain one (book.orders)."""

from collections.abc import Iterable

import numpy as np

from book import table
from book.events import WHY, Desync, Event, Events, FoldChanges, LevelChange, OrderColumns, Row
from book.hash import SEEDS, finish, of_levels, of_orders, weights
from book.levels import Levels
from book.orders import OrderBook
from book.scales import Column, Refused, Scales, factor, rescaled

try:
    from book.order_loops import Orders
except ImportError:
    COMPILED = False
else:
    COMPILED = True


class CompiledOrderBook:
    """What ``OrderBook`` is, in arrays (``book/order_loops.pyx``); the fold is made when it is asked for."""

    def __init__(self) -> None:
        self.may_cross = False
        self.scales = Scales()
        self._orders = self._empty(self.scales)

    @property
    def unknown(self) -> int:
        """How many DONE and CHANGE were for orders that are not in the book."""
        return self._orders.unknown

    @unknown.setter
    def unknown(self, count: int) -> None:
        self._orders.unknown = count

    @property
    def fold(self) -> Levels:
        """Return the L2 book that the orders fold to, as it is now."""
        bids, prices, sizes = self.levels()
        rows = list(zip(prices.tolist(), sizes.tolist(), strict=True))
        levels = Levels()
        levels.replace(rows[:bids], rows[bids:], self.scales)
        return levels

    def __len__(self) -> int:
        return self._orders.count

    def replace(self, rows: Iterable[Row], scales: Scales) -> None:
        """Do what ``OrderBook.replace`` says."""
        orders = self._empty(scales)
        for row in rows:
            if not orders.add(*row):
                raise Refused(f"more at the price {row.price} than 64 bits hold")
        orders.unknown = self._orders.unknown
        self._orders, self.scales = orders, scales

    def fill(self, columns: OrderColumns, scales: Scales) -> None:
        """Do what ``OrderBook.fill`` says."""
        prices = columns.numbers()[0]
        bids, asks = prices[: columns.bids], prices[columns.bids :]
        best_first = bool((bids[1:] <= bids[:-1]).all() and (asks[1:] >= asks[:-1]).all())
        orders = self._filled(columns, scales, worst_first=best_first)
        if best_first and orders.count < len(prices):  # an id twice: the first one counts
            orders = self._filled(columns, scales, worst_first=False)
        orders.unknown = self._orders.unknown
        self._orders, self.scales = orders, scales

    def apply(self, event: Event) -> list[LevelChange]:
        """Do what ``OrderBook.apply`` says."""
        why, changes = self._orders.one(
            event.kind, event.side, event.order_id, event.price, event.size, event.id, self.may_cross
        )
        if why:
            raise Desync(WHY[why])
        return changes

    def apply_all(
        self, events: Events, begin: int, end: int, *, fold: bool
    ) -> tuple[int, FoldChanges | None]:
        """Do what ``OrderBook.apply_all`` says."""
        stop, _, counts, rows = self._orders.apply(
            events.kinds_u1,
            events.sides_u1,
            events.order_ids,
            events.prices,
            events.sizes,
            events.ids,
            begin,
            end,
            self.may_cross,
            fold,
        )
        if not fold:
            return stop, None
        bids, asks = np.frombuffer(counts, np.int64).reshape(-1, 2).T
        return stop, FoldChanges(bids, asks, *np.frombuffer(rows, np.int64).reshape(-1, 3).T)

    def crossed(self) -> bool:
        """Say whether somebody bids what somebody else asks."""
        return self._orders.crossed()

    def columns(self, depth: int | None = None) -> OrderColumns:
        """Return all orders, or those of *depth* levels a side."""
        return OrderColumns(*self._orders.rows(-1 if depth is None else depth))

    def rows(self, depth: int | None = None) -> tuple[int, list[Row]]:
        """Do what ``OrderBook.rows`` says."""
        found = self.columns(depth)
        return found.bids, found.rows()

    def place(self, order_id: bytes) -> tuple[Row, int, int] | None:
        """Do what ``OrderBook.place`` says."""
        found = self._orders.place(order_id)
        if found is None:
            return None
        side, price, size, placed_id, certain, count, before = found
        return Row(side, price, size, order_id, placed_id, certain), count, before

    def sizes(self) -> dict[tuple[int, int, bytes], int]:
        """Do what ``OrderBook.sizes`` says."""
        rows = sorted(self.rows()[1], key=lambda row: (row.side, row.price))  # stable: in queue order
        return {(row.side, row.price, row.order_id): row.size for row in rows}

    def hash(self) -> bytes:
        """Return the book's hash (book.hash)."""
        return finish(self._orders.sums)

    def hash_from_scratch(self) -> bytes:
        """Return the same hash, made from the orders alone."""
        found = self.columns()
        sides, prices, sizes, placed_ids = _words(found)
        scales = self.scales
        return of_orders(sides, prices, sizes, found.order_ids, placed_ids, scales.price, scales.size)

    def fold_hash(self) -> bytes:
        """Return the hash of the fold, made from its levels."""
        bids, prices, sizes = self.levels()
        sides = (np.arange(len(prices)) >= bids).astype(np.int64)
        return of_levels(sides, prices, sizes, self.scales.price, self.scales.size)

    def rescale(self, scales: Scales) -> None:
        """Do what ``OrderBook.rescale`` says."""
        price_by = factor(self.scales.price, scales.price)
        size_by = factor(self.scales.size, scales.size)
        _, prices, sizes = self.levels()
        if len(prices):  # a level is at least as large as each of its orders
            rescaled(int(np.abs(prices).max()), price_by)
            rescaled(int(sizes.max()), size_by)
        self._orders.rescale(price_by, size_by)
        self.scales = scales
        _weigh(self._orders, scales)

    def levels(self) -> tuple[int, Column, Column]:
        """Do what ``OrderBook.levels`` says."""
        bids, prices, sizes = self._orders.levels()
        return bids, np.frombuffer(prices, np.int64), np.frombuffer(sizes, np.int64)

    def _filled(self, columns: OrderColumns, scales: Scales, *, worst_first: bool) -> "Orders":
        prices, sizes, placed_ids = columns.numbers()
        ids, certain, orders = columns.order_ids, columns.certain_u1, self._empty(scales)
        if not orders.add_all(columns.bids, prices, sizes, ids, placed_ids, certain, worst_first):
            raise Refused("more at one price than 64 bits hold")
        return orders

    @staticmethod
    def _empty(scales: Scales) -> "Orders":
        orders = Orders(table.DEAD_ROWS)
        _weigh(orders, scales)
        return orders


def _weigh(orders: "Orders", scales: Scales) -> None:
    orders.weigh(SEEDS, [weights(lane, scales.price, scales.size) for lane in range(2)])


def _words(found: OrderColumns) -> tuple[Column, Column, Column, Column]:
    """Return side, price, size and placed id of all orders."""
    prices, sizes, placed_ids = found.numbers()
    return (np.arange(len(prices)) >= found.bids).astype(np.int64), prices, sizes, placed_ids


AnyOrderBook = OrderBook | CompiledOrderBook


def new_order_book() -> AnyOrderBook:
    """Return an empty book."""
    return CompiledOrderBook() if COMPILED else OrderBook()
