"""What is said of a live book: the answer of ``obl book``, and the messages of the live tap.

A tap message has two parts: the topic ``security|`` and a msgpack map with ``type`` image, changes, trade,
order or gap, in the shapes of ``obl replay``, or audit, in that of ``obl audit``: prices and sizes decimal
text, times ISO 8601.  Tap messages are made of the run messages, and only where somebody has subscribed.
"""

import struct
from collections.abc import Callable, Iterator
from typing import Any

import msgpack

from book.depth import Depth
from book.naming import order_texts
from book.security import Security
from venue.api import OrderKind, Reason
from venue.decimals import text
from wire.names import bucket_of, venue_of
from wire.runs import ABSENT, Audit, Changes, Hole, Image, Orders, RunMessage, Trades, equal_pct
from wire.times import iso

SIDES = ("buy", "sell")

_pack = msgpack.Packer().pack


def answer(security: Security, depth: int | None = None, *, orders: bool = False) -> dict[str, Any] | None:
    """Return the live book in the shape of ``obl book``; None before its first chain."""
    feed = security.book
    if feed.last_id is None:
        return None
    book, venue = feed.book, venue_of(security.name)
    levels = book.levels if isinstance(book, Depth) else book.book.fold
    low, high = levels.certified
    prices, sizes = levels.scales.price, levels.scales.size
    shown: dict[str, Any] = {
        "security": security.name,
        "time": iso(feed.time_ns, venue),
        # while a chain waits for its first update the book is the snapshot's
        "update_id": (feed.last_id if feed.starting is None else feed.starting)
        if security.traits.has_ids
        else None,
        "certified": {
            "bid_low": None if low is None else text(low, prices),
            "ask_high": None if high is None else text(high, prices),
        },
        "continuity": "proven" if security.traits.has_ids else "unverifiable",
        "stale": security.shown_state not in ("live", "halted"),
    }
    if orders and not isinstance(book, Depth):
        bids, rows = book.book.rows(depth)
        ids = order_texts(book.listed(b"".join(r.order_id for r in rows)), named=book.names is not None)
        texts = [
            [text(r.price, prices), text(r.size, sizes), name] for r, name in zip(rows, ids, strict=True)
        ]
        kept = "kept" if book.names is None else "not kept"
        return shown | {"order_ids": kept, "bids": texts[:bids], "asks": texts[bids:]}
    sides = (
        [[text(price, prices), text(size, sizes)] for price, size in side.sorted()[:depth]]
        for side in (levels.bids, levels.asks)
    )
    return shown | dict(zip(("bids", "asks"), sides, strict=True))


def topic(security: str) -> bytes:
    """Return the topic of *security*: closed by ``|``, for ``BTC-USD`` also begins ``BTC-USDT``."""
    return f"{security}|".encode()


class Watchers:
    """Who listens to the tap: the subscriptions of each bucket, as XPUB tells of them."""

    def __init__(self) -> None:
        self._prefixes: dict[int, set[bytes]] = {}

    def heard(self, bucket: int, message: bytes) -> None:
        """Note a subscription, 1 and the beginning of its topics, or its end, 0 and the same."""
        prefixes = self._prefixes.setdefault(bucket, set())
        if message[:1] == b"\x01":
            prefixes.add(message[1:])
        else:
            prefixes.discard(message[1:])
        if not prefixes:
            del self._prefixes[bucket]

    def watch(self, security: str) -> bool:
        """Say whether somebody listens to *security*."""
        if not self._prefixes:
            return False
        return any(map(topic(security).startswith, self._prefixes.get(bucket_of(security), ())))


def tapped(message: RunMessage) -> Iterator[bytes]:
    """Yield the tap's messages for *message* (none for what only concerns storing)."""
    make = _MAKERS.get(type(message))
    if make is not None:
        for body in make(message):
            yield _pack(body)


