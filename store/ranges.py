"""What happened between two moments, window by window: the generators behind store.history.Archive.

A row belongs to ``[low, high)`` by the moment from which it is visible (store.pieces).  A hole belongs to a
range when it may hide a row of it: the row before it is earlier than ``high``, the one after it not earlier
than ``low``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from heapq import merge
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from condition.codec import ChangeColumns, OrderColumns, TradeColumns
from store.answers import Answer, Book, Changes, Found, Gap, Gaps, OrderEvents, Trades
from store.blocks import BOOK_KINDS, LAST_NS, TRADE_KINDS, Block
from store.fold import Fold, fold_of
from store.order_fold import OrderFold, told
from store.pieces import Piece, cut_rows
from store.unreadable import Damaged, NotStored
from store.walk import Join, Link, end_after, hole, link, walk

if TYPE_CHECKING:
    from store.history import Archive


Happened = Changes | OrderEvents | Trades


class Stretch(NamedTuple):
    """What one entry of a block's chains has in the range; perhaps no row."""

    joined: Link
    piece: Piece
    gap: Gap | None
    """The hole before it, where it belongs to the range."""

    @property
    def starts_anew(self) -> bool:
        """Whether its image is of one of its own updates: what was before it does not lead there."""
        image_id = self.piece.chain.image_id
        if image_id is None or not len(self.piece):
            return False
        return int(self.piece.first_ids[0]) <= image_id <= int(self.piece.last_ids[-1])


def stretches(
    archive: "Archive", security: str, kinds: Sequence[str], low: int, high: int, gaps: Gaps
) -> Iterator[Stretch]:
    """Yield the rows of ``[low, high)``, entry by entry.

    Raises:
        InHole: a hole belongs to the range and *gaps* is ``error``.
        Damaged: a block contradicts itself.
    """
    blocks = archive.blocks
    kept_ns, _ = blocks.kept(security, "trades" if kinds == TRADE_KINDS else "book")
    low = max(low, min(kept_ns, high))
    window_ns = low - low % blocks.window_ns
    earlier = blocks.before(security, kinds, window_ns)
    while earlier and min(block.first_effective_ns for block in earlier) >= low:
        earlier = blocks.before(security, kinds, earlier[0].start_ns)
    start_ns = earlier[0].start_ns if earlier else window_ns
    last: Piece | None = None
    for joined, piece in walk(blocks, security, kinds, start_ns, high):
        gap = _gap(security, joined, last, piece, (low, high), gaps)
        begin, end = np.searchsorted(piece.visible_ns, [low, high]).tolist()
        yield Stretch(joined, piece.cut(begin, end), gap)
        last = piece
        if end < len(piece):
            return
    if last is not None and high < LAST_NS:
        yield from _last_hole(archive, security, kinds, last, (low, high), gaps)


def trades(archive: "Archive", security: str, low: int, high: int, gaps: Gaps) -> Iterator[Trades | Gap]:
    """Yield the trades in ``[low, high)``."""
    archive.known(security)
    for stretch in stretches(archive, security, TRADE_KINDS, low, high, gaps):
        if stretch.gap is not None:
            yield stretch.gap
        rows, block = stretch.piece.rows, stretch.piece.block
        if len(stretch.piece) and isinstance(rows, TradeColumns):
            yield Trades(security, block.start_ns, block.price_scale, block.size_scale, rows)


def orders(archive: "Archive", security: str, low: int, high: int, gaps: Gaps) -> Iterator[OrderEvents | Gap]:
    """Yield the order events in ``[low, high)``."""
    archive.known(security)
    for stretch in stretches(archive, security, BOOK_KINDS, low, high, gaps):
        if stretch.gap is not None:
            yield stretch.gap
        if len(stretch.piece) and isinstance(stretch.piece.rows, OrderColumns):
            yield _events(security, stretch.piece)


def changes(archive: "Archive", security: str, low: int, high: int, gaps: Gaps) -> Iterator[Changes | Gap]:
    """Yield the changes of levels in ``[low, high)``, folded from orders where there are orders."""
    archive.known(security)
    fold: Fold | None = None
    for stretch in stretches(archive, security, BOOK_KINDS, low, high, gaps):
        if stretch.gap is not None:
            yield stretch.gap
        piece = stretch.piece
        if not len(piece):
            continue
        if isinstance(piece.rows, ChangeColumns):
            yield _changes(security, piece)
            continue
        if fold is None or stretch.joined.join in (Join.HOLE, Join.SEAM) or stretch.starts_anew:
            fold, piece = _before(archive, security, piece)
        if isinstance(fold, OrderFold) and len(piece):
            yield _folded(security, piece, fold)


def replay(
    archive: "Archive", security: str, low: int, high: int, with_trades: bool, gaps: Gaps
) -> Iterator[Answer]:
    """Yield the book at *low*, then what happened after it and before *high*."""
    book = _first_book(archive, security, low, gaps)
    if book is not None:
        yield book
    happened = _after_book(archive, security, low + 1, high, gaps, started=book is not None)
    if not with_trades:
        yield from (answer for _, answer in happened)
        return
    batches = trades(archive, security, low, high, "exclude" if gaps == "exclude" else "include")
    traded = _traded(archive, batches, security, gaps)
    yield from (answer for _, answer in merge(happened, traded, key=lambda pair: pair[0]))


def _traded(
    archive: "Archive", batches: Iterator[Trades | Gap], security: str, gaps: Gaps
) -> Iterator[tuple[int, Answer]]:
    """Yield (start of the window, trades); a hole among them with what follows it, or as an error."""
    for each in batches:
        if isinstance(each, Trades):
            yield from ((part.start_ns, part) for part in _by_window(each, archive.blocks.window_ns))
        elif gaps == "error":
            raise hole(security, Link(Join.HOLE, each.first_id, each.last_id or 0, each.row))
        elif gaps == "include":
            yield each.until_ns - each.until_ns % archive.blocks.window_ns, each


