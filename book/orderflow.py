"""An L3 book as a feed of order events; its policy decides what is written of it.

mode       written                                          image and hash
orders     every event (Orders)                             of the orders
changes    what each event changes in the fold (Changes)    of the fold (an L2 book)
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from book.depth import Span, emit_changes, emit_levels, packed
from book.orders import Desync, Event, LevelChange, OrderBook, Row
from book.outlet import Outlet
from book.scales import MAX_SCALE, Finer, Refused, Scales, exact, until_exact
from book.sync import Update
from venue import numbers
from venue.api import BookSnapshot, OrderEvent, OrderSnapshot
from wire.runs import ABSENT, Image, Orders

Column = NDArray[np.int64]

_NO_ID = bytes(16)


class Batch(NamedTuple):
    """Events in exact integers."""

    updates: Sequence[Update]
    last_ids: Sequence[int]
    times_ns: Sequence[int]
    decoded: Sequence[OrderEvent]
    events: Sequence[Event]
    prices: Column
    sizes: Column
    old_prices: Column
    old_sizes: Column
    funds: Column


class OrderFlow:
    """The book of a feed whose updates are order events."""

    KIND = "l3"
    MODES = ("orders", "changes")

    def __init__(self) -> None:
        self.book = OrderBook()
        self.funds_scale = 0
        self.refused_funds = 0
        """Funds that do not fit 64 bits: written as absent, they change no book."""
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

    def mode(self, every_ms: int) -> str:
        """Return the feed that a policy of *every_ms* writes."""
        return "changes" if every_ms else "orders"

    def enter(self, mode: str) -> None:
        """Write *mode* from now on."""
        if mode != self._mode and mode == "changes":
            self.book.fold.sum_up()
        self._mode = mode

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
        book = OrderBook()
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
        if book.fold.crossed() and not book.may_cross:
            raise Refused("a snapshot whose bids and asks cross")
        self.book = book

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
        rows = zip(decoded, price_column[:n].tolist(), size_column[:n].tolist(), strict=True)
        events = [Event(e.id, e.kind, e.side, e.order_id, price, size) for e, price, size in rows]
        return Batch(
            updates,
            [u.last_id for u in updates],
            [u.time_ns for u in updates],
            decoded,
            events,
            price_column[:n],
            size_column[:n],
            price_column[n:],
            size_column[n:],
            self._funds([e.funds for e in decoded]),
        )

    def apply(self, batch: Batch, begin: int, end: int, span: Span, outlet: Outlet) -> int:
        """Apply the events *begin* to *end*, and send them; return where it stopped.

        It stops before an event that cannot be true of the book.
        """
        changes: list[list[LevelChange]] = []
        stop = end
        for n in range(begin, end):
            try:
                changes.append(self.book.apply(batch.events[n]))
            except Desync:
                stop = n
                break
        if stop > begin:
            if self._mode == "orders":
                self._send_events(batch, slice(begin, stop), span, outlet)
            else:
                self._send_changes(batch.updates[begin:stop], changes, span, outlet)
        return stop

    def _send_events(self, batch: Batch, rows: slice, span: Span, outlet: Outlet) -> None:
        decoded, updates = batch.decoded[rows], batch.updates[rows]
        outlet.emit(
            Orders,
            start_ns=span.start_ns,
            price_scale=self.scales.price,
            size_scale=self.scales.size,
            funds_scale=self.funds_scale,
            ids=packed([e.id for e in decoded]),
            times_ns=packed([u.time_ns for u in updates]),
            effective_ns=packed(span.effective_ns[: len(updates)]),
            received_ns=packed([u.recv_ns for u in updates]),
            kinds_u1=bytes(e.kind for e in decoded),
            sides_u1=bytes(e.side for e in decoded),
            reasons_u1=bytes(e.reason for e in decoded),
            prices=batch.prices[rows].tobytes(),
            sizes=batch.sizes[rows].tobytes(),
            old_prices=batch.old_prices[rows].tobytes(),
            old_sizes=batch.old_sizes[rows].tobytes(),
            funds=batch.funds[rows].tobytes(),
            trade_ids=packed([ABSENT if e.trade_id is None else e.trade_id for e in decoded]),
            order_ids=b"".join(e.order_id or _NO_ID for e in decoded),
            taker_ids=b"".join(e.taker_id or _NO_ID for e in decoded),
        )

    def _send_changes(
        self, updates: Sequence[Update], changes: list[list[LevelChange]], span: Span, outlet: Outlet
    ) -> None:
        kept = [_netted(each) for each in changes]
        rows = [change for each in kept for change in each]
        table = np.array(rows, dtype=np.int64).reshape(-1, 4)
        sides, prices, sizes, olds = (np.ascontiguousarray(table[:, k]) for k in range(4))
        self.book.fold.note(sides, prices, sizes, olds)
        asks = [sum(side for side, *_ in each) for each in kept]
        bids = [len(each) - count for each, count in zip(kept, asks, strict=True)]
        moments = (
            [u.last_id for u in updates],
            [u.time_ns for u in updates],
            [u.recv_ns for u in updates],
        )
        emit_changes(outlet, span, self.scales, moments, (bids, asks), (prices, sizes, olds))

    def image(self, outlet: Outlet, update_id: int, time_ns: int, effective_ns: int, start_ns: int) -> None:
        """Send the whole book, as the mode has it, as it is after *update_id*."""
        if self._mode == "changes":
            emit_levels(self.book.fold, outlet, update_id, time_ns, effective_ns, start_ns)
            return
        bids, rows = self.book.rows()
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
            hash=self.book.hash(),
            bids=bids,
            asks=len(rows) - bids,
            **_columns(rows),
        )

    def hash(self) -> bytes:
        """Return the hash of the book, as the mode has it."""
        return self.book.fold.hash() if self._mode == "changes" else self.book.hash()

    def rescale(self, scales: Scales) -> None:
        """Go on at higher *scales*.

        Raises:
            Refused: the book would not fit 64 bits; it is as it was.
        """
        self.book.rescale(scales)

    def dump(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        bids, rows = self.book.rows()
        return {
            "bids": bids,
            "scales": (self.scales.price, self.scales.size),
            "funds_scale": self.funds_scale,
            "refused_funds": self.refused_funds,
            "unknown": self.book.unknown,
            "may_cross": self.may_cross,
            "mode": self._mode,
            **_columns(rows),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Become what ``dump`` returned."""
        prices, sizes, placed = (
            np.frombuffer(state[name], dtype="<i8").tolist() for name in ("prices", "sizes", "placed_ids")
        )
        ids, certain, bids = state["order_ids"], state["certain_u1"], state["bids"]
        self.book = OrderBook()
        self.book.replace(
            (
                Row(
                    int(n >= bids), prices[n], sizes[n], ids[16 * n : 16 * n + 16], placed[n], certain[n] == 1
                )
                for n in range(len(prices))
            ),
            Scales(*state["scales"]),
        )
        self.funds_scale, self.refused_funds = state["funds_scale"], state["refused_funds"]
        self.book.unknown, self.may_cross = state["unknown"], state["may_cross"]
        self._mode = state["mode"]

    def _funds(self, funds: Sequence[str | None]) -> Column:
        if not any(funds):
            return np.full(len(funds), ABSENT, dtype=np.int64)
        try:
            return _blanked(numbers.exact(_texts(funds), self.funds_scale), funds)
        except numbers.Finer as finer:
            if finer.scale <= MAX_SCALE:
                self.funds_scale = finer.scale
                return self._funds(funds)
        except (numbers.TooLarge, numbers.BadNumber):
            pass
        if len(funds) == 1:
            self.refused_funds += 1
            return np.full(1, ABSENT, dtype=np.int64)
        return np.concatenate([self._funds([each]) for each in funds])


