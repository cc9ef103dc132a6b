"""Binance frames made in advance and sent as fast as asked: load for benchmarks.

load     symbols  a frame is
small    200      depth@100ms with 2 bids and 2 asks
large    20       depth@100ms with 23 bids and 23 asks (the mean of BTCUSDT in 2024)
trades   200      trade

Ids go on without a hole and sizes change, so a recorder can hold the books; there is no truth to ask for.
"""

# ruff: noqa: ARG002 -- the protocols of source.py name what templates do not need

from collections.abc import Collection, Mapping, Sequence
from random import Random

import msgspec

from tests.simulator.binance_source import symbol_info
from tests.simulator.source import Frame, Json

LOADS = {"small": (200, 2), "large": (20, 23), "trades": (200, 0)}

VARIANTS = 16
"""Different frames of a symbol that take turns."""

AT_ONCE = 1_000
"""Frames given at a time when asked for all that the clients take."""

FIRST_ID = 1_000_000_000
"""Of ten digits, so that frames keep their length."""

TICK_S = 0.001
"""A venue sends many securities' frames one by one, not a clump each few milliseconds."""

IDS_PER_FRAME = 12

BOOK_LEVELS = 1_000


class Firehose:
    """A Binance that only sends."""

    tick_s = TICK_S

    def __init__(self, load: str, rate: float, seed: int, start_ns: int, symbols: Sequence[str] = ()) -> None:
        count, self._levels = LOADS[load]
        self.symbols = symbols or [f"S{i:03d}USDT" for i in range(count)]
        self.greedy = not rate
        self._rate = rate
        self._stream = "@trade" if load == "trades" else "@depth@100ms"
        self._rng = Random(f"{seed}|firehose")
        self._templates = {
            symbol: [self._template(symbol) for _ in range(VARIANTS)] for symbol in self.symbols
        }
        self._ids = dict.fromkeys(self.symbols, FIRST_ID)
        self._turn = 0
        self._begun_ns = start_ns
        self._sent = 0

    def advance(self, now_ns: int, wanted: Collection[str]) -> list[Frame]:
        """Return the frames that are due; time stands still while nobody listens."""
        streams = [s for s in self.symbols if f"{s.lower()}{self._stream}" in wanted]
        if not streams:
            self._begun_ns, self._sent = now_ns, 0
            return []
        count = AT_ONCE
        if self._rate:
            count = int((now_ns - self._begun_ns) * self._rate / 1e9) - self._sent
        self._sent += count
        now_ms = now_ns // 1_000_000
        return [
            self._frame(streams[(self._turn + i) % len(streams)], now_ms) for i in range(self._moved(count))
        ]

    def halt(self, symbol: str, halted: bool, now_ns: int) -> None:
        """Refuse: it only sends."""
        raise LookupError("the firehose cannot be halted")

    def truth(self, what: str, query: Mapping[str, str]) -> Json:
        """Tell the last id sent."""
        if what != "range":
            raise LookupError("the firehose keeps no truth")
        return {"symbol": query["symbol"], "last_id": self._ids[query["symbol"]], "frames": self._sent}

    def depth(self, symbol: str, limit: int, at_ns: int) -> bytes:
        """Return a book in which the frames' levels lie."""
        rows = min(limit, BOOK_LEVELS)
        return msgspec.json.encode(
            {
                "lastUpdateId": self._ids[symbol],
                "bids": [(_price(-i), "1.00000000") for i in range(rows)],
                "asks": [(_price(1 + i), "1.00000000") for i in range(rows)],
            }
        )

    def info(self, symbol: str) -> Json:
        """Return an entry of exchangeInfo."""
        return symbol_info(symbol, halted=False)

    def rest_trades(self, symbol: str, from_id: int | None, limit: int) -> list[Json]:
        """Return nothing."""
        return []

    def _moved(self, count: int) -> int:
        self._turn += count
        return count

    def _frame(self, symbol: str, now_ms: int) -> Frame:
        variants = self._templates[symbol]
        first = self._ids[symbol] + 1
        if not self._levels:
            self._ids[symbol] = first
            return f"{symbol.lower()}@trade", variants[first % VARIANTS] % (now_ms, first, now_ms)
        last = self._ids[symbol] = first + IDS_PER_FRAME - 1
        variant = variants[last // IDS_PER_FRAME % VARIANTS]
        return f"{symbol.lower()}@depth@100ms", variant % (now_ms, first, last)

    def _template(self, symbol: str) -> bytes:
        if not self._levels:
            size = self._rng.randrange(1, 10**7)
            text = (
                f'{{"e":"trade","E":%d,"s":"{symbol}","t":%d,"p":"{_price(size % 3)}",'
                f'"q":"{size / 1e5:.8f}","T":%d,"m":{"true" if size % 2 else "false"},"M":true}}'
            )
            return text.encode()
        bids = sorted((-n for n in self._rng.sample(range(100), self._levels)), reverse=True)
        asks = sorted(1 + n for n in self._rng.sample(range(100), self._levels))
        sides = [",".join(f'["{_price(n)}","{self._size()}"]' for n in side) for side in (bids, asks)]
        text = f'{{"e":"depthUpdate","E":%d,"s":"{symbol}","U":%d,"u":%d,"b":[{sides[0]}],"a":[{sides[1]}]}}'
        return text.encode()

    def _size(self) -> str:
        lots = self._rng.choice((0, self._rng.randrange(1, 10**6)))
        return f"{lots // 10**5}.{lots % 10**5:05d}000"


def _price(ticks: int) -> str:
    """Return the price *ticks* from the middle of the book."""
    cents = 2_683_80 + ticks
    return f"{cents // 100}.{cents % 100:02d}000000"
