"""What the journals say was received, read without the stages: what a hole may hold.

The rule is that of tests.simulator.heard.  A frame counts as received if the venue's module decodes it and
none of its numbers was spoilt.  Order is that of the journals' positions, for clocks may be set.
"""

from collections.abc import Iterator
from pathlib import Path

from journal.collected import journals_in
from journal.group import Kind, Record
from journal.payload import Rest, unpack
from journal.reader import BEGINNING, Reader
from tests.simulator.heard import BOOK, TRADES, Lost, Received
from venue import VENUES
from venue.api import BookSnapshot, DepthUpdate, OrderEvent, OrderSnapshot, Trade, UnknownFrame
from wire.names import epoch_of, symbol_of, venue_of

FEED = {"binance": "depth", "coinbase": "full"}
SPOILT = (b'"NaN"', b'"-1"')


class Evidence:
    """What all lines of a venue received of one security."""

    def __init__(self, folder: Path, security: str) -> None:
        self._venue, self._feed = VENUES[venue_of(security)], FEED[venue_of(security)]
        self._security = security
        self._received = Received()
        for journal in journals_in(folder):
            if Path(journal).name.startswith(venue_of(security)):
                self._read(journal)

    def lost(self, feed: str) -> list[Lost]:
        """Return what is missing between the first and the last received id of ``book`` or ``trades``."""
        return self._received.lost(feed)

    def _read(self, journal: Path) -> None:
        reader = Reader(journal)
        for group in reader.groups(BEGINNING):
            for record in group.records():
                if record.security != self._security:
                    continue
                if group.kind is Kind.FRAME:
                    for feed, first, last in self._said(record.payload):
                        source = record.line, epoch_of(record.position), record.connection
                        self._received.take(source, feed, first, last, (record.line, record.position))
                elif group.kind is Kind.REST:
                    self._snapshot(record)
        reader.close()

    def _said(self, payload: bytes) -> Iterator[tuple[str, int, int]]:
        """Yield the feeds and ids of a frame; of one that cannot be read nothing."""
        if any(text in payload for text in SPOILT):
            return
        try:
            said = self._venue.decode(payload, self._feed)
        except UnknownFrame:
            return
        if isinstance(said, DepthUpdate):
            yield BOOK, said.first_id, said.last_id
        elif isinstance(said, Trade):
            yield TRADES, said.id, said.id
        elif isinstance(said, OrderEvent):
            yield BOOK, said.id, said.id
            if said.trade_id is not None:
                yield TRADES, said.trade_id, said.trade_id

    def _snapshot(self, record: Record) -> None:
        rest = unpack(Kind.REST, record.payload)
        assert isinstance(rest, Rest)
        if rest.what != "depth" or rest.status != 200:
            return
        symbol = symbol_of(self._security)
        book = self._venue.snapshot(symbol, self._feed, rest.body, rest.levels)
        assert isinstance(book, BookSnapshot | OrderSnapshot)
        if book.last_id is not None:
            self._received.book(book.last_id, (record.line, record.position))
