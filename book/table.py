"""An L2 book in sorted columns, to which many updates are applied at once.

``keys`` ascend: minus the price of a bid, the price of an ask, so that both sides are best first.  Two
tables keep them, equal in what they say: ``book.compiled_table`` where the loops were compiled, and
``book.plain_table``.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from book.hash import of_levels
from book.levels import Ladder
from book.scales import Scales, factor, rescaled

if TYPE_CHECKING:
    from book.table_loops import Ladders

Column = NDArray[np.int64]

DEAD_ROWS = 1024
"""Levels that were removed stay as rows of size 0, for they mostly come back; fewer are not worth a copy."""


class Rows(NamedTuple):
    """Levels of several updates, update by update, each naming a key once."""

    keys: Column
    sizes: Column
    starts: Column
    """Where the rows of each update begin, and where those of the last one end; the first begin at 0."""

    @property
    def updates(self) -> int:
        """How many they are."""
        return len(self.starts) - 1

    @property
    def owners(self) -> Column:
        """Which update each row is of, counted from 0."""
        return np.repeat(np.arange(self.updates), np.diff(self.starts))

    def between(self, begin: int, end: int) -> "Rows":
        """Return the rows of the updates *begin* to *end*."""
        return self if not begin and end == self.updates else self.first(end).after(begin)

    def first(self, updates: int) -> "Rows":
        """Return the rows of the first *updates*."""
        end = int(self.starts[updates])
        return Rows(self.keys[:end], self.sizes[:end], self.starts[: updates + 1])

    def after(self, updates: int) -> "Rows":
        """Return the rows of all but the first *updates*."""
        at = int(self.starts[updates])
        return Rows(self.keys[at:], self.sizes[at:], self.starts[updates:] - at)


class Table(ABC):
    """Both sides, their hash, and the span of prices that the last snapshot vouches for."""

    def __init__(self) -> None:
        self.scales = Scales()
        self.certified: tuple[int | None, int | None] = (None, None)

    @property
    def bids(self) -> Ladder:
        """Return a copy of the bids, to look at."""
        return self._ladder(-1)

    @property
    def asks(self) -> Ladder:
        """Return a copy of the asks, to look at."""
        return self._ladder(1)

    def replace(self, prices: Column, sizes: Column, bids: int, scales: Scales, limit: int = 0) -> None:
        """Become a snapshot of at most *limit* levels a side (0: of all), the first *bids* of which are bids.

        A side with *limit* rows was cut off: nothing beyond its worst price is certified
        (protocols.md 1.6).  Merging it into the old book would keep levels that are gone.
        """
        keys = np.concatenate((-prices[:bids], prices[bids:]))[sizes != 0]
        order = keys.argsort(kind="stable")
        keys, sizes = keys[order], sizes[sizes != 0][order]
        newest = np.append(keys[1:] != keys[:-1], True)[: len(keys)]  # of a price that is named twice
        keys, sizes = keys[newest], sizes[newest]
        asks_at = int(keys.searchsorted(0))
        low = -int(keys[asks_at - 1]) if limit and asks_at >= limit else None
        high = int(keys[-1]) if limit and len(keys) - asks_at >= limit else None
        self.certified = (low, high)
        self.scales = scales
        self._load(keys, sizes)
        self.sum_up()

    @abstractmethod
    def apply(self, rows: Rows, *, may_cross: bool = False) -> tuple[int, Column]:
        """Apply the updates of *rows*; return how many were, and the old size of each of their rows.

        It stops before the first update that makes the book cross, which a market that matches never shows.
        """

    @property
    def ladders(self) -> "Ladders | None":
        """Return the compiled part, to which book.following applies updates itself; None: there is none."""
        return None

    @abstractmethod
    def crossed(self) -> bool:
        """Say whether somebody bids what somebody else asks."""

    @abstractmethod
    def hash(self) -> bytes:
        """Return the book's hash (book.hash)."""

    @abstractmethod
    def sum_up(self) -> None:
        """Make the hash anew from the levels."""

    @abstractmethod
    def _load(self, keys: Column, sizes: Column) -> None:
        """Become these levels, keys ascending; the hash stays as it is."""

    @abstractmethod
    def keys_and_sizes(self) -> tuple[Column, Column]:
        """Return the keys, ascending, and the sizes of all levels: copies."""

    @abstractmethod
    def _weigh(self) -> None:
        """Hash what comes at the scales there are now."""

    def hash_from_scratch(self) -> bytes:
        """Return the same hash, made from the levels alone."""
        return of_levels(*self._rows(), self.scales.price, self.scales.size)

    def columns(self, depth: int | None = None) -> tuple[int, int, list[int], list[int]]:
        """Return (bids, asks, prices, sizes): at most *depth* levels a side, bids first, best first."""
        keys, sizes = self.keys_and_sizes()
        asks_at = int(keys.searchsorted(0))
        rows = np.arange(len(keys))
        bids, asks = rows[:asks_at][:depth], rows[asks_at:][:depth]
        rows = np.concatenate((bids, asks))
        return len(bids), len(asks), np.abs(keys[rows]).tolist(), sizes[rows].tolist()

    def rescale(self, scales: Scales) -> None:
        """Bring every level to higher *scales*.

        Raises:
            Refused: a level would not fit 64 bits; the book is as it was.
        """
        price_by = factor(self.scales.price, scales.price)
        size_by = factor(self.scales.size, scales.size)
        if price_by == size_by == 1:
            return
        keys, sizes = self.keys_and_sizes()
        if len(keys):
            rescaled(int(np.abs(keys).max()), price_by)
            rescaled(int(sizes.max()), size_by)
        low, high = self.certified
        certified = (
            None if low is None else rescaled(low, price_by),
            None if high is None else rescaled(high, price_by),
        )
        self._load(keys * price_by, sizes * size_by)
        self.certified = certified
        self.scales = scales
        self._weigh()

    def _ladder(self, sign: int) -> Ladder:
        ladder = Ladder(sign)
        bids, _, prices, sizes = self.columns()
        rows: Sequence[tuple[int, int]] = list(zip(prices, sizes, strict=True))
        ladder.replace(rows[:bids] if sign < 0 else rows[bids:])
        return ladder

    def _rows(self) -> tuple[Column, Column, Column]:
        """Return side, price and size of all levels."""
        keys, sizes = self.keys_and_sizes()
        return (keys > 0).astype(np.int64), np.abs(keys), sizes
