"""Makes an archive of the original logger's documents (``obl import``), by the recorder's own core.

document    becomes
snapshot    a chain of its own, with an image; a seam before it, ``unverifiable`` (cause ``import``)
update      one update of the book, also where it names no level
trades      trades: see store.old

The documents have no ids, so continuity cannot be proved: the feed has none (``has_ids`` false), also of
trades.  The ids inside follow from the documents alone: a chain's begin with its snapshot's moment in
nanoseconds, those of trades with the first document's, so importing again is importing once.  Every document
says ``imported``; the security is held by the recorder ``import``, so that nothing else is written beside it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
from pymongo.database import Database

from book.bookfeed import BookFeed
from book.depth import Depth
from book.outlet import Outlet
from book.scales import Refused
from book.sync import Update
from book.tape import Print
from book.trades import TradeFeed
from book.windows import Windows
from condition.conditioner import Conditioner
from store.blocks import BOOK_KINDS, TRADE_KINDS, Block, Blocks
from store.documents import Unstorable, to_bson
from store.old import BadOriginal, Old, read
from store.putting import put
from store.waiting import BATCH_DOCUMENTS, Entry
from store.writer import SAFE, Writer
from venue.api import BookSnapshot, DepthUpdate
from venue.numbers import exact
from wire.messages import Answer, Document, Policy
from wire.names import parse_security
from wire.runs import Begin

RECORDER = "import"
CAUSE = "import"
LINE = "import"
RUN = 1

MOST_BACK_NS = 60_000_000_000
"""A document may be so much earlier than the one before it: the original's host set its clock."""

DOCUMENTS_AT_ONCE = 100
"""Old documents whose content is held before it goes to the database."""

Told = Callable[[int, int], None]
"""Called on the way with the documents that were read and the time that was reached."""


class CannotImport(Exception):
    """The text is one line that says what to do."""


@dataclass(slots=True)
class Imported:
    """What became of the documents."""

    security: str = ""
    documents: int = 0
    snapshots: int = 0
    from_ns: int = 0
    to_ns: int = 0
    early: int = 0
    """Updates before the first snapshot: without a book they say nothing (their trades are kept)."""
    unplaced: int = 0
    """Significant trades that no sum holds."""
    stored: int = 0
    """Documents of ours that the database did not have."""


def import_documents(
    database: Database[Any],
    window_seconds: int,
    images_s: int,
    documents: Iterable[dict[str, Any]],
    security: str | None = None,
    told: Told | None = None,
    *,
    significant: int,
) -> Imported:
    """Put *documents*, in order of time, into *database* as *security* (default: Binance's of their symbol).

    Raises:
        BadOriginal: a document cannot be read; what came before it is stored.
        CannotImport: the database is not for it.
        WrongWindow, NoDatabase, PyMongoError: the database cannot be used.
    """
    made: _Import | None = None
    for document in documents:
        old = read(document, significant)
        if made is None:
            name = parse_security(old.symbol if security is None else security)
            made = _Import(database, name, old, window_seconds, images_s)
        made.take(old)
        if told is not None:
            told(made.imported.documents, old.moment_ns)
    if made is None:
        raise CannotImport("there is no document to import")
    return made.finish()


