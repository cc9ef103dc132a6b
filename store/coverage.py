"""What is stored of a security without a hole, from the headers of its blocks."""

from collections.abc import Iterator
from dataclasses import replace

from store.answers import Span
from store.blocks import BOOK_KINDS, LAST_NS, TRADE_KINDS, Block, Blocks, Chain
from store.pieces import Piece, pieces_in
from store.walk import End, Join, in_order, link

_FEEDS = (("book", BOOK_KINDS), ("trades", TRADE_KINDS))


def spans(blocks: Blocks, security: str) -> Iterator[Span]:
    """Yield the spans of each feed, in order of time.

    Raises:
        Damaged: a block in which a hole lies contradicts itself.
    """
    for feed, kinds in _FEEDS:
        span: Span | None = None
        before: End | None = None
        counted: set[str] = set()
        """Documents of the window that the span has already."""
        for block, chain, first_ns, last_ns, rows in _in_order(blocks, security, kinds):
            end = End(block, chain)
            joins = link(blocks, security, before, end).join in (Join.CONTINUES, Join.SEAM)
            if span is not None and not joins:
                yield span
                span = None
            if span is None:
                first_id = chain.first_id if block.has_ids else None
                span, counted = Span(security, feed, first_id, None, first_ns, last_ns, 0, 0), set()
            elif before is not None and before.block.start_ns != block.start_ns:
                counted = set()
            documents = span.documents + (block.id not in counted)
            counted.add(block.id)
            last_id = chain.last_id if block.has_ids else None
            span = replace(span, last_id=last_id, to_ns=last_ns, documents=documents, rows=span.rows + rows)
            before = end
        if span is not None:
            yield span


def _in_order(
    blocks: Blocks, security: str, kinds: tuple[str, ...]
) -> Iterator[tuple[Block, Chain, int, int, int]]:
    """Yield each block's entries, with the block; trades by their ids, for some filled a hole later."""
    kept_ns, _ = blocks.kept(security, "trades" if kinds == TRADE_KINDS else "book")
    first = blocks.after(security, kinds, kept_ns)
    first_ns = first[0].start_ns if first else LAST_NS
    for together in blocks.between(security, kinds, first_ns, LAST_NS):
        if len(together) > 1 and any(block.merged for block in together):
            pieces = [_pieces(blocks, security, block) for block in together]
            yield from (_entry(piece) for piece in in_order(pieces))
            continue
        entries = [entry for block in together for entry in _entries(blocks, security, block)]
        if kinds == TRADE_KINDS:
            entries.sort(key=lambda entry: entry[1].first_id)
        yield from entries


def _entries(blocks: Blocks, security: str, block: Block) -> Iterator[tuple[Block, Chain, int, int, int]]:
    """Yield each chain of *block* with its first and last exchange time and its rows."""
    ids = [chain.first_id for chain in block.chains[1:]]
    if all(first == chain.last_id + 1 for first, chain in zip(ids, block.chains, strict=False)):
        whole = block.chains[0]._replace(last_id=block.chains[-1].last_id)
        yield block, whole, block.first_time_ns, block.last_time_ns, block.rows
        return
    yield from (_entry(piece) for piece in _pieces(blocks, security, block))


def _pieces(blocks: Blocks, security: str, block: Block) -> list[Piece]:
    return pieces_in(block, blocks.document(block, security), receipts=False)


def _entry(piece: Piece) -> tuple[Block, Chain, int, int, int]:
    times = piece.rows.times_ns
    return piece.block, piece.chain, int(times[0]), int(times[-1]), len(piece)
