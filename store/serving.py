"""The archive as the live tap: the same topics and messages (book.live), at any speed.

A consumer of the tap runs on history unchanged: it connects to another endpoint.  Whoever subscribes later is
sent an image of the book as it is then, so it joins without a hole (book.tapbook).
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import msgpack
import numpy as np
import zmq

from book import live
from book.tapbook import TapBook
from condition.codec import Int64s
from store.answers import Answer, Book, Changes, Gap, OrderEvents, Trades
from store.paced import Pace
from store.timeline import Timed, by_time
from wire.runs import Changes as ChangesMessage
from wire.runs import Hole, Image, Marks, RunMessage
from wire.runs import Orders as OrdersMessage
from wire.runs import Trades as TradesMessage

TAKEN_S = 60
"""A subscriber that takes nothing for so long is not waited for any more; it misses messages."""

QUEUED = 10_000
"""Messages on their way to one subscriber."""

_LEAVE_MS = 10_000
"""What is left to take for those that lag when the range ends."""

_NO_MARKS: Marks = {}


def messages(answers: Iterable[Answer]) -> Iterator[Timed[bytes]]:
    """Yield the tap's messages for *answers*, each with its moment, in order."""
    return by_time(answers, _tapped)


def serve(
    answers: Iterable[Answer], security: str, speed: float, endpoint: str, *, subscriber: bool = True
) -> int:
    """Publish *answers* on *endpoint*; return how many messages that were.

    With *subscriber* it begins when somebody has subscribed.

    Raises:
        zmq.ZMQError: the endpoint cannot be bound.
        as the archive's ``replay``, on the way.
    """
    context: zmq.Context[Any] = zmq.Context()
    socket = context.socket(zmq.XPUB)
    try:
        socket.setsockopt(zmq.XPUB_VERBOSE, 1)  # (one that comes later subscribes to the same topic)
        socket.setsockopt(zmq.XPUB_NODROP, 1)
        socket.set_hwm(QUEUED)
        socket.bind(endpoint)
        return _Serving(socket, security, speed).run(messages(answers), subscriber=subscriber)
    finally:
        socket.close(_LEAVE_MS)  # (those that lag take what is left)
        context.term()


class _Serving:
    def __init__(self, socket: "zmq.Socket[bytes]", security: str, speed: float) -> None:
        self._topic = live.topic(security)
        self._pace = Pace(speed)
        self._book = TapBook()
        self._socket = socket

    def run(self, timed: Iterator[Timed[bytes]], *, subscriber: bool) -> int:
        while subscriber and not self._welcome(None):
            pass
        count = 0
        for moment_ns, body in timed:
            until_s = time.monotonic() + self._pace.wait_s(moment_ns, time.monotonic())
            while (left_s := until_s - time.monotonic()) > 0:
                self._welcome(left_s)
            self._welcome(0)
            self._book.take(msgpack.unpackb(body))
            self._send(body)
            count += 1
        return count

    def _welcome(self, seconds: float | None) -> bool:
        """Wait so long for a subscriber and send it the book as it is; say whether one came."""
        came = False
        while self._socket.poll(None if seconds is None else int(seconds * 1000)):
            message = self._socket.recv()
            if message[:1] == b"\x01" and self._topic.startswith(message[1:]):
                came = True
            seconds = 0
        if came and self._book.is_live:
            self._send(msgpack.packb(self._book.image()))
        return came

    def _send(self, body: bytes) -> None:
        """Send to all; wait for one that lags, but not for ever."""
        with suppress(zmq.Again):
            if self._socket.poll(TAKEN_S * 1000, zmq.POLLOUT):
                self._socket.send_multipart((self._topic, body), zmq.NOBLOCK)


