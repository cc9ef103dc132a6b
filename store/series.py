"""Answers over a range as columns of one length: depth, best bid and ask, bars, moment by moment.

Every answer comes as an iterator of chunks of bounded size; ``joined`` makes one of them all.  Prices and
sizes are exact int64 in units of ``10**-price_scale`` and ``10**-size_scale`` of their chunk; ``*_ns`` are
UTC nanoseconds since 1970.  *stale* says that updates after the row's book are missing; *crosses_hole* that
some are missing which belong between the row before (or the start) and this one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from condition.codec import Int64s

Flags = npt.NDArray[np.bool_]

NONE = 0
"""The price, and the size, of what is not there: no price is 0."""

NO_ID = -1
"""The update id where the feed has none."""


@dataclass(frozen=True, eq=False, slots=True)
class BookSample:
    """The book at one of several regular moments."""

    security: str
    moment_ns: int
    time_ns: int
    """Exchange time of the last update."""
    update_id: int | None
    bids: Int64s
    """(n, 2): price and size, best first, every known level."""
    asks: Int64s
    price_scale: int
    size_scale: int
    stale: bool
    crosses_hole: bool
    continuity: str
    """``proven``, or ``unverifiable`` where the feed's own losses cannot be seen."""


@dataclass(frozen=True, eq=False, slots=True)
class Series:
    """What all chunks have."""

    PRICES: ClassVar[tuple[str, ...]] = ()
    SIZES: ClassVar[tuple[str, ...]] = ()

    security: str
    price_scale: int
    size_scale: int
    times_ns: Int64s

    def __len__(self) -> int:
        return len(self.times_ns)


@dataclass(frozen=True, eq=False, slots=True)
class BestLevels(Series):
    """What Depth and Tops have in common."""

    PRICES: ClassVar[tuple[str, ...]] = ("bid_prices", "ask_prices")
    SIZES: ClassVar[tuple[str, ...]] = ("bid_sizes", "ask_sizes")

    update_ids: Int64s
    bid_prices: Int64s
    bid_sizes: Int64s
    ask_prices: Int64s
    ask_sizes: Int64s
    stale: Flags
    crosses_hole: Flags
    continuity: str


@dataclass(frozen=True, eq=False, slots=True)
class Depth(BestLevels):
    """The best levels at regular moments: columns (n,) and (n, levels), best first, else NONE."""


@dataclass(frozen=True, eq=False, slots=True)
class Tops(BestLevels):
    """Best bid and ask, columns (n,): a row holds until the next one; of one time the last row counts."""


@dataclass(frozen=True, eq=False, slots=True)
class Bars(Series):
    """Trades by interval, columns (n,); ``times_ns`` is where each begins.  Without a trade prices are NONE.

    Volumes are sums of sizes: int64, or an object column of Python integers where one needs more bits.
    """

    PRICES: ClassVar[tuple[str, ...]] = ("opens", "highs", "lows", "closes")
    SIZES: ClassVar[tuple[str, ...]] = ("volumes", "buy_volumes", "sell_volumes")

    every_ns: int
    opens: Int64s
    highs: Int64s
    lows: Int64s
    closes: Int64s
    volumes: npt.NDArray[Any]
    buy_volumes: npt.NDArray[Any]
    sell_volumes: npt.NDArray[Any]
    """Of trades whose aggressor bought, and sold."""
    counts: Int64s
    in_hole: Flags
    """Trades of this interval may be missing."""


@dataclass(frozen=True, eq=False, slots=True)
class QueuePositions(Series):
    """Where one order stood, columns (n,): a row at each change of it or before it; size 0: it is gone."""

    PRICES: ClassVar[tuple[str, ...]] = ("prices",)
    SIZES: ClassVar[tuple[str, ...]] = ("sizes", "sizes_ahead")

    update_ids: Int64s
    prices: Int64s
    sizes: Int64s
    """Of the order itself."""
    orders_ahead: Int64s
    sizes_ahead: Int64s
    """Of all orders before it at its price, together."""
    certain: Flags
    """Whether the event that gave it its place was seen (a REST book's order within a price is assumed)."""
    stale: Flags


Made = TypeVar("Made", bound=Series)


def joined(chunks: Iterable[Made]) -> Made:
    """Return one answer of all *chunks*, at the finest of their scales.

    Raises:
        ValueError: there are none (every method of the archive gives at least one).
        OverflowError: a value does not fit 64 bits at the finest scale.
    """
    parts = list(chunks)
    if not parts:
        raise ValueError("there are no chunks to join")
    price_scale = max(part.price_scale for part in parts)
    size_scale = max(part.size_scale for part in parts)
    parts = [_raised(part, price_scale, size_scale) for part in parts]
    first = parts[0]
    names = [each.name for each in fields(first) if isinstance(getattr(first, each.name), np.ndarray)]
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts]) for name in names
    }
    if any(getattr(part, "continuity", "") == "unverifiable" for part in parts):
        columns["continuity"] = "unverifiable"
    return replace(first, price_scale=price_scale, size_scale=size_scale, **columns)


def _raised(part: Made, price_scale: int, size_scale: int) -> Made:
    columns: dict[str, Any]
    columns = {name: _times(getattr(part, name), price_scale - part.price_scale) for name in part.PRICES}
    columns |= {name: _times(getattr(part, name), size_scale - part.size_scale) for name in part.SIZES}
    return replace(part, price_scale=price_scale, size_scale=size_scale, **columns)


def _times(values: npt.NDArray[Any], decimals: int) -> npt.NDArray[Any]:
    if not decimals or not values.size:
        return values
    if values.dtype != object and int(np.abs(values).max()) * 10**decimals >= 2**63:
        raise OverflowError(f"a value does not fit 64 bits with {decimals} decimals more")
    raised: npt.NDArray[Any] = values * 10**decimals
    return raised
