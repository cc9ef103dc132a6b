"""Copies the documents of a security from one database to another, whole and byte by byte (``obl copy``).

what                     which of it
``format``               as it is; a target that was made otherwise is refused
``securities``           the row, with its claim; a target where another recorder holds it is refused
``changes`` ``orders``   every block that touches the range, the last before it, and what leads there from
                         an image
``trades``               every block that touches the range
``images``               those of the copied windows, and what the copied chains name
``gaps`` ``audits``      the rows of the copied windows

A document that is there already, covering as much or more, is left; so a copy that was broken off is gone on
with, and one that is done again writes nothing.  A document's checksums are compared before it is written.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import bson
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database

from condition.reader import crc32c
from store.blocks import BOOK_KINDS, TRADE_KINDS, Blocks
from store.documents import READING, date_ns, date_of
from store.putting import put
from store.unreadable import Damaged, UnknownSecurity
from store.waiting import Entry
from store.writer import FORMAT_COLLECTION, FORMAT_ID, SAFE, Writer
from wire.messages import Document

NS_PER_S = 1_000_000_000
LONGEST_NS = 86_400 * NS_PER_S
"""No block spans more: windows and merged documents divide a day."""

STEP_NS = 600 * NS_PER_S
"""Of windows that are copied together."""

BATCH_BYTES = 8 << 20

_WHAT_LEADS = {"start": 1, "end": 1, "chains": 1}
_CHECKED = (("body", "crc32c"), ("receipts", "receipts_crc32c"))
"""Binary fields and those with their CRC32C (condition/FORMAT.md), the same in every version."""
_RAW = READING.with_options(document_class=RawBSONDocument)

Told = Callable[[int, int], None]
"""Called on the way with the documents that were looked at and the time that was reached."""


class CannotCopy(Exception):
    """The text is one line that says what to do."""


@dataclass(slots=True)
class Copied:
    """What became of a copy."""

    security: str
    from_ns: int
    """Start of the first window that touches the range; what leads to it may lie before."""
    to_ns: int
    """End of the last one."""
    documents: dict[str, int] = field(default_factory=dict)
    """Of each collection: what was looked at."""
    written: int = 0
    """Of them those that the target did not have."""
    bytes: int = 0
    """Of these."""


class _Lead(NamedTuple):
    """From where on a book's blocks are needed, and the image that they start from."""

    start_ns: int
    image_id: int | None


def copy(
    source: Database[Any],
    target: Database[Any],
    security: str,
    low_ns: int,
    high_ns: int,
    told: Told | None = None,
) -> Copied:
    """Copy what is stored of *security* in ``[low_ns, high_ns)`` from *source* to *target*.

    Raises:
        UnknownSecurity: nothing is stored of it.
        CannotCopy: the target is not for it, or refuses a document.
        Damaged: a document contradicts its checksum, or the image that leads there is not stored.
        NoDatabase: the target stays away.
        PyMongoError: a database cannot be asked.
    """
    writer = _prepared(source, target, security)
    made = _Copy(source, target, security, writer, told)
    for kinds in (BOOK_KINDS, TRADE_KINDS):
        made.feed(kinds, low_ns, high_ns)
    made.beside(low_ns, high_ns)
    return made.copied


def _prepared(source: Database[Any], target: Database[Any], security: str) -> Writer:
    """Make the target one for this security; return what writes there in its recorder's name."""
    row = source["securities"].find_one({"_id": security})
    made = source[FORMAT_COLLECTION].find_one({"_id": FORMAT_ID})
    if row is None or made is None:
        raise UnknownSecurity(f"nothing is stored of {security}: obl coverage lists what is")
    formats = target.get_collection(FORMAT_COLLECTION, write_concern=SAFE)
    found = formats.find_one({"_id": FORMAT_ID})
    if found is None:
        formats.update_one({"_id": FORMAT_ID}, {"$setOnInsert": _less_id(made)}, upsert=True)
        found = formats.find_one({"_id": FORMAT_ID}) or {}
    if _less_id(found) != _less_id(made):
        raise CannotCopy(
            f"the database {target.name!r} was made otherwise ({_words(found)}) than {source.name!r} "
            f"({_words(made)}): name an empty one"
        )
    writer = Writer(target, row["recorder"], made["window_seconds"])
    writer.prepare()
    securities = target.get_collection("securities", write_concern=SAFE)
    securities.update_one({"_id": security}, {"$setOnInsert": _less_id(row)}, upsert=True)
    held = securities.find_one({"_id": security}) or {}
    if held.get("recorder") != row["recorder"]:
        raise CannotCopy(
            f"another recorder holds {security} in {target.name!r}: name another database, for one takes "
            "one recorder per security"
        )
    return writer