class _Import:
    def __init__(
        self, database: Database[Any], security: str, first: Old, window_seconds: int, images_s: int
    ) -> None:
        window_ns = window_seconds * 1_000_000_000
        windows = Windows(window_ns, images_s, (Policy(),))
        self.imported = Imported(security, from_ns=first.moment_ns)
        self._database = database
        self._symbol = first.symbol
        self._writer = Writer(database, RECORDER, window_seconds)
        self._writer.prepare()
        self._blocks = Blocks(database, window_ns)
        self._outlet = Outlet(security, {LINE: 0})
        self._book = BookFeed(self._outlet, windows, "l2", lambda update: update)
        self._book.book.may_cross = True  # (it is taken as it was written)
        self._tape = TradeFeed(self._outlet, windows, has_ids=False)
        self._conditioner = Conditioner(window_ns=window_ns, reply_to="", token=RUN, lines=frozenset())
        self._next_trade = first.moment_ns + 1
        self._last_ns = 0
        self._outlet.start(RUN)
        self._outlet.emit(Begin, book="l2", has_ids=False, windows={})
        self._join_trades(first.moment_ns)

    def take(self, old: Old) -> None:
        """Take the next document.

        Raises:
            BadOriginal: it is of another symbol, or much earlier than the one before.
        """
        if old.symbol != self._symbol:
            raise BadOriginal(f"documents of {self._symbol} and of {old.symbol}: import one after the other")
        if old.moment_ns < self._last_ns - MOST_BACK_NS:
            raise BadOriginal("the documents are not in order of time: sort them by _id")
        moment_ns = self._last_ns = max(old.moment_ns, self._last_ns)
        self._trades(old, moment_ns)
        if old.is_snapshot:
            self._snapshot(old, moment_ns)
        elif self._book.last_id is None:
            self.imported.early += 1
        else:
            self._update(moment_ns, old)
        self.imported.documents += 1
        self.imported.unplaced += old.unplaced
        self.imported.to_ns = moment_ns
        if self.imported.documents % DOCUMENTS_AT_ONCE == 0:
            self._drain(BATCH_DOCUMENTS)

    def finish(self) -> Imported:
        """Cut the open windows, and put what is left."""
        if self._book.last_id is None:
            raise CannotImport(
                f"no snapshot among the {self.imported.documents} documents: without one there is no book"
            )
        self._book.settle_held()
        self._book.finish()
        self._tape.finish()
        self._drain(1)
        held = self._database.get_collection("securities", write_concern=SAFE)
        marked = {"wanted": False, "imported": True}
        held.update_one({"_id": self.imported.security, "recorder": RECORDER}, {"$set": marked})
        return self.imported

    # --- the book ----------------------------------------------------------------------------

    def _snapshot(self, old: Old, moment_ns: int) -> None:
        self._book.settle_held()
        snapshot_id = max(moment_ns, (self._book.last_id or 0) + 1)
        if self._book.last_id is None:
            self._join_book(snapshot_id, moment_ns)
        else:
            self._book.seam(snapshot_id, CAUSE)
        whole = BookSnapshot(self._symbol, None, moment_ns, old.bids, old.asks, 0)
        try:
            self._book.book.replace(whole, snapshot_id)
        except Refused as error:
            raise BadOriginal(f"the snapshot of {moment_ns} ns cannot be stored: {error}") from error
        self._certify(old)
        self._book.base(snapshot_id)
        self._update(moment_ns, old._replace(bids=[], asks=[]), snapshot_id + 1)
        self.imported.snapshots += 1

    def _certify(self, old: Old) -> None:
        """Vouch for no price beyond those of the snapshot: the original's were cut off."""
        book = self._book.book
        if isinstance(book, Depth):
            scale = book.scales.price
            worst = [exact([side[-1][0]], scale)[0] if side else None for side in (old.bids, old.asks)]
            low, high = (None if price is None else int(price) for price in worst)
            book.levels.certified = (low, high)

    def _update(self, moment_ns: int, old: Old, update_id: int | None = None) -> None:
        number = (self._book.last_id or 0) + 1 if update_id is None else update_id
        decoded = DepthUpdate(self._symbol, None, None, moment_ns, old.bids, old.asks)
        update = Update(number, number, number, moment_ns, moment_ns, 1, b"", LINE, decoded)
        stopped = self._book.take([update], waited=True)
        if stopped is not None:
            raise BadOriginal(f"the update of {moment_ns} ns cannot be stored ({stopped.cause})")

    def _trades(self, old: Old, moment_ns: int) -> None:
        prints = [
            Print(self._next_trade + n, moment_ns, price, size, side, 0, moment_ns, 1, LINE)
            for n, (side, price, size) in enumerate(old.trades)
        ]
        if prints:
            self._next_trade += len(prints)
            self._tape.take(prints)
            self._tape.settle_held()

    # --- what was imported before ------------------------------------------------------------

    def _join_book(self, snapshot_id: int, moment_ns: int) -> None:
        """Join the first chain to what is stored before it.

        Raises:
            CannotImport: something else is stored from there on.
        """
        start_ns = self._book.recording.window_of(moment_ns)
        later = self._blocks.after(self.imported.security, BOOK_KINDS, start_ns)
        image = f"{self.imported.security}|image|{snapshot_id + 1}"
        if later and self._database["images"].find_one({"_id": image}, {"_id": 1}) is None:
            raise CannotImport(
                f"{self.imported.security} is stored already at that time and later, from other documents: "
                "name another database with --into, or another security with --as"
            )
        before = self._blocks.before(self.imported.security, BOOK_KINDS, start_ns)
        if before:
            self._book.ledger.seam(snapshot_id, before[-1].last_time_ns, before[-1].start_ns, CAUSE)

    def _join_trades(self, first_ns: int) -> None:
        start_ns = self._tape.recording.window_of(first_ns)
        before: list[Block] = self._blocks.before(self.imported.security, TRADE_KINDS, start_ns)
        if before:
            self._tape.ledger.seam(first_ns, before[-1].last_time_ns, before[-1].start_ns, CAUSE)
            self._tape.ledger.close(first_ns, first_ns)

    # --- out ---------------------------------------------------------------------------------

    def _drain(self, at_least: int) -> None:
        """Make documents of what was taken, and put them once there are *at_least* so many."""
        for security, reason in self._conditioner.take(self._outlet.take({LINE: 0}), 0):
            raise CannotImport(f"{security}: its messages contradict themselves ({reason}): report this")
        outbox = self._conditioner.outbox
        while len(outbox) >= at_least:
            batch = [document for document, _ in zip(outbox.due(), range(BATCH_DOCUMENTS), strict=False)]
            self._put([_marked(document) for document in batch])
            settled = tuple(document.key for document in batch)
            self._conditioner.answer(Answer(stored=settled), 0)

    def _put(self, documents: list[Document]) -> None:
        try:
            settled = put(self._writer, [Entry(each, to_bson(each)) for each in documents])
        except Unstorable as error:
            raise CannotImport(str(error)) from error
        if settled.refused:
            raise CannotImport(f"the database refuses {settled.refused}")
        self.imported.stored += settled.stored


def _marked(document: Document) -> Document:
    """Return *document* as one that was imported."""
    fields = document.fields | {"imported": True}
    if document.collection in TRADE_KINDS:
        fields["has_ids"] = False
    return msgspec.structs.replace(document, fields=fields)
