"""What many frames of a feed say, as columns: depth updates and trades whose numbers were read together."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from venue.numbers import Int64s

_ZERO = np.zeros(1, dtype=np.int64)


class DepthColumns(NamedTuple):
    """Depth updates of many frames, their numbers read already: integers in units of ``10**-decimals``."""

    first_ids: Sequence[int]
    last_ids: Sequence[int]
    times_ns: Sequence[int]
    counts: Int64s
    """Levels of each side: the bids of the first update, its asks, the bids of the second, ..."""
    decimals: int
    """As the exchange wrote them, trailing zeros and all."""
    prices: Int64s
    """Level by level, all of them above zero."""
    sizes: Int64s

    def part(self, begin: int, end: int, low: int, high: int) -> "DepthColumns":
        """Return the updates *begin* to *end*, whose levels are *low* to *high*."""
        return DepthColumns(
            self.first_ids[begin:end],
            self.last_ids[begin:end],
            self.times_ns[begin:end],
            self.counts[2 * begin : 2 * end],
            self.decimals,
            self.prices[low:high],
            self.sizes[low:high],
        )


class TradeColumns(NamedTuple):
    """Trades of many frames, their numbers read already: integers in units of ``10**-decimals``."""

    ids: Sequence[int]
    times_ns: Sequence[int]
    sides_u1: bytes
    """Side of the aggressor, a byte a trade."""
    decimals: int
    prices: Int64s
    sizes: Int64s

    def part(self, begin: int, end: int) -> "TradeColumns":
        """Return the trades *begin* to *end*."""
        return TradeColumns(
            self.ids[begin:end],
            self.times_ns[begin:end],
            self.sides_u1[begin:end],
            self.decimals,
            self.prices[begin:end],
            self.sizes[begin:end],
        )


class Columns(NamedTuple):
    """What many frames say, each of which is a depth update or a trade."""

    depth_at: Sequence[int]
    """Which of the frames are the depth updates, ascending."""
    depth: DepthColumns
    trade_at: Sequence[int]
    trade: TradeColumns

    def parts(self, ends: Sequence[int]) -> "list[Columns]":
        """Return the columns of the frames up to each of *ends*, from the end before it on; numbered anew."""
        updates = [0, *(bisect_left(self.depth_at, end) for end in ends)]
        trades = [0, *(bisect_left(self.trade_at, end) for end in ends)]
        levels = np.concatenate((_ZERO, self.depth.counts.cumsum()))[::2].tolist()
        return [
            Columns(
                [n - begin for n in self.depth_at[a:b]],
                self.depth.part(a, b, levels[a], levels[b]),
                [n - begin for n in self.trade_at[c:d]],
                self.trade.part(c, d),
            )
            for begin, (a, b), (c, d) in zip((0, *ends), pairwise(updates), pairwise(trades), strict=False)
        ]
