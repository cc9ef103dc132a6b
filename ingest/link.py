"""One websocket connection as the session sees it: what it carries, may send, and whether it lives.

phase     event                                    next     output
DIALING   opened                                   OPEN     the missing subscriptions, a request at a time
DIALING   lost                                     (gone)
OPEN      ack, or the first frame of each symbol   OPEN     those are carried; the next request
OPEN      refusal of a request of one symbol       OPEN     the symbol is reported refused
OPEN      refusal of a request of several          OPEN     asked again one by one, to find the one
OPEN      no ack for 10 s                          (gone)   "no answer to a subscription in 10 s"
OPEN      silent for 3 s, 7 s                      OPEN, (gone)   a ping; "silent for 7 s"

Only one request is under way at a time, so a venue's answer without an id (Coinbase) is clear too.
"""

from collections.abc import Collection
from typing import Any

import msgspec

from ingest.liveness import DEAD_NS, Liveness
from ingest.pacing import Outgoing, Pacer
from venue.api import Credentials, Venue

NS_PER_SECOND = 1_000_000_000

ANSWER_NS = 10 * NS_PER_SECOND
"""A venue answers a subscription within milliseconds; after this it was lost."""

MOST_SYMBOLS = 50
"""In one request; keeps the message under the few kilobytes that venues accept."""


class Subscription(msgspec.Struct, frozen=True):
    """How a line subscribes."""

    feed: str
    update_ms: int
    credentials: Credentials | None
    part: str = ""
    """What of the feed it subscribes to: its trades, where another line has the book; "" for all."""
    reason: str = ""
    """Why not the venue's best feed, or not all of it, for people."""

    @property
    def channels(self) -> str:
        """What the venue is asked for."""
        return self.part or self.feed


class _Request:
    """A subscription or its end that the venue has not answered."""

    def __init__(self, request_id: int, symbols: list[str], *, adds: bool) -> None:
        self.id = request_id
        self.symbols = symbols
        self.adds = adds
        self.sent_at: int | None = None


class Link:
    """One connection.  Times are monotonic nanoseconds."""

    def __init__(self, number: int, venue: Venue, subscription: Subscription, now: int) -> None:
        self.number = number
        self.open = False
        self.since = now
        self.carried: set[str] = set()
        """Symbols that the venue confirmed."""
        self.delivered: set[str] = set()
        """Symbols whose book has come."""
        self._venue = venue
        self._subscription = subscription
        self._pacer = Pacer(venue.CONTROL_GAP_NS)
        self._liveness = Liveness(now)
        self._request: _Request | None = None
        self._request_id = 0
        self._asked: set[str] = set()
        self._ended: set[str] = set()
        self._one_by_one: set[str] = set()

    def opened(self, now: int) -> None:
        """The handshake is done."""
        self.open, self.since = True, now
        self._liveness.heard(now)

    def heard(self, now: int) -> None:
        """Bytes came."""
        self._liveness.heard(now)

    def pinged(self, payload: bytes) -> None:
        """The venue wants a pong."""
        self._pacer.pong(payload)

    def frame(self, symbol: str) -> bool:
        """A frame of *symbol* came; return True when that is the news that it is carried."""
        if symbol in self.delivered:
            return False
        self.delivered.add(symbol)
        news = symbol in self._asked and symbol not in self.carried
        if news:
            self.carried.add(symbol)
        return news

    def acked(self, request_id: int | None) -> list[str]:
        """The venue confirmed; return the symbols that are carried from now on."""
        request = self._request
        if request is None or request_id not in (None, request.id):
            return []
        self._request = None
        if not request.adds:
            return []
        news = [s for s in request.symbols if s not in self.carried]
        self.carried.update(news)
        return news

    def refused(self, request_id: int | None) -> list[str]:
        """The venue said no; return the symbol that it says no to, if that is clear."""
        request = self._request
        if request is None or request_id not in (None, request.id):
            return []
        self._request = None
        if not request.adds:
            return []
        self._asked.difference_update(request.symbols)
        if len(request.symbols) > 1:
            self._one_by_one.update(request.symbols)
            return []
        return request.symbols

    def ended(self, symbol: str) -> None:
        """*symbol* is to be unsubscribed, even if it is wanted again at once."""
        if symbol in self._asked:
            self._ended.add(symbol)

    def due(self, wanted: Collection[str], now: int, wall_s: str) -> tuple[list[Outgoing], str]:
        """Return what to send now so that *wanted* is carried, and why the link is lost, if it is."""
        if not self.open:
            return [], ""
        liveness = self._liveness.check(now)
        if liveness == "dead":
            return [], f"silent for {DEAD_NS // NS_PER_SECOND} s"
        if liveness == "ping":
            self._pacer.ping()
        request = self._request
        if request is not None and request.sent_at is not None and now - request.sent_at >= ANSWER_NS:
            if not self.delivered.issuperset(request.symbols):
                return [], f"no answer to a subscription in {ANSWER_NS // NS_PER_SECOND} s"
            self._request = request = None
        if request is None:
            self._prepare(wanted, wall_s)
        outgoing = self._pacer.due(now)
        if outgoing is not None and outgoing.kind == "text" and self._request is not None:
            self._request.sent_at = now
        return ([outgoing] if outgoing is not None else []), ""

    def shown(self) -> dict[str, Any]:
        """Return what a beat shows of it."""
        state = "open" if self.open else "dialing"
        return {"connection": self.number, "state": state, "securities": len(self.carried)}

    def _prepare(self, wanted: Collection[str], wall_s: str) -> None:
        """Queue the next request, if what is carried differs from *wanted*."""
        surplus = self._asked.difference(wanted) | self._ended
        missing = [s for s in wanted if s not in self._asked]
        if surplus:
            symbols = sorted(surplus)[:MOST_SYMBOLS]
            self._asked.difference_update(symbols)
            self._ended.difference_update(symbols)
            self.carried.difference_update(symbols)
            self.delivered.difference_update(symbols)
            self._queue(symbols, "", adds=False)
        elif missing:
            together = [s for s in missing if s not in self._one_by_one][:MOST_SYMBOLS] or missing[:1]
            self._asked.update(together)
            self._queue(together, wall_s, adds=True)

    def _queue(self, symbols: list[str], wall_s: str, *, adds: bool) -> None:
        feed, update_ms = self._subscription.channels, self._subscription.update_ms
        self._request_id += 1
        if adds:
            frames = self._venue.subscribe(
                symbols,
                feed=feed,
                update_ms=update_ms,
                request_id=self._request_id,
                credentials=self._subscription.credentials,
                now_s=wall_s,
            )
        else:
            frames = self._venue.unsubscribe(
                symbols, feed=feed, update_ms=update_ms, request_id=self._request_id
            )
        self._request = _Request(self._request_id, symbols, adds=adds)
        for frame in frames:
            self._pacer.text(frame)
