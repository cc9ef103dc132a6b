"""Coinbase Exchange: the ``full`` feed with a key, ``level2_batch`` without, and REST (protocols.md 2).

message                     full                level2_batch        route
received open done change   OrderEvent          Ignored             book, with the sequence
match                       OrderEvent          Trade               book; trade, with trade_id
a new type with a sequence  OrderEvent (NOOP)   Ignored             book
snapshot, l2update          Ignored             BookSnapshot,       snapshot, book (without ids)
                                                DepthUpdate
heartbeat                   Ignored             Ignored             heartbeat
last_match ticker status    Ignored             Ignored             control
activate, a new type without a sequence, subscriptions, error: control

The side of a match is the maker's: a Trade carries the other one, an OrderEvent its order's (the maker's).
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from venue.api import (
    Ack,
    Budget,
    Control,
    Credentials,
    Decoded,
    Feed,
    Ignored,
    OrderEvent,
    OrderKind,
    Reconnect,
    Refused,
    Route,
    Side,
    UnknownFrame,
)
from venue.checks import GARBAGE, one_line, route_of
from venue.coinbase_messages import AnyMessage, Error, Known, Subscriptions, full, level2
from venue.coinbase_rest import (
    instruments,
    instruments_request,
    refusal,
    snapshot,
    snapshot_request,
    trades,
    trades_request,
)
from venue.routes import Routes
from venue.times import nanoseconds

if TYPE_CHECKING:
    from venue.columns import Columns

__all__ = [
    "BUDGET",
    "CONTROL_GAP_NS",
    "FEEDS",
    "MAX_STREAMS",
    "NAME",
    "columns",
    "control",
    "decode",
    "feed_of",
    "instruments",
    "instruments_request",
    "refusal",
    "route",
    "routes",
    "snapshot",
    "snapshot_request",
    "subscribe",
    "trades",
    "trades_request",
    "unsubscribe",
    "ws_path",
]

NAME = "coinbase"
FEEDS: Mapping[str, Feed] = {
    "full": Feed(book="l3", has_ids=True, rest_base=True),
    "level2_batch": Feed(book="l2", has_ids=False, rest_base=False, trades="matches"),
}

BUDGET = Budget(capacity=15, per_second=10.0)
"""10 requests a second for one IP, 15 at once (protocols.md 2.3)."""

MAX_STREAMS = 100
"""No number is documented.  Some 400 products are sold; the venue advises to spread busy ones."""

CONTROL_GAP_NS = 100_000_000
"""10 messages a second in the newer of two texts (protocols.md 2.3)."""

_CHANNELS = {
    "full": ["full", "heartbeat"],
    "level2_batch": ["level2_batch", "matches", "heartbeat"],
    "matches": ["matches", "heartbeat"],
}
_BOOK_ONLY = frozenset({"level2_batch", "level2_50", "level2"})
"""An ack names channels by their aliases: level2_batch comes back as level2_50."""

_CUT_OFF = ("ErrSlowConsume", "ErrSlowRead", "Message too big")
"""Errors after which the venue closes the connection."""

_known = msgspec.json.Decoder(Known)
_reply = msgspec.json.Decoder(Subscriptions | Error)
_any = msgspec.json.Decoder(AnyMessage)

_RECORDED = frozenset({"received", "open", "done", "match", "change", "l2update", "snapshot"})
_REPLIES = frozenset({"subscriptions", "error"})
_OUTSIDE = _REPLIES | {
    "heartbeat",
    "last_match",
    "ticker",
    "status",
    "auction",
    "rfq_match",
    "activate",
    "level3",
}
"""Known types that are no step of the full feed's sequence, although some carry its number."""


def feed_of(credentials: Credentials | None) -> str:
    """Return ``full`` with credentials and ``level2_batch`` without: full needs a signature."""
    return "full" if credentials is not None else "level2_batch"


def ws_path() -> str:
    """Return the path of the feed; what it carries is subscribed afterwards, within 5 s."""
    return "/"


def subscribe(
    symbols: Sequence[str],
    *,
    feed: str,
    update_ms: int,  # noqa: ARG001 - the venue has one pace
    request_id: int,  # noqa: ARG001 - the venue repeats no id
    credentials: Credentials | None = None,
    now_s: str = "",
) -> list[bytes]:
    """Return the frame that subscribes *symbols*; ``full`` is signed for the moment *now_s*."""
    message = _request("subscribe", symbols, feed)
    if feed == "full":
        if credentials is None:
            raise ValueError("the feed full needs a key: set COINBASE_API_KEY, _SECRET and _PASSPHRASE")
        message |= _signature(credentials, now_s)
    return [msgspec.json.encode(message)] if symbols else []


def unsubscribe(
    symbols: Sequence[str],
    *,
    feed: str,
    update_ms: int,  # noqa: ARG001
    request_id: int,  # noqa: ARG001
) -> list[bytes]:
    """Return the frame that ends the subscription of *symbols*; none for none, which would end all."""
    message = _request("unsubscribe", symbols, feed)
    return [msgspec.json.encode(message)] if symbols else []


def _request(kind: str, symbols: Sequence[str], feed: str) -> dict[str, str | list[str]]:
    if feed not in _CHANNELS:
        raise ValueError(f"{NAME} has no feed {feed!r}")
    return {"type": kind, "product_ids": list(symbols), "channels": _CHANNELS[feed]}


