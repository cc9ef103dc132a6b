"""Forgets what is older than a person wants to keep (``obl keep``), and remembers it: ``kept_from``.

collection              what goes, whole spans of the grid alone
changes orders images   all before the span of the image that the first kept chain starts from: what lies
                        between that image and ``kept_from`` stays only because it leads there
trades audits           all before ``kept_from``
gaps                    with the blocks of their feed

``kept_from`` is written to the security's row of ``securities`` before anything is deleted, by feed:
``from``, where readers begin, and ``floor``, below which writers put nothing (they answer *had*).  It never
goes back.  So whatever ended an ``obl keep``, the next one goes on; it also deletes what a running writer put
below the floor before it knew of it (store.writer.FLOORS_S).  Images have no retention of their own: without
the one that its chain starts from a block cannot be read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pymongo.database import Database

from condition.merging import span_of
from store.blocks import Blocks
from store.documents import NS_PER_S, date_ns, date_of
from store.headers import BOOK_KINDS, TRADE_KINDS
from store.writer import SAFE

FEEDS: dict[str, tuple[str, ...]] = {
    "book": ("changes", "orders", "images"),
    "trades": ("trades",),
    "audits": ("audits",),
}
"""What is kept or goes together."""

_GAP_FEEDS = {"book": ["book", "orders"], "trades": ["trades"]}
DAY_NS = 86_400 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What went of one collection."""

    security: str
    kind: str
    kept_from_ns: int
    documents: int
    bytes: int


def forget(
    database: Database[Any], blocks: Blocks, security: str, days: int, feeds: list[str], *, dry_run: bool
) -> Iterator[Forgotten]:
    """Delete what is older than *days* before the newest stored data of each of *feeds*; yield what went.

    Raises:
        Damaged: the image that the first kept chain starts from is missing; nothing of the book is deleted.
        PyMongoError: the database cannot be asked; call again.
    """
    for feed in feeds:
        kinds = TRADE_KINDS if feed == "trades" else BOOK_KINDS
        newest = blocks.newest(security, kinds, 0)
        if not newest:
            continue
        newest_ns = max(block.last_effective_ns for block in newest)
        from_ns = span_of(max(0, newest_ns - days * DAY_NS), blocks.lengths[0]).start_ns
        from_ns = max(from_ns, blocks.kept(security, feed)[0])
        floor_ns, image_ns = _floor(blocks, security, from_ns) if feed == "book" else (from_ns, from_ns)
        if not dry_run:
            _remember(database, security, feed, from_ns, floor_ns)
        for kind in FEEDS[feed]:
            until_ns = image_ns if kind == "images" else floor_ns
            yield _forget(database, security, kind, from_ns, _before(security, until_ns), dry_run=dry_run)
        if feed in _GAP_FEEDS:
            asked = {**_before(security, floor_ns), "feed": {"$in": _GAP_FEEDS[feed]}}
            yield _forget(database, security, "gaps", from_ns, asked, dry_run=dry_run)


def _floor(blocks: Blocks, security: str, from_ns: int) -> tuple[int, int]:
    """Return where the span begins that leads to the book at *from_ns*, and where its image lies."""
    first = blocks.after(security, BOOK_KINDS, from_ns)
    chain = first[0].chains[0] if first else None
    if chain is None or chain.image_id is None or chain.image_id >= chain.first_id:
        return from_ns, from_ns
    image_ns = date_ns(blocks.image(security, chain.image_id, first[0].end_ns - 1)["start"])
    return min(from_ns, span_of(image_ns, blocks.lengths[0]).start_ns), min(from_ns, image_ns)


def _remember(database: Database[Any], security: str, feed: str, from_ns: int, floor_ns: int) -> None:
    securities = database.get_collection("securities", write_concern=SAFE)
    kept = {"from": date_of(from_ns), "floor": date_of(floor_ns)}
    securities.update_one({"_id": security}, {"$set": {f"kept_from.{feed}": kept}})


def _before(security: str, until_ns: int) -> dict[str, Any]:
    return {"security": security, "start": {"$gte": date_of(0), "$lt": date_of(until_ns)}}


def _forget(
    database: Database[Any], security: str, kind: str, from_ns: int, asked: dict[str, Any], *, dry_run: bool
) -> Forgotten:
    collection = database.get_collection(kind, write_concern=SAFE)
    sizes = [_size(each) for each in collection.find(asked, {"_id": 1, "body": 1, "receipts": 1})]
    if not dry_run:
        collection.delete_many(asked)
    return Forgotten(security, kind, from_ns, len(sizes), sum(sizes))


def _size(stored: dict[str, Any]) -> int:
    return len(stored.get("body", b"")) + len(stored.get("receipts", b""))
