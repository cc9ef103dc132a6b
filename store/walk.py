"""Walks the blocks of a security in order, and says how each piece joins the one before.

join        when                                                           the book
FIRST       nothing lies before it                                         starts from its image
CONTINUES   its first id follows the last one before                       goes on
SEAM        the ledger calls the place ``unverifiable``: a feed without    starts from its image; read on,
            ids came over a new connection, or another feed began          continuity ``unverifiable``
HOLE        anything else: the ledger's row says why, if there is one      starts from its image
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from enum import Enum
from typing import Any, NamedTuple

from store.blocks import BOOK_KINDS, TRADE_KINDS, Block, Blocks, Chain
from store.pieces import Piece, pieces_in
from store.unreadable import InHole

_UNVERIFIABLE, _HEALED = "unverifiable", "healed"


class Join(Enum):
    """How a piece joins the one before."""

    FIRST = "first"
    CONTINUES = "continues"
    SEAM = "seam"
    HOLE = "hole"


class End(NamedTuple):
    """The end of what was read so far."""

    block: Block
    chain: Chain


class Link(NamedTuple):
    """A join, and the ids and the ledger's row where it is a hole."""

    join: Join
    first_id: int = 0
    last_id: int = 0
    row: dict[str, Any] | None = None


def link(blocks: Blocks, security: str, before: End | None, after: End) -> Link:
    """Say how *after* joins *before*."""
    if before is None:
        return Link(Join.FIRST)
    first_id, last_id = before.chain.last_id + 1, after.chain.first_id - 1
    same_ids = before.block.has_ids == after.block.has_ids
    if same_ids and first_id > last_id:
        return Link(Join.CONTINUES)
    feeds = ("book", "orders") if after.block.kind in BOOK_KINDS else (after.block.kind,)
    rows = [
        row
        for row in blocks.gap_rows(security, before.block.start_ns, after.block.end_ns - 1)
        if row["feed"] in feeds and first_id <= row["first_id"] <= max(first_id, last_id)
    ]
    for row in rows:
        if row["state"] not in (_UNVERIFIABLE, _HEALED):
            return Link(Join.HOLE, first_id, last_id, row)
    if rows and rows[0]["state"] == _UNVERIFIABLE:
        return Link(Join.SEAM, first_id, last_id, rows[0])
    return Link(Join.HOLE, first_id, last_id, None)


def walk(
    blocks: Blocks,
    security: str,
    kinds: Sequence[str],
    low_ns: int,
    high_ns: int,
    before: End | None = None,
    *,
    receipts: bool = True,
) -> Iterator[tuple[Link, Piece]]:
    """Yield the pieces of the windows that start in ``[low_ns, high_ns)`` with their joins, in order.

    *before* is what lies before them.

    Raises:
        Damaged: a block contradicts itself.
    """
    for together in blocks.stored(security, kinds, low_ns, high_ns):
        for piece in in_order([pieces_in(*each, receipts=receipts) for each in together]):
            end = End(piece.block, piece.chain)
            yield link(blocks, security, before, end), piece
            before = end


def in_order(blocks: Iterable[list[Piece]]) -> list[Piece]:
    """Return the pieces of a cluster's *blocks* as they follow one another: what filled a hole goes into it.

    Where a merged block lies over others, each id is taken once.
    """
    found = [piece for pieces in blocks for piece in pieces]
    if any(piece.block.merged for piece in found):
        return list(_each_once(found))
    if all(piece.block.kind in TRADE_KINDS for piece in found):
        found.sort(key=lambda piece: (piece.block.start_ns, piece.chain.first_id))
    return found


def _each_once(pieces: list[Piece]) -> Iterator[Piece]:
    """Yield *pieces*, and of each what none before it had."""
    pieces.sort(key=lambda piece: (int(piece.effective_ns[0]), piece.chain.first_id, -piece.chain.last_id))
    newest: dict[bool, int] = {}
    for piece in pieces:
        last_id = newest.get(piece.block.has_ids, -1)
        rest = piece.after_id(last_id)
        if not len(rest):
            continue
        if len(rest) < len(piece):
            rest = replace(rest, chain=piece.chain._replace(first_id=last_id + 1))
        yield rest
        newest[piece.block.has_ids] = piece.chain.last_id


def end_after(piece: Piece) -> End:
    """Return the end of what was read with the last row of *piece*."""
    chain = piece.chain._replace(first_id=int(piece.first_ids[0]), last_id=int(piece.last_ids[-1]))
    return End(piece.block, chain)


def hole(security: str, joined: Link) -> InHole:
    """Return the exception that names the hole *joined*."""
    return InHole(security, joined.first_id, joined.last_id, joined.row)


def end_of(window: Sequence[Block]) -> End | None:
    """Return the end of a window's blocks; None where there are none."""
    return End(window[-1], window[-1].chains[-1]) if window else None
