"""What one does with an archive: books at regular moments, depth, best bid/ask, bars, queue positions.

The methods of Archive beside those that read what is stored as it lies there.  All take moments as
store.times says and *gaps* as store.history says, and answer in bounded memory, by chunks (store.series).
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from store import bars, queues, sampling, tables, tops
from store.answers import Gaps
from store.blocks import LAST_NS
from store.series import Bars, BookSample, Depth, QueuePositions, Tops
from store.source import Moment, Source
from store.times import BadTime, duration, moment
from wire.names import parse_security

Every = str | timedelta
"""As 250ms, 1s, 5m, 1h, 1d."""

MOST_LEVELS = 100_000


class Analysis:
    """The part of Archive that is made of its other answers."""

    def books(
        self: Source, security: str, start: Moment, end: Moment, every: Every, gaps: Gaps = "error"
    ) -> Iterator[BookSample]:
        """Yield the book at *start* and every *every* after it before *end*, by one walk.

        Raises:
            BadTime, BadSecurity: an argument is none.
            UnknownSecurity, NotStored, InHole, Damaged: see store.unreadable.
        """
        name, bounds = parse_security(security), span(start, end)
        return sampling.books(self, name, *bounds, duration(every), gaps)

    def depth(
        self: Source,
        security: str,
        start: Moment,
        end: Moment,
        levels: int,
        every: Every,
        gaps: Gaps = "error",
    ) -> Iterator[Depth]:
        """Yield the best *levels* of each side at the moments of ``books``: columns (n,) and (n, levels).

        Raises:
            ValueError: *levels* is not between 1 and MOST_LEVELS.
            others as ``books``.
        """
        if not 1 <= levels <= MOST_LEVELS:
            raise ValueError(f"{levels} levels: from 1 to {MOST_LEVELS} can be asked for")
        name, bounds = parse_security(security), span(start, end)
        return sampling.depth(self, name, *bounds, levels, duration(every), gaps)

    def top(
        self: Source,
        security: str,
        start: Moment,
        end: Moment,
        every: Every | None = None,
        gaps: Gaps = "error",
    ) -> Iterator[Tops]:
        """Yield best bid and ask at *start* and at each of their changes, or at the moments of ``books``.

        Raises:
            as ``books``.
        """
        name, bounds = parse_security(security), span(start, end)
        if every is None:
            return tops.tops(self, name, *bounds, gaps)
        return tops.sampled_tops(self, name, *bounds, duration(every), gaps)

    def bars(
        self: Source, security: str, start: Moment, end: Moment, every: Every, gaps: Gaps = "error"
    ) -> Iterator[Bars]:
        """Yield open, high, low, close, volumes and counts of the trades of each *every* from *start* on.

        Raises:
            as ``trades``.
        """
        name, bounds = parse_security(security), span(start, end)
        return bars.bars(self, name, *bounds, duration(every), gaps)

    def queue_position(
        self: Source,
        security: str,
        order_id: str | bytes,
        start: Moment,
        end: Moment,
        gaps: Gaps = "error",
    ) -> Iterator[QueuePositions]:
        """Yield how many orders, and how much, stood before an order of an L3 security, at each change of it.

        Raises:
            Unreadable: the security is recorded by levels, or *order_id* is none.
            others as ``replay``.
        """
        name, bounds = parse_security(security), span(start, end)
        return queues.positions(self, name, order_id, *bounds, gaps)

    def changes_table(
        self: Source,
        security: str,
        start: Moment,
        end: Moment,
        gaps: Gaps = "error",
        *,
        decimals: bool = False,
    ) -> Any:
        """Return ``changes`` as a ``pyarrow.RecordBatchReader``, a row a level (store.tables).

        Raises:
            Unreadable: pyarrow is not installed.
            others as ``changes``, some of them on the way.
        """
        name, bounds = parse_security(security), span(start, end)
        return tables.changes(self, name, *bounds, gaps, decimals=decimals)

    def orders_table(
        self: Source,
        security: str,
        start: Moment,
        end: Moment,
        gaps: Gaps = "error",
        *,
        decimals: bool = False,
    ) -> Any:
        """Return ``orders`` as a ``pyarrow.RecordBatchReader`` (store.tables).

        Raises:
            as ``changes_table``.
        """
        name, bounds = parse_security(security), span(start, end)
        return tables.orders(self, name, *bounds, gaps, decimals=decimals)

    def trades_table(
        self: Source,
        security: str,
        start: Moment,
        end: Moment,
        gaps: Gaps = "error",
        *,
        decimals: bool = False,
    ) -> Any:
        """Return ``trades`` as a ``pyarrow.RecordBatchReader`` (store.tables).

        Raises:
            as ``changes_table``.
        """
        name, bounds = parse_security(security), span(start, end)
        return tables.trades(self, name, *bounds, gaps, decimals=decimals)


def span(start: Moment, end: Moment) -> tuple[int, int]:
    """Return the range in nanoseconds; ``latest`` is the end of what is stored.

    Raises:
        BadTime: one is no moment, or it ends before it begins.
    """
    low, high = (LAST_NS if each is None else each for each in (moment(start), moment(end)))
    if low > high:
        raise BadTime(f"the range ends before it begins: {start} to {end}")
    return low, high