def _ints(column: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(column) // 8}q", column)


def _image(message: Image) -> Iterator[dict[str, Any]]:
    rows: list[list[str]] = [
        [text(price, message.price_scale), text(size, message.size_scale)]
        for price, size in zip(_ints(message.prices), _ints(message.sizes), strict=True)
    ]
    if message.order_ids:
        for row, name in zip(rows, order_texts(message.order_ids, named=message.named), strict=True):
            row.append(name)
    yield {
        "type": "image",
        "time": iso(message.time_ns, venue_of(message.security)),
        "update_id": message.update_id,
        "bids": rows[: message.bids],
        "asks": rows[message.bids :],
    }


def _changes(message: Changes) -> Iterator[dict[str, Any]]:
    venue = venue_of(message.security)
    rows = iter(
        [text(price, message.price_scale), text(size, message.size_scale)]
        for price, size in zip(_ints(message.prices), _ints(message.sizes), strict=True)
    )
    columns = (
        message.first_ids,
        message.last_ids,
        message.times_ns,
        message.received_ns,
        message.bid_counts,
        message.ask_counts,
    )
    for first_id, last_id, time_ns, recv_ns, bids, asks in zip(*map(_ints, columns), strict=True):
        yield {
            "type": "changes",
            "time": iso(time_ns, venue),
            "recv_time": iso(recv_ns),
            "first_id": first_id,
            "update_id": last_id,
            "bids": [next(rows) for _ in range(bids)],
            "asks": [next(rows) for _ in range(asks)],
        }


def _trades(message: Trades) -> Iterator[dict[str, Any]]:
    venue = venue_of(message.security)
    columns = (message.ids, message.times_ns, message.received_ns, message.prices, message.sizes)
    for side, row in zip(message.sides_u1, zip(*map(_ints, columns), strict=True), strict=True):
        trade_id, time_ns, recv_ns, price, size = row
        yield {
            "type": "trade",
            "id": trade_id,
            "time": iso(time_ns, venue),
            "recv_time": iso(recv_ns),
            "price": text(price, message.price_scale),
            "size": text(size, message.size_scale),
            "side": SIDES[side],
        }


def _orders(message: Orders) -> Iterator[dict[str, Any]]:
    venue = venue_of(message.security)
    columns = (message.ids, message.times_ns, message.received_ns, message.prices, message.sizes)
    names = order_texts(message.order_ids, named=message.named)
    for n, row in enumerate(zip(*map(_ints, columns), strict=True)):
        update_id, time_ns, recv_ns, price, size = row
        yield {
            "type": "order",
            "event": OrderKind(message.kinds_u1[n]).name.lower(),
            "update_id": update_id,
            "time": iso(time_ns, venue),
            "recv_time": iso(recv_ns),
            "order_id": names[n],
            "side": SIDES[message.sides_u1[n]],
            "reason": Reason(message.reasons_u1[n]).name.lower(),
            "price": None if price == ABSENT else text(price, message.price_scale),
            "size": None if size == ABSENT else text(size, message.size_scale),
        }


def _gap(message: Hole) -> Iterator[dict[str, Any]]:
    venue = venue_of(message.security)
    yield {
        "type": "gap",
        "feed": message.feed,
        "first_id": message.first_id,
        "last_id": message.last_id,
        "from": None if message.from_ns is None else iso(message.from_ns, venue),
        "to": None if message.to_ns is None else iso(message.to_ns, venue),
        "cause": message.cause,
        "state": message.state,
    }


def _audit(message: Audit) -> Iterator[dict[str, Any]]:
    yield {
        "type": "audit",
        "time": iso(message.time_ns, venue_of(message.security)),
        "update_id": message.update_id,
        "levels": message.levels,
        "equal": message.equal,
        "pct": equal_pct(message.equal, message.levels),
        "misplaced": message.misplaced,
        "found": message.levels - message.equal,
        "differences": list(_differences(message)),
    }


def _differences(message: Audit) -> Iterator[list[str]]:
    columns = map(_ints, (message.prices, message.ours, message.theirs))
    names = order_texts(message.order_ids, named=False)
    for n, (side, price, ours, theirs) in enumerate(zip(message.sides_u1, *columns, strict=True)):
        sizes = [text(size, message.size_scale) for size in (ours, theirs)]
        row = [("bid", "ask")[side], text(price, message.price_scale), *sizes]
        if message.order_ids:
            row.append(names[n])
        yield row


_MAKERS: dict[type, Callable[[Any], Iterator[dict[str, Any]]]] = {
    Image: _image,
    Changes: _changes,
    Trades: _trades,
    Orders: _orders,
    Hole: _gap,
    Audit: _audit,
}
