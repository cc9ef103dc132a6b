"""An L3 book as a feed of order events; its policy decides what is written of it.

mode       written                                          image and hash
orders     every event (Orders)                             of the orders
named      the same, the orders by their names              of the orders by their names (book.naming)
changes    what each event changes in the fold (Changes)    of the fold (an L2 book)
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from book.compiled_orders import AnyOrderBook, new_order_book
from book.depth import Span, emit_changes, emit_levels, packed
from book.events import Events, OrderColumns, Row
from book.hash import of_orders
from book.naming import Names
from book.outlet import Outlet
from book.run import Run
from book.scales import MAX_SCALE, Finer, Refused, Scales, exact, until_exact
from book.sync import Update
from venue import numbers
from venue.api import BookSnapshot, OrderEvent, OrderSnapshot
from venue.columns import EventColumns
from venue.decimals import BadNumber
from wire.messages import Policy
from wire.runs import ABSENT, Image, Orders

Column = NDArray[np.int64]

_NO_ID = bytes(16)
_FIELDS = ("prices", "sizes", "order_ids", "placed_ids", "certain_u1")
"""Of the orders in an image and a checkpoint."""


class Batch(NamedTuple):
    """Events in exact integers."""

    last_ids: Sequence[int]
    times_ns: Sequence[int]
    received_ns: Sequence[int]
    events: Events
    reasons_u1: bytes
    old_prices: Column
    old_sizes: Column
    funds: Column
    trade_ids: Column
    taker_ids: bytes


class OrderFlow:
    """The book of a feed whose updates are order events."""

    KIND = "l3"

    def __init__(self) -> None:
        self.book: AnyOrderBook = new_order_book()
        self.funds_scale = 0
        self.refused_funds = 0
        """Funds that do not fit 64 bits: written as absent, they change no book."""
        self.names: Names | None = None
        """Of the orders, where the mode is ``named``."""
        self._mode = "orders"

    @property
    def may_cross(self) -> bool:
        """Say whether the book may be crossed (an auction)."""
        return self.book.may_cross

    @may_cross.setter
    def may_cross(self, may: bool) -> None:
        self.book.may_cross = may

    @property
    def scales(self) -> Scales:
        """Return the book's scales."""
        return self.book.scales

    @property
    def feed(self) -> str:
        """Return the feed that the mode writes."""
        return "changes" if self._mode == "changes" else "orders"

    def enter(self, policy: Policy, last_id: int) -> bool:
        """Write as *policy* says after the update *last_id*; return whether that is another mode."""
        before, self._mode = self._mode, mode_of(policy)
        if self._mode == before:
            return False
        self.names = Names() if self._mode == "named" else None
        self._name_all(last_id)
        return True

    def replace(self, snapshot: BookSnapshot | OrderSnapshot, snapshot_id: int) -> None:
        """Become *snapshot*; merging it into the old book would keep orders that are gone.

        Raises:
            Refused: a value does not fit, or bids and asks cross outside an auction; the book is as it was.
        """
        if not isinstance(snapshot, OrderSnapshot):
            raise Refused("a snapshot of levels for a book of orders")
        rows = [*snapshot.bids, *snapshot.asks]
        texts = [row[0] for row in rows], [row[1] for row in rows]
        (prices, sizes), scales = until_exact(self.scales, lambda at: exact(*texts, at))
        book = new_order_book()
        bids = len(snapshot.bids)
        numbered = enumerate(zip(prices.tolist(), sizes.tolist(), rows, strict=True))
        book.replace(
            (
                Row(int(n >= bids), price, size, row[2], snapshot_id, False)
                for n, (price, size, row) in numbered
            ),
            scales,
        )
        book.may_cross = self.may_cross or snapshot.auction
        book.unknown = self.book.unknown
        if book.crossed() and not book.may_cross:
            raise Refused("a snapshot whose bids and asks cross")
        self.book = book
        self._name_all(snapshot_id)

    def prepare(self, updates: Sequence[Update]) -> Batch:
        """Return *updates* in exact integers at the book's scales.

        Raises:
            Finer, Refused: as ``scales.exact`` says.
        """
        decoded = [_event(update) for update in updates]
        n = len(decoded)
        prices = [e.price for e in decoded] + [e.old_price for e in decoded]
        sizes = [e.size for e in decoded] + [e.old_size for e in decoded]
        price_column, size_column = exact(_texts(prices), _texts(sizes), self.scales)
        price_column, size_column = _blanked(price_column, prices), _blanked(size_column, sizes)
        events = Events(
            np.array([e.id for e in decoded], dtype=np.int64),
            bytes(e.kind for e in decoded),
            bytes(e.side for e in decoded),
            b"".join(e.order_id or _NO_ID for e in decoded),
            price_column[:n],
            size_column[:n],
        )
        return Batch(
            [u.last_id for u in updates],
            [u.time_ns for u in updates],
            [u.recv_ns for u in updates],
            events,
            bytes(e.reason for e in decoded),
            price_column[n:],
            size_column[n:],
            self._funds([e.funds for e in decoded]),
            np.array([ABSENT if e.trade_id is None else e.trade_id for e in decoded], dtype=np.int64),
            b"".join(e.taker_id or _NO_ID for e in decoded),
        )

    def prepare_run(self, run: Run) -> Batch | None:
        """Return *run* at the book's scales; None where its events have to be looked at one by one."""
        found = run.columns
        if not isinstance(found, EventColumns):
            return None
        prices = _at_scale((found.prices, found.old_prices), found.price_decimals, self.scales.price)
        sizes = _at_scale((found.sizes, found.old_sizes), found.size_decimals, self.scales.size)
        funds = _at_scale((found.funds,), found.funds_decimals, self.funds_scale)
        if prices is None or sizes is None or funds is None:
            return None
        ids = np.array(found.ids, dtype=np.int64)
        events = Events(ids, found.kinds_u1, found.sides_u1, found.order_ids, prices[0], sizes[0])
        return Batch(
            found.ids,
            found.times_ns,
            run.frames.received_ns,
            events,
            found.reasons_u1,
            prices[1],
            sizes[1],
            funds[0],
            found.trade_ids,
            found.taker_ids,
        )

    def apply(self, batch: Batch, begin: int, end: int, span: Span, outlet: Outlet) -> int:
        """Apply the events *begin* to *end*, and send them; return where it stopped.

        It stops before an event that cannot be true of the book.
        """
        stop, changes = self.book.apply_all(batch.events, begin, end, fold=self._mode == "changes")
        if stop > begin:
            if changes is None:
                self._send_events(batch, begin, stop, span, outlet)
            else:
                rows = slice(begin, stop)
                moments = batch.last_ids[rows], batch.times_ns[rows], batch.received_ns[rows]
                counts, columns = (changes.bids, changes.asks), (changes.prices, changes.sizes, changes.olds)
                emit_changes(outlet, span, self.scales, moments, counts, columns)
        return stop

    def _send_events(self, batch: Batch, begin: int, end: int, span: Span, outlet: Outlet) -> None:
        events, rows, ids = batch.events, slice(begin, end), slice(16 * begin, 16 * end)
        kinds, order_ids, taker_ids = events.kinds_u1[rows], events.order_ids[ids], batch.taker_ids[ids]
        if self.names is not None:
            order_ids, taker_ids = self.names.of_events(
                events.ids[rows].tolist(), kinds, order_ids, taker_ids
            )
        outlet.emit(
            Orders,
            start_ns=span.start_ns,
            price_scale=self.scales.price,
            size_scale=self.scales.size,
            funds_scale=self.funds_scale,
            ids=events.ids[rows].tobytes(),
            times_ns=packed(batch.times_ns[rows]),
            effective_ns=packed(span.effective_ns[: end - begin]),
            received_ns=packed(batch.received_ns[rows]),
            kinds_u1=kinds,
            sides_u1=events.sides_u1[rows],
            reasons_u1=batch.reasons_u1[rows],
            prices=events.prices[rows].tobytes(),
            sizes=events.sizes[rows].tobytes(),
            old_prices=batch.old_prices[rows].tobytes(),
            old_sizes=batch.old_sizes[rows].tobytes(),
            funds=batch.funds[rows].tobytes(),
            trade_ids=batch.trade_ids[rows].tobytes(),
            order_ids=order_ids,
            taker_ids=taker_ids,
            named=self.names is not None,
        )

    def image(self, outlet: Outlet, update_id: int, time_ns: int, effective_ns: int, start_ns: int) -> None:
        """Send the whole book, as the mode has it, as it is after *update_id*."""
        if self._mode == "changes":
            fold = self.book.fold
            fold.sum_up()
            emit_levels(fold, outlet, update_id, time_ns, effective_ns, start_ns)
            return
        found = self.columns()
        outlet.emit(
            Image,
            start_ns=start_ns,
            update_id=update_id,
            time_ns=time_ns,
            effective_ns=effective_ns,
            book="l3",
            price_scale=self.scales.price,
            size_scale=self.scales.size,
            certified=(None, None),
            hash=self.hash(),
            bids=found.bids,
            asks=len(found.certain_u1) - found.bids,
            named=self.names is not None,
            **_fields(found),
        )

    def columns(self) -> OrderColumns:
        """Return all orders, by their names where the mode is ``named``."""
        found = self.book.columns()
        return found._replace(order_ids=self.listed(found.order_ids))

    def listed(self, order_ids: bytes) -> bytes:
        """Return the ids of orders of the book as the mode has them."""
        return order_ids if self.names is None else self.names.of_book(order_ids)

    def hash(self) -> bytes:
        """Return the hash of the book, as the mode has it."""
        if self._mode == "changes":
            return self.book.fold_hash()
        if self.names is None:
            return self.book.hash()
        found = self.columns()
        prices, sizes, placed_ids = (
            np.frombuffer(column, "<i8") for column in (found.prices, found.sizes, found.placed_ids)
        )
        sides = (np.arange(len(prices)) >= found.bids).astype(np.int64)
        return of_orders(
            sides, prices, sizes, found.order_ids, placed_ids, self.scales.price, self.scales.size
        )

    def rescale(self, scales: Scales) -> None:
        """Go on at higher *scales*.

        Raises:
            Refused: the book would not fit 64 bits; it is as it was.
        """
        self.book.rescale(scales)

    def dump(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        found = self.book.columns()
        return {
            "bids": found.bids,
            "scales": (self.scales.price, self.scales.size),
            "funds_scale": self.funds_scale,
            "refused_funds": self.refused_funds,
            "unknown": self.book.unknown,
            "may_cross": self.may_cross,
            "mode": self._mode,
            "names": None if self.names is None else self.names.dump(),
            **_fields(found),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Become what ``dump`` returned."""
        found = OrderColumns(state["bids"], *(state[name] for name in _FIELDS))
        self.book = new_order_book()
        self.book.replace(found.rows(), Scales(*state["scales"]))
        self.funds_scale, self.refused_funds = state["funds_scale"], state["refused_funds"]
        self.book.unknown, self.may_cross = state["unknown"], state["may_cross"]
        self._mode = state["mode"]
        if state.get("names") is not None:  # (a checkpoint of an earlier version has none)
            self.names = Names()
            self.names.load(state["names"])

    def _name_all(self, update_id: int) -> None:
        """Name the orders of the book as it was after *update_id*, if they are to be named."""
        if self.names is not None:
            self.names.begin(self.book.columns().order_ids, update_id)

    def _funds(self, funds: Sequence[str | None]) -> Column:
        if not any(funds):
            return np.full(len(funds), ABSENT, dtype=np.int64)
        try:
            return _blanked(numbers.exact(_texts(funds), self.funds_scale), funds)
        except numbers.Finer as finer:
            if finer.scale <= MAX_SCALE:
                self.funds_scale = finer.scale
                return self._funds(funds)
        except (numbers.TooLarge, BadNumber):
            pass
        if len(funds) == 1:
            self.refused_funds += 1
            return np.full(1, ABSENT, dtype=np.int64)
        return np.concatenate([self._funds([each]) for each in funds])


def mode_of(policy: Policy) -> str:
    """Return the mode of a security that is recorded by *policy*."""
    return "changes" if policy.every_ms else "orders" if policy.order_ids else "named"


def _at_scale(columns: Sequence[Column], decimals: int, scale: int) -> list[Column] | None:
    """Return *columns*, integers with *decimals*, at *scale*; None where one does not fit or is finer."""
    if decimals > min(scale, MAX_SCALE):
        return None  # one of them needs all its decimals
    try:
        return [numbers.rescale(column, decimals, scale) for column in columns]
    except numbers.TooLarge:
        return None


def _fields(found: OrderColumns) -> dict[str, bytes]:
    return dict(zip(_FIELDS, found[1:], strict=True))


def _event(update: Update) -> OrderEvent:
    if not isinstance(update.decoded, OrderEvent):
        raise TypeError("an order event must be decoded before it is applied")
    return update.decoded


def _texts(texts: Sequence[str | None]) -> list[str]:
    return ["0" if text is None else text for text in texts]


def _blanked(column: Column, texts: Sequence[str | None]) -> Column:
    """Return *column* with ABSENT where there was no text."""
    return np.where([text is None for text in texts], ABSENT, column)


__all__ = ["Batch", "Finer", "OrderFlow"]
