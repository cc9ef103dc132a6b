"""Merges the blocks of old spans into few documents (``obl compact``, condition.merging).

step                                         after a crash
the merged documents are put, acknowledged   both are there: readers take each id once, the next pass goes on
those that they hold are deleted             what is left is deleted by the next pass

A span is old when it ends at or before the feed's newest stored effective time less COMPACT_AFTER: the host's
clock is not asked.  No stage's restart point matters, for merging is a function of the blocks and a document
that comes again is dropped or merged in: its ids are taken once.  One process at a time compacts: what it has
read it deletes only in the version that it has read.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from time import time_ns as now_ns
from typing import Any

import bson
from msgspec.structs import replace
from pymongo import DeleteOne
from pymongo.database import Database

from condition.merging import (
    Part,
    Span,
    Terms,
    Weight,
    divided,
    fits,
    joined,
    merged,
    span_of,
    united,
    weights_of,
    within,
)
from store.blocks import Blocks
from store.documents import NS_PER_MS, date_of, to_bson
from store.headers import BOOK_KINDS, TRADE_KINDS, Block, clusters, holds
from store.outcome import Verdict
from store.pieces import check_block, pieces_in
from store.unreadable import Damaged
from store.waiting import Entry
from store.writer import SAFE, Writer
from wire.messages import Document
from wire.runs import Chain

REPLACEABLE = -1
"""Covers less than any document does."""

LARGEST_BYTES = 8 * 1024 * 1024
"""Of a merged document."""

Windows = dict[int, list[Weight]]
"""What each window holds, by its start."""

FEEDS = (BOOK_KINDS, TRADE_KINDS)
"""What becomes old together."""


class CannotCompact(Exception):
    """The text is one line that says what to do."""


@dataclass(slots=True)
class Compacted:
    """What was merged of one kind of a security's documents."""

    security: str
    kind: str
    spans: int = 0
    documents_before: int = 0
    documents_after: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    skipped: str = ""
    """Why the first span that could not be merged was left as it is."""

    def add(self, other: "Compacted") -> None:
        """Count what *other* counted too."""
        for name in ("spans", "documents_before", "documents_after", "bytes_before", "bytes_after"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.skipped = self.skipped or other.skipped


class Compactor:
    """Merges the blocks of one recorder's securities."""

    def __init__(self, database: Database[Any], writer: Writer, blocks: Blocks, after_ns: int) -> None:
        self._database = database
        self._writer = writer
        self.blocks = self._blocks = blocks
        self._after_ns = after_ns

    def run(self, security: str, low_ns: int = 0, *, dry_run: bool = False) -> Iterator[Compacted]:
        """Merge the old spans from *low_ns* on; yield what was done in each that was not merged yet.

        Raises:
            Damaged: a header contradicts itself; what comes before it is merged.
            CannotCompact: a document was not taken.
            PyMongoError: the database cannot be asked; call again.
        """
        for kinds in FEEDS:
            end_ns = self.old_until(self._blocks.newest_ns(security, kinds, now_ns()))
            yield from self.feed(security, kinds, low_ns, end_ns, dry_run=dry_run)

    def feed(
        self, security: str, kinds: Sequence[str], low_ns: int, end_ns: int, *, dry_run: bool = False
    ) -> Iterator[Compacted]:
        """Merge the spans of one feed from *low_ns* to before *end_ns*, all of which are old; as ``run``."""
        for kind in kinds:
            for span, found in self._spans(security, kind, low_ns, end_ns):
                yield self._merge(security, kind, span, found, dry_run=dry_run)

    def old_until(self, newest_ns: int) -> int:
        """Return the end of a feed's newest old span, *newest_ns* its newest effective time."""
        return span_of(max(0, newest_ns - self._after_ns), self._grid_s).start_ns

    @property
    def _grid_s(self) -> int:
        return self._blocks.lengths[0]

    def _spans(
        self, security: str, kind: str, low_ns: int, end_ns: int
    ) -> Iterator[tuple[Span, list[Block]]]:
        """Yield the spans that hold something to be merged, with all their blocks."""
        if not self._blocks.has_any(security, (kind,), low_ns, end_ns):
            return
        span, together = None, list[Block]()
        for found in self._blocks.between(security, (kind,), low_ns, end_ns, whole=True):
            its = span_of(found[0].start_ns, self._grid_s)
            if span is not None and its != span:
                if self._is_open(together):
                    yield span, together
                together = []
            span = its
            together += found
        if span is not None and self._is_open(together):
            yield span, together

    def _is_open(self, blocks: list[Block]) -> bool:
        """Say whether there is something to merge: not where each lies alone or is a window too large."""
        for together in clusters(blocks):
            if len(together) > 1 and any(block.merged for block in together):
                return True
            weights = [weight for inside in _windows(together).values() for weight in inside]
            if not together[0].merged and fits(weights):
                return True
        return False

    def _merge(self, security: str, kind: str, span: Span, found: list[Block], *, dry_run: bool) -> Compacted:
        done = Compacted(security, kind, spans=1)
        loaded = _Loaded(self._blocks, security)
        if not dry_run:
            found = self._without_damaged(security, found, loaded)
        try:
            made, left = self._documents(security, kind, span, found, loaded)
        except Damaged as error:
            return Compacted(security, kind, skipped=str(error))
        had = {(block.id, block.covered) for block in found}
        new = [entry for entry in made if (entry.document.id, entry.document.covered) not in had]
        replaced = {entry.document.id for entry in new}
        kept = {entry.document.id for entry in made}
        gone = [block for block in found if block.id not in kept and not _holds_one(block, left)]
        before = gone + [block for block in found if block.id in replaced]
        done.documents_before, done.documents_after = len(before), len(new)
        done.bytes_before = sum(loaded.sizes[block.id] for block in before)
        done.bytes_after = sum(len(entry.data) for entry in new)
        if not dry_run:
            self._put(new)
            self._delete(security, kind, gone)
        return done

    def _without_damaged(self, security: str, found: list[Block], loaded: "_Loaded") -> list[Block]:
        """Return *found* without merged blocks that are damaged and all of whose ids the others hold.

        They are made replaceable: a rebuild has brought the blocks back that they were made of.
        """
        for block in found:
            others = [each for each in found if each is not block]
            if not block.merged or not holds(joined(_chains(others, block.has_ids)), block):
                continue
            try:
                loaded.parts([block])
            except Damaged:
                collection = self._database.get_collection(block.kind, write_concern=SAFE)
                collection.update_one(_version(security, block), {"$set": {"covered": REPLACEABLE}})
                return self._without_damaged(security, others, loaded)
        return found

    def _documents(
        self, security: str, kind: str, span: Span, found: list[Block], loaded: "_Loaded"
    ) -> tuple[list[Entry], list[int]]:
        """Return the documents that *span* is to be, and the starts of the windows that they do not hold."""
        chains = {has_ids: joined(_chains(found, has_ids)) for has_ids in (True, False)}
        windows, leaves = self._leaves(span, found, loaded)
        made, left = [], set(windows)
        for leaf, part in leaves:
            block = merged(security, kind, leaf, chains[part.terms.has_ids], part)
            document = Document(kind, block.id, security, leaf.start_ns, block.covered, block.fields, "")
            data = to_bson(document)
            if len(data) <= LARGEST_BYTES:
                # (what is put is its BSON: the columns are not kept twice)
                made.append(Entry(replace(document, fields={}), data))
                left -= set(range(leaf.start_ns, leaf.end_ns, self._blocks.window_ns))
        return made, sorted(left)

    def _leaves(
        self, span: Span, found: list[Block], loaded: "_Loaded"
    ) -> tuple[Windows, Iterator[tuple[Span, Part]]]:
        """Return what the windows of *span* hold, and the pieces that it is divided into with their rows."""
        lengths, window_ns = self._blocks.lengths, self._blocks.window_ns
        if _each_alone(found):
            # the headers tell what fits: no more is read at a time than goes into one document
            windows = _windows(found)
            return windows, (
                (leaf, _one(loaded.parts(block for block in found if _lies_in(block, leaf))))
                for leaf in divided(span, lengths, windows)
            )
        parts = loaded.parts(found)
        wholes = [_one([part for part in parts if part.terms == terms]) for terms in {p.terms for p in parts}]
        windows = {}
        for whole in wholes:
            for start_ns, weight in weights_of(whole, window_ns).items():
                windows.setdefault(start_ns, []).append(weight)
        return windows, (
            (leaf, part)
            for leaf in divided(span, lengths, windows)
            for whole in wholes
            if len((part := within(whole, leaf)).rows.times_ns)
        )

    def _put(self, entries: Sequence[Entry]) -> None:
        """Put the merged documents; return only when the database has promised to keep each.

        Raises:
            CannotCompact: it has not.
        """
        for entry, outcome in zip(entries, self._writer.put(entries), strict=True):
            if outcome.verdict not in (Verdict.STORED, Verdict.HAD):
                raise CannotCompact(f"the database does not take {entry.document.id}: {outcome.reason}")

    def _delete(self, security: str, kind: str, gone: Sequence[Block]) -> None:
        """Delete the blocks whose ids the merged ones hold, each in the version that was read."""
        if gone:
            collection = self._database.get_collection(kind, write_concern=SAFE)
            collection.bulk_write([DeleteOne(_version(security, block)) for block in gone], ordered=False)


class _Loaded:
    """Reads blocks, and remembers how large they were."""

    def __init__(self, blocks: Blocks, security: str) -> None:
        self._blocks = blocks
        self._security = security
        self.sizes: dict[str, int] = {}

    def parts(self, found: Iterable[Block]) -> list[Part]:
        """Return the rows of *found*.

        Raises:
            Damaged: a block contradicts itself.
        """
        parts = []
        for block in found:
            stored = self._blocks.document(block, self._security)
            self.sizes[block.id] = len(bson.encode(stored))
            pieces = pieces_in(block, stored, receipts=True)
            check_block(block, stored, pieces, self._blocks.lengths)
            parts += [Part(terms_of(block), piece.rows) for piece in pieces]
        return parts


def terms_of(block: Block) -> Terms:
    """Return what the rows of *block* have in common."""
    scales = block.price_scale, block.size_scale, block.funds_scale
    return Terms(block.every_ns // NS_PER_MS, block.has_ids, *scales, block.order_ids)


def _windows(found: Iterable[Block]) -> Windows:
    windows: Windows = {}
    for block in found:
        windows.setdefault(block.start_ns, []).append(Weight(terms_of(block), block.rows, block.levels))
    return windows


def _chains(found: Iterable[Block], has_ids: bool) -> list[Chain]:
    return [
        (chain.first_id, chain.last_id, chain.image_id, chain.hash)
        for block in found
        if block.has_ids == has_ids
        for chain in block.chains
    ]


def _each_alone(found: Sequence[Block]) -> bool:
    """Say whether these are blocks of windows, no two of which hold an id that the other holds."""
    if any(block.merged for block in found):
        return False
    for has_ids in (True, False):
        chains = sorted(_chains(found, has_ids))
        if any(after[0] <= before[1] for before, after in pairwise(chains)):
            return False
    return True


def _one(parts: Sequence[Part]) -> Part:
    """Return *parts*, which have the same terms, as one."""
    return Part(parts[0].terms, united(parts))


def _lies_in(block: Block, leaf: Span) -> bool:
    return leaf.start_ns <= block.start_ns and block.end_ns <= leaf.end_ns


def _holds_one(block: Block, starts: Iterable[int]) -> bool:
    return any(block.start_ns <= start < block.end_ns for start in starts)


def _version(security: str, block: Block) -> dict[str, Any]:
    return {
        "_id": block.id,
        "security": security,
        "start": date_of(block.start_ns),
        "covered": block.covered,
    }
