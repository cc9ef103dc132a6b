"""What an L3 book takes and gives, singly and as columns: events, orders, changes of the fold."""

from typing import NamedTuple

import numpy as np

from book.scales import Column

LevelChange = tuple[int, int, int, int]
"""Side, price, new size, old size of a level of the fold."""


WHY = (
    "",
    "an open order without price or size",
    "more at one price than 64 bits hold",
    "an order that rests across the other side's best",
    "a match of an order that is not in the book",
    "a match of more than the maker has",
)
"""What cannot be true of a book, as the loops number it (order_loops.pyx)."""


class Desync(Exception):
    """The event cannot be true of this book; the book is as it was before it."""


class Event(NamedTuple):
    """One order event in exact integers; ABSENT where the venue gave no value."""

    id: int
    kind: int
    side: int
    order_id: bytes
    price: int
    size: int


class Events(NamedTuple):
    """Order events as columns, ids of orders as 16 bytes each."""

    ids: Column
    kinds_u1: bytes
    sides_u1: bytes
    order_ids: bytes
    prices: Column
    sizes: Column


class FoldChanges(NamedTuple):
    """What events changed in the fold, one row a level and event, none where it is as before, bids first."""

    bids: Column
    """How many rows of each event, and of the asks."""
    asks: Column
    prices: Column
    sizes: Column
    olds: Column


class OrderColumns(NamedTuple):
    """Orders as they are stored, bids first, best first and in queue order: int64 columns as bytes."""

    bids: int
    prices: bytes
    sizes: bytes
    order_ids: bytes
    placed_ids: bytes
    certain_u1: bytes

    def numbers(self) -> tuple[Column, Column, Column]:
        """Return prices, sizes and placed ids."""
        columns = self.prices, self.sizes, self.placed_ids
        prices, sizes, placed_ids = (np.frombuffer(column, np.int64) for column in columns)
        return prices, sizes, placed_ids

    def rows(self) -> "list[Row]":
        """Return them one by one."""
        prices, sizes, placed = (column.tolist() for column in self.numbers())
        ids = (self.order_ids[at : at + 16] for at in range(0, len(self.order_ids), 16))
        certain = map(bool, self.certain_u1)
        sides = [0] * self.bids + [1] * (len(prices) - self.bids)
        return [*map(Row, sides, prices, sizes, ids, placed, certain)]


class Row(NamedTuple):
    """One order as it is stored and shown."""

    side: int
    price: int
    size: int
    order_id: bytes
    placed_id: int
    certain: bool


def fold_changes(changes: list[list[LevelChange]]) -> FoldChanges:
    """Return what events did, *changes* being those of each."""
    kept = [_netted(each) for each in changes]
    table = np.array([change for each in kept for change in each], dtype=np.int64).reshape(-1, 4)
    asks = np.array([sum(side for side, *_ in each) for each in kept], dtype=np.int64)
    bids = np.array([len(each) for each in kept], dtype=np.int64) - asks
    return FoldChanges(bids, asks, *(np.ascontiguousarray(table[:, k]) for k in (1, 2, 3)))


def _netted(changes: list[LevelChange]) -> list[LevelChange]:
    """Return the changes of one event, one a level (an order moved inside its level is none), bids first."""
    levels: dict[tuple[int, int], tuple[int, int]] = {}
    for side, price, size, old in changes:
        first_old = levels[side, price][1] if (side, price) in levels else old
        levels[side, price] = (size, first_old)
    return [(side, price, size, old) for (side, price), (size, old) in sorted(levels.items()) if size != old]
