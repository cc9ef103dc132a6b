"""Many frames of the ``full`` feed at once, as columns: what ``coinbase.decode`` says of each, only faster.

Frames are read so where the project was compiled (``venue/coinbase_loops.pyx``); elsewhere, and where one
is not as usual, ``decode`` reads each by itself: it is the twin that the loops are held to.  The trades
are the matches, with the aggressor's side.
"""

from collections.abc import Sequence

import numpy as np

from venue.api import OrderKind
from venue.columns import Columns, DepthColumns, EventColumns, TradeColumns
from venue.numbers import Int64s, at_scale

try:
    from venue.coinbase_loops import parse
except ImportError:
    COMPILED = False
else:
    COMPILED = True

_NONE = np.empty(0, dtype=np.int64)
_NO_DEPTH = DepthColumns((), (), (), _NONE, 0, _NONE, _NONE)
_PRICES, _SIZES, _FUNDS = (0, 2), (2, 4), (4, 5)
"""Of the columns of numbers: each with its old values, and the funds."""


def columns(frames: Sequence[bytes]) -> Columns | None:
    """Return what *frames* say; None unless all are as the venue mostly writes them."""
    found = parse(frames) if COMPILED else None
    if found is None:
        return None
    prices, sizes, funds = (found.numbers(*which) for which in (_PRICES, _SIZES, _FUNDS))
    if prices is None or sizes is None or funds is None:
        return None
    kinds, sides, reasons, order_ids, taker_ids = found.texts()
    values = map(_int64s, (*prices[1], *sizes[1], *funds[1], found.trade_ids()))
    price, old_price, size, old_size, fund, trade_ids = values
    events = EventColumns(
        found.ids,
        found.times_ns,
        kinds,
        sides,
        reasons,
        order_ids,
        taker_ids,
        prices[0],
        price,
        old_price,
        sizes[0],
        size,
        old_size,
        funds[0],
        fund,
        trade_ids,
    )
    trades = _trades(events)
    if trades is None:
        return None
    matches, trade = trades
    return Columns((), _NO_DEPTH, [found.at[n] for n in matches], trade, found.at, events)


def _int64s(column: bytes) -> Int64s:
    return np.frombuffer(column, np.int64)


def _trades(events: EventColumns) -> tuple[list[int], TradeColumns] | None:
    """Return which events are matches, and the trades that they are; None where a number does not fit."""
    kinds = np.frombuffer(events.kinds_u1, np.uint8)
    at = np.flatnonzero(kinds == OrderKind.MATCH)
    decimals = max(events.price_decimals, events.size_decimals)
    prices = at_scale(events.prices[at], events.price_decimals, decimals)
    sizes = at_scale(events.sizes[at], events.size_decimals, decimals)
    if prices is None or sizes is None:
        return None
    sides = 1 - np.frombuffer(events.sides_u1, np.uint8)[at]
    matches = at.tolist()
    times_ns = [events.times_ns[n] for n in matches]
    ids = events.trade_ids[at].tolist()
    return matches, TradeColumns(ids, times_ns, sides.tobytes(), decimals, prices, sizes)
