"""The documents that the store is given (condition/FORMAT.md, part 1)."""

from typing import Any
from uuid import UUID

import numpy as np

from condition.codec import ImageColumns, encode_image, l2_image
from condition.columns import ID_BYTES
from condition.window import Block, Window, healed_id
from wire.messages import Document
from wire.runs import Audit, Cut, Healed, Hole, Image, Trades, equal_pct

SIDES = ("bid", "ask")


def block_document(cut: Cut, block: Block, reply_to: str) -> Document:
    """Return one part of the window that *cut* closes."""
    return Document(cut.feed, block.id, cut.security, cut.start_ns, block.covered, block.fields, reply_to)


def healed_document(healed: Healed, window_ns: int, reply_to: str) -> Document:
    """Return the block of the trades that fill a hole, or of their part in one window.

    Raises:
        BadCut: their ids do not follow one another.
    """
    fields = {name: getattr(healed, name) for name in Trades.__struct_fields__}
    ids = np.frombuffer(healed.ids, "<i8")
    first_id, last_id = int(ids[0]), int(ids[-1])
    whole = Cut(
        security=healed.security,
        run=healed.run,
        number=healed.number,
        marks=healed.marks,
        feed="trades",
        start_ns=healed.start_ns,
        chains=((first_id, last_id, None, b""),),
        every_ms=0,
        final=True,
    )
    [block] = Window(Trades(**fields), window_ns=window_ns, has_ids=True).unwritten(whole)
    named = block._replace(id=healed_id(healed.security, healed.start_ns, first_id))
    return block_document(whole, named, reply_to)


def image_document(image: Image, reply_to: str) -> Document:
    """Return the whole book right after one update."""
    prices, sizes = np.frombuffer(image.prices, "<i8"), np.frombuffer(image.sizes, "<i8")
    rows = l2_image(image.bids, prices, sizes)
    if image.book == "l3":
        rows = ImageColumns(
            image.bids,
            prices,
            sizes,
            np.frombuffer(image.order_ids, np.uint8).reshape(-1, ID_BYTES),
            np.frombuffer(image.placed_ids, "<i8"),
            np.frombuffer(image.certain_u1, np.uint8).astype(np.int64),
        )
    bid_low, ask_high = image.certified
    fields: dict[str, Any] = {
        "update_id": image.update_id,
        "time": image.time_ns,
        "effective": image.effective_ns,
        "book": image.book,
        "bids": image.bids,
        "asks": image.asks,
        "certified": {"bid_low": bid_low, "ask_high": ask_high},
        "price_scale": image.price_scale,
        "size_scale": image.size_scale,
        "hash": image.hash,
    }
    if image.named:
        fields["order_ids"] = False
    fields |= encode_image(rows, image.book, named=image.named)
    name = f"{image.security}|image|{image.update_id}"
    return Document("images", name, image.security, image.start_ns, 1, fields, reply_to)


def audit_document(audit: Audit, reply_to: str) -> Document:
    """Return what the comparison with a fresh snapshot came to."""
    bid_low, ask_high = audit.certified
    fields: dict[str, Any] = {
        "update_id": audit.update_id,
        "time": audit.time_ns,
        "book": audit.book,
        "levels": audit.levels,
        "equal": audit.equal,
        "pct": equal_pct(audit.equal, audit.levels),
        "misplaced": audit.misplaced,
        "found": audit.levels - audit.equal,
        "differences": _differences(audit),
        "certified": {"bid_low": bid_low, "ask_high": ask_high},
        "price_scale": audit.price_scale,
        "size_scale": audit.size_scale,
    }
    name = f"{audit.security}|audit|{audit.update_id}"
    return Document("audits", name, audit.security, audit.start_ns, audit.levels, fields, reply_to)


def _differences(audit: Audit) -> list[list[Any]]:
    columns = (np.frombuffer(each, "<i8").tolist() for each in (audit.prices, audit.ours, audit.theirs))
    rows: list[list[Any]] = [
        [SIDES[side], *row] for side, row in zip(audit.sides_u1, zip(*columns, strict=True), strict=True)
    ]
    for n, row in enumerate(rows if audit.order_ids else ()):
        row.append(str(UUID(bytes=audit.order_ids[ID_BYTES * n : ID_BYTES * (n + 1)])))
    return rows


def gap_document(hole: Hole, reply_to: str) -> Document:
    """Return a row of the gap ledger."""
    fields: dict[str, Any] = {
        "feed": hole.feed,
        "first_id": hole.first_id,
        "last_id": hole.last_id,
        "from": hole.from_ns,
        "to": hole.to_ns,
        "cause": hole.cause,
        "noticed_by": hole.noticed_by,
        "state": hole.state,
    }
    name = f"{hole.security}|{hole.feed}|{hole.first_id}"
    return Document("gaps", name, hole.security, hole.start_ns, hole.covered, fields, reply_to)