def _tapped(answer: Answer) -> Iterator[Timed[bytes]]:
    match answer:
        case Book():
            yield from ((answer.effective_ns, body) for body in live.tapped(_image(answer)))
        case Changes():
            yield from zip(answer.visible_ns.tolist(), live.tapped(_changes(answer)), strict=True)
        case OrderEvents():
            yield from zip(answer.rows.effective_ns.tolist(), live.tapped(_orders(answer)), strict=True)
        case Trades():
            yield from zip(answer.rows.effective_ns.tolist(), live.tapped(_trades(answer)), strict=True)
        case Gap():
            yield from ((answer.until_ns, body) for body in live.tapped(_hole(answer)))


def _image(book: Book) -> RunMessage:
    held = book.orders
    prices = [*book.bids[:, 0].tolist(), *book.asks[:, 0].tolist()] if held is None else held.prices.tolist()
    sizes = [*book.bids[:, 1].tolist(), *book.asks[:, 1].tolist()] if held is None else held.sizes.tolist()
    bids = len(book.bids) if held is None else held.bids
    identity: Any = book.update_id  # (None where the feed has no ids)
    return Image(
        security=book.security,
        run=0,
        number=0,
        marks=_NO_MARKS,
        start_ns=0,
        update_id=identity,
        time_ns=book.time_ns,
        effective_ns=book.effective_ns,
        book="l2" if held is None else "l3",
        price_scale=book.price_scale,
        size_scale=book.size_scale,
        certified=book.certified,
        hash=b"",
        bids=bids,
        asks=len(prices) - bids,
        prices=_packed(prices),
        sizes=_packed(sizes),
        order_ids=b"" if held is None else held.order_ids.tobytes(),
        named=book.named,
    )


def _changes(batch: Changes) -> RunMessage:
    columns: dict[str, Any] = {name: _packed(column) for name, column in batch.rows._asdict().items()}
    scales: dict[str, Any] = {"price_scale": batch.price_scale, "size_scale": batch.size_scale}
    return ChangesMessage(batch.security, 0, 0, _NO_MARKS, batch.start_ns, **scales, **columns, old_sizes=b"")


def _trades(batch: Trades) -> RunMessage:
    columns = batch.rows._asdict()
    sides = columns.pop("sides")
    return TradesMessage(
        batch.security,
        0,
        0,
        _NO_MARKS,
        batch.start_ns,
        price_scale=batch.price_scale,
        size_scale=batch.size_scale,
        sides_u1=bytes(sides.tolist()),
        **{name: _packed(column) for name, column in columns.items()},
    )


def _orders(batch: OrderEvents) -> RunMessage:
    columns = batch.rows._asdict()
    bytes_of: dict[str, Any] = {
        f"{name}_u1": bytes(columns.pop(name).tolist()) for name in ("kinds", "sides", "reasons")
    }
    ids: dict[str, Any] = {name: columns.pop(name).tobytes() for name in ("order_ids", "taker_ids")}
    scales: dict[str, Any] = {
        name: getattr(batch, name) for name in ("price_scale", "size_scale", "funds_scale")
    }
    numbers: dict[str, Any] = {name: _packed(column) for name, column in columns.items()}
    return OrdersMessage(
        batch.security,
        0,
        0,
        _NO_MARKS,
        batch.start_ns,
        **scales,
        **numbers,
        **bytes_of,
        **ids,
        named=batch.named,
    )


def _hole(gap: Gap) -> RunMessage:
    row = gap.row or {"from": None, "to": None, "cause": "", "noticed_by": "", "state": "open", "covered": 1}
    return Hole(
        security=gap.security,
        run=0,
        number=0,
        marks=_NO_MARKS,
        feed=gap.feed,
        start_ns=0,
        first_id=gap.first_id,
        last_id=gap.last_id,
        from_ns=row["from"],
        to_ns=row["to"],
        cause=row["cause"],
        noticed_by=row["noticed_by"],
        state=row["state"],
        covered=row["covered"],
    )


def _packed(values: Int64s | list[int]) -> bytes:
    return np.asarray(values, dtype="<i8").tobytes()
