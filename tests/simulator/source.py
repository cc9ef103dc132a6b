"""Where the frames of a simulated exchange come from: a synthetic market, a recording, or templates.

A frame goes to the connections that subscribed its key: on Binance the stream's name
(``btcusdt@depth@100ms``), on Coinbase ``channel:product`` (``full:BTC-USD``); ``*`` goes to all.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

Frame = tuple[str, bytes]
EVERYONE = "*"

Json = dict[str, Any]

TICK_S = 0.005
"""How late a frame may be; short beside the 50 ms of the fastest batch."""


class Source(Protocol):
    """What both exchanges have in common."""

    symbols: Sequence[str]
    greedy: bool
    """True: it is asked for more as soon as the connections have taken what they got."""
    tick_s: float
    """How often it is asked for more otherwise."""

    def advance(self, now_ns: int, wanted: Collection[str]) -> list[Frame]:
        """Let everything happen that is due, and return the frames of the *wanted* keys, in order."""

    def halt(self, symbol: str, halted: bool, now_ns: int) -> None:
        """Stop or go on trading a symbol."""

    def truth(self, what: str, query: Mapping[str, str]) -> Json:
        """Answer ``/sim/truth/<what>``; raises LookupError where there is nothing to say."""


class BinanceSource(Source, Protocol):
    """A synthetic or recorded Binance."""

    def depth(self, symbol: str, limit: int, at_ns: int) -> bytes | None:
        """Return the REST body of the book at *at_ns*, None where there is none."""

    def info(self, symbol: str) -> Json:
        """Return the symbol's entry of exchangeInfo."""

    def rest_trades(self, symbol: str, from_id: int | None, limit: int) -> list[Json]:
        """Return trades, oldest first: the newest *limit*, or those from *from_id* on."""


class CoinbaseSource(Source, Protocol):
    """A synthetic or recorded Coinbase Exchange."""

    def greeting(self, channel: str, product: str) -> bytes | None:
        """Return the frame that a new subscriber gets first: snapshot, last_match."""

    def book(self, product: str, level: int, at_ns: int) -> bytes | None:
        """Return the REST body of the book at *at_ns*, None where there is none."""

    def info(self, product: str) -> Json:
        """Return the product's REST entry."""

    def rest_trades(self, product: str, before: int | None, after: int | None, limit: int) -> list[Json]:
        """Return trades, newest first: with id > *before*, or < *after*."""
