"""The orders of an L3 book while they move: what they do to the levels, and where one of them stands."""

import uuid
from collections.abc import Iterable, Iterator

import numpy as np

from book.naming import name_bytes
from book.orders import Desync, Event, OrderBook, Refused, Row
from book.scales import Scales
from condition.codec import ChangeColumns, Int64s
from store.answers import Answer, Book, Changes, Gap, Gaps, OrderEvents
from store.ladder import finer, scaled
from store.series import QueuePositions
from store.source import Source, over
from store.unreadable import Damaged, Unreadable
from wire.runs import ABSENT

CHUNK_ROWS = 1 << 16
"""Rows of positions that are given together: 4 MB."""


class Queues:
    """An L3 book that goes on from an answer of the archive."""

    def __init__(self, book: Book) -> None:
        held = book.orders
        if held is None:
            raise Unreadable(f"{book.security} is recorded by levels: there are no orders")
        self.security = book.security
        self.book = OrderBook()
        self.book.may_cross = True  # (what the recorder applied was possible: there may have been an auction)
        columns = (held.prices, held.sizes, held.placed_ids, held.certain)
        rows = zip(*(column.tolist() for column in columns), held.order_ids, strict=True)
        self.book.replace(
            (
                Row(int(n >= held.bids), price, size, order_id.tobytes(), placed, bool(certain))
                for n, (price, size, placed, certain, order_id) in enumerate(rows)
            ),
            Scales(book.price_scale, book.size_scale),
        )

    def moved(self, batch: OrderEvents) -> Iterator[tuple[Event, list[tuple[int, int, int, int]]]]:
        """Apply the events one by one, yielding each with the levels it changed: side, price, new, old size.

        Raises:
            Damaged: one of them cannot be true of this book.
        """
        try:
            for event in self._events(batch):
                yield event, self.book.apply(event)
        except (Desync, Refused) as error:
            raise Damaged(f"{self.security} (window {batch.start_ns})", str(error)) from error

    def changes(self, batch: OrderEvents) -> Changes:
        """Apply the events and return what they do to the levels, a row each."""
        bids, asks, prices, sizes = [], [], [], []
        for _, moved in self.moved(batch):
            levels: dict[tuple[int, int], tuple[int, int]] = {}
            for side, price, size, old in moved:
                levels[side, price] = (size, levels.get((side, price), (0, old))[1])
            kept = [(*at, size) for at, (size, old) in sorted(levels.items()) if size != old]
            bids.append(sum(side == 0 for side, _, _ in kept))
            asks.append(len(kept) - bids[-1])
            prices += [price for _, price, _ in kept]
            sizes += [size for _, _, size in kept]
        rows, scales = batch.rows, self.book.scales
        columns = (np.array(column, np.int64) for column in (bids, asks, prices, sizes))
        made = ChangeColumns(rows.ids, rows.ids, rows.times_ns, rows.effective_ns, rows.received_ns, *columns)
        return Changes(
            self.security, batch.start_ns, scales.price, scales.size, True, rows.effective_ns, made
        )

    def _events(self, batch: OrderEvents) -> list[Event]:
        scales = finer(self.book.scales, batch.price_scale, batch.size_scale)
        if scales != self.book.scales:
            self.book.rescale(scales)
        rows = batch.rows
        prices = _present(rows.prices, scales.price - batch.price_scale, self.security)
        sizes = _present(rows.sizes, scales.size - batch.size_scale, self.security)
        columns = (column.tolist() for column in (rows.ids, rows.kinds, rows.sides))
        ids = (order_id.tobytes() for order_id in rows.order_ids)
        given = zip(*columns, ids, prices.tolist(), sizes.tolist(), strict=True)
        return [Event(*each) for each in given]


def levels_of(answers: Iterable[Answer]) -> Iterator[Book | Changes | Gap]:
    """Yield a replay with changes of levels in the place of order events."""
    queues: Queues | None = None
    for answer in answers:
        if isinstance(answer, Book):
            queues = Queues(answer) if answer.orders is not None else None
            yield answer
        elif isinstance(answer, OrderEvents):
            if queues is not None:
                yield queues.changes(answer)
        elif isinstance(answer, Changes | Gap):
            yield answer