def _first_book(archive: "Archive", security: str, low: int, gaps: Gaps) -> Book | None:
    try:
        found = archive.fold_at(security, low, gaps)
    except NotStored:
        if gaps == "error":
            raise
        return None
    return found.book(security) if found is not None else None


def _after_book(
    archive: "Archive", security: str, low: int, high: int, gaps: Gaps, *, started: bool
) -> Iterator[tuple[int, Answer]]:
    """Yield (start of the window, what happened); nothing before there is a book to start from."""
    window_ns = archive.blocks.window_ns
    for stretch in stretches(archive, security, BOOK_KINDS, low, high, gaps):
        piece, start_ns = stretch.piece, stretch.piece.block.start_ns
        if len(piece):
            start_ns = int(piece.effective_ns[0]) // window_ns * window_ns
        if stretch.gap is not None and gaps == "include":
            yield start_ns, stretch.gap
        if stretch.starts_anew:
            found, piece = _image(archive, security, piece)
            yield start_ns, found
            started = True
        if started and len(piece):
            happened = _events if isinstance(piece.rows, OrderColumns) else _changes
            for part in _by_window(happened(security, piece), window_ns):
                yield part.start_ns, part


def _by_window(answer: Happened, window_ns: int) -> Iterator[Happened]:
    """Yield the rows of *answer* window by window: a merged block holds those of many."""
    windows = answer.rows.effective_ns // window_ns
    begins = [0, *(np.flatnonzero(np.diff(windows)) + 1).tolist(), len(windows)]
    for begin, end in pairwise(begins):
        rows: Any = cut_rows(answer.rows, begin, end)
        start_ns = int(windows[begin]) * window_ns
        if isinstance(answer, Changes):
            yield replace(answer, start_ns=start_ns, rows=rows, visible_ns=answer.visible_ns[begin:end])
        else:
            yield replace(answer, start_ns=start_ns, rows=rows)


def _image(archive: "Archive", security: str, piece: Piece) -> tuple[Book, Piece]:
    """Return the book of the image inside *piece*, and the rows after it."""
    fold = _fold(archive, security, piece)
    rest = piece.after_id(piece.chain.image_id or 0)
    upto = piece.cut(0, len(piece) - len(rest))
    return Found(fold, upto, stale=False).book(security), rest


def _fold(archive: "Archive", security: str, piece: Piece) -> Fold:
    if piece.chain.image_id is None:
        raise Damaged(piece.block.id, "its chain names no image")
    return fold_of(archive.blocks.image(security, piece.chain.image_id, piece.block.end_ns - 1), verify=False)


def _before(archive: "Archive", security: str, piece: Piece) -> tuple[Fold, Piece]:
    """Return the book to go on from, and the rows of *piece* that come after it."""
    image_id = piece.chain.image_id or 0
    if int(piece.first_ids[0]) <= image_id:
        return _fold(archive, security, piece), piece.after_id(image_id)
    found = archive.fold_at(security, int(piece.visible_ns[0]) - 1, "include")
    if found is None:
        raise Damaged(piece.block.id, "no book leads to it")
    return found.fold, piece.after_id(int(found.last.last_ids[-1]))


def _gap(
    security: str,
    joined: Link,
    last: Piece | None,
    piece: Piece,
    bounds: tuple[int, int],
    gaps: Gaps,
) -> Gap | None:
    low, high = bounds
    if joined.join is not Join.HOLE or last is None:
        return None
    if int(last.effective_ns[-1]) >= high or int(piece.effective_ns[0]) < low:
        return None
    if gaps == "error":
        raise hole(security, joined)
    feed = "trades" if piece.block.kind in TRADE_KINDS else "book"
    return Gap(security, feed, joined.first_id, joined.last_id, int(piece.effective_ns[0]), joined.row)


def _last_hole(
    archive: "Archive", security: str, kinds: Sequence[str], last: Piece, bounds: tuple[int, int], gaps: Gaps
) -> Iterator[Stretch]:
    """Yield the hole, without rows, that begins in the range and ends after it."""
    later: list[Block] = archive.blocks.after(security, kinds, last.block.end_ns)
    if not later:
        return
    piece = archive.pieces(security, later[:1])[0]
    joined = link(archive.blocks, security, end_after(last), end_after(piece))
    gap = _gap(security, joined, last, piece, bounds, gaps)
    if gap is not None:
        yield Stretch(joined, piece.cut(0, 0), gap)


def _changes(security: str, piece: Piece) -> Changes:
    if not isinstance(piece.rows, ChangeColumns):
        raise Damaged(piece.block.id, "it holds no changes")
    block = piece.block
    return Changes(
        security,
        block.start_ns,
        block.price_scale,
        block.size_scale,
        block.has_ids,
        piece.visible_ns,
        piece.rows,
    )


def _events(security: str, piece: Piece) -> OrderEvents:
    if not isinstance(piece.rows, OrderColumns):
        raise Damaged(piece.block.id, "it holds no order events")
    block = piece.block
    scales = block.price_scale, block.size_scale, block.funds_scale
    return OrderEvents(security, block.start_ns, *scales, piece.rows, named=not block.order_ids)


def _folded(security: str, piece: Piece, fold: OrderFold) -> Changes:
    """Return what the order events of *piece* do to the levels of the book *fold*, applying them."""
    rows, scales, block = fold.changes(told(piece)), fold.scales, piece.block
    return Changes(security, block.start_ns, scales.price, scales.size, block.has_ids, piece.visible_ns, rows)
