"""What the journals say was received, read without the stages: what a hole may hold.

A hole of a book begins at ids that no line received in order, and ends at the latest with the first REST
book in the journals that came after what follows them and reaches their end: everything else is known.
A frame counts as received if the venue's module decodes it, none of its numbers was spoilt, and its
connection had not gone past its ids before.  Trades need no snapshot: a hole is what was not received.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from journal.collected import journals_in
from journal.group import Kind, Record
from journal.payload import Rest, unpack
from journal.reader import BEGINNING, Reader
from venue import VENUES
from venue.api import BookSnapshot, DepthUpdate, OrderEvent, OrderSnapshot, Trade, UnknownFrame
from wire.names import epoch_of, symbol_of, venue_of

FEED = {"binance": "depth", "coinbase": "full"}
SPOILT = (b'"NaN"', b'"-1"')


class Ids(NamedTuple):
    """Ids that follow one another, and when the first and the last of them came."""

    first: int
    last: int
    from_ns: int
    to_ns: int


class Lost(NamedTuple):
    """Ids that no line received, when those around them came, and where the book can go on at the latest."""

    first: int
    last: int
    from_ns: int
    to_ns: int
    placed_id: int


class Evidence:
    """What all lines of a venue received of one security."""

    def __init__(self, folder: Path, security: str) -> None:
        self._venue, self._feed = VENUES[venue_of(security)], FEED[venue_of(security)]
        self._security = security
        self._reached: dict[tuple[str, int, int, str], int] = {}
        self._ids: dict[str, list[Ids]] = {"book": [], "trades": []}
        self._snapshots: list[tuple[int, int]] = []
        for journal in journals_in(folder):
            if Path(journal).name.startswith(venue_of(security)):
                self._read(journal)

    def lost(self, feed: str) -> list[Lost]:
        """Return what is missing between the first and the last received id of ``book`` or ``trades``."""
        found = []
        before: Ids | None = None
        for ids in sorted(self._ids[feed]):
            if before is not None and ids.first > before.last + 1:
                last = ids.first - 1
                placed_id = self._placed(last, ids.from_ns) if feed == "book" else last
                found.append(Lost(before.last + 1, last, before.to_ns, ids.from_ns, placed_id))
            if before is None or ids.last > before.last:
                before = ids
        return found

    def _placed(self, last_id: int, recv_ns: int) -> int:
        usable = (i for at_ns, i in sorted(self._snapshots) if at_ns >= recv_ns and i >= last_id)
        return next(usable, 2**62)

    def _read(self, journal: Path) -> None:
        reader = Reader(journal)
        for group in reader.groups(BEGINNING):
            for record in group.records():
                if record.security != self._security:
                    continue
                if group.kind is Kind.FRAME:
                    for feed, first, last in self._said(record.payload):
                        self._take(record, feed, first, last)
                elif group.kind is Kind.REST:
                    self._snapshot(record)
        reader.close()

    def _take(self, record: Record, feed: str, first: int, last: int) -> None:
        source = record.line, epoch_of(record.position), record.connection, feed
        reached = self._reached.get(source, -1)
        if last <= reached:
            return
        self._reached[source] = last
        ids, recv_ns = self._ids[feed], record.recv_ns
        if ids and first == ids[-1].last + 1:
            ids[-1] = Ids(ids[-1].first, last, ids[-1].from_ns, recv_ns)
        else:
            ids.append(Ids(first, last, recv_ns, recv_ns))

    def _said(self, payload: bytes) -> Iterator[tuple[str, int, int]]:
        """Yield the feeds and ids of a frame; of one that cannot be read nothing."""
        if any(text in payload for text in SPOILT):
            return
        try:
            said = self._venue.decode(payload, self._feed)
        except UnknownFrame:
            return
        if isinstance(said, DepthUpdate):
            yield "book", said.first_id, said.last_id
        elif isinstance(said, Trade):
            yield "trades", said.id, said.id
        elif isinstance(said, OrderEvent):
            yield "book", said.id, said.id
            if said.trade_id is not None:
                yield "trades", said.trade_id, said.trade_id

    def _snapshot(self, record: Record) -> None:
        rest = unpack(Kind.REST, record.payload)
        assert isinstance(rest, Rest)
        if rest.what != "depth" or rest.status != 200:
            return
        symbol = symbol_of(self._security)
        book = self._venue.snapshot(symbol, self._feed, rest.body, rest.levels)
        assert isinstance(book, BookSnapshot | OrderSnapshot)
        if book.last_id is not None:
            self._snapshots.append((record.recv_ns, book.last_id))
