"""The frames that the bench runs on: a capture, or where there is none a synthetic market.

One recorded security may be given several names, each with the whole stream, frame by frame in turn: a group
then holds frames of many securities.  For the measurement receive times are those of a line at saturation.
"""

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

import msgspec

from tests import captures

CAPTURE = "binance_spot_ETHUSDT_20240808"
SYMBOL = "ETHUSDT"
NS_PER_SECOND = 1_000_000_000
SNAPSHOT_LEVELS = 1000

SECONDS = 345
"""The whole capture; so long that the first snapshot and image are a small part of it."""

FRAMES_PER_SECOND = 20_000
"""Of one line at saturation; its ticks come each second of it."""

_PRICE_SCALE, _SIZE_SCALE = 2, 4
_START_NS = 1_723_161_254 * NS_PER_SECOND
_STEP_NS = NS_PER_SECOND // 10


class Arrival(NamedTuple):
    """A frame, or the body of the snapshot."""

    recv_ns: int
    symbol: str
    data: bytes
    is_snapshot: bool


class Market(NamedTuple):
    """What arrives, in order."""

    source: str
    symbols: tuple[str, ...]
    arrivals: list[Arrival]


def market(securities: int, seconds: float = SECONDS) -> Market:
    """Return the first *seconds* of the capture, or of the synthetic market, as *securities* of them."""
    recorded = (captures.FOLDER / f"{CAPTURE}.jsonl.zst").is_file()
    lines = list(_until(_of_capture() if recorded else _synthetic(Random(1)), seconds))
    symbols = tuple(f"ETH{number:02d}SD" for number in range(securities))
    names = [(symbol, symbol.encode(), symbol.lower().encode()) for symbol in symbols]
    arrivals = [
        Arrival(recv_ns, symbol, data.replace(b"ETHUSDT", upper).replace(b"ethusdt", lower), is_snapshot)
        for recv_ns, data, is_snapshot in lines
        for symbol, upper, lower in names
    ]
    return Market(CAPTURE if recorded else "synthetic", symbols, arrivals)


def saturated(feed: Market) -> Market:
    """Return *feed* as it arrives when a backlog is sent: from its end on, FRAMES_PER_SECOND."""
    start_ns = feed.arrivals[-1].recv_ns
    step_ns = NS_PER_SECOND // FRAMES_PER_SECOND
    arrivals = [each._replace(recv_ns=start_ns + n * step_ns) for n, each in enumerate(feed.arrivals)]
    return feed._replace(arrivals=arrivals)


Line = tuple[int, bytes, bool]
Row = tuple[str, str]


def _until(lines: Iterator[Line], seconds: float) -> Iterator[Line]:
    end_ns = None
    for line in lines:
        end_ns = end_ns or line[0] + int(seconds * NS_PER_SECOND)
        if line[0] >= end_ns:
            return
        yield line


def _of_capture() -> Iterator[Line]:
    """Yield what the logger subscribes to: depth and trades, and the snapshot where it came."""
    for frame in captures.frames(CAPTURE):
        if frame.src == "http" or b"@depth" in frame.data[:40] or b"@trade" in frame.data[:40]:
            yield frame.recv_ns or 0, frame.data, frame.src == "http"


class _Side:
    """The prices of one side of the synthetic book, so that it never crosses the other."""

    def __init__(self, sign: int, middle: int) -> None:
        self.sign = sign
        self.prices = {middle + sign * (1 + 2 * n) for n in range(SNAPSHOT_LEVELS)}

    def rows(self, draw: Random, middle: int, count: int) -> list[Row]:
        """Return the next levels, best first: those that the middle ran over go, others come and change."""
        gone = {price for price in self.prices if self.sign * (price - middle) <= 0}
        offsets = {1 + int(draw.paretovariate(0.4)) % 3000 for _ in range(count)}
        changed = {middle + self.sign * offset for offset in offsets}
        gone |= {price for price in changed if price in self.prices and draw.random() < 0.6}
        self.prices = (self.prices | changed) - gone
        levels = sorted(changed | gone, reverse=self.sign < 0)
        return [(_text(price), "0.00000000" if price in gone else _size(draw)) for price in levels]


def _synthetic(draw: Random) -> Iterator[Line]:
    """Yield a market of the capture's shape: 10 updates of 31 levels and 18 trades a second."""
    update_id, trade_id, middle = 1000, 1, 268_000
    bids, asks = _Side(-1, middle), _Side(1, middle)
    yield _START_NS, _snapshot(draw, update_id, bids, asks), True
    step = 0
    while True:
        step += 1
        recv_ns = _START_NS + step * _STEP_NS
        middle += draw.choice((-3, -1, 0, 0, 1, 3))
        first_id, update_id = update_id + 1, update_id + draw.randint(15, 60)
        levels = bids.rows(draw, middle, 18), asks.rows(draw, middle, 18)
        yield recv_ns, _depth(recv_ns, first_id, update_id, *levels), False
        for _ in range(draw.choice((1, 2, 2))):
            yield recv_ns, _trade(draw, recv_ns, trade_id, middle), False
            trade_id += 1


def _text(price: int) -> str:
    return f"{price // 10**_PRICE_SCALE}.{price % 10**_PRICE_SCALE:02d}000000"


def _size(draw: Random) -> str:
    size = 1 + int(draw.paretovariate(0.7) * 100) % 10**9
    return f"{size // 10**_SIZE_SCALE}.{size % 10**_SIZE_SCALE:04d}0000"


def _depth(recv_ns: int, first_id: int, last_id: int, bids: list[Row], asks: list[Row]) -> bytes:
    data = {
        "e": "depthUpdate",
        "E": recv_ns // 1_000_000,
        "s": SYMBOL,
        "U": first_id,
        "u": last_id,
        "b": bids,
        "a": asks,
    }
    return msgspec.json.encode({"stream": "ethusdt@depth@100ms", "data": data})


def _trade(draw: Random, recv_ns: int, trade_id: int, middle: int) -> bytes:
    data = {
        "e": "trade",
        "E": recv_ns // 1_000_000,
        "s": SYMBOL,
        "t": trade_id,
        "p": _text(middle),
        "q": f"{draw.randint(1, 9)}.{draw.randint(0, 9999):04d}0000",
        "T": recv_ns // 1_000_000,
        "m": draw.random() < 0.5,
        "M": True,
    }
    return msgspec.json.encode({"stream": "ethusdt@trade", "data": data})


def _snapshot(draw: Random, update_id: int, bids: _Side, asks: _Side) -> bytes:
    def rows(side: _Side) -> list[Row]:
        return [(_text(price), _size(draw)) for price in sorted(side.prices, reverse=side.sign < 0)]

    return msgspec.json.encode({"lastUpdateId": update_id, "bids": rows(bids), "asks": rows(asks)})
