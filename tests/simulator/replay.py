"""An exchange that says again what it said in a recording.

state     event                                                   next state
WAITING   ``SETTLE_NS`` after every symbol has been subscribed    RUNNING
WAITING   ``START_AFTER_NS`` after the first subscription         RUNNING
WAITING   ``start()``                                             RUNNING
RUNNING   last frame sent                                         OVER (the connections stay open, silent)

*speed* 1 is the recorded pace, 10 ten times that, 0 as fast as the clients take it.
"""

# ruff: noqa: ARG002 -- the protocols of source.py name what a recording does not need

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence

from tests.simulator.binance_source import symbol_info
from tests.simulator.coinbase_source import product_info
from tests.simulator.recording import Body, Recording
from tests.simulator.source import EVERYONE, TICK_S, Frame, Json

START_AFTER_NS = 3_000_000_000
"""Time for a client to subscribe the rest, symbol by symbol."""

SETTLE_NS = 500_000_000
"""Time for the other streams of the same symbols, which may come in messages of their own."""

AT_ONCE = 500
"""Frames that a replay as fast as possible gives each time it is asked."""


class Replay:
    """What both exchanges' recordings have in common."""

    def __init__(self, recording: Recording, speed: float) -> None:
        self.symbols: Sequence[str] = recording.symbols
        self.greedy = not speed
        self.tick_s = TICK_S
        self._recording, self._speed = recording, speed
        self._offsets = [frame.offset_ns for frame in recording.frames]
        self._place = 0
        self._began_ns = self._first_ns = self._ready_ns = 0
        self._asked_to_start = False

    def start(self) -> None:
        """Begin at the next opportunity, whoever has subscribed."""
        self._asked_to_start = True

    def advance(self, now_ns: int, wanted: Collection[str]) -> list[Frame]:
        """Return the frames that are due."""
        if not self._begun(now_ns, wanted):
            return []
        if self._speed:
            offset_ns = int((now_ns - self._began_ns) * self._speed)
            end = bisect_right(self._offsets, offset_ns)
        else:
            end = self._place + AT_ONCE
        frames = self._recording.frames[self._place : end]
        self._place = min(end, len(self._offsets))
        return [(key, payload) for key, payload in self._all_keys(frames) if key in wanted or key == EVERYONE]

    def halt(self, symbol: str, halted: bool, now_ns: int) -> None:
        """Refuse: what was recorded cannot be stopped."""
        raise LookupError("a recording cannot be halted")

    def truth(self, what: str, query: Mapping[str, str]) -> Json:
        """Tell how far it is; a recording knows no other truth."""
        if what != "range":
            raise LookupError("a recording holds no truth of its own")
        frames = len(self._offsets)
        return {
            "symbol": query["symbol"],
            "frames": frames,
            "place": self._place,
            "begun": bool(self._began_ns),
            "over": self._place == frames,
        }

    def _begun(self, now_ns: int, wanted: Collection[str]) -> bool:
        if self._began_ns:
            return True
        if not wanted and not self._asked_to_start:
            return False
        self._first_ns = self._first_ns or now_ns
        heard = " ".join(wanted).upper()
        if all(symbol in heard for symbol in self.symbols):
            self._ready_ns = self._ready_ns or now_ns
        settled = self._ready_ns and now_ns - self._ready_ns >= SETTLE_NS
        if settled or self._asked_to_start or now_ns - self._first_ns >= START_AFTER_NS:
            self._began_ns = now_ns
        return bool(self._began_ns)

    def _all_keys(self, frames: Collection[tuple[str, bytes, int]]) -> list[Frame]:
        return [(key, payload) for key, payload, _ in frames]

    def _nearest(self, what: str) -> bytes | None:
        """Return the body of *what* that was recorded nearest to the place where the replay is."""
        bodies = [body for body in self._recording.bodies if body.what == what]

        def distance(body: Body) -> int:
            return abs(body.place - self._place)

        return min(bodies, key=distance).data if bodies else None


class BinanceReplay(Replay):
    """A recorded Binance."""

    def depth(self, symbol: str, limit: int, at_ns: int) -> bytes | None:
        """Return the recorded body as it is, whatever *limit* asks."""
        return self._nearest(symbol)

    def info(self, symbol: str) -> Json:
        """Return an entry of exchangeInfo."""
        return symbol_info(symbol, halted=False)

    def rest_trades(self, symbol: str, from_id: int | None, limit: int) -> list[Json]:
        """Return nothing: no trades were fetched."""
        return []


class CoinbaseReplay(Replay):
    """A recorded Coinbase Exchange; snapshots and last matches are in the recording."""

    def greeting(self, channel: str, product: str) -> bytes | None:
        """Return nothing: the recording has the first frames."""
        return None

    def book(self, product: str, level: int, at_ns: int) -> bytes | None:
        """Return the recorded body of that level."""
        return self._nearest(f"{product}?{level}")

    def info(self, product: str) -> Json:
        """Return a product entry."""
        return product_info(product, halted=False)

    def rest_trades(self, product: str, before: int | None, after: int | None, limit: int) -> list[Json]:
        """Return nothing: no trades were fetched."""
        return []

    def _all_keys(self, frames: Collection[tuple[str, bytes, int]]) -> list[Frame]:
        out: list[Frame] = []
        for key, payload, _ in frames:
            out.append((key, payload))
            channel, _, product = key.partition(":")
            if channel == "matches" and b'"last_match"' not in payload:
                out.append((f"full:{product}", payload))
        return out