def _signature(credentials: Credentials, now_s: str) -> dict[str, str]:
    """Return the fields that sign a subscription (docs "WebSocket authentication", protocols.md 2.2)."""
    try:
        secret = base64.b64decode(credentials.secret, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("COINBASE_API_SECRET is not base64 as the venue gives it out") from None
    signed = hmac.digest(secret, f"{now_s}GET/users/self/verify".encode(), hashlib.sha256)
    return {
        "signature": base64.b64encode(signed).decode(),
        "key": credentials.key,
        "passphrase": credentials.passphrase,
        "timestamp": now_s,
    }


def route(frame: bytes, feed: str) -> Route:
    """Say where *frame* of *feed* goes; one that is not written as usual is decoded in full."""
    start = frame.find(_TYPE) + len(_TYPE)
    usual = _USUAL[feed].get(frame[start : frame.find(b'"', start)])
    # one brace, so these keys are of the message itself; an escape could hide another text
    if usual is None or frame.rfind(b"{") or b"\\" in frame or not frame.endswith(b"}"):
        return route_of(decode(frame, feed))
    kind, id_key = usual
    start = frame.find(_PRODUCT) + len(_PRODUCT)
    name = frame[start : frame.find(b'"', start)] if start >= len(_PRODUCT) else b""
    number = None
    if id_key:
        start = frame.find(id_key) + len(id_key)
        number = _NUMBER(frame, start) if start >= len(id_key) else None
    if not name or (id_key and number is None):
        return route_of(decode(frame, feed))
    try:
        symbol = name.decode()
    except UnicodeDecodeError as error:
        raise UnknownFrame(f"not a frame of {NAME}: {error}") from error
    if number is None:
        return Route(symbol, kind)
    this = int(number[1])
    return Route(symbol, kind, this, this)


_TYPE, _PRODUCT = b'"type":"', b'"product_id":"'
_NUMBER = re.compile(rb"(0|[1-9][0-9]{0,17})[,}]").match
"""Longer ones may not fit 64 bits: such a frame is looked at in full."""

_USUAL: Mapping[str, Mapping[bytes, tuple[str, bytes]]] = {
    "full": dict.fromkeys((b"received", b"open", b"done", b"match", b"change"), ("book", b'"sequence":')),
    "level2_batch": {
        b"l2update": ("book", b""),
        b"snapshot": ("snapshot", b""),
        b"match": ("trade", b'"trade_id":'),
    },
}
"""Route and id of the messages that make up a feed; all others are decoded to be routed."""


def _type_of(frame: bytes) -> str:
    """Return the first type within *frame*, which is the message's own where it holds no other."""
    start = frame.find(_TYPE) + len(_TYPE)
    return frame[start : frame.find(b'"', start)].decode() if start >= len(_TYPE) else ""


def decode(frame: bytes, feed: str) -> Decoded:
    """Decode a frame of *feed*; the digits of levels are left to ``numbers.exact``."""
    try:
        if _type_of(frame) not in _RECORDED or frame.count(b'"type"') > 1:
            seen = _any.decode(frame)
            if seen.type not in _RECORDED:
                return _unrecorded(seen, frame, feed)
        message = _known.decode(frame)
        return full(message) if feed == "full" else level2(message, frame)
    except GARBAGE as error:
        raise UnknownFrame(f"not a frame of {NAME}: {error}") from error


def columns(frames: Sequence[bytes], feed: str) -> "Columns | None":
    """Return what *frames* of ``full`` say; None of ``level2_batch``, whose decimals differ."""
    from venue import coinbase_columns

    return coinbase_columns.columns(frames) if feed == "full" else None


def routes(frames: Sequence[bytes], feed: str) -> Routes | None:  # noqa: ARG001
    """Return None: the sequence numbers of its frames are for each to tell."""
    return None


def _unrecorded(seen: AnyMessage, frame: bytes, feed: str) -> Decoded:
    if seen.type in _REPLIES:
        _reply.decode(frame)
    if feed != "full" or seen.type in _OUTSIDE or seen.sequence is None or not seen.product_id:
        return Ignored(seen.product_id, seen.type)
    time_ns = nanoseconds(seen.time) if seen.time is not None else 0
    return OrderEvent(seen.product_id, int(seen.sequence), time_ns, OrderKind.NOOP, Side.BUY, bytes(16))


def control(frame: bytes) -> Control:
    """Decode an ack (the total state), an error, or a message that is not recorded (Ignored)."""
    try:
        seen = _any.decode(frame)
        if seen.type not in _REPLIES:
            return Ignored(seen.product_id, seen.type)
        reply = _reply.decode(frame)
    except GARBAGE as error:
        raise UnknownFrame(f"not a frame of {NAME}: {error}") from error
    if isinstance(reply, Subscriptions):
        return Ack(None, _complete(reply))
    text = one_line(": ".join(filter(None, (reply.message, reply.reason))) or "an error without a reason")
    return Reconnect(text) if any(cause in text for cause in _CUT_OFF) else Refused(None, text)


def _complete(reply: Subscriptions) -> frozenset[str]:
    """Return the products whose book and trades are both subscribed."""
    products = {channel.name: frozenset(channel.product_ids) for channel in reply.channels}
    both = products.get("full", frozenset())
    books = frozenset[str]().union(*(products.get(name, frozenset()) for name in _BOOK_ONLY))
    return both | (books & products.get("matches", frozenset()))
