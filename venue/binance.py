"""Binance spot: the combined stream of depth and trades, and the REST interface (protocols.md 1).

stream              decoded to          route
``<s>@depth[@100ms]`` DepthUpdate       book, with U and u
``<s>@trade``       Trade               trade, with t
serverShutdown      Reconnect           control
acks and errors     Ack, Refused        control
anything else       Ignored             control (aggTrade, kline, bookTicker, partial depth, ...)

Every payload is wrapped: ``{"stream":"btcusdt@trade","data":{...}}``.  Names of streams are lower case,
symbols upper case, both UTF-8.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from venue.api import (
    Ack,
    Budget,
    Control,
    Credentials,
    Decoded,
    DepthUpdate,
    Feed,
    Ignored,
    Level,
    Reconnect,
    Refused,
    Route,
    Side,
    Trade,
    UnknownFrame,
)
from venue.binance_frames import KIND_WITHIN, Id, Ms, Symbol, TradeFrame
from venue.binance_rest import (
    instruments,
    instruments_request,
    refusal,
    snapshot,
    snapshot_request,
    trades,
    trades_request,
)
from venue.binance_routes import compiled as compiled_routes
from venue.checks import GARBAGE, check_number, check_prices, one_line, route_of
from venue.routes import Routes, run_of
from venue.times import NS_PER_MS

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

NAME = "binance"
FEEDS: Mapping[str, Feed] = {"depth": Feed(book="l2", has_ids=True, rest_base=True)}

BUDGET = Budget(capacity=6000, per_second=100.0)
"""REQUEST_WEIGHT 6000 a minute for one IP (rest-api.md, protocols.md 1.5)."""

MAX_STREAMS = 512
"""A connection carries 1024 streams; a symbol takes two (depth and trade)."""

CONTROL_GAP_NS = 250_000_000
"""5 incoming messages a second, of which pongs take some (protocols.md 1.2)."""

_PACES = {100: "@100ms", 1000: ""}


class _Depth(msgspec.Struct, gc=False):
    e: Literal["depthUpdate"]
    E: Ms
    s: Symbol
    U: Id
    u: Id
    b: list[Level]
    a: list[Level]


class _Any(msgspec.Struct, gc=False):
    """What tells one payload from another."""

    e: str = ""
    s: str = ""


class _DepthFrame(msgspec.Struct, gc=False):
    stream: str
    data: _Depth


class _AnyFrame(msgspec.Struct, gc=False):
    stream: str
    data: _Any


class _Failure(msgspec.Struct):
    code: int
    msg: str


class _Answer(msgspec.Struct):
    """An ack or an error, whose ``id`` may be absent, null or text; or a bare serverShutdown."""

    result: Any = msgspec.UNSET
    id: Any = None
    code: int | msgspec.UnsetType = msgspec.UNSET
    msg: str = ""
    error: _Failure | msgspec.UnsetType = msgspec.UNSET
    e: str = ""


_depth = msgspec.json.Decoder(_DepthFrame)
_trade = msgspec.json.Decoder(TradeFrame)
_any = msgspec.json.Decoder(_AnyFrame)
_answer = msgspec.json.Decoder(_Answer)

_NUMBER = rb"(0|[1-9][0-9]{0,17})"
_SYMBOL = rb'"s":"([^"\\\x00-\x1f]+)"'
_START = re.compile(
    rb'\{"stream":"[^"\\]+","data":\{"e":"(?:'
    rb'depthUpdate","E":[0-9]{13},%b,"U":%b,"u":%b,"b":\[|'
    rb'trade","E":[0-9]{13},%b,"t":%b,"p":")' % (_SYMBOL, _NUMBER, _NUMBER, _SYMBOL, _NUMBER)
).match


def feed_of(credentials: Credentials | None) -> str:  # noqa: ARG001 - the same for all venues
    """Return ``depth``: the venue has one feed, open to all."""
    return "depth"


def ws_path() -> str:
    """Return the path of the combined stream; what it carries is subscribed afterwards."""
    return "/stream"


def subscribe(
    symbols: Sequence[str],
    *,
    feed: str,
    update_ms: int,
    request_id: int,
    credentials: Credentials | None = None,  # noqa: ARG001
    now_s: str = "",  # noqa: ARG001
) -> list[bytes]:
    """Return one SUBSCRIBE frame for the depth and trades of *symbols*."""
    return _request("SUBSCRIBE", symbols, feed, update_ms, request_id)


def unsubscribe(symbols: Sequence[str], *, feed: str, update_ms: int, request_id: int) -> list[bytes]:
    """Return one UNSUBSCRIBE frame for what ``subscribe`` asked for."""
    return _request("UNSUBSCRIBE", symbols, feed, update_ms, request_id)


def _request(method: str, symbols: Sequence[str], feed: str, update_ms: int, request_id: int) -> list[bytes]:
    if feed not in FEEDS:
        raise ValueError(f"{NAME} has no feed {feed!r}")
    if update_ms not in _PACES:
        raise ValueError(f"{NAME} sends depth each 100 or 1000 ms, not {update_ms}")
    if not symbols:
        return []
    streams = [
        stream for s in map(str.lower, symbols) for stream in (f"{s}@depth{_PACES[update_ms]}", f"{s}@trade")
    ]
    return [msgspec.json.encode({"method": method, "params": streams, "id": request_id})]


def route(frame: bytes, feed: str) -> Route:
    """Say where *frame* goes; a frame that does not begin as usual is decoded in full."""
    start = _START(frame)
    if start is not None:
        symbol, first, last, traded, number = start.groups()
        try:
            if traded is not None:
                if frame.endswith(b"}}"):
                    trade_id = int(number)
                    return Route(traded.decode(), "trade", trade_id, trade_id)
            elif frame.endswith(b"]}}"):
                first_id, last_id = int(first), int(last)
                if first_id <= last_id:
                    return Route(symbol.decode(), "book", first_id, last_id)
        except UnicodeDecodeError as error:
            raise UnknownFrame(f"not a frame of {NAME}: {error}") from error
    return route_of(decode(frame, feed))


def routes(frames: Sequence[bytes], feed: str) -> Routes | None:
    """Say where *frames* go, where all are depth updates and trades."""
    return compiled_routes(frames) or plain_routes(frames, feed)


def plain_routes(frames: Sequence[bytes], feed: str) -> Routes | None:
    """Say where *frames* go, by ``route``."""
    symbols: list[str] = []
    ids: dict[str, list[tuple[int, int]]] = {}
    for frame in frames:
        try:
            each = route(frame, feed)
        except UnknownFrame:
            return None
        if each.kind == "book" and each.first_id is not None and each.last_id is not None:
            ids.setdefault(each.symbol, []).append((each.first_id, each.last_id))
        elif each.kind != "trade":
            return None
        symbols.append(each.symbol)
    return Routes(symbols, [run_of(symbol, rows) for symbol, rows in ids.items()])


def decode(frame: bytes, feed: str) -> Decoded:  # noqa: ARG001 - the same for all venues
    """Decode a frame of the combined stream; the digits of levels are left to ``numbers.exact``."""
    try:
        if frame.find(b'"depthUpdate"', 0, KIND_WITHIN) >= 0:
            return _depth_update(frame)
        if frame.find(b'"trade"', 0, KIND_WITHIN) >= 0:
            return _one_trade(frame)
        return _other(frame)
    except GARBAGE as error:
        raise UnknownFrame(f"not a frame of {NAME}: {error}") from error


def _depth_update(frame: bytes) -> DepthUpdate:
    data = _depth.decode(frame).data
    if data.u < data.U:
        raise UnknownFrame(f"first update id {data.U} is after the last, {data.u}")
    check_prices(frame, data.b, data.a)
    return DepthUpdate(data.s, data.U, data.u, data.E * NS_PER_MS, data.b, data.a)


def _one_trade(frame: bytes) -> Trade:
    data = _trade.decode(frame).data
    check_number(data.p, above_zero=True)
    check_number(data.q)
    return Trade(data.s, data.t, data.T * NS_PER_MS, data.p, data.q, Side.SELL if data.m else Side.BUY)


def _other(frame: bytes) -> Decoded:
    if b'"stream"' not in frame:
        return Ignored("", _why(control(frame)))
    seen = _any.decode(frame)
    match seen.data.e:
        case "depthUpdate":
            return _depth_update(frame)
        case "trade":
            return _one_trade(frame)
        case _:
            return _unrecorded(seen)


def _unrecorded(seen: _AnyFrame) -> Ignored:
    """Return a payload that is not recorded; where it has no type its stream's name tells it."""
    if seen.data.e:
        return Ignored(seen.data.s, seen.data.e)
    symbol, _, stream = seen.stream.partition("@")
    if not stream:
        raise UnknownFrame(f"a payload without a type in the stream {seen.stream[:40]!r}")
    return Ignored(symbol.upper(), stream)


