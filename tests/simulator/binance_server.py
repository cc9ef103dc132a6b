"""Binance on a socket: ``/stream`` and ``/ws`` websockets, ``/api/v3/...`` (protocols.md 1.1, 1.2, 1.5)."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec
from aiohttp import WSMessage, WSMsgType, web

from tests.simulator.binance_rules import Streams
from tests.simulator.connection import PING, PONG, Connection
from tests.simulator.hub import Hub
from tests.simulator.limits import RecentCount, TokenBucket, WeightWindow
from tests.simulator.rest_faults import RestFaults
from tests.simulator.source import BinanceSource, Json
from tests.simulator.websockets import accept, reply_json, reply_raw

MS = 1_000_000
MESSAGES_PER_S = 5
MICRO = "!us"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _Error(Exception):
    """A REST error with Binance's code."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass
class _Client:
    """What one connection asked for."""

    streams: Streams
    micro: bool
    rate: RecentCount
    awaited: dict[bytes, int]
    """Pings without a pong: payload -> when sent."""


class BinanceServer:
    """The exchange's endpoints."""

    venue = "binance"

    def __init__(
        self, source: BinanceSource, *, ping_s: float, pong_timeout_s: float, weight_limit: int, stale_ms: int
    ) -> None:
        self._source = source
        self.rest_faults = RestFaults(stale_ms)
        self.hub = Hub(source, self._wrap, lambda connection: connection.abort())
        self._clients: dict[int, _Client] = {}
        self._ping_s, self._pong_timeout_s = ping_s, pong_timeout_s
        self._weight = WeightWindow(weight_limit)
        self._connects = TokenBucket(1, 300, time.time_ns())

    def routes(self) -> list[web.RouteDef]:
        """Return the paths it serves."""
        rest: dict[str, tuple[int, Callable[[web.Request], object]]] = {
            "ping": (1, lambda _: {}),
            "time": (1, lambda _: {"serverTime": time.time_ns() // MS}),
            "exchangeInfo": (20, self._exchange_info),
            "depth": (0, self._depth),
            "trades": (25, self._trades),
            "historicalTrades": (25, self._trades),
        }
        return [
            web.get("/stream", self._websocket),
            web.get("/ws", self._websocket),
            web.get("/ws/{streams:.+}", self._websocket),
            *(
                web.get(f"/api/v3/{name}", self._rest(weight, answer))
                for name, (weight, answer) in rest.items()
            ),
        ]

    def not_found(self) -> web.Response:
        """Return the answer to an unknown path."""
        return web.Response(status=404, text="<html><body><h2>404 Not found</h2></body></html>")

    def announce_shutdown(self) -> None:
        """Tell every connection to open a new one (1.2)."""
        now_ns = self.hub.pump()
        payload = msgspec.json.encode({"e": "serverShutdown", "E": now_ns // MS})
        for connection in self.hub.connections.values():
            connection.say(self._wrap(connection, "!serverShutdown", payload), now_ns)
            connection.flush(now_ns)

    # --- REST ---------------------------------------------------------------------------------

    def _rest(self, weight: int, answer: Callable[[web.Request], object]) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            cost = weight or _depth_weight(_limit(request, 100, 5000))
            verdict = self._weight.use(cost, time.time_ns())
            headers = {"X-MBX-USED-WEIGHT": str(verdict.used), "X-MBX-USED-WEIGHT-1M": str(verdict.used)}
            if verdict.status != 200:
                headers["Retry-After"] = str(verdict.retry_after)
                return reply_json(
                    {"code": -1003, "msg": _too_much(self._weight.limit)}, verdict.status, headers
                )
            self.hub.pump()
            try:
                body = answer(request)
            except _Error as error:
                return reply_json({"code": error.code, "msg": str(error)}, 400, headers)
            if body is None:
                text = "Timeout waiting for response from backend server."
                return reply_json({"code": -1007, "msg": text}, 504, headers)
            return reply_raw(body, headers) if isinstance(body, bytes) else reply_json(body, 200, headers)

        return handle

    def _symbol(self, request: web.Request) -> str:
        symbol = request.query.get("symbol", "")
        if not symbol:
            raise _Error(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        if symbol not in self._source.symbols:
            raise _Error(-1121, "Invalid symbol.")
        return symbol

    def _depth(self, request: web.Request) -> bytes | None:
        symbol, limit = self._symbol(request), _limit(request, 100, 5000)
        at_ns = time.time_ns() - self.rest_faults.take_stale_ms() * MS
        body = self._source.depth(symbol, limit, at_ns)
        return None if body is None else self.rest_faults.spoilt(body)

    def _trades(self, request: web.Request) -> list[Json]:
        symbol, limit = self._symbol(request), _limit(request, 500, 1000)
        from_id = request.query.get("fromId")
        return self._source.rest_trades(symbol, int(from_id) if from_id else None, limit)

    def _exchange_info(self, request: web.Request) -> Json:
        query = request.query
        if "symbol" in query:
            symbols = [query["symbol"]]
        elif "symbols" in query:
            try:
                symbols = msgspec.json.decode(query["symbols"], type=list[str])
            except msgspec.DecodeError:
                raise _Error(-1100, "Illegal characters found in parameter 'symbols'.") from None
        else:
            symbols = list(self._source.symbols)
        if not all(symbol in self._source.symbols for symbol in symbols):
            raise _Error(-1121, "Invalid symbol.")
        limits = [
            {
                "rateLimitType": "REQUEST_WEIGHT",
                "interval": "MINUTE",
                "intervalNum": 1,
                "limit": self._weight.limit,
            }
        ]
        return {
            "timezone": "UTC",
            "serverTime": time.time_ns() // MS,
            "rateLimits": limits,
            "exchangeFilters": [],
            "symbols": [self._source.info(symbol) for symbol in symbols],
        }

    # --- websockets ---------------------------------------------------------------------------

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        if not self._connects.take(time.time_ns()):
            return web.Response(status=429)
        query = request.query
        named = (
            query.get("streams", "") if request.path == "/stream" else request.match_info.get("streams", "")
        )
        client = _Client(
            Streams([name for name in named.split("/") if name], combined=request.path == "/stream"),
            query.get("timeUnit", "").upper() == "MICROSECOND",
            RecentCount(MESSAGES_PER_S),
            {},
        )
        connection = await accept(request, self.hub)
        self._clients[connection.number] = client
        self._resubscribe(connection, client)
        pinger = asyncio.create_task(self._ping(connection, client))
        try:
            async for message in connection.socket:
                if not await self._heard(connection, client, message):
                    break
            await connection.finish()
        finally:
            pinger.cancel()
            self.hub.remove(connection)
            del self._clients[connection.number]
        return connection.socket

    async def _heard(self, connection: Connection, client: _Client, message: WSMessage) -> bool:
        """Answer one incoming message; False ends the connection."""
        connection.sent.received += 1
        if connection.faults.half_open:
            return True
        if not client.rate.add(time.time_ns()):
            await connection.close(1008, "Too many requests")
            return False
        match message.type:
            case WSMsgType.TEXT:
                now_ns = self.hub.pump()
                connection.say(client.streams.answer(message.data), now_ns)
                connection.flush(now_ns)
                self._resubscribe(connection, client)
            case WSMsgType.PING:
                now_ns = time.time_ns()
                connection.say(bytes(message.data), now_ns, PONG)
                connection.flush(now_ns)
            case WSMsgType.PONG:
                connection.sent.pongs += 1
                if bytes(message.data) in client.awaited:
                    client.awaited.clear()
            case _:
                pass
        return True

    def _resubscribe(self, connection: Connection, client: _Client) -> None:
        suffix = MICRO if client.micro else ""
        connection.keys = {name + suffix for name in client.streams.names}
        self.hub.changed()

    async def _ping(self, connection: Connection, client: _Client) -> None:
        """Send a ping every so often; without its pong in time the connection is closed."""
        while True:
            await asyncio.sleep(self._ping_s)
            now_ns = time.time_ns()
            if connection.faults.half_open:
                continue
            if any(now_ns - sent_ns > self._pong_timeout_s * 1e9 for sent_ns in client.awaited.values()):
                await connection.close(1008, "Pong timeout")
                return
            payload = str(now_ns // MS).encode()
            client.awaited[payload] = now_ns
            connection.sent.pings += 1
            connection.say(payload, now_ns, PING)
            connection.flush(now_ns)

    def _wrap(self, connection: Connection, key: str, payload: bytes) -> bytes:
        if not self._clients[connection.number].streams.combined:
            return payload
        return b'{"stream":"%s","data":%s}' % (key.removesuffix(MICRO).encode(), payload)


def _too_much(limit: int) -> str:
    return f"Too much request weight used; current limit is {limit} request weight per 1 MINUTE."


def _limit(request: web.Request, default: int, highest: int) -> int:
    text = request.query.get("limit", "")
    return min(int(text), highest) if text.isdigit() and int(text) else default


def _depth_weight(limit: int) -> int:
    for most, weight in ((100, 5), (500, 25), (1000, 50)):
        if limit <= most:
            return weight
    return 250
