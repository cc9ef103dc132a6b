"""Best bid and ask over a range: at each of their changes, or at regular moments."""

from collections.abc import Iterator
from heapq import heapify, heappop, heappush

import numpy as np

from book.scales import Scales
from store.answers import PROVEN, UNVERIFIABLE, Book, Changes, Gap, Gaps
from store.ladder import Ladder, LevelBook, scaled, sides_of
from store.queues import levels_of
from store.sampling import CHUNK_VALUES, depth
from store.scaling import finer
from store.series import NO_ID, NONE, Tops
from store.source import Source, over

LAPSED = 1024
"""Prices that are gone and may wait in a heap beside as many as there are levels."""


def sampled_tops(
    archive: Source, security: str, low: int, high: int, every_ns: int, gaps: Gaps
) -> Iterator[Tops]:
    """Yield best bid and ask at every moment, in chunks."""
    for chunk in depth(archive, security, low, high, 1, every_ns, gaps):
        yield Tops(
            security,
            chunk.price_scale,
            chunk.size_scale,
            chunk.times_ns,
            chunk.update_ids,
            chunk.bid_prices[:, 0],
            chunk.bid_sizes[:, 0],
            chunk.ask_prices[:, 0],
            chunk.ask_sizes[:, 0],
            chunk.stale,
            chunk.crosses_hole,
            chunk.continuity,
        )


def tops(archive: Source, security: str, low: int, high: int, gaps: Gaps) -> Iterator[Tops]:
    """Yield best bid and ask at *low* and at each of their changes before *high*, in chunks."""
    rows = _TopRows(security, gaps)
    for answer in levels_of(archive.replay(security, low, high, gaps=over(gaps))):
        if isinstance(answer, Gap):
            rows.lose()
            continue
        scales = finer(rows.scales, answer.price_scale, answer.size_scale)
        if len(rows) and (scales != rows.scales or len(rows) >= CHUNK_VALUES // 4):
            yield rows.chunk()
        if isinstance(answer, Book):
            rows.begin(answer, scales, max(low, answer.visible_ns))
        else:
            rows.apply(answer, scales)
    yield rows.chunk()


class _TopSide:
    """The levels of one side, and a heap of their keys with some that are gone."""

    def __init__(self, ladder: Ladder) -> None:
        self.sizes = dict(zip(ladder.keys.tolist(), ladder.sizes.tolist(), strict=True))
        self.heap = list(self.sizes)  # (best first is sorted, and sorted is a heap)

    def apply(self, keys: list[int], levels: list[int]) -> None:
        """Apply changes in their order; a size of 0 removes the level."""
        sizes = self.sizes
        for key, size in zip(keys, levels, strict=True):
            if not size:
                sizes.pop(key, None)
            else:
                if key not in sizes:
                    heappush(self.heap, key)
                sizes[key] = size

    def best(self) -> tuple[int, int]:
        """Return key and size of the best level; zeros where there is none."""
        heap, sizes = self.heap, self.sizes
        while heap and heap[0] not in sizes:
            heappop(heap)
        return (heap[0], sizes[heap[0]]) if heap else (NONE, NONE)

    def tidy(self) -> None:
        """Forget the keys that are gone where they have become many."""
        if len(self.heap) > 2 * len(self.sizes) + LAPSED:
            self.heap = list(self.sizes)
            heapify(self.heap)


class _TopRows:
    """The best of both sides as they move, and the rows about them that were not given yet."""

    def __init__(self, security: str, gaps: Gaps) -> None:
        self.security, self._gaps = security, gaps
        self.scales, self.continuity = Scales(), PROVEN
        self._rows: list[tuple[int, ...]] = []
        self._sides: tuple[_TopSide, _TopSide] | None = None
        self._best: tuple[int, ...] = ()
        self._at = (0, NO_ID)
        self._stale = self._crossed = False

    def __len__(self) -> int:
        return len(self._rows)

    def begin(self, book: Book, scales: Scales, moment_ns: int) -> None:
        held = LevelBook(book)
        held.rescale(scales)
        self._sides = (_TopSide(held.bids), _TopSide(held.asks))
        self.scales = scales
        self._at = (moment_ns, NO_ID if book.update_id is None else book.update_id)
        self.continuity = book.continuity if book.continuity == UNVERIFIABLE else self.continuity
        self._stale = book.stale
        self._note(self._sides[0].best() + self._sides[1].best())

    def lose(self) -> None:
        """Updates are missing from here on: the last best stands, stale."""
        self._stale = self._crossed = True
        if self._best:
            self._note(self._best)

    def apply(self, batch: Changes, scales: Scales) -> None:
        if self._sides is None:
            return
        if scales != self.scales:
            self._rescale(scales)
        self._stale = False
        rows = batch.rows
        price_by, size_by = scales.price - batch.price_scale, scales.size - batch.size_scale
        prices = scaled(rows.prices, price_by, self.security)
        keys = np.where(sides_of(batch), prices, -prices).tolist()
        sizes = scaled(rows.sizes, size_by, self.security).tolist()
        ids = rows.last_ids.tolist() if batch.has_ids else [NO_ID] * len(rows.last_ids)
        columns = (batch.visible_ns, rows.bid_counts, rows.ask_counts)
        begin = 0
        (bids, asks), best = self._sides, self._best
        bid, ask = best[:2], best[2:]
        for time_ns, update_id, bid_count, ask_count in zip(
            columns[0].tolist(), ids, columns[1].tolist(), columns[2].tolist(), strict=True
        ):
            middle = begin + bid_count
            if bid_count:
                bids.apply(keys[begin:middle], sizes[begin:middle])
                bid = bids.best()
            begin = middle + ask_count
            if ask_count:
                asks.apply(keys[middle:begin], sizes[middle:begin])
                ask = asks.best()
            self._at = (time_ns, update_id)
            if (*bid, *ask) != self._best:
                self._note((*bid, *ask))
        for side in self._sides:
            side.tidy()

    def chunk(self) -> Tops:
        """Return the rows and forget them."""
        kept = [row for row in self._rows if self._gaps != "exclude" or not row[6]]
        self._rows = []
        table = np.array(kept, np.int64).reshape(-1, 8)
        times, ids, bid_keys, bid_sizes, ask_keys, ask_sizes = (table[:, n].copy() for n in range(6))
        return Tops(
            self.security,
            self.scales.price,
            self.scales.size,
            times,
            ids,
            -bid_keys,
            bid_sizes,
            ask_keys,
            ask_sizes,
            table[:, 6].astype(np.bool_),
            table[:, 7].astype(np.bool_),
            self.continuity,
        )

    def _note(self, best: tuple[int, ...]) -> None:
        self._best = best
        self._rows.append((*self._at, *best, int(self._stale), int(self._crossed)))
        self._crossed = self._stale

    def _rescale(self, scales: Scales) -> None:
        """Go on at finer *scales*: rare, so by way of sorted arrays."""
        if self._sides is None:
            return
        price_by, size_by = scales.price - self.scales.price, scales.size - self.scales.size
        made = []
        for side in self._sides:
            rows = np.array(sorted(side.sizes.items()), np.int64).reshape(-1, 2)
            keys, sizes = (scaled(rows[:, n], by, self.security) for n, by in ((0, price_by), (1, size_by)))
            made.append(_TopSide(Ladder(keys, sizes)))
        self._sides = (made[0], made[1])
        self._best = self._sides[0].best() + self._sides[1].best()
        self.scales = scales
