"""``/sim/...`` on both ports: faults to order, and the truth to compare with.

path                         answer
POST /sim/fault              ``{"ok":true}``; the kinds are below
POST /sim/start              lets a recording begin now
GET  /sim/symbols            the symbols of both venues
GET  /sim/connections        every websocket with its streams, counts, and how many faults are to come
GET  /sim/rest               per venue how many REST faults are to come
GET  /sim/truth/range        first and last ids and times (``symbol=`` or all)
GET  /sim/truth/book         ``symbol=`` and ``time_ns=`` or ``update_id=``
GET  /sim/truth/moment       ``symbol=`` and ``update_id=`` or ``trade_id=``: when that was
GET  /sim/unheard            ``symbol=``: [first, last, where a book can go on] of ids that nobody was sent
GET  /sim/truth/trades       ``symbol=``, ``from_id=``, ``to_id=``

fault kind        fields (defaults)
drop_frames       n (1), symbol (a text that the frame holds, as ``btcusdt@trade``; "": any),
                  connection (0: all)
duplicate         the same
spoil             the same and text, a key of ``spoiling.SPOILT``
reorder           the same: each is sent after the next one that holds *symbol*
delay_ms          ms; 0 ends it
close             cuts the connections; with ``code`` closes them in order
half_open         nothing is sent or answered any more
garbage           text or base64; raw (false: in a text frame; true: as bytes on the connection)
stale_snapshot    ms (1500), n (1): as the book was so long ago
late_snapshot     ms (1500), n (1): so long on its way
wrong_snapshot    n (1): a bid in it that nobody made
status            code, n (1), retry_after (none), body (""), path ("": any)
shutdown_notice   Binance serverShutdown; Coinbase error and close
halt, resume      symbol
clear             ends all of them but half_open and halt
"""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import msgspec
from aiohttp import web

from tests.simulator.connection import TEXT, Connection, Faults, encode
from tests.simulator.heard import BOOK, TRADES
from tests.simulator.hub import Hub
from tests.simulator.replay import Replay
from tests.simulator.rest_faults import Canned, RestFaults
from tests.simulator.websockets import reply_json


class Fault(msgspec.Struct, frozen=True):
    """What is posted to ``/sim/fault``."""

    kind: str
    n: int = 1
    symbol: str = ""
    connection: int = 0
    ms: int = 1500
    code: int = 0
    retry_after: int | None = None
    path: str = ""
    body: str = ""
    text: str = ""
    base64: str = ""
    raw: bool = False
    venue: str = ""


class Server(Protocol):
    """What both exchanges' servers give the control plane."""

    venue: str
    hub: Hub
    rest_faults: RestFaults

    def announce_shutdown(self) -> None:
        """Say that the connections will end."""

    def not_found(self) -> web.Response:
        """Return the answer to an unknown path."""

    def routes(self) -> list[web.RouteDef]:
        """Return the paths it serves."""


class ControlPlane:
    """Answers ``/sim/...`` on the port of *own*, for both venues."""

    def __init__(self, own: Server, servers: Mapping[str, Server]) -> None:
        self._own, self._servers = own, servers

    def routes(self) -> list[web.RouteDef]:
        """Return the paths it serves."""
        return [
            web.post("/sim/fault", self._fault),
            web.post("/sim/start", self._start),
            web.get("/sim/symbols", self._symbols),
            web.get("/sim/connections", self._connections),
            web.get("/sim/rest", self._rest),
            web.get("/sim/truth/{what:book|trades|range|moment}", self._truth),
            web.get("/sim/unheard", self._unheard),
        ]

    def _server(self, venue: str) -> Server:
        return self._servers[venue] if venue else self._own

    async def _symbols(self, _: web.Request) -> web.Response:
        return reply_json({venue: list(server.hub.source.symbols) for venue, server in self._servers.items()})

    async def _connections(self, _: web.Request) -> web.Response:
        return reply_json(
            [
                {
                    "venue": server.venue,
                    "connection": one.number,
                    "path": one.path,
                    "keys": sorted(one.keys),
                    "sent": one.sent,
                    "buffered": one.buffered,
                    "half_open": one.faults.half_open,
                    "pending": one.faults.pending,
                }
                for server in self._servers.values()
                for one in server.hub.connections.values()
            ]
        )

    async def _rest(self, _: web.Request) -> web.Response:
        return reply_json({venue: server.rest_faults.pending for venue, server in self._servers.items()})

    async def _unheard(self, request: web.Request) -> web.Response:
        account, symbol = self._own.hub.account, request.query["symbol"]
        return reply_json({feed: account.lost(symbol, feed) if account else [] for feed in (BOOK, TRADES)})

    async def _start(self, _: web.Request) -> web.Response:
        for server in self._servers.values():
            if isinstance(server.hub.source, Replay):
                server.hub.source.start()
        return reply_json({"ok": True})

    async def _truth(self, request: web.Request) -> web.Response:
        query, what = request.query, request.match_info["what"]
        try:
            server = self._server(query.get("venue", ""))
            server.hub.pump()
            source = server.hub.source
            if what == "range" and "symbol" not in query:
                found = [source.truth(what, {"symbol": symbol}) for symbol in source.symbols]
                return reply_json([{"venue": server.venue} | one for one in found])
            return reply_json({"venue": server.venue} | source.truth(what, query))
        except LookupError as missing:
            return reply_json({"error": str(missing)}, 404)
        except ValueError as bad:
            return reply_json({"error": str(bad)}, 400)

    async def _fault(self, request: web.Request) -> web.Response:
        try:
            fault = msgspec.json.decode(await request.read(), type=Fault)
            server = self._server(fault.venue)
        except (msgspec.DecodeError, KeyError) as bad:
            return reply_json({"error": str(bad)}, 400)
        chosen = [one for one in server.hub.connections.values() if fault.connection in (0, one.number)]
        on_connection = _ON_CONNECTION.get(fault.kind)
        on_server = _ON_SERVER.get(fault.kind)
        if on_connection is not None:
            server.hub.pump()
            for one in chosen:
                await on_connection(one, fault)
        elif on_server is not None:
            try:
                on_server(server, fault)
            except LookupError:
                return reply_json({"error": f"no symbol {fault.symbol!r}"}, 400)
        else:
            kinds = sorted([*_ON_CONNECTION, *_ON_SERVER])
            return reply_json({"error": f"kind must be one of {', '.join(kinds)}"}, 400)
        return reply_json({"ok": True, "connections": [one.number for one in chosen]})


