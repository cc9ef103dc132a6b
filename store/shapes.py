"""The archive's answers as the JSON of ``obl`` (design: "Commands and shapes"), pure.

Times are ISO 8601 UTC with the venue's digits, ids integers or null, prices and sizes decimal strings.
Fields may be added, never renamed.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from book.naming import order_texts
from condition.codec import Ids, Int64s
from store.answers import Answer, Book, Changes, Gap, OrderEvents, Span, Trades
from store.timeline import by_time
from venue.api import OrderKind, Reason, Side
from venue.decimals import text
from wire.names import venue_of
from wire.runs import ABSENT
from wire.times import iso

SIDES = {side.value: side.name.lower() for side in Side}
KINDS = {kind.value: kind.name.lower() for kind in OrderKind}
REASONS = {reason.value: reason.name.lower() for reason in Reason if reason is not Reason.NONE}

Line = dict[str, Any]


def book(answer: Book, *, depth: int | None = None, orders: bool = False) -> Line:
    """Return ``obl at``: at most *depth* levels a side; with *orders* a row per order of them."""
    bids, asks = _levels(answer.bids[:depth], answer), _levels(answer.asks[:depth], answer)
    ids = {}
    if orders and answer.orders is not None:
        bids, asks = _orders(answer, depth)
        ids = {"order_ids": "not kept" if answer.named else "kept"}
    low, high = answer.certified
    return {
        "security": answer.security,
        "time": iso(answer.time_ns, venue_of(answer.security)),
        "update_id": answer.update_id,
        "certified": {
            "bid_low": None if low is None else text(low, answer.price_scale),
            "ask_high": None if high is None else text(high, answer.price_scale),
        },
        "bids": bids,
        "asks": asks,
        "continuity": answer.continuity,
        "stale": answer.stale,
        **ids,
    }


def trades(batch: Trades) -> Iterator[Line]:
    """Yield ``obl trades``."""
    rows, venue = batch.rows, venue_of(batch.security)
    columns = (rows.ids, rows.times_ns, rows.received_ns, rows.prices, rows.sizes, rows.sides)
    for trade_id, time_ns, recv_ns, price, size, side in zip(*(c.tolist() for c in columns), strict=True):
        yield {
            "security": batch.security,
            "id": trade_id,
            "time": iso(time_ns, venue),
            "recv_time": iso(recv_ns),
            "price": text(price, batch.price_scale),
            "size": text(size, batch.size_scale),
            "side": SIDES[side],
        }


def traded(answers: Iterable[Trades | Gap], *, with_gaps: bool) -> Iterator[Line]:
    """Yield ``obl trades``; of a hole that is read over a line of the type ``gap``, where wanted."""
    for answer in answers:
        if isinstance(answer, Trades):
            yield from trades(answer)
        elif with_gaps:
            yield {"type": "gap"} | missing(answer)


def changes(batch: Changes) -> Iterator[Line]:
    """Yield the ``changes`` lines of ``obl replay``; size "0" removes a level."""
    rows, venue = batch.rows, venue_of(batch.security)
    prices = [text(price, batch.price_scale) for price in rows.prices.tolist()]
    sizes = [text(size, batch.size_scale) for size in rows.sizes.tolist()]
    levels = list(zip(prices, sizes, strict=True))
    columns = (
        rows.first_ids,
        rows.last_ids,
        rows.times_ns,
        rows.received_ns,
        rows.bid_counts,
        rows.ask_counts,
    )
    begin = 0
    for first_id, last_id, time_ns, recv_ns, bids, asks in zip(*(c.tolist() for c in columns), strict=True):
        yield {
            "type": "changes",
            "time": iso(time_ns, venue),
            "recv_time": iso(recv_ns),
            "first_id": first_id if batch.has_ids else None,
            "update_id": last_id if batch.has_ids else None,
            "bids": [list(level) for level in levels[begin : begin + bids]],
            "asks": [list(level) for level in levels[begin + bids : begin + bids + asks]],
        }
        begin += bids + asks


def order_events(batch: OrderEvents) -> Iterator[Line]:
    """Yield the ``order`` lines of ``obl replay``: what the exchange gave, without what it did not."""
    rows, venue = batch.rows, venue_of(batch.security)
    numbers = {
        "price": (rows.prices, batch.price_scale),
        "size": (rows.sizes, batch.size_scale),
        "old_price": (rows.old_prices, batch.price_scale),
        "old_size": (rows.old_sizes, batch.size_scale),
        "funds": (rows.funds, batch.funds_scale),
        "trade_id": (rows.trade_ids, None),
    }
    given = [(name, column.tolist(), scale) for name, (column, scale) in numbers.items()]
    columns = (rows.ids, rows.times_ns, rows.received_ns, rows.kinds, rows.sides, rows.reasons)
    for n, (event_id, time_ns, recv_ns, kind, side, reason) in enumerate(
        zip(*(c.tolist() for c in columns), strict=True)
    ):
        line: Line = {
            "type": "order",
            "event": KINDS[kind],
            "time": iso(time_ns, venue),
            "recv_time": iso(recv_ns),
            "update_id": event_id,
            "order_id": order_id(rows.order_ids, n, named=batch.named),
            "side": SIDES[side],
        }
        for name, values, scale in given:
            if values[n] != ABSENT:
                line[name] = values[n] if scale is None else text(values[n], scale)
        if reason in REASONS:
            line["reason"] = REASONS[reason]
        taker = order_id(rows.taker_ids, n, named=batch.named)
        if taker is not None:
            line["taker_order_id"] = taker
        yield line


def gap(row: Mapping[str, Any]) -> Line:
    """Return ``obl gaps`` of one row of the ledger."""
    venue = venue_of(row["security"])
    return {
        "incident": row["_id"],
        "security": row["security"],
        "feed": row["feed"],
        "first_id": row["first_id"],
        "last_id": row["last_id"],
        "from": None if row["from"] is None else iso(row["from"], venue),
        "to": None if row["to"] is None else iso(row["to"], venue),
        "cause": row["cause"],
        "noticed_by": row["noticed_by"],
        "state": row["state"],
    }


def audit(row: Mapping[str, Any]) -> Line:
    """Return ``obl audit`` of one stored audit."""
    price_scale, size_scale = row["price_scale"], row["size_scale"]
    return {
        "incident": row["_id"],
        "security": row["security"],
        "time": iso(row["time"], venue_of(row["security"])),
        "update_id": row["update_id"],
        "levels": row["levels"],
        "equal": row["equal"],
        "pct": row["pct"],
        "misplaced": row["misplaced"],
        "found": row["found"],
        "differences": [
            [side, text(price, price_scale), text(ours, size_scale), text(theirs, size_scale), *order_id]
            for side, price, ours, theirs, *order_id in row["differences"]
        ],
    }


def coverage(span: Span) -> Line:
    """Return ``obl coverage`` of one span."""
    venue = venue_of(span.security)
    return {
        "security": span.security,
        "feed": span.feed,
        "from": iso(span.from_ns, venue),
        "to": iso(span.to_ns, venue),
        "first_id": span.first_id,
        "last_id": span.last_id,
        "documents": span.documents,
        "rows": span.rows,
    }


def replay(answers: Iterable[Answer]) -> Iterator[Line]:
    """Yield ``obl replay``: the lines of each window in order of time, the book's before the trades'."""
    for _, line in by_time(answers, timed):
        yield line


def order_id(ids: Ids, row: int, *, named: bool) -> str | None:
    """Return the id of *row* as the venue writes it, or its name; None where it has none."""
    given = ids[row].tobytes()
    return order_texts(given, named=named)[0] if any(given) else None


def timed(answer: Answer) -> Iterator[tuple[int, Line]]:
    """Yield the lines of *answer* with the moments that they are sorted by."""
    match answer:
        case Book():
            yield answer.effective_ns, {"type": "image"} | book(answer, orders=answer.orders is not None)
        case Changes():
            yield from zip(answer.visible_ns.tolist(), changes(answer), strict=True)
        case OrderEvents():
            yield from zip(answer.rows.effective_ns.tolist(), order_events(answer), strict=True)
        case Trades():
            lines = ({"type": "trade"} | line for line in trades(answer))
            yield from zip(answer.rows.effective_ns.tolist(), lines, strict=True)
        case Gap():
            yield answer.until_ns, {"type": "gap"} | missing(answer)


def missing(answer: Gap) -> Line:
    """Return what is missing where a hole was read over, as ``gap`` does."""
    if answer.row is not None:
        return gap(answer.row)
    unknown = dict.fromkeys(("incident", "from", "to", "cause", "noticed_by"))
    ids = {"first_id": answer.first_id, "last_id": answer.last_id}
    return {"security": answer.security, "feed": answer.feed, **ids, **unknown, "state": "open"}


def _levels(rows: Int64s, answer: Book) -> list[list[str]]:
    return [[text(price, answer.price_scale), text(size, answer.size_scale)] for price, size in rows.tolist()]


def _orders(answer: Book, depth: int | None) -> tuple[list[list[str]], list[list[str]]]:
    """Return the orders of the best *depth* levels of each side, in queue order."""
    held = answer.orders
    if held is None:
        return [], []
    sides = []
    for begin, end in ((0, held.bids), (held.bids, len(held.prices))):
        shown: list[list[str]] = []
        prices: set[int] = set()
        for n, (price, size) in enumerate(
            zip(held.prices[begin:end].tolist(), held.sizes[begin:end].tolist(), strict=True), begin
        ):
            prices.add(price)
            if depth is not None and len(prices) > depth:
                break
            name = order_id(held.order_ids, n, named=answer.named) or ""
            shown.append([text(price, answer.price_scale), text(size, answer.size_scale), name])
        sides.append(shown)
    return sides[0], sides[1]
