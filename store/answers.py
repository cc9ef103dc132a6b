"""What the archive answers with: the book of a moment, and batches of columns.

Prices and sizes are integers in units of ``10**-price_scale`` and ``10**-size_scale`` of the answer they
stand in; ``*_ns`` are UTC nanoseconds since 1970.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from condition.codec import ChangeColumns, Int64s, OrderColumns, TradeColumns
from store.fold import Certified, Fold
from store.order_fold import Orders
from store.pieces import Piece

Gaps = Literal["error", "include", "exclude"]
"""What to do where updates are missing (store.history)."""

PROVEN = "proven"
UNVERIFIABLE = "unverifiable"


@dataclass(frozen=True, eq=False, slots=True)
class Book:
    """The book right after one update."""

    security: str
    time_ns: int
    """Exchange time of the last update."""
    update_id: int | None
    """None where the feed has no ids."""
    bids: Int64s
    """Rows of price and size, best first, every known level."""
    asks: Int64s
    price_scale: int
    size_scale: int
    certified: Certified
    continuity: str
    """``proven``, or ``unverifiable`` where the feed's own losses cannot be seen."""
    orders: Orders | None
    """Of an L3 book: every order, in queue order."""
    stale: bool
    """Whether updates after it are missing."""
    effective_ns: int
    """The exchange time made monotonic; it decides what comes before what."""
    visible_ns: int
    """From when on this is the book: ``effective_ns``, or the end of the last update's interval."""
    named: bool = False
    """Whether the orders have names (book.naming) in the place of the exchange's ids, which were not kept."""


@dataclass(frozen=True, eq=False, slots=True)
class Changes:
    """Changes of levels, of one part of one window; the levels of row i are its bids, then its asks."""

    security: str
    start_ns: int
    """Of the window."""
    price_scale: int
    size_scale: int
    has_ids: bool
    visible_ns: Int64s
    """When each row is part of the book: its effective time, or the end of its interval."""
    rows: ChangeColumns


@dataclass(frozen=True, eq=False, slots=True)
class OrderEvents:
    """Order events (L3) of one part of one window."""

    security: str
    start_ns: int
    price_scale: int
    size_scale: int
    funds_scale: int
    rows: OrderColumns
    named: bool = False
    """As of a Book."""


@dataclass(frozen=True, eq=False, slots=True)
class Trades:
    """Trades of one part of one window."""

    security: str
    start_ns: int
    price_scale: int
    size_scale: int
    rows: TradeColumns


@dataclass(frozen=True, eq=False, slots=True)
class Gap:
    """A hole that was read over; *row* is the ledger's, None where it has none."""

    security: str
    feed: str
    first_id: int
    last_id: int | None
    until_ns: int
    """Effective time of the first row after it."""
    row: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Span:
    """What is stored of one feed without a hole."""

    security: str
    feed: str
    first_id: int | None
    """None where the feed has no ids."""
    last_id: int | None
    from_ns: int
    to_ns: int
    """Exchange times of the first and the last row."""
    documents: int
    rows: int


class Found(NamedTuple):
    """A book to go on from: after the last row of ``last``."""

    fold: Fold
    last: Piece
    stale: bool

    def book(self, security: str) -> Book:
        """Return it as an answer."""
        last, fold = self.last, self.fold
        bids, asks = fold.levels()
        update_id, has_ids = int(last.last_ids[-1]), last.block.has_ids
        return Book(
            security=security,
            time_ns=int(last.rows.times_ns[-1]),
            update_id=update_id if has_ids else None,
            bids=bids,
            asks=asks,
            price_scale=fold.scales.price,
            size_scale=fold.scales.size,
            certified=fold.certified,
            continuity=PROVEN if has_ids else UNVERIFIABLE,
            orders=fold.orders(),
            stale=self.stale,
            effective_ns=int(last.effective_ns[-1]),
            visible_ns=int(last.visible_ns[-1]),
            named=fold.named,
        )


Answer = Book | Changes | OrderEvents | Trades | Gap
