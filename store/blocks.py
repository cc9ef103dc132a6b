"""Finds the blocks of a security, by ranges of ``start`` that are bounded on both sides.

Never "the newest before T": the embedded server sorts for that in memory.  A search takes the headers near T
first, for there the block mostly is.  Else it goes on from there in steps that double until one holds a
block, and halves that step towards T.  Every question is answered by the index (security, start).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from bson.errors import BSONError
from pymongo.database import Database

from store.documents import NS_PER_S, READING, date_ns, date_of, part_of
from store.unreadable import Damaged

BOOK_KINDS = ("changes", "orders")
"""A window of a book is in one of these two collections."""
TRADE_KINDS = ("trades",)

LAST_NS = 2**63 - 1
NEAR = 16
"""Windows whose headers are asked for before anything is known: 5 kB."""
HEADERS_AT_ONCE = 500
"""Windows whose headers are asked for together: 150 kB."""
BODIES_AT_ONCE = 32
"""Windows that are asked for together: a few MB of the busiest security."""
_HEADERS = {"body": 0, "receipts": 0}
_ROW_FIELDS: dict[str, tuple[type, ...]] = {
    "feed": (str,),
    "state": (str,),
    "covered": (int,),
    "first_id": (int,),
    "last_id": (int, type(None)),
}
_HOUR_NS = 3600 * NS_PER_S


class Chain(NamedTuple):
    """Ids that follow one another without a hole, the image to start from and the book's hash at the end."""

    first_id: int
    last_id: int
    image_id: int | None
    hash: bytes


class Block(NamedTuple):
    """The header of a stored block, as condition/FORMAT.md has it."""

    kind: str
    id: str
    start_ns: int
    part: int
    chains: tuple[Chain, ...]
    every_ns: int
    rows: int
    has_ids: bool
    price_scale: int
    size_scale: int
    funds_scale: int
    first_time_ns: int
    last_time_ns: int
    last_effective_ns: int


