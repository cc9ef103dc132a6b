"""Turns the order events of a replayed L3 security into changes of levels; pure."""

from collections.abc import Iterable, Iterator

import numpy as np

from book.orders import Desync, Event, OrderBook, Row
from book.scales import Scales
from condition.codec import ChangeColumns, OrderColumns
from store.answers import Answer, Book, Changes, OrderEvents
from store.unreadable import Damaged
from venue.numbers import rescale


def leveled(answers: Iterable[Answer]) -> Iterator[Answer]:
    """Yield *answers* (of Archive.replay) with every OrderEvents as the Changes that they come to.

    Raises:
        Damaged: an event cannot be true of the book.
    """
    orders: OrderBook | None = None
    for answer in answers:
        if isinstance(answer, Book) and answer.orders is not None:
            orders = _orders(answer)
        if isinstance(answer, OrderEvents) and orders is not None:
            yield _changes(answer, orders)
        else:
            yield answer


def _orders(book: Book) -> OrderBook:
    held = book.orders
    made = OrderBook()
    made.may_cross = True  # (what the recorder applied was possible)
    if held is None:
        return made
    columns = (held.prices.tolist(), held.sizes.tolist(), held.placed_ids.tolist(), held.certain.tolist())
    rows = (
        Row(int(n >= held.bids), price, size, order_id.tobytes(), placed, bool(certain))
        for n, (price, size, placed, certain, order_id) in enumerate(
            zip(*columns, held.order_ids, strict=True)
        )
    )
    made.replace(rows, Scales(book.price_scale, book.size_scale))
    return made


def _changes(events: OrderEvents, book: OrderBook) -> Changes:
    """Return what *events* do to the levels of *book*, applying them."""
    scales = Scales(max(book.scales.price, events.price_scale), max(book.scales.size, events.size_scale))
    if scales != book.scales:
        book.rescale(scales)
    rows = events.rows
    bids, asks, prices, sizes = [], [], [], []
    try:
        for event in _events(rows, events, scales):
            after: dict[tuple[int, int], int] = {}
            for side, price, size, _ in book.apply(event):
                after[side, price] = size
            moved = sorted(after.items())
            bids.append(sum(side == 0 for (side, _), _ in moved))
            asks.append(len(moved) - bids[-1])
            prices += [price for (_, price), _ in moved]
            sizes += [size for _, size in moved]
    except Desync as error:
        raise Damaged(events.security, str(error)) from error
    levels = (np.array(column, np.int64) for column in (bids, asks, prices, sizes))
    times = (rows.times_ns, rows.effective_ns, rows.received_ns)
    columns = ChangeColumns(rows.ids, rows.ids, *times, *levels)
    return Changes(
        events.security, events.start_ns, scales.price, scales.size, True, rows.effective_ns, columns
    )


def _events(rows: OrderColumns, of: OrderEvents, scales: Scales) -> Iterator[Event]:
    columns = (
        rows.ids,
        rows.kinds,
        rows.sides,
        rescale(rows.prices, of.price_scale, scales.price),
        rescale(rows.sizes, of.size_scale, scales.size),
    )
    numbers = zip(*(column.tolist() for column in columns), rows.order_ids, strict=True)
    for event_id, kind, side, price, size, order_id in numbers:
        yield Event(event_id, kind, side, order_id.tobytes(), price, size)
