"""Series as the JSON of ``obl depth``, ``obl top`` and ``obl bars``, pure.

As store.shapes: ISO 8601 times, prices and sizes as decimal strings; null where there is none.
"""

from collections.abc import Iterator
from typing import Any

from store.series import NO_ID, NONE, Bars, Depth, Tops
from venue.decimals import text
from wire.names import venue_of
from wire.times import iso

Line = dict[str, Any]


def depth(chunk: Depth) -> Iterator[Line]:
    """Yield a line a moment; the levels are best first."""
    for row, line in enumerate(_moments(chunk)):
        for side in ("bid", "ask"):
            prices, sizes = (getattr(chunk, f"{side}_{what}")[row].tolist() for what in ("prices", "sizes"))
            levels = zip(prices, sizes, strict=True)
            line[f"{side}s"] = [_level(chunk, *level) for level in levels if level[0] != NONE]
        yield line


def tops(chunk: Tops) -> Iterator[Line]:
    """Yield a line a row."""
    columns = (chunk.bid_prices, chunk.bid_sizes, chunk.ask_prices, chunk.ask_sizes)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    for line, (bid, bid_size, ask, ask_size) in zip(_moments(chunk), rows, strict=True):
        line["bid"] = None if bid == NONE else _level(chunk, bid, bid_size)
        line["ask"] = None if ask == NONE else _level(chunk, ask, ask_size)
        yield line


def bars(chunk: Bars) -> Iterator[Line]:
    """Yield a line a bar."""
    venue = venue_of(chunk.security)
    for row, time_ns in enumerate(chunk.times_ns.tolist()):
        prices = {
            name: int(getattr(chunk, f"{name}s" if name != "close" else "closes")[row])
            for name in ("open", "high", "low", "close")
        }
        yield {
            "security": chunk.security,
            "time": iso(time_ns, venue),
            **{name: text(price, chunk.price_scale) if price else None for name, price in prices.items()},
            "volume": text(int(chunk.volumes[row]), chunk.size_scale),
            "buy_volume": text(int(chunk.buy_volumes[row]), chunk.size_scale),
            "sell_volume": text(int(chunk.sell_volumes[row]), chunk.size_scale),
            "trades": int(chunk.counts[row]),
            "in_hole": bool(chunk.in_hole[row]),
        }


def _moments(chunk: Depth | Tops) -> Iterator[Line]:
    """Yield what every line of a book begins with."""
    venue = venue_of(chunk.security)
    columns = (chunk.times_ns, chunk.update_ids, chunk.stale, chunk.crosses_hole)
    for time_ns, update_id, stale, crosses in zip(*(column.tolist() for column in columns), strict=True):
        yield {
            "security": chunk.security,
            "time": iso(time_ns, venue),
            "update_id": None if update_id == NO_ID else update_id,
            "stale": stale,
            "crosses_hole": crosses,
        }


def _level(chunk: Depth | Tops, price: int, size: int) -> list[str]:
    return [text(price, chunk.price_scale), text(size, chunk.size_scale)]
