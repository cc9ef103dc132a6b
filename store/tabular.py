"""What the archive answers with as tables: one row a level, a trade or an order event; pure.

feed      a row is
changes   a level of an update; an update without levels has none
trades    a trade
orders    an order event
images    a level (L3: an order) of a whole book: at the start, and wherever the changes alone do not lead on

FEEDS has the columns.  Numbers are int64: times UTC nanoseconds, decimals in units of 10**-scale of a batch.
What the exchange did not give is None, or ABSENT in a number.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import NamedTuple

import numpy as np

from condition.codec import Ids, Int64s
from store.answers import Book, Changes, OrderEvents, Trades
from store.shapes import KINDS, REASONS, SIDES, order_id
from wire.runs import ABSENT


class Kind(Enum):
    """What a column holds."""

    TIME = "time"
    INTEGER = "integer"
    DECIMAL = "decimal"
    TEXT = "text"


class Column(NamedTuple):
    """One column of a batch."""

    values: Int64s | Sequence[str | None]
    scale: int = 0
    """Decimals, of a DECIMAL."""


Batch = Changes | Trades | OrderEvents | Book

BOOK_SIDES = ("bid", "ask")

FEEDS: dict[str, dict[str, Kind]] = {
    "changes": {
        "time": Kind.TIME,
        "recv_time": Kind.TIME,
        "first_id": Kind.INTEGER,
        "update_id": Kind.INTEGER,
        "side": Kind.TEXT,
        "price": Kind.DECIMAL,
        "size": Kind.DECIMAL,
    },
    "trades": {
        "id": Kind.INTEGER,
        "time": Kind.TIME,
        "recv_time": Kind.TIME,
        "price": Kind.DECIMAL,
        "size": Kind.DECIMAL,
        "side": Kind.TEXT,
    },
    "orders": {
        "update_id": Kind.INTEGER,
        "time": Kind.TIME,
        "recv_time": Kind.TIME,
        "event": Kind.TEXT,
        "side": Kind.TEXT,
        "order_id": Kind.TEXT,
        "price": Kind.DECIMAL,
        "size": Kind.DECIMAL,
        "old_price": Kind.DECIMAL,
        "old_size": Kind.DECIMAL,
        "funds": Kind.DECIMAL,
        "trade_id": Kind.INTEGER,
        "reason": Kind.TEXT,
        "taker_order_id": Kind.TEXT,
    },
    "images": {
        "time": Kind.TIME,
        "update_id": Kind.INTEGER,
        "side": Kind.TEXT,
        "price": Kind.DECIMAL,
        "size": Kind.DECIMAL,
        "order_id": Kind.TEXT,
    },
}


def table(batch: Batch) -> dict[str, Column]:
    """Return the columns of *batch*, those of FEEDS in their order."""
    match batch:
        case Changes():
            return _changes(batch)
        case Trades():
            return _trades(batch)
        case OrderEvents():
            return _orders(batch)
        case Book():
            return _image(batch)


def _changes(batch: Changes) -> dict[str, Column]:
    rows = batch.rows
    counts = rows.bid_counts + rows.ask_counts
    pairs = np.stack((rows.bid_counts, rows.ask_counts), axis=1).ravel()
    sides = np.repeat(np.tile(np.array([0, 1], np.int64), len(counts)), pairs)
    no_ids = np.full(len(sides), ABSENT, np.int64)
    first_ids, last_ids = (np.repeat(ids, counts) for ids in (rows.first_ids, rows.last_ids))
    return {
        "time": Column(np.repeat(rows.times_ns, counts)),
        "recv_time": Column(np.repeat(rows.received_ns, counts)),
        "first_id": Column(first_ids if batch.has_ids else no_ids),
        "update_id": Column(last_ids if batch.has_ids else no_ids),
        "side": _named(sides, BOOK_SIDES.__getitem__),
        "price": Column(rows.prices, batch.price_scale),
        "size": Column(rows.sizes, batch.size_scale),
    }


def _trades(batch: Trades) -> dict[str, Column]:
    rows = batch.rows
    return {
        "id": Column(rows.ids),
        "time": Column(rows.times_ns),
        "recv_time": Column(rows.received_ns),
        "price": Column(rows.prices, batch.price_scale),
        "size": Column(rows.sizes, batch.size_scale),
        "side": _named(rows.sides, SIDES.__getitem__),
    }


def _orders(batch: OrderEvents) -> dict[str, Column]:
    rows = batch.rows
    return {
        "update_id": Column(rows.ids),
        "time": Column(rows.times_ns),
        "recv_time": Column(rows.received_ns),
        "event": _named(rows.kinds, KINDS.__getitem__),
        "side": _named(rows.sides, SIDES.__getitem__),
        "order_id": _order_ids(rows.order_ids, named=batch.named),
        "price": Column(rows.prices, batch.price_scale),
        "size": Column(rows.sizes, batch.size_scale),
        "old_price": Column(rows.old_prices, batch.price_scale),
        "old_size": Column(rows.old_sizes, batch.size_scale),
        "funds": Column(rows.funds, batch.funds_scale),
        "trade_id": Column(rows.trade_ids),
        "reason": _named(rows.reasons, REASONS.get),
        "taker_order_id": _order_ids(rows.taker_ids, named=batch.named),
    }


def _image(book: Book) -> dict[str, Column]:
    held = book.orders
    if held is None:
        bids = len(book.bids)
        prices, sizes = np.concatenate((book.bids, book.asks)).T
        ids = Column([None] * len(prices))
    else:
        bids, prices, sizes = held.bids, held.prices, held.sizes
        ids = _order_ids(held.order_ids, named=book.named)
    count = len(prices)
    update_id = ABSENT if book.update_id is None else book.update_id
    return {
        "time": Column(np.full(count, book.time_ns, np.int64)),
        "update_id": Column(np.full(count, update_id, np.int64)),
        "side": Column(["bid"] * bids + ["ask"] * (count - bids)),
        "price": Column(prices, book.price_scale),
        "size": Column(sizes, book.size_scale),
        "order_id": ids,
    }


def _named(codes: Int64s, name: Callable[[int], str | None]) -> Column:
    return Column([name(code) for code in codes.tolist()])


def _order_ids(ids: Ids, *, named: bool) -> Column:
    return Column([order_id(ids, row, named=named) for row in range(len(ids))])
