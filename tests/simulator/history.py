"""What a market was at every past moment, in bounded memory.

The operations are kept as columns (25 bytes each) and every ``IMAGE_EVERY`` of them the whole book; a past
book is the image before it with the operations after that applied.
"""

from array import array
from bisect import bisect_right
from collections import deque
from typing import NamedTuple

from tests.simulator.queues import BUY, SELL, Op, Queues

IMAGE_EVERY = 16_384
"""Costs at most this many applications to rebuild a moment: about 20 ms."""

MAX_ENTRIES = 2_097_152
"""36 minutes at 500 events (about 950 messages) a second; about 60 MB."""

MAX_TRADES = 524_288
"""About 25 MB; an hour and more at 500 events a second."""


class Forgotten(LookupError):
    """The moment or id lies before what is kept, or after what has happened."""


class Traded(NamedTuple):
    """A trade; *side* is the maker's, *maker* and *taker* are order numbers."""

    id: int
    time_ns: int
    price: int
    size: int
    side: int
    maker: int
    taker: int


class _Image(NamedTuple):
    number: int
    time_ns: int
    rows: "array[int]"


def _image(number: int, time_ns: int, book: Queues) -> _Image:
    rows: array[int] = array("q")
    for side in (BUY, SELL):
        for row in book.rows(side):
            rows.extend(row)
    return _Image(number, time_ns, rows)


class History:
    """The operations of a market by number and by time; numbers have no hole, times never go back."""

    def __init__(self, book: Queues, number: int, time_ns: int) -> None:
        self._images = deque([_image(number, time_ns, book)])
        self._base = number + 1
        self._times: array[int] = array("q")
        self._orders: array[int] = array("I")
        self._codes: array[int] = array("B")
        self._prices: array[int] = array("q")
        self._sizes: array[int] = array("q")

    @property
    def first(self) -> int:
        """The oldest number whose book can be given."""
        return self._images[0].number

    @property
    def last(self) -> int:
        """The newest number."""
        return self._base + len(self._times) - 1

    def append(self, time_ns: int, op: Op, order: int, side: int, price: int, size: int) -> int:
        """Keep one operation; return its number."""
        self._times.append(time_ns)
        self._orders.append(order)
        self._codes.append(op << 1 | side)
        self._prices.append(price)
        self._sizes.append(size)
        return self.last

    def settle(self, book: Queues) -> None:
        """Keep an image when one is due; *book* has had every operation so far applied, and no more."""
        if self.last - self._images[-1].number < IMAGE_EVERY:
            return
        self._images.append(_image(self.last, self._times[-1], book))
        if len(self._times) > MAX_ENTRIES:
            self._drop_oldest()

    def number_at(self, time_ns: int) -> int:
        """Return the number of the last operation with a time <= *time_ns*.

        Raises:
            Forgotten: the moment lies before the oldest kept.
        """
        if time_ns < self._images[0].time_ns:
            raise Forgotten(f"time {time_ns} is before {self._images[0].time_ns}")
        return self._base - 1 + bisect_right(self._times, time_ns)

    def time_of(self, number: int) -> int:
        """Return the time of operation *number*, or of the image when it is the oldest."""
        index = number - self._base
        return self._times[index] if index >= 0 else self._images[0].time_ns

    def book_at(self, number: int) -> Queues:
        """Return the book right after operation *number*.

        Raises:
            Forgotten: it is not kept any more, or has not happened.
        """
        if not self.first <= number <= self.last:
            raise Forgotten(f"number {number} is not in {self.first} .. {self.last}")
        image = next(image for image in reversed(self._images) if image.number <= number)
        book = Queues()
        rows = image.rows
        for i in range(0, len(rows), 4):
            book.apply(Op.PLACE, rows[i], rows[i + 1], rows[i + 2], rows[i + 3])
        for i in range(image.number + 1 - self._base, number + 1 - self._base):
            code = self._codes[i]
            book.apply(code >> 1, self._orders[i], code & 1, self._prices[i], self._sizes[i])
        return book

    def _drop_oldest(self) -> None:
        self._images.popleft()
        gone = self._images[0].number + 1 - self._base
        for column in (self._times, self._orders, self._codes, self._prices, self._sizes):
            del column[:gone]
        self._base += gone


class Trades:
    """The trades of a market, by id; ids have no hole."""

    def __init__(self, first_id: int) -> None:
        self._rows: deque[Traded] = deque(maxlen=MAX_TRADES)
        self._next = first_id

    @property
    def first(self) -> int:
        """The oldest id kept."""
        return self._next - len(self._rows)

    @property
    def last(self) -> int:
        """The newest id; before the first trade one less than that will have."""
        return self._next - 1

    def append(self, trade: Traded) -> None:
        """Keep *trade*, the next in id order."""
        if trade.id != self._next:
            raise ValueError(f"trade {trade.id} after {self._next - 1}")
        self._next += 1
        self._rows.append(trade)

    def between(self, first_id: int, last_id: int) -> list[Traded]:
        """Return those of the ids first_id .. last_id (inclusive) that are kept, oldest first."""
        first, last = max(first_id, self.first), min(last_id, self.last)
        # Indexing a deque from its end is cheap where most questions fall: the newest trades.
        return [self._rows[number - self._next] for number in range(first, last + 1)]
