"""The orders of an L3 book while they move: what they do to the levels, and where one of them stands."""

import uuid
from collections.abc import Iterable, Iterator

import numpy as np

from book.naming import name_bytes
from book.scales import Scales
from store.answers import Answer, Book, Changes, Gap, Gaps, OrderEvents
from store.order_fold import OrderFold, Told
from store.scaling import finer
from store.series import QueuePositions
from store.source import Source, over
from store.unreadable import Unreadable

CHUNK_ROWS = 1 << 16
"""Rows of positions that are given together: 4 MB."""


def _book(answer: Book) -> OrderFold:
    """Return the book of *answer*, to go on from.

    Raises:
        Unreadable: it has levels only.
    """
    if answer.orders is None:
        raise Unreadable(f"{answer.security} is recorded by levels: there are no orders")
    return OrderFold(
        answer.orders, Scales(answer.price_scale, answer.size_scale), answer.certified, named=answer.named
    )


def _told(batch: OrderEvents) -> Told:
    name = f"{batch.security} (window {batch.start_ns})"
    return Told(batch.rows, Scales(batch.price_scale, batch.size_scale), name)


def _changes(book: OrderFold, batch: OrderEvents) -> Changes:
    rows = book.changes(_told(batch))
    price_scale, size_scale = book.scales.price, book.scales.size
    return Changes(
        batch.security, batch.start_ns, price_scale, size_scale, True, batch.rows.effective_ns, rows
    )


def levels_of(answers: Iterable[Answer]) -> Iterator[Book | Changes | Gap]:
    """Yield a replay with changes of levels in the place of order events."""
    book: OrderFold | None = None
    for answer in answers:
        if isinstance(answer, Book):
            book = _book(answer) if answer.orders is not None else None
            yield answer
        elif isinstance(answer, OrderEvents):
            if book is not None:
                yield _changes(book, answer)
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
        self._book: OrderFold | None = None
        self._last: tuple[int, ...] = ()
        self._at: tuple[int, int] = (0, 0)
        self._where: tuple[int, int] | None = None
        """Side and price."""

    def begin(self, book: Book, moment_ns: int) -> None:
        self._book = _book(book)
        self._raise()
        self._look(moment_ns, book.update_id or 0, stale=book.stale)

    def lose(self) -> None:
        """Say of the order's place that what comes after it is missing."""
        if self._last and self._last[1]:
            self.rows.append((*self._at, *self._last[:-1], 1))
            self._last = (*self._last[:-1], 1)

    def apply(self, batch: OrderEvents) -> None:
        if self._book is None:
            return
        times = iter(batch.rows.effective_ns.tolist())
        for event, moved in self._book.moved(_told(batch)):
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
        found = self._book.place(self.order_id) if self._book is not None else None
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
        if self._book is None or self._book.scales == self.scales:
            return
        scales = finer(self.scales, *_pair(self._book.scales))
        price_by, size_by = 10 ** (scales.price - self.scales.price), 10 ** (scales.size - self.scales.size)
        self.rows = [
            (a, b, price * price_by, size * size_by, n, ahead * size_by, c, s)
            for a, b, price, size, n, ahead, c, s in self.rows
        ]
        if self._last:
            price, size, n, ahead, c, s = self._last
            self._last = (price * price_by, size * size_by, n, ahead * size_by, c, s)
        if self._book.scales != scales:
            self._book.rescale(scales)
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