def positions(
    archive: Source, security: str, order_id: str | bytes, low: int, high: int, gaps: Gaps
) -> Iterator[QueuePositions]:
    """Yield where the order stood at *low* and at each later moment of the range at which that changed."""
    wanted = order_id if isinstance(order_id, bytes) else id_bytes(order_id)
    followed = _Followed(security, wanted)
    for answer in archive.replay(security, low, high, gaps=over(gaps)):
        if isinstance(answer, Book):
            followed.begin(answer, max(low, answer.visible_ns))
        elif isinstance(answer, Gap):
            followed.lose()
        elif isinstance(answer, OrderEvents):
            followed.apply(answer)
        if len(followed.rows) >= CHUNK_ROWS:
            yield followed.chunk(gaps)
    yield followed.chunk(gaps)


class _Followed:
    """One order, and the rows about it that were not given yet."""

    def __init__(self, security: str, order_id: bytes) -> None:
        self.security, self.order_id = security, order_id
        self.rows: list[tuple[int, ...]] = []
        self.scales = Scales()
        self._queues: Queues | None = None
        self._last: tuple[int, ...] = ()
        self._at: tuple[int, int] = (0, 0)
        self._where: tuple[int, int] | None = None
        """Side and price."""

    def begin(self, book: Book, moment_ns: int) -> None:
        self._queues = Queues(book)
        self._raise()
        self._look(moment_ns, book.update_id or 0, stale=book.stale)

    def lose(self) -> None:
        """Say of the order's place that what comes after it is missing."""
        if self._last and self._last[1]:
            self.rows.append((*self._at, *self._last[:-1], 1))
            self._last = (*self._last[:-1], 1)

    def apply(self, batch: OrderEvents) -> None:
        if self._queues is None:
            return
        times = iter(batch.rows.effective_ns.tolist())
        for event, moved in self._queues.moved(batch):
            moment_ns = next(times)
            self._raise()
            self._at = (moment_ns, event.id)
            if event.order_id == self.order_id or any(level[:2] == self._where for level in moved):
                self._look(moment_ns, event.id, stale=False)

    def chunk(self, gaps: Gaps) -> QueuePositions:
        """Return the rows and forget them."""
        kept = [row for row in self.rows if gaps != "exclude" or not row[-1]]
        self.rows = []
        table = np.array(kept, np.int64).reshape(-1, 8)
        times, ids, prices, sizes, ahead, sizes_ahead, certain, stale = (table[:, n].copy() for n in range(8))
        flags = certain.astype(np.bool_), stale.astype(np.bool_)
        scales = self.scales
        return QueuePositions(
            self.security, scales.price, scales.size, times, ids, prices, sizes, ahead, sizes_ahead, *flags
        )

    def _look(self, moment_ns: int, update_id: int, *, stale: bool) -> None:
        self._at = (moment_ns, update_id)
        found = self._queues.book.place(self.order_id) if self._queues is not None else None
        if found is None:
            self._where = None
            if self._last and self._last[1]:
                self._note((self._last[0], 0, 0, 0, self._last[4], int(stale)))
            return
        row, count, size = found
        self._where = (row.side, row.price)
        self._note((row.price, row.size, count, size, int(row.certain), int(stale)))

    def _note(self, seen: tuple[int, ...]) -> None:
        if seen != self._last:
            self.rows.append((*self._at, *seen))
            self._last = seen

    def _raise(self) -> None:
        """Bring the rows to the book's scales, which only ever become finer."""
        if self._queues is None or self._queues.book.scales == self.scales:
            return
        scales = finer(self.scales, *_pair(self._queues.book.scales))
        price_by, size_by = 10 ** (scales.price - self.scales.price), 10 ** (scales.size - self.scales.size)
        self.rows = [
            (a, b, price * price_by, size * size_by, n, ahead * size_by, c, s)
            for a, b, price, size, n, ahead, c, s in self.rows
        ]
        if self._last:
            price, size, n, ahead, c, s = self._last
            self._last = (price * price_by, size * size_by, n, ahead * size_by, c, s)
        if self._queues.book.scales != scales:
            self._queues.book.rescale(scales)
        self.scales = scales


def id_bytes(text: str) -> bytes:
    """Return the 16 bytes of the order id, or of the name, *text*.

    Raises:
        Unreadable: it is none.
    """
    try:
        return uuid.UUID(text).bytes if "-" in text[1:] else name_bytes(text)
    except ValueError as error:
        raise Unreadable(f"{text!r} is no order id: obl at SECURITY TIME --orders lists them") from error


def _pair(scales: Scales) -> tuple[int, int]:
    return scales.price, scales.size


def _present(values: Int64s, by: int, security: str) -> Int64s:
    if not by:
        return values
    absent = values == ABSENT
    return np.where(absent, ABSENT, scaled(np.where(absent, 0, values), by, security))