def _less_id(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "_id"}


def _words(made: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(_less_id(made).items()))


class _Copy:
    def __init__(
        self, source: Database[Any], target: Database[Any], security: str, writer: Writer, told: Told | None
    ) -> None:
        self.copied = Copied(security, 0, 0)
        self._source = source
        self._target = target
        self._security = security
        self._writer = writer
        self._told = told
        self._seen = 0
        self._begins: list[int] = []
        """Where the windows begin that are copied of each feed."""

    def feed(self, kinds: tuple[str, ...], low_ns: int, high_ns: int) -> None:
        """Copy the blocks of a feed, an image before the first block that names it."""
        first_ns = self._first_touching(kinds, low_ns, high_ns)
        if kinds == BOOK_KINDS:
            # the book of the range's first moments is that of the window before it
            before = Blocks(self._source, STEP_NS).before(self._security, kinds, low_ns)
            starts = [block.start_ns for block in before] + ([] if first_ns is None else [first_ns])
            first_ns = min(starts, default=None)
        if first_ns is None:
            return
        if not self._begins or first_ns < self.copied.from_ns:
            self.copied.from_ns = max(first_ns, 0)
        lead = self._lead(first_ns) if kinds == BOOK_KINDS else _Lead(first_ns, None)
        self._begins.append(lead.start_ns)
        if lead.image_id is not None:
            self._count("images")
            self._put([("images", self._image(lead.image_id))])
        for begin_ns in self._steps(kinds, lead.start_ns, high_ns):
            end_ns = min(high_ns, begin_ns + STEP_NS)
            for kind in ("images", *kinds) if kinds == BOOK_KINDS else kinds:
                self._put((kind, each) for each in self._documents(kind, begin_ns, end_ns))
            if self._told is not None:
                self._told(self._seen, end_ns)

    def beside(self, low_ns: int, high_ns: int) -> None:
        """Copy the rows of the ledger and the audits of the windows that were copied."""
        begin_ns = min(self._begins, default=low_ns)
        for kind in ("gaps", "audits"):
            for first_ns in self._steps((kind,), begin_ns, high_ns):
                end_ns = min(high_ns, first_ns + STEP_NS)
                self._put((kind, each) for each in self._documents(kind, first_ns, end_ns))

    # --- what is needed ----------------------------------------------------------------------

    def _first_touching(self, kinds: tuple[str, ...], low_ns: int, high_ns: int) -> int | None:
        """Return the start of the first block that touches the range."""
        for kind in kinds:
            asked = _range(self._security, max(0, low_ns - LONGEST_NS), low_ns)
            near = self._source.get_collection(kind, READING).find(asked, _WHAT_LEADS)
            starts = [date_ns(each["start"]) for each in near if date_ns(each["end"]) > low_ns]
            if starts:
                return min(starts)
        return self._next(kinds, low_ns, high_ns)

    def _lead(self, first_ns: int) -> _Lead:
        """Return from where on the book's blocks lead to the window at *first_ns* from a stored image.

        A block that begins inside an image's chain, after other updates, needs those before it: the walk goes
        back until one begins with an image's first update, or with what is stored first.
        """
        while True:
            image_id = self._chain_at(first_ns)
            if image_id is None:
                return _Lead(first_ns, None)
            image = bson.decode(self._image(image_id).raw, READING)
            begin_ns = self._holding(image_id, date_ns(image["start"]), first_ns)
            if begin_ns == first_ns:
                return _Lead(first_ns, image_id)
            first_ns = begin_ns

    def _chain_at(self, start_ns: int) -> int | None:
        """Return the image that the first block at *start_ns* starts from, where it lies before the block."""
        chains = [each["chains"][0] for each in self._headers(start_ns, start_ns + 1)]
        first = min(chains, key=lambda chain: chain[0], default=None)
        if first is None:
            return None
        first_id, _, image_id = first[:3]
        return None if image_id is None or image_id >= first_id else int(image_id)

    def _holding(self, image_id: int, low_ns: int, high_ns: int) -> int:
        """Return the start of the first block up to that at *high_ns* with updates after the image."""
        starts = [
            date_ns(each["start"])
            for each in self._headers(max(0, low_ns - LONGEST_NS), high_ns)
            if each["chains"][-1][1] > image_id and date_ns(each["end"]) > low_ns
        ]
        return min(starts, default=high_ns)

    def _headers(self, low_ns: int, high_ns: int) -> Iterator[dict[str, Any]]:
        for kind in BOOK_KINDS:
            asked = _range(self._security, low_ns, high_ns)
            yield from self._source.get_collection(kind, READING).find(asked, _WHAT_LEADS)

    def _image(self, update_id: int) -> RawBSONDocument:
        identity = f"{self._security}|image|{update_id}"
        key = {"_id": identity, "security": self._security}
        found: RawBSONDocument | None = self._source.get_collection("images", _RAW).find_one(key)
        if found is None:
            raise Damaged(identity, "a chain starts from this image and it is not stored")
        return found

    # --- reading and writing -----------------------------------------------------------------

    def _steps(self, kinds: tuple[str, ...], low_ns: int, high_ns: int) -> Iterator[int]:
        """Yield where steps begin that hold something: a pause may be years long."""
        begin = self._next(kinds, low_ns, high_ns)
        while begin is not None:
            yield begin
            begin = self._next(kinds, begin + STEP_NS, high_ns)

    def _next(self, kinds: tuple[str, ...], low_ns: int, high_ns: int) -> int | None:
        """Return the start of the first document at or after *low_ns* and before *high_ns*."""
        step = STEP_NS
        while low_ns < high_ns and self._any(kinds, low_ns, high_ns):
            end_ns = min(high_ns, low_ns + step)
            starts = [
                date_ns(each["start"])
                for kind in kinds
                for each in self._found(kind, low_ns, end_ns, {"start": 1})
            ]
            if starts:
                return min(starts)
            low_ns, step = end_ns, 2 * step
        return None

    def _any(self, kinds: tuple[str, ...], low_ns: int, high_ns: int) -> bool:
        asked = _range(self._security, low_ns, high_ns)
        return any(self._source[kind].find_one(asked, {"_id": 1}) is not None for kind in kinds)

    def _found(
        self, kind: str, low_ns: int, high_ns: int, fields: dict[str, int]
    ) -> Iterable[dict[str, Any]]:
        asked = _range(self._security, low_ns, high_ns)
        found: Iterable[dict[str, Any]] = self._source.get_collection(kind, READING).find(asked, fields)
        return found

    def _documents(self, kind: str, low_ns: int, high_ns: int) -> Iterator[RawBSONDocument]:
        """Yield the documents of a step of which the target has no version that covers as much."""
        asked = _range(self._security, low_ns, high_ns)
        there = self._target[kind].find(asked, {"covered": 1})
        had = {each["_id"]: each["covered"] for each in there}
        wanted = []
        for each in self._found(kind, low_ns, high_ns, {"covered": 1, "end": 1}):
            self._count(kind, date_ns(each["end"]) if "end" in each else 0)
            if had.get(each["_id"], -1) < each["covered"]:
                wanted.append(each["_id"])
        if wanted:
            yield from self._source.get_collection(kind, _RAW).find(asked | {"_id": {"$in": wanted}})

    def _count(self, kind: str, end_ns: int = 0) -> None:
        self._seen += 1
        self.copied.documents[kind] = self.copied.documents.get(kind, 0) + 1
        self.copied.to_ns = max(self.copied.to_ns, end_ns)

    def _put(self, documents: Iterable[tuple[str, RawBSONDocument]]) -> None:
        """Check and write *documents*, some MB at a time."""
        entries: list[Entry] = []
        size = 0
        for kind, document in documents:
            entries.append(_entry(kind, document))
            size += len(document.raw)
            if size >= BATCH_BYTES:
                self._write(entries)
                entries, size = [], 0
        self._write(entries)

    def _write(self, entries: list[Entry]) -> None:
        settled = put(self._writer, entries)
        if settled.refused:
            raise CannotCopy(f"the database {self._target.name!r} refuses {settled.refused}")
        self.copied.written += settled.stored
        self.copied.bytes += settled.bytes


def _entry(kind: str, stored: RawBSONDocument) -> Entry:
    """Return *stored* as what the writer takes, its bytes as they are.

    Raises:
        Damaged: it contradicts a checksum.
    """
    raw = bytes(stored.raw)
    fields = bson.decode(raw, READING)
    for name, checksum in _CHECKED:
        if (name in fields or checksum in fields) and crc32c(fields.get(name, b"")) != fields.get(checksum):
            raise Damaged(fields["_id"], f"the checksum of {name} is wrong")
    document = Document(
        kind, fields["_id"], fields["security"], date_ns(fields["start"]), fields["covered"], {}, ""
    )
    return Entry(document, raw)


def _range(security: str, low_ns: int, high_ns: int) -> dict[str, Any]:
    """Return the question for the documents that start in ``[low_ns, high_ns)``."""
    low, high = (-(-time_ns // 1_000_000) * 1_000_000 for time_ns in (low_ns, high_ns))
    return {"security": security, "start": {"$gte": date_of(low), "$lt": date_of(high)}}
