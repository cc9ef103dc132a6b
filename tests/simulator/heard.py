"""Which ids somebody was sent whole, in order, and from where a book that missed some can go on.

A hole of a book begins at ids that nobody was sent in order, and ends at the latest with the first REST book
that was given after what follows them and reaches their end: everything else can be known.  A frame counts if
its connection had not gone past its ids before.  Trades need no REST book: a hole is what was not sent.

``Received`` is the rule.  ``Account`` is the exchange's own view: what it put on the wire, and the books that
it gave.  tests.chaos.evidence reads the journals by the same rule.
"""

import re
from typing import NamedTuple

BOOK, TRADES = "book", "trades"
NOWHERE = 2**62
"""Where a book can go on for which no REST book came."""

_DEPTH = re.compile(rb'"depthUpdate".*?"s":"([A-Z0-9]+)","U":([0-9]+),"u":([0-9]+)')
_TRADE = re.compile(rb'"e":"trade".*?"s":"([A-Z0-9]+)","t":([0-9]+)')
_ORDER = re.compile(rb'"type":"(?:received|open|done|match|change)"')
_PRODUCT = re.compile(rb'"product_id":"([A-Z0-9-]+)"')
_SEQUENCE = re.compile(rb'"sequence":([0-9]+)')
_MATCH_ID = re.compile(rb'"trade_id":([0-9]+)')
_BOOK_ID = re.compile(rb'"(?:lastUpdateId|sequence)":([0-9]+)')

Place = tuple[str, int]
"""Who heard it, and a number that grows with each thing that one hears."""


class Lost(NamedTuple):
    """Ids that nobody was sent, and the id at which the book can go on at the latest."""

    first: int
    last: int
    placed_id: int


class _Ids(NamedTuple):
    """Ids that follow one another, and where the first of them was heard."""

    first: int
    last: int
    at: Place


class Received:
    """The ids of one security."""

    def __init__(self) -> None:
        self._ids: dict[str, list[_Ids]] = {BOOK: [], TRADES: []}
        self._reached: dict[tuple[object, str], int] = {}
        self._newest: dict[tuple[object, str], int] = {}
        """By source and feed: which of the ids it goes on with."""
        self._books: list[tuple[Place, int]] = []

    def take(self, source: object, feed: str, first: int, last: int, at: Place) -> None:
        """Take a frame that *source*, a connection, brought."""
        if last <= self._reached.get((source, feed), -1):
            return
        self._reached[source, feed] = last
        ids, n = self._ids[feed], self._newest.get((source, feed))
        if n is not None and first == ids[n].last + 1:
            ids[n] = ids[n]._replace(last=last)
        else:
            self._newest[source, feed] = len(ids)
            ids.append(_Ids(first, last, at))

    def book(self, last_id: int, at: Place) -> None:
        """Take a REST book."""
        self._books.append((at, last_id))

    def lost(self, feed: str) -> list[Lost]:
        """Return what is missing between the first and the last id of *feed*."""
        found = []
        reached: int | None = None
        for ids in sorted(self._ids[feed]):
            if reached is not None and ids.first > reached + 1:
                last = ids.first - 1
                placed_id = self._placed(last, ids.at) if feed == BOOK else last
                found.append(Lost(reached + 1, last, placed_id))
            reached = ids.last if reached is None else max(reached, ids.last)
        return found

    def _placed(self, last_id: int, seen: Place) -> int:
        usable = (i for (line, n), i in self._books if line == seen[0] and n >= seen[1] and i >= last_id)
        return next(usable, NOWHERE)


class Account:
    """What an exchange sent."""

    def __init__(self) -> None:
        self._symbols: dict[str, Received] = {}
        self._count = 0

    def wrote(self, connection: int, payload: bytes) -> None:
        """Note a frame that went out whole; one that concerns no book or trade is passed over."""
        at = self._next()
        if found := _DEPTH.search(payload):
            symbol, first, last = found[1].decode(), int(found[2]), int(found[3])
            self._of(symbol).take(connection, BOOK, first, last, at)
        elif found := _TRADE.search(payload):
            self._of(found[1].decode()).take(connection, TRADES, int(found[2]), int(found[2]), at)
        elif _ORDER.search(payload) and (found := _PRODUCT.search(payload)):
            received = self._of(found[1].decode())
            if sequence := _SEQUENCE.search(payload):
                received.take(connection, BOOK, int(sequence[1]), int(sequence[1]), at)
            if match := _MATCH_ID.search(payload):
                received.take(connection, TRADES, int(match[1]), int(match[1]), at)

    def gave(self, symbol: str, body: bytes) -> None:
        """Note a REST book that was given."""
        if found := _BOOK_ID.search(body):
            self._of(symbol).book(int(found[1]), self._next())

    def lost(self, symbol: str, feed: str) -> list[Lost]:
        """Return what nobody was sent of *symbol*."""
        return self._of(symbol).lost(feed)

    def _of(self, symbol: str) -> Received:
        return self._symbols.setdefault(symbol, Received())

    def _next(self) -> Place:
        self._count += 1
        return "", self._count
