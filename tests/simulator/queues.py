"""The resting orders of one market, by price and, inside a price, by arrival.

Every change of a book is one of four operations; the engine makes them, the history keeps them, and
applying them again gives the same book at any past moment.

operation  effect
NONE       none (the message concerns no resting order)
PLACE      a new order rests, last in the queue of its price
RESIZE     an order has another size and keeps its place
REMOVE     an order rests no more
MOVE       an order has another price or a larger size, and is last in its queue
"""

from bisect import bisect_left, insort
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

BUY, SELL = 0, 1


class Op(IntEnum):
    """What happens to a resting order."""

    NONE = 0
    PLACE = 1
    RESIZE = 2
    REMOVE = 3
    MOVE = 4


class Row(NamedTuple):
    """A resting order; *order* is its number in its market, sides are 0 buy and 1 sell."""

    order: int
    side: int
    price: int
    size: int


class Queues:
    """Orders in price-time priority, with the size of each level."""

    __slots__ = ("levels", "orders", "prices", "totals")

    def __init__(self) -> None:
        self.orders: dict[int, Row] = {}
        self.levels: tuple[dict[int, dict[int, None]], dict[int, dict[int, None]]] = ({}, {})
        """Per side: price -> the order numbers there, first in the queue first."""
        self.totals: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self.prices: tuple[list[int], list[int]] = ([], [])
        """Per side, ascending."""

    def best(self, side: int) -> int | None:
        """Return the best price of *side*, None where it is empty."""
        prices = self.prices[side]
        if not prices:
            return None
        return prices[-1] if side == BUY else prices[0]

    def first(self, side: int, price: int) -> Row:
        """Return the order that is matched first at *price*."""
        return self.orders[next(iter(self.levels[side][price]))]

    def size_at(self, side: int, price: int) -> int:
        """Return the size of the level, 0 where there is none."""
        return self.totals[side].get(price, 0)

    def apply(self, op: int, order: int, side: int, price: int, size: int) -> None:
        """Do *op*; *size* is what rests afterwards."""
        match op:
            case Op.PLACE:
                self._place(order, side, price, size)
            case Op.RESIZE:
                row = self.orders[order]
                self.totals[side][row.price] += size - row.size
                self.orders[order] = row._replace(size=size)
            case Op.REMOVE:
                self._remove(order)
            case Op.MOVE:
                self._remove(order)
                self._place(order, side, price, size)
            case _:
                pass

    def rows(self, side: int) -> Iterator[Row]:
        """Yield the orders of *side*, best price first, in queue order inside a price."""
        levels = self.levels[side]
        for price in self.best_first(side):
            for order in levels[price]:
                yield self.orders[order]

    def best_first(self, side: int) -> Iterator[int]:
        """Yield the prices of *side* from the best on."""
        return reversed(self.prices[side]) if side == BUY else iter(self.prices[side])

    def _place(self, order: int, side: int, price: int, size: int) -> None:
        level = self.levels[side].get(price)
        if level is None:
            level = self.levels[side][price] = {}
            self.totals[side][price] = 0
            insort(self.prices[side], price)
        level[order] = None
        self.totals[side][price] += size
        self.orders[order] = Row(order, side, price, size)

    def _remove(self, order: int) -> None:
        row = self.orders.pop(order)
        level = self.levels[row.side][row.price]
        del level[order]
        if level:
            self.totals[row.side][row.price] -= row.size
            return
        del self.levels[row.side][row.price], self.totals[row.side][row.price]
        prices = self.prices[row.side]
        del prices[bisect_left(prices, row.price)]
