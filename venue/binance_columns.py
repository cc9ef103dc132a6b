"""Many frames of the combined stream at once, as columns: what ``decode`` says of each, only faster.

Levels are never made texts: msgspec leaves the JSON of both sides as it is, and all of it together is

    b'[["2683.80000000","3.02920000"],["2679.00000000","28.21530000"]],[],...'

checked      by
form         the digits deleted, ``[".","."]`` is a level: a side is nothing but levels
decimals     each digit made 0, every dot stands between a digit and the same number of digits and a quote
64 bits      the same, no text has more digits than any 64-bit number
zero prices  the integers

What is not exactly so, though it be right, is left to ``decode``, frame by frame.  Where the project was
compiled, ``venue.binance_loops`` reads frames first: a third of the time, and the same answers.
"""

from collections.abc import Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Literal

import msgspec
import numpy as np

from venue.binance_frames import KIND_WITHIN, Id, Ms, Symbol, TradeFrame
from venue.checks import GARBAGE
from venue.columns import Columns, DepthColumns, TradeColumns
from venue.numbers import Int64s, uniform
from venue.times import LAST_MS, NS_PER_MS

try:
    from venue.binance_loops import parse
except ImportError:
    COMPILED = False
else:
    COMPILED = True

_DIGITS = b"0123456789"
_LEVEL, _EMPTY = b'[".","."]', b"[]"
_MARK_BITS, _MARK = 0xF3, 0x22
"""What quotes and dots have in common: the place of each tells where digits begin and end."""

_MARKS = 6
"""Of one level: quote, dot, quote, of the price and of the size."""

_SAFE_DIGITS = 18
"""Any number of so many digits fits 64 bits."""

_NONE = np.empty(0, dtype=np.int64)
NO_DEPTH = DepthColumns((), (), (), _NONE, 0, _NONE, _NONE)
NO_TRADES = TradeColumns((), (), b"", 0, _NONE, _NONE)


class _Depth(msgspec.Struct, gc=False):
    e: Literal["depthUpdate"]
    E: Ms
    s: Symbol
    U: Id
    u: Id
    b: msgspec.Raw
    a: msgspec.Raw


class _DepthFrame(msgspec.Struct, gc=False):
    stream: str
    data: _Depth


_depth = msgspec.json.Decoder(_DepthFrame).decode
_trade = msgspec.json.Decoder(TradeFrame).decode
_data = attrgetter("data")
_depth_fields = attrgetter("E", "U", "u", "b", "a")
_trade_fields = attrgetter("t", "T", "p", "q", "m")


def columns(frames: Sequence[bytes]) -> Columns | None:
    """Return what *frames* say; None unless all are depth updates and trades as the venue writes them."""
    return (compiled(frames) if COMPILED else None) or plain(frames)


def compiled(frames: Sequence[bytes]) -> Columns | None:
    """Return what *frames* say; None also where ``plain`` may know better."""
    found = parse(frames, LAST_MS)
    if found is None:
        return None
    depths, trades = found
    counts, prices, sizes = (np.frombuffer(column, np.int64) for column in depths.columns)
    updates = depths.first_ids, depths.last_ids, depths.times_ns
    depth = DepthColumns(*updates, counts, depths.decimals, prices, sizes)
    prices, sizes = (np.frombuffer(column, np.int64) for column in trades.columns)
    trade = TradeColumns(trades.ids, trades.times_ns, bytes(trades.sides), trades.decimals, prices, sizes)
    return Columns(depths.at, depth, trades.at, trade)


def plain(frames: Sequence[bytes]) -> Columns | None:
    """Return what *frames* say, by what every machine has."""
    depths, trades, others = [], [], 0
    for n, frame in enumerate(frames):
        if frame.find(b'"depthUpdate"', 0, KIND_WITHIN) >= 0:
            depths.append(n)
        elif frame.find(b'"trade"', 0, KIND_WITHIN) >= 0:
            trades.append(n)
        else:
            others += 1
    if others:
        return None
    try:
        depth = _depths([frames[n] for n in depths]) if depths else NO_DEPTH
        trade = _trades([frames[n] for n in trades]) if trades else NO_TRADES
    except GARBAGE:
        return None
    return None if depth is None or trade is None else Columns(depths, depth, trades, trade)


def _depths(frames: list[bytes]) -> DepthColumns | None:
    fields = map(_depth_fields, map(_data, map(_depth, frames)))
    times_ms, first_ids, last_ids, bids, asks = zip(*fields, strict=True)
    if any(map(int.__gt__, first_ids, last_ids)):
        return None
    found = _levels([side for update in zip(bids, asks, strict=True) for side in update])
    return DepthColumns(first_ids, last_ids, [ms * NS_PER_MS for ms in times_ms], *found) if found else None


def _levels(sides: list[msgspec.Raw]) -> tuple[Int64s, int, Int64s, Int64s] | None:
    """Return the levels of each of *sides*, the decimals of their numbers, the prices and the sizes."""
    lengths = np.array(list(map(len, sides)))
    empty = np.flatnonzero(lengths == len(_EMPTY)).tolist()
    if any(bytes(sides[n]) != _EMPTY for n in empty):
        return None
    joined = b",".join([side for side in sides if len(side) > len(_EMPTY)] if empty else sides)
    marks = ((np.frombuffer(joined, np.uint8) & _MARK_BITS) == _MARK).nonzero()[0]
    ends = np.where(lengths == len(_EMPTY), 0, lengths + 1).cumsum()
    counts = np.diff(marks.searchsorted(ends), prepend=0) // _MARKS
    form = b",".join(map(_side, filter(None, counts.tolist())))
    if joined.translate(None, _DIGITS) != form:
        return None
    if not len(marks):
        return counts, 0, marks, marks
    opens, dots, closes = marks[0::3], marks[1::3], marks[2::3]
    whole, decimals = dots - opens - 1, int(closes[0] - dots[0]) - 1
    if not decimals or not whole.all() or int(whole.max()) + decimals > _SAFE_DIGITS:
        return None
    if not (closes - dots == decimals + 1).all():
        return None
    numbers = np.fromstring(joined.translate(None, b'[]".'), dtype=np.int64, sep=",")
    prices = numbers[0::2]
    return (counts, decimals, prices, numbers[1::2]) if prices.all() else None


@lru_cache(maxsize=1024)
def _side(levels: int) -> bytes:
    """Return the JSON of one side, without its digits."""
    return b"[%b]" % b",".join([_LEVEL] * levels)


def _trades(frames: list[bytes]) -> TradeColumns | None:
    fields = map(_trade_fields, map(_data, map(_trade, frames)))
    ids, times_ms, prices, sizes, makers = zip(*fields, strict=True)
    found = uniform(f",{','.join(prices)},{','.join(sizes)},".encode(), 2 * len(ids))
    if found is None:
        return None
    decimals, numbers = found
    prices_read, sizes_read = numbers[: len(ids)], numbers[len(ids) :]
    if not prices_read.all():
        return None
    sides = bytes(makers)  # the buyer was the maker: the aggressor sold, which is Side.SELL, 1
    times_ns = [ms * NS_PER_MS for ms in times_ms]
    return TradeColumns(ids, times_ns, sides, decimals, prices_read, sizes_read)
