"""An L2 book: the size at every known price of each side, in exact integers.

Sizes are absolute; 0 removes a level, and removing one that is not there is normal (protocols.md
1.6).  The best price of a side is on top of a heap of all prices that ever came in; a price no
longer in the book is dropped when it comes to the top, and the heap is built anew before it grows
beyond ``HEAP_SLACK`` times the book.
"""

from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heappush
from itertools import compress, repeat
from operator import not_

import numpy as np
from numpy.typing import NDArray

from book.hash import L2_WORDS, Sums, of_levels
from book.scales import Scales, factor, rescaled

Column = NDArray[np.int64]

HEAP_SLACK = 4
HEAP_LEAST = 1024
"""Below this a heap is too small to be worth building anew."""


class Ladder:
    """One side of a book.  *sign* is -1 for bids, so that the best price has the smallest key."""

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.sizes: dict[int, int] = {}
        self._heap: list[int] = []

    def replace(self, rows: Iterable[tuple[int, int]]) -> None:
        """Become *rows* of (price, size)."""
        self.sizes = {price: size for price, size in rows if size}
        self._build_heap()

    def apply(self, prices: Sequence[int], sizes: Sequence[int]) -> list[int]:
        """Set the sizes of levels, each price named once; return what each was before.

        The loops are C's (``map``, ``update``, ``compress``): this is the hottest code of a worker.
        """
        levels, heap, sign = self.sizes, self._heap, self.sign
        olds = list(map(levels.get, prices, repeat(0)))
        levels.update(zip(prices, sizes, strict=True))
        if 0 in sizes:
            for price in compress(prices, map(not_, sizes)):
                del levels[price]
        if 0 in olds:
            for price in compress(prices, map(not_, olds)):
                if price in levels:
                    heappush(heap, sign * price)
        if len(heap) > HEAP_LEAST and len(heap) > HEAP_SLACK * len(levels):
            self._build_heap()
        return olds

    def undo(self, prices: Sequence[int], olds: Sequence[int]) -> None:
        """Take back an ``apply`` of *prices* that returned *olds*."""
        self.apply(prices, olds)

    def best(self) -> int | None:
        """Return the best price, None when the side is empty."""
        heap, levels, sign = self._heap, self.sizes, self.sign
        while heap:
            price = sign * heap[0]
            if price in levels:
                return price
            heappop(heap)
        return None

    def sorted(self) -> list[tuple[int, int]]:
        """Return the levels (price, size), best first."""
        return sorted(self.sizes.items(), reverse=self.sign < 0)

    def rescale(self, price_by: int, size_by: int) -> None:
        """Multiply all prices and sizes; the caller has checked that they fit."""
        self.sizes = {price * price_by: size * size_by for price, size in self.sizes.items()}
        self._build_heap()

    def _build_heap(self) -> None:
        self._heap = [self.sign * price for price in self.sizes]
        heapify(self._heap)


class Levels:
    """Both sides, their hash, and the span of prices that the last snapshot vouches for."""

    def __init__(self) -> None:
        self.bids = Ladder(-1)
        self.asks = Ladder(1)
        self.scales = Scales()
        self.certified: tuple[int | None, int | None] = (None, None)
        self._sums = Sums(L2_WORDS)

    def replace(
        self,
        bids: Iterable[tuple[int, int]],
        asks: Iterable[tuple[int, int]],
        scales: Scales,
        limit: int = 0,
    ) -> None:
        """Become a snapshot of at most *limit* levels a side (0: of all).

        A side with *limit* rows was cut off: nothing beyond its worst price is certified
        (protocols.md 1.6).  Merging it into the old book would keep levels that are gone.
        """
        self.bids.replace(bids)
        self.asks.replace(asks)
        self.scales = scales
        low = min(self.bids.sizes) if limit and len(self.bids.sizes) >= limit else None
        high = max(self.asks.sizes) if limit and len(self.asks.sizes) >= limit else None
        self.certified = (low, high)
        self.sum_up()

    def note(self, sides: Column, prices: Column, sizes: Column, old_sizes: Column) -> None:
        """Put changes that were applied to the ladders into the hash."""
        self._sums.changed(sides, prices, sizes, old_sizes)

    def crossed(self) -> bool:
        """Say whether somebody bids what somebody else asks, which a market that matches never shows."""
        bid, ask = self.bids.best(), self.asks.best()
        return bid is not None and ask is not None and bid >= ask

    def hash(self) -> bytes:
        """Return the book's hash (book.hash)."""
        return self._sums.hash()

    def hash_from_scratch(self) -> bytes:
        """Return the same hash, made from the levels alone."""
        return of_levels(*self._rows(), self.scales.price, self.scales.size)

    def columns(self, depth: int | None = None) -> tuple[int, int, list[int], list[int]]:
        """Return (bids, asks, prices, sizes): at most *depth* levels a side, bids first, best first."""
        bids, asks = self.bids.sorted()[:depth], self.asks.sorted()[:depth]
        rows = bids + asks
        return len(bids), len(asks), [price for price, _ in rows], [size for _, size in rows]

    def rescale(self, scales: Scales) -> None:
        """Bring every level to higher *scales*.

        Raises:
            Refused: a level would not fit 64 bits; the book is as it was.
        """
        price_by = factor(self.scales.price, scales.price)
        size_by = factor(self.scales.size, scales.size)
        if price_by == size_by == 1:
            return
        for ladder in (self.bids, self.asks):
            if ladder.sizes:
                rescaled(max(ladder.sizes), price_by)
                rescaled(max(ladder.sizes.values()), size_by)
        low, high = self.certified
        certified = (
            None if low is None else rescaled(low, price_by),
            None if high is None else rescaled(high, price_by),
        )
        self.bids.rescale(price_by, size_by)
        self.asks.rescale(price_by, size_by)
        self.certified = certified
        self.scales = scales
        self._sums.rescale(scales.price, scales.size)

    def sum_up(self) -> None:
        """Make the hash anew from the levels."""
        columns = [np.array(word, dtype=np.int64) for word in self._rows()]
        self._sums = Sums(L2_WORDS, self.scales.price, self.scales.size)
        self._sums.add(columns, np.ones(len(columns[0]), dtype=np.int64))

    def _rows(self) -> tuple[list[int], list[int], list[int]]:
        sides = [0] * len(self.bids.sizes) + [1] * len(self.asks.sizes)
        prices = [*self.bids.sizes, *self.asks.sizes]
        return sides, prices, [*self.bids.sizes.values(), *self.asks.sizes.values()]