def columns(frames: Sequence[bytes], feed: str) -> "Columns | None":  # noqa: ARG001 - the same for all venues
    """Return what *frames* say; None unless all are depth updates and trades as the venue writes them."""
    from venue import binance_columns

    return binance_columns.columns(frames)


def _why(answer: Control) -> str:
    match answer:
        case Ack():
            return "ack"
        case Refused():
            return "error"
        case Reconnect():
            return "serverShutdown"
        case Ignored(why=why):
            return why


def control(frame: bytes) -> Control:
    """Decode an ack, an error, serverShutdown, or a message that is not recorded (Ignored)."""
    try:
        if b'"stream"' in frame:
            seen = _any.decode(frame)
            return _shutdown() if seen.data.e == "serverShutdown" else _unrecorded(seen)
        answer = _answer.decode(frame)
    except GARBAGE as error:
        raise UnknownFrame(f"not a frame of {NAME}: {error}") from error
    request_id = answer.id if isinstance(answer.id, int) and not isinstance(answer.id, bool) else None
    if answer.e == "serverShutdown":
        return _shutdown()
    if isinstance(answer.error, _Failure):
        return Refused(request_id, one_line(f"{answer.error.msg} (code {answer.error.code})"))
    if isinstance(answer.code, int):
        return Refused(request_id, one_line(f"{answer.msg} (code {answer.code})"))
    if answer.result is msgspec.UNSET:
        raise UnknownFrame(f"not a frame of {NAME}: neither data, ack nor error")
    if not isinstance(answer.result, list):
        return Ack(request_id)
    streams = (str(stream).partition("@") for stream in answer.result)
    return Ack(request_id, frozenset(s.upper() for s, _, what in streams if what.startswith("depth")))


def _shutdown() -> Reconnect:
    return Reconnect("serverShutdown: the venue is about to close this connection")