_BOOKS = ("/depth", "/book")
"""How the paths of the REST books end."""


def rest_faults(server: Server) -> Callable[..., Awaitable[web.StreamResponse]]:
    """Return the middleware that gives ordered replies instead of true ones."""

    @web.middleware
    async def answer(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if request.path.startswith("/sim/") or "Upgrade" in request.headers:
            return await handler(request)
        canned = server.rest_faults.take(request.path)
        if canned is not None:
            headers = {} if canned.retry_after is None else {"Retry-After": str(canned.retry_after)}
            return web.Response(
                status=canned.status, text=canned.body, headers=headers, content_type="application/json"
            )
        try:
            made = await handler(request)
        except web.HTTPNotFound:
            return server.not_found()
        if request.path.endswith(_BOOKS):
            await asyncio.sleep(server.rest_faults.take_late_ms() / 1000)
            _note_book(server, request, made)
        return made

    return answer


def _note_book(server: Server, request: web.Request, made: web.StreamResponse) -> None:
    """Have a book in the account whose asker is still there."""
    is_there = request.transport is not None and not request.transport.is_closing()
    if server.hub.account and is_there and made.status == 200 and isinstance(made, web.Response):
        symbol = request.match_info.get("product") or request.query["symbol"]
        server.hub.account.gave(symbol, bytes(made.body))


async def _drop(one: Connection, fault: Fault) -> None:
    one.faults.drop, one.faults.match = fault.n, fault.symbol.encode()


async def _duplicate(one: Connection, fault: Fault) -> None:
    one.faults.duplicate, one.faults.match = fault.n, fault.symbol.encode()


async def _spoil(one: Connection, fault: Fault) -> None:
    one.faults.spoil, one.faults.match = fault.n, fault.symbol.encode()
    one.faults.spoil_how = fault.text or "nan"


async def _reorder(one: Connection, fault: Fault) -> None:
    one.faults.reorder, one.faults.match = fault.n, fault.symbol.encode()


async def _delay(one: Connection, fault: Fault) -> None:
    one.faults.delay_ns = fault.ms * 1_000_000


async def _close(one: Connection, fault: Fault) -> None:
    if fault.code:
        await one.close(fault.code, fault.text)
    else:
        one.abort()


async def _half_open(one: Connection, fault: Fault) -> None:
    one.faults.half_open = True


async def _garbage(one: Connection, fault: Fault) -> None:
    data = base64.b64decode(fault.base64) if fault.base64 else fault.text.encode()
    one.raw(data if fault.raw else encode(TEXT, data))


def _stale(server: Server, fault: Fault) -> None:
    server.rest_faults.order_stale(fault.ms, fault.n)


def _late(server: Server, fault: Fault) -> None:
    server.rest_faults.order_late(fault.ms, fault.n)


def _wrong(server: Server, fault: Fault) -> None:
    server.rest_faults.order_wrong(fault.n)


def _status(server: Server, fault: Fault) -> None:
    server.rest_faults.order(Canned(fault.code, fault.retry_after, fault.body, fault.path), fault.n)


def _halt(server: Server, fault: Fault) -> None:
    server.hub.source.halt(fault.symbol, fault.kind == "halt", server.hub.pump())


def _shutdown(server: Server, fault: Fault) -> None:
    server.announce_shutdown()


def _clear(server: Server, fault: Fault) -> None:
    server.rest_faults.clear()
    for one in server.hub.connections.values():
        one.faults = Faults(half_open=one.faults.half_open)


_ON_CONNECTION: dict[str, Callable[[Connection, Fault], Awaitable[None]]] = {
    "drop_frames": _drop,
    "duplicate": _duplicate,
    "spoil": _spoil,
    "reorder": _reorder,
    "delay_ms": _delay,
    "close": _close,
    "half_open": _half_open,
    "garbage": _garbage,
}

_ON_SERVER: dict[str, Callable[[Server, Fault], None]] = {
    "stale_snapshot": _stale,
    "late_snapshot": _late,
    "wrong_snapshot": _wrong,
    "status": _status,
    "shutdown_notice": _shutdown,
    "halt": _halt,
    "resume": _halt,
    "clear": _clear,
}
