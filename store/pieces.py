"""A stored block as pieces, one for each entry of its chains: rows without a hole between them.

A row is *visible* from a moment on: its effective time, or, in a block of net changes, the end of its
interval.  Everything is checked here that one block can say of itself: checksums, that its rows lie inside
its chains and that they follow one another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from condition.codec import (
    BadBlock,
    ChangeColumns,
    Int64s,
    OrderColumns,
    TradeColumns,
    decode_changes,
    decode_orders,
    decode_trades,
)
from store.documents import NS_PER_S, merged_seconds
from store.headers import Block, Chain, header
from store.unreadable import Damaged

Rows = ChangeColumns | OrderColumns | TradeColumns


@dataclass(frozen=True, eq=False, slots=True)
class Piece:
    """The rows of one entry of a block's chains."""

    block: Block
    chain: Chain
    rows: Rows
    first_ids: Int64s
    last_ids: Int64s
    effective_ns: Int64s
    visible_ns: Int64s

    @property
    def ends_entry(self) -> bool:
        """Whether the book after its last row has the entry's hash (it has none where a part cuts it)."""
        return bool(self.chain.hash) and int(self.last_ids[-1]) == self.chain.last_id

    def cut(self, begin: int, end: int) -> "Piece":
        """Return its rows from *begin* to *end*."""
        if begin <= 0 and end >= len(self.first_ids):
            return self
        part = slice(max(0, begin), max(0, end))
        return replace(
            self,
            rows=cut_rows(self.rows, part.start, part.stop),
            first_ids=self.first_ids[part],
            last_ids=self.last_ids[part],
            effective_ns=self.effective_ns[part],
            visible_ns=self.visible_ns[part],
        )

    def after_id(self, last_id: int) -> "Piece":
        """Return the rows that come after the update *last_id*."""
        return self.cut(int(np.searchsorted(self.last_ids, last_id, side="right")), len(self.last_ids))

    def visible_until(self, time_ns: int) -> "Piece":
        """Return the rows that are visible at *time_ns*."""
        return self.cut(0, int(np.searchsorted(self.visible_ns, time_ns, side="right")))

    def __len__(self) -> int:
        return len(self.first_ids)


def pieces_of(kind: str, stored: Mapping[str, Any], *, receipts: bool = True) -> list[Piece]:
    """Return the pieces of the stored block, in id order.

    Raises:
        Damaged: it contradicts its checksum, its format or its chains.
    """
    return pieces_in(header(kind, stored), stored, receipts=receipts)


def pieces_in(block: Block, stored: Mapping[str, Any], *, receipts: bool) -> list[Piece]:
    """Return the pieces of the document *stored* whose header is *block*, in id order.

    Raises:
        Damaged: it contradicts its checksum, its format or its chains.
    """
    try:
        rows = _decoded(block.kind, stored, receipts)
    except BadBlock as error:
        raise Damaged(block.id, str(error)) from error
    if isinstance(rows, ChangeColumns):
        first_ids, last_ids = rows.first_ids, rows.last_ids
    else:
        first_ids = last_ids = rows.ids
    effective = rows.effective_ns
    visible = (effective // block.every_ns + 1) * block.every_ns if block.every_ns else effective
    if (effective[1:] < effective[:-1]).any():
        raise Damaged(block.id, "its effective times go back")
    whole = Piece(block, block.chains[0], rows, first_ids, last_ids, effective, visible)
    bounds = first_ids.searchsorted([chain.first_id for chain in block.chains]).tolist()
    if not len(first_ids) or bounds[0] != 0:
        raise Damaged(block.id, "its rows begin before its chains")
    if len(block.chains) == 1:
        _check(whole)
        return [whole]
    pieces = []
    for chain, begin, end in zip(block.chains, bounds, [*bounds[1:], len(first_ids)], strict=True):
        piece = replace(whole.cut(begin, end), chain=chain)
        _check(piece)
        pieces.append(piece)
    return pieces


def check_block(block: Block, stored: Mapping[str, Any], pieces: list[Piece], lengths: Sequence[int]) -> None:
    """Check what the header of *stored* says beside its chains; a block has one of *lengths* seconds.

    Raises:
        Damaged: something that the rows contradict.
    """
    rows = sum(len(piece) for piece in pieces)
    if block.rows != rows:
        raise Damaged(block.id, f"it says {block.rows} rows and has {rows}")
    ids = sum(chain.last_id - chain.first_id + 1 for chain in block.chains)
    if block.has_ids and stored.get("covered") != ids:
        raise Damaged(block.id, f"it says that it covers {stored.get('covered')} ids and has {ids}")
    first_ns, last_ns = int(pieces[0].effective_ns[0]), int(pieces[-1].effective_ns[-1])
    length = merged_seconds(block.id) or lengths[-1]
    if length not in lengths or block.end_ns - block.start_ns != length * NS_PER_S:
        raise Damaged(block.id, "its end is not its window's")
    if block.start_ns % (length * NS_PER_S):
        raise Damaged(block.id, "its start is not on the grid")
    if not block.start_ns <= first_ns <= last_ns < block.end_ns:
        raise Damaged(block.id, "its rows are not of its window")


def cut_rows(rows: Rows, begin: int, end: int) -> Rows:
    """Return the rows from *begin* to *end*."""
    if isinstance(rows, OrderColumns):
        return OrderColumns(**{name: column[begin:end] for name, column in rows._asdict().items()})
    if isinstance(rows, TradeColumns):
        return TradeColumns(*(column[begin:end] for column in rows))
    ends = np.concatenate(([0], np.cumsum(rows.bid_counts + rows.ask_counts)))
    levels = slice(int(ends[begin]), int(ends[end]))
    columns = {name: column[begin:end] for name, column in rows._asdict().items()}
    columns |= {"prices": rows.prices[levels], "sizes": rows.sizes[levels]}
    return ChangeColumns(**columns)


def _check(piece: Piece) -> None:
    first, last, chain = piece.first_ids, piece.last_ids, piece.chain
    sound = (
        len(first) > 0
        and int(first[0]) == chain.first_id
        and int(last[-1]) == chain.last_id
        and bool((first[1:] == last[:-1] + 1).all())
        and bool((last >= first).all())
    )
    if not sound:
        raise Damaged(piece.block.id, f"its rows are not those of its chain {chain[:2]}")


def _decoded(kind: str, stored: Mapping[str, Any], receipts: bool) -> Rows:
    match kind:
        case "changes":
            return decode_changes(stored, receipts=receipts)
        case "orders":
            return decode_orders(stored, receipts=receipts)
        case _:
            return decode_trades(stored, receipts=receipts)
