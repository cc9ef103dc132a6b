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


class EventColumns(NamedTuple):
    """Order events of many frames, their numbers read already: integers in units of ``10**-decimals``.

    wire.runs.ABSENT, and zeros for an order's id, where the exchange gave none.
    """

    ids: Sequence[int]
    times_ns: Sequence[int]
    kinds_u1: bytes
    """OrderKind, Side and Reason, a byte an event."""
    sides_u1: bytes
    reasons_u1: bytes
    order_ids: bytes
    """16 bytes an event."""
    taker_ids: bytes
    price_decimals: int
    """As many as one of the prices needs."""
    prices: Int64s
    old_prices: Int64s
    size_decimals: int
    sizes: Int64s
    old_sizes: Int64s
    funds_decimals: int
    funds: Int64s
    trade_ids: Int64s

    @property
    def first_ids(self) -> Sequence[int]:
        """Return the ids: each event has one."""
        return self.ids

    @property
    def last_ids(self) -> Sequence[int]:
        """Return the same."""
        return self.ids

    def part(self, begin: int, end: int) -> "EventColumns":
        """Return the events *begin* to *end*."""
        return EventColumns(
            self.ids[begin:end],
            self.times_ns[begin:end],
            self.kinds_u1[begin:end],
            self.sides_u1[begin:end],
            self.reasons_u1[begin:end],
            self.order_ids[16 * begin : 16 * end],
            self.taker_ids[16 * begin : 16 * end],
            self.price_decimals,
            self.prices[begin:end],
            self.old_prices[begin:end],
            self.size_decimals,
            self.sizes[begin:end],
            self.old_sizes[begin:end],
            self.funds_decimals,
            self.funds[begin:end],
            self.trade_ids[begin:end],
        )


class Columns(NamedTuple):
    """What many frames say, each of which is a depth update or a trade, or an order event, or both.

    A frame that changes nothing, as a heartbeat, is none of them.
    """

    depth_at: Sequence[int]
    """Which of the frames are the depth updates, ascending."""
    depth: DepthColumns
    trade_at: Sequence[int]
    trade: TradeColumns
    event_at: Sequence[int] = ()
    events: EventColumns | None = None

    def parts(self, ends: Sequence[int]) -> "list[Columns]":
        """Return the columns of the frames up to each of *ends*, from the end before it on; numbered anew."""
        updates = [0, *(bisect_left(self.depth_at, end) for end in ends)]
        trades = [0, *(bisect_left(self.trade_at, end) for end in ends)]
        happened = [0, *(bisect_left(self.event_at, end) for end in ends)]
        levels = np.concatenate((_ZERO, self.depth.counts.cumsum()))[::2].tolist()
        return [
            Columns(
                [n - begin for n in self.depth_at[a:b]],
                self.depth.part(a, b, levels[a], levels[b]),
                [n - begin for n in self.trade_at[c:d]],
                self.trade.part(c, d),
                [n - begin for n in self.event_at[e:f]],
                self.events and self.events.part(e, f),
            )
            for begin, (a, b), (c, d), (e, f) in zip(
                (0, *ends), pairwise(updates), pairwise(trades), pairwise(happened), strict=False
            )
        ]
