"""Trades by interval.

A trade belongs to the interval of its effective time, as everywhere; *open* and *close* are the first and the
last by id.  The bars go from the interval of the first trade of the range to that of its last.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from book.scales import Scales
from condition.codec import Int64s
from store.answers import Gap, Gaps, Trades
from store.ladder import scaled
from store.scaling import finer
from store.series import NONE, Bars
from store.source import Source, over
from venue.api import Side

CHUNK_ROWS = 1 << 15
"""Bars that are given together: 3 MB."""

_HALF = 32
_LOW = np.int64((1 << _HALF) - 1)


@dataclass(slots=True)
class _Bar:
    """One interval; volumes are Python integers: no sum is too large."""

    open: int = NONE
    high: int = NONE
    low: int = NONE
    close: int = NONE
    buy: int = 0
    sell: int = 0
    count: int = 0

    def add(self, later: "_Bar") -> None:
        """Take in what was traded after it."""
        if not self.count:
            self.open, self.high, self.low = later.open, later.high, later.low
        self.high, self.low, self.close = max(self.high, later.high), min(self.low, later.low), later.close
        self.buy, self.sell, self.count = (
            self.buy + later.buy,
            self.sell + later.sell,
            self.count + later.count,
        )

    def rescale(self, price_by: int, size_by: int) -> None:
        for name in ("open", "high", "low", "close"):
            setattr(self, name, getattr(self, name) * price_by)
        self.buy, self.sell = self.buy * size_by, self.sell * size_by


def bars(archive: Source, security: str, low: int, high: int, every_ns: int, gaps: Gaps) -> Iterator[Bars]:
    """Yield the bars of the intervals from *low* on, in chunks; the last one may be cut by *high*."""
    made = _Bars(security, low, every_ns, gaps)
    last_ns = low
    for answer in archive.trades(security, low, high, over(gaps)):
        if isinstance(answer, Gap):
            made.hole(last_ns, min(answer.until_ns, high - 1))
            continue
        yield from made.close_before(answer.start_ns)
        scales = finer(made.scales, answer.price_scale, answer.size_scale)
        if scales != made.scales:
            if made.rows:
                yield made.chunk()
            made.rescale(scales)
        made.add(answer)
        last_ns = max(last_ns, int(answer.rows.effective_ns[-1]))
    yield from made.close_before(None)
    yield made.chunk()


class _Bars:
    """Bars that may still grow, and those that are closed and were not given yet."""

    def __init__(self, security: str, low: int, every_ns: int, gaps: Gaps) -> None:
        self.security, self.scales = security, Scales()
        self.rows: list[tuple[int, _Bar, bool]] = []
        self._low, self._every_ns, self._gaps = low, every_ns, gaps
        self._growing: dict[int, _Bar] = {}
        self._holes: list[tuple[int, int]] = []
        self._next: int | None = None
        """Number of the bar that is closed next; numbers count from the start of the range."""

    def hole(self, from_ns: int, to_ns: int) -> None:
        """Trades may be missing between these moments."""
        self._holes.append((self._number(from_ns), self._number(to_ns)))

    def add(self, batch: Trades) -> None:
        """Take in the trades of *batch*."""
        rows = batch.rows
        numbers = (rows.effective_ns - self._low) // self._every_ns
        starts = np.flatnonzero(np.concatenate(([True], numbers[1:] != numbers[:-1])))
        ends = np.append(starts[1:], len(numbers)) - 1
        prices = scaled(rows.prices, self.scales.price - batch.price_scale, self.security)
        sizes = scaled(rows.sizes, self.scales.size - batch.size_scale, self.security)
        bought = rows.sides == Side.BUY.value
        columns = zip(
            numbers[starts].tolist(),
            prices[starts].tolist(),
            np.maximum.reduceat(prices, starts).tolist(),
            np.minimum.reduceat(prices, starts).tolist(),
            prices[ends].tolist(),
            _sums(np.where(bought, sizes, 0), starts),
            _sums(np.where(bought, 0, sizes), starts),
            (ends - starts + 1).tolist(),
            strict=True,
        )
        for number, *values in columns:
            self._growing.setdefault(number, _Bar()).add(_Bar(*values))

    def close_before(self, moment_ns: int | None) -> Iterator[Bars]:
        """Close the bars that end at *moment_ns* or before it, all where it is None; yield full chunks."""
        if not self._growing and self._next is None:
            return
        first = min(self._growing) if self._next is None else self._next
        end = max(self._growing, default=first - 1) + 1 if moment_ns is None else self._number(moment_ns)
        if end <= first:
            return  # (what fills a hole may come after what follows it: an earlier bar may yet begin)
        for number in range(first, end):
            bar = self._growing.pop(number, None) or _Bar()
            in_hole = any(low <= number <= high for low, high in self._holes)
            if self._gaps != "exclude" or not in_hole:
                self.rows.append((self._low + number * self._every_ns, bar, in_hole))
            if len(self.rows) >= CHUNK_ROWS:
                yield self.chunk()
        self._next = end
        self._holes = [(low, high) for low, high in self._holes if high >= end]

    def rescale(self, scales: Scales) -> None:
        """Bring what grows to finer *scales*."""
        price_by, size_by = 10 ** (scales.price - self.scales.price), 10 ** (scales.size - self.scales.size)
        for bar in self._growing.values():
            bar.rescale(price_by, size_by)
        self.scales = scales

    def chunk(self) -> Bars:
        """Return the closed bars and forget them."""
        rows, self.rows = self.rows, []
        bars = [bar for _, bar, _ in rows]
        return Bars(
            security=self.security,
            price_scale=self.scales.price,
            size_scale=self.scales.size,
            times_ns=np.array([start for start, _, _ in rows], np.int64),
            every_ns=self._every_ns,
            opens=np.array([bar.open for bar in bars], np.int64),
            highs=np.array([bar.high for bar in bars], np.int64),
            lows=np.array([bar.low for bar in bars], np.int64),
            closes=np.array([bar.close for bar in bars], np.int64),
            volumes=_column([bar.buy + bar.sell for bar in bars]),
            buy_volumes=_column([bar.buy for bar in bars]),
            sell_volumes=_column([bar.sell for bar in bars]),
            counts=np.array([bar.count for bar in bars], np.int64),
            in_hole=np.array([in_hole for _, _, in_hole in rows], np.bool_),
        )

    def _number(self, moment_ns: int) -> int:
        return (moment_ns - self._low) // self._every_ns


def _sums(values: Int64s, starts: npt.NDArray[np.intp]) -> list[int]:
    """Return the sum of each stretch, exactly: halves of 64 bits do not overflow in a block."""
    high = np.add.reduceat(values >> _HALF, starts).tolist()
    low = np.add.reduceat(values & _LOW, starts).tolist()
    return [(upper << _HALF) + lower for upper, lower in zip(high, low, strict=True)]


def _column(values: list[int]) -> npt.NDArray[np.int64] | npt.NDArray[np.object_]:
    fits = all(-(2**63) <= value < 2**63 for value in values)
    return np.array(values, np.int64) if fits else np.array(values, np.object_)
