"""Books and depth over a range, by one walk along the replay.

The book at a moment is the one that ``Archive.book_at`` gives for it.  Moments before the first stored book
are an error, or left out where holes are read over; moments after the last stored update are not given.
"""

from collections.abc import Iterator
from time import time_ns as now_ns
from typing import NamedTuple

import numpy as np

from book.scales import Scales
from store.answers import PROVEN, UNVERIFIABLE, Book, Changes, Gap, Gaps
from store.blocks import BOOK_KINDS
from store.ladder import LevelBook, brought, ends_of
from store.queues import levels_of
from store.scaling import finer
from store.series import NO_ID, NONE, BookSample, Depth
from store.source import Source, over

CHUNK_VALUES = 1 << 18
"""Prices and sizes in one chunk: 2 MB."""


class Seen(NamedTuple):
    """The book at one moment; it moves on when the next one is asked for."""

    moment_ns: int
    book: LevelBook
    time_ns: int
    update_id: int | None
    stale: bool
    crosses_hole: bool


class _Walk:
    """The book as it is so far, and the moment that is to be seen next."""

    def __init__(self, low: int, high: int, every_ns: int) -> None:
        self.moment_ns, self._high, self._every_ns = low, high, every_ns
        self.book: LevelBook | None = None
        self._time_ns = 0
        self._update_id: int | None = None
        self._stale = self._crossed = False

    def begin(self, book: Book) -> Iterator[Seen]:
        """Go on from *book*, having yielded the moments before it."""
        if self.book is None:
            late = max(0, book.visible_ns - self.moment_ns)
            self.moment_ns += -(-late // self._every_ns) * self._every_ns
        yield from self.until(book.visible_ns)
        scales = self.book.scales if self.book is not None else Scales()
        self.book = LevelBook(book)
        self.book.rescale(finer(self.book.scales, scales.price, scales.size))
        self._time_ns, self._update_id, self._stale = book.time_ns, book.update_id, book.stale

    def lose(self) -> None:
        """Updates are missing from here on."""
        self._stale = self._crossed = True

    def apply(self, batch: Changes) -> Iterator[Seen]:
        """Apply *batch*, yielding the moments that lie before its last row."""
        if self.book is None or not len(batch.visible_ns):
            return
        yield from self.until(int(batch.visible_ns[0]))
        sides, prices, sizes = brought(self.book, batch)
        ends, done = ends_of(batch), 0
        last_ns = int(batch.visible_ns[-1])
        while self.moment_ns < min(last_ns, self._high):
            upto = int(batch.visible_ns.searchsorted(self.moment_ns, side="right"))
            if upto > done:
                part = slice(int(ends[done]), int(ends[upto]))
                self.book.apply(sides[part], prices[part], sizes[part])
                self._after(batch, upto - 1)
                done = upto
            yield from self.until(int(batch.visible_ns[upto]))
        rest = slice(int(ends[done]), None)
        self.book.apply(sides[rest], prices[rest], sizes[rest])
        self._after(batch, -1)

    def until(self, end_ns: int) -> Iterator[Seen]:
        """Yield the moments before *end_ns*, at which the book is as it is now."""
        end_ns = min(end_ns, self._high)
        while self.book is not None and self.moment_ns < end_ns:
            yield Seen(
                self.moment_ns,
                self.book,
                self._time_ns,
                self._update_id,
                self._stale,
                self._crossed or self._stale,
            )
            self._crossed = self._stale
            self.moment_ns += self._every_ns

    def _after(self, batch: Changes, row: int) -> None:
        self._time_ns = int(batch.rows.times_ns[row])
        self._update_id = int(batch.rows.last_ids[row]) if batch.has_ids else None
        self._stale = False


def seen(archive: Source, security: str, low: int, high: int, every_ns: int, gaps: Gaps) -> Iterator[Seen]:
    """Yield the book at *low* and every *every_ns* after it, before *high*."""
    high = min(high, _newest(archive, security, high) + 1)
    walk = _Walk(low, high, every_ns)
    for answer in levels_of(archive.replay(security, low, max(low, high), gaps=over(gaps))):
        if isinstance(answer, Gap):
            walk.lose()
            continue
        moments = walk.begin(answer) if isinstance(answer, Book) else walk.apply(answer)
        yield from (each for each in moments if gaps != "exclude" or not each.stale)
    yield from (each for each in walk.until(high) if gaps != "exclude" or not each.stale)


def _newest(archive: Source, security: str, about_ns: int) -> int:
    """Return the effective time of the last stored update, which is looked for near *about_ns* first."""
    newest = archive.blocks.newest(security, BOOK_KINDS, min(about_ns, now_ns()))
    return newest[-1].last_effective_ns if newest else archive.newest_book(security)


def books(
    archive: Source, security: str, low: int, high: int, every_ns: int, gaps: Gaps
) -> Iterator[BookSample]:
    """Yield the whole book at every moment."""
    for each in seen(archive, security, low, high, every_ns, gaps):
        bids, asks = each.book.levels()
        yield BookSample(
            security,
            each.moment_ns,
            each.time_ns,
            each.update_id,
            bids,
            asks,
            each.book.scales.price,
            each.book.scales.size,
            each.stale,
            each.crosses_hole,
            _continuity(each.update_id),
        )


# --- depth -----------------------------------------------------------------------------------


def depth(
    archive: Source, security: str, low: int, high: int, levels: int, every_ns: int, gaps: Gaps
) -> Iterator[Depth]:
    """Yield the best *levels* of each side at every moment, in chunks."""
    table = _DepthRows(security, levels)
    for each in seen(archive, security, low, high, every_ns, gaps):
        if table.count == table.room or (table.count and table.scales != each.book.scales):
            yield table.chunk()
            table = _DepthRows(security, levels)
        table.add(each)
    yield table.chunk()


class _DepthRows:
    """A chunk of depth while it is filled."""

    def __init__(self, security: str, levels: int) -> None:
        self.security, self.levels = security, levels
        self.room = max(1, CHUNK_VALUES // (4 * levels))
        self.scales, self.count, self.continuity = Scales(), 0, PROVEN
        self._times: list[tuple[int, int, bool, bool]] = []
        self._sides = np.full((4, min(self.room, 64), levels), NONE, np.int64)

    def add(self, each: Seen) -> None:
        if self.count == self._sides.shape[1]:
            more = min(self.room, 4 * self.count) - self.count
            grown = np.full((4, more, self.levels), NONE, np.int64)
            self._sides = np.concatenate((self._sides, grown), axis=1)
        row, self.scales = self.count, each.book.scales
        for place, ladder in ((0, each.book.bids), (2, each.book.asks)):
            keys = ladder.keys[: self.levels]
            self._sides[place, row, : len(keys)] = keys if place else -keys
            self._sides[place + 1, row, : len(keys)] = ladder.sizes[: self.levels]
        update_id = NO_ID if each.update_id is None else each.update_id
        self._times.append((each.moment_ns, update_id, each.stale, each.crosses_hole))
        self.continuity = UNVERIFIABLE if each.update_id is None else self.continuity
        self.count += 1

    def chunk(self) -> Depth:
        rows = np.array(self._times, np.int64).reshape(-1, 4)
        bid_prices, bid_sizes, ask_prices, ask_sizes = self._sides[:, : self.count]
        return Depth(
            self.security,
            self.scales.price,
            self.scales.size,
            rows[:, 0].copy(),
            rows[:, 1].copy(),
            bid_prices,
            bid_sizes,
            ask_prices,
            ask_sizes,
            rows[:, 2].astype(np.bool_),
            rows[:, 3].astype(np.bool_),
            self.continuity,
        )


def _continuity(update_id: int | None) -> str:
    return UNVERIFIABLE if update_id is None else PROVEN