def _columns(rows: Sequence[Row]) -> dict[str, bytes]:
    return {
        "prices": packed([row.price for row in rows]),
        "sizes": packed([row.size for row in rows]),
        "order_ids": b"".join(row.order_id for row in rows),
        "placed_ids": packed([row.placed_id for row in rows]),
        "certain_u1": bytes(row.certain for row in rows),
    }


def _event(update: Update) -> OrderEvent:
    if not isinstance(update.decoded, OrderEvent):
        raise TypeError("an order event must be decoded before it is applied")
    return update.decoded


def _texts(texts: Sequence[str | None]) -> list[str]:
    return ["0" if text is None else text for text in texts]


def _blanked(column: Column, texts: Sequence[str | None]) -> Column:
    """Return *column* with ABSENT where there was no text."""
    return np.where([text is None for text in texts], ABSENT, column)


def _netted(changes: list[LevelChange]) -> list[LevelChange]:
    """Return the changes of one event, one a level (an order moved inside its level is none), bids first."""
    levels: dict[tuple[int, int], tuple[int, int]] = {}
    for side, price, size, old in changes:
        first_old = levels[side, price][1] if (side, price) in levels else old
        levels[side, price] = (size, first_old)
    return [(side, price, size, old) for (side, price), (size, old) in sorted(levels.items()) if size != old]


__all__ = ["Batch", "Finer", "OrderFlow"]