class Blocks:
    """The blocks of one database."""

    def __init__(self, database: Database[dict[str, Any]], window_ns: int) -> None:
        self._database = database
        self.window_ns = window_ns

    def before(self, security: str, kinds: Sequence[str], end_ns: int) -> list[Block]:
        """Return the parts of the newest window that starts before *end_ns*; none where there is none."""
        step = NEAR * self.window_ns
        high = max(0, end_ns - step)
        near = self._headers(security, kinds, high, end_ns)
        if near:
            return _window_of(near, -1)
        while self._any(security, kinds, 0, high):
            low = max(0, high - step)
            if self._any(security, kinds, low, high):
                return self._newest(security, kinds, low, high)
            high, step = low, 2 * step
        return []

    def after(self, security: str, kinds: Sequence[str], start_ns: int) -> list[Block]:
        """Return the parts of the oldest window that starts at *start_ns* or later, if there is one."""
        step = NEAR * self.window_ns
        low = min(LAST_NS, start_ns + step)
        near = self._headers(security, kinds, start_ns, low)
        if near:
            return _window_of(near, 0)
        while self._any(security, kinds, low, LAST_NS):
            high = min(LAST_NS, low + step)
            if self._any(security, kinds, low, high):
                return self._oldest(security, kinds, low, high)
            low, step = high, 2 * step
        return []

    def newest(self, security: str, kinds: Sequence[str], about_ns: int) -> list[Block]:
        """Return the parts of the newest window of all; *about_ns* is where it is looked for first."""
        if not self._any(security, kinds, about_ns, LAST_NS):
            return self.before(security, kinds, about_ns)
        low, step = about_ns, _HOUR_NS
        while self._any(security, kinds, min(LAST_NS, low + step), LAST_NS):
            low, step = low + step, 2 * step
        return self._newest(security, kinds, low, min(LAST_NS, low + step))

    def between(self, security: str, kinds: Sequence[str], low_ns: int, high_ns: int) -> Iterator[Block]:
        """Yield the blocks of the windows that start in ``[low_ns, high_ns)``, in order."""
        step = HEADERS_AT_ONCE * self.window_ns
        while low_ns < high_ns:
            end = min(high_ns, low_ns + step)
            found = self._headers(security, kinds, low_ns, end)
            yield from found
            low_ns = end if found else self._next(security, kinds, end, high_ns)

    def stored(
        self, security: str, kinds: Sequence[str], low_ns: int, high_ns: int, *, receipts: bool
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield (kind, document) of the windows that start in ``[low_ns, high_ns)``, in order."""
        for _, unsorted in self.batches(security, kinds, low_ns, high_ns, receipts=receipts):
            found = [(header(kind, each), kind, each) for kind, each in unsorted]
            found.sort(key=lambda triple: order(triple[0]))
            yield from ((kind, each) for _, kind, each in found)

    def batches(
        self, security: str, kinds: Sequence[str], low_ns: int, high_ns: int, *, receipts: bool
    ) -> Iterator[tuple[int, list[tuple[str, dict[str, Any]]]]]:
        """Yield some windows' (kind, document) at a time, as they lie, with the time before which they start.

        Nothing in them has been looked at: one that is damaged hides no other.
        """
        left_out = None if receipts else {"receipts": 0}
        step = BODIES_AT_ONCE * self.window_ns
        while low_ns < high_ns:
            end = min(high_ns, low_ns + step)
            asked = _range(security, low_ns, end)
            found = [(kind, each) for kind in kinds for each in self._collection(kind).find(asked, left_out)]
            if found:
                yield end, found
            low_ns = end if found else self._next(security, kinds, end, high_ns)

    def document(self, block: Block, security: str) -> dict[str, Any]:
        """Return the whole document of *block*.

        Raises:
            Damaged: it is gone.
        """
        key = {"_id": block.id, "security": security, "start": date_of(block.start_ns)}
        found: dict[str, Any] | None = self._collection(block.kind).find_one(key)
        if found is None:
            raise Damaged(block.id, "it was removed while it was read")
        return found

    def image(self, security: str, update_id: int, until_ns: int) -> dict[str, Any]:
        """Return the document of the image right after *update_id*, made in a window up to *until_ns*.

        Raises:
            Damaged: there is none.
        """
        identity = f"{security}|image|{update_id}"
        key = {"_id": identity, "security": security, "start": {"$lte": date_of(until_ns)}}
        found: dict[str, Any] | None = self._collection("images").find_one(key)
        if found is None:
            raise Damaged(identity, "a chain starts from this image and it is not stored")
        return found

    def image_ids(self, security: str, low_ns: int, high_ns: int) -> list[int]:
        """Return the update ids of the images of the windows from *low_ns* to before *high_ns*, in order."""
        found = self._collection("images").find(_range(security, low_ns, high_ns), {"_id": 1})
        ids = (each["_id"].rpartition("|")[2] for each in found)
        return sorted(int(update_id) for update_id in ids if update_id.isdecimal())

    def gap_rows(self, security: str, low_ns: int, high_ns: int) -> list[dict[str, Any]]:
        """Return the ledger's rows whose windows start in ``[low_ns, high_ns]``, by their first ids.

        Raises:
            Damaged: a row has no ids.
        """
        found = list(self._collection("gaps").find(_range(security, low_ns, min(LAST_NS, high_ns + 1))))
        for row in found:
            for name, kinds in _ROW_FIELDS.items():
                if not isinstance(row.get(name), kinds):
                    raise Damaged(str(row["_id"]), f"a row of the ledger whose {name} is {row.get(name)!r}")
        return sorted(found, key=lambda row: (row["start"], row["first_id"]))

    def audit_rows(self, security: str) -> list[dict[str, Any]]:
        """Return the audits, by their update ids, which rise with time."""
        found = self._collection("audits").find(_range(security, 0, LAST_NS))
        return sorted(found, key=lambda row: (row["start"], row["update_id"]))

    def _collection(self, name: str) -> Any:
        return self._database.get_collection(name, codec_options=READING)

    def _next(self, security: str, kinds: Sequence[str], low_ns: int, high_ns: int) -> int:
        """Return where to go on at or after *low_ns*: a pause may be years long."""
        ahead = self.after(security, kinds, low_ns) if low_ns < high_ns else []
        return ahead[0].start_ns if ahead else high_ns

    def _any(self, security: str, kinds: Sequence[str], low_ns: int, high_ns: int) -> bool:
        asked = _range(security, low_ns, high_ns)
        return low_ns < high_ns and any(
            self._collection(kind).find_one(asked, {"_id": 1}) is not None for kind in kinds
        )

    def _newest(self, security: str, kinds: Sequence[str], low: int, high: int) -> list[Block]:
        while high - low > self.window_ns * NEAR:
            middle = (low + high) // 2
            if self._any(security, kinds, middle, high):
                low = middle
            else:
                high = middle
        return _window_of(self._headers(security, kinds, low, high), -1)

    def _oldest(self, security: str, kinds: Sequence[str], low: int, high: int) -> list[Block]:
        while high - low > self.window_ns * NEAR:
            middle = (low + high) // 2
            if self._any(security, kinds, low, middle):
                high = middle
            else:
                low = middle
        return _window_of(self._headers(security, kinds, low, high), 0)

    def _headers(self, security: str, kinds: Sequence[str], low_ns: int, high_ns: int) -> list[Block]:
        asked = _range(security, low_ns, high_ns)
        found = [
            header(kind, stored) for kind in kinds for stored in self._collection(kind).find(asked, _HEADERS)
        ]
        return sorted(found, key=order)


def header(kind: str, stored: Mapping[str, Any]) -> Block:
    """Return the header of the stored block.

    Raises:
        Damaged: a field is missing or of another type.
    """
    try:
        return Block(
            kind=kind,
            id=stored["_id"],
            start_ns=date_ns(stored["start"]),
            part=part_of(stored["_id"]),
            chains=tuple(_chain(*entry) for entry in stored["chains"]),
            every_ns=stored.get("every_ms", 0) * 1_000_000,
            rows=stored["rows"],
            has_ids=stored.get("has_ids", True),
            price_scale=stored["price_scale"],
            size_scale=stored["size_scale"],
            funds_scale=stored.get("funds_scale", 0),
            first_time_ns=stored["first_time"],
            last_time_ns=stored["last_time"],
            last_effective_ns=stored.get("last_effective", stored["last_time"]),
        )
    except (KeyError, TypeError, ValueError, BSONError) as error:
        raise Damaged(str(stored.get("_id")), f"its header has no {error}") from error


def _chain(first_id: int, last_id: int, image_id: int | None, mark: bytes) -> Chain:
    return Chain(first_id, last_id, image_id, bytes(mark))


def order(block: Block) -> tuple[int, int, int]:
    """Return what the blocks of a security are sorted by."""
    # trades that filled a hole came later than what follows them: only their ids say where they belong
    place = block.chains[0].first_id if block.kind in TRADE_KINDS else block.last_effective_ns
    return block.start_ns, place, block.part


def _window_of(blocks: list[Block], place: int) -> list[Block]:
    start_ns = blocks[place].start_ns if blocks else 0
    return [block for block in blocks if block.start_ns == start_ns]


def _range(security: str, low_ns: int, high_ns: int) -> dict[str, Any]:
    """Return the question for the windows that start in ``[low_ns, high_ns)``."""
    low, high = -(-low_ns // 1_000_000), -(-high_ns // 1_000_000)
    return {
        "security": security,
        "start": {"$gte": date_of(low * 1_000_000), "$lt": date_of(high * 1_000_000)},
    }
