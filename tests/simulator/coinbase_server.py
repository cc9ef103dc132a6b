"""Coinbase Exchange on a socket: feed at ``/``, REST at ``/products...`` and ``/time`` (protocols.md 2)."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from aiohttp import WSMessage, WSMsgType, web

from tests.simulator.coinbase_rules import Account, Refused, Subscriptions, error
from tests.simulator.connection import PONG, Connection
from tests.simulator.hub import Hub
from tests.simulator.limits import TokenBucket
from tests.simulator.rest_faults import RestFaults
from tests.simulator.source import CoinbaseSource
from tests.simulator.texts import iso_ms
from tests.simulator.websockets import accept, reply_json, reply_raw

MS = 1_000_000

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class CoinbaseServer:
    """The exchange's endpoints."""

    venue = "coinbase"

    def __init__(
        self, source: CoinbaseSource, *, account: Account | None, subscribe_within_s: float, stale_ms: int
    ) -> None:
        self._source, self._account = source, account
        self.rest_faults = RestFaults(stale_ms)
        self.hub = Hub(source, lambda _, __, payload: payload, lambda connection: connection.abort())
        self._subscribe_within_s = subscribe_within_s
        now_ns = time.time_ns()
        self._requests = TokenBucket(10, 15, now_ns)
        self._connects = TokenBucket(8, 20, now_ns)

    def routes(self) -> list[web.RouteDef]:
        """Return the paths it serves."""
        product = "/products/{product}"
        return [
            web.get("/", self._websocket),
            web.get("/time", self._rest(self._time)),
            web.get("/products", self._rest(self._products)),
            web.get(product, self._rest(self._product)),
            web.get(f"{product}/book", self._rest(self._book)),
            web.get(f"{product}/trades", self._rest(self._trades)),
        ]

    def not_found(self) -> web.Response:
        """Return the answer to an unknown path."""
        return reply_json({"message": "NotFound"}, 404)

    def announce_shutdown(self) -> None:
        """Send an error to every connection and close it: what an active disconnect looks like (2.3)."""
        now_ns = self.hub.pump()
        for connection in list(self.hub.connections.values()):
            connection.say(error("Server is shutting down", "please reconnect"), now_ns)
            connection.flush(now_ns)
            _in_background(connection.close(1001, "going away"))

    # --- REST ---------------------------------------------------------------------------------

    def _rest(self, answer: Callable[[web.Request], web.Response]) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            if not self._requests.take(time.time_ns()):
                return reply_json({"message": "Public rate limit exceeded"}, 429)
            product = request.match_info.get("product")
            if product is not None and product not in self._source.symbols:
                return self.not_found()
            self.hub.pump()
            return answer(request)

        return handle

    def _time(self, _: web.Request) -> web.Response:
        now_ns = time.time_ns()
        return reply_json({"iso": iso_ms(now_ns), "epoch": now_ns // MS / 1000})

    def _products(self, _: web.Request) -> web.Response:
        return reply_json([self._source.info(product) for product in self._source.symbols])

    def _product(self, request: web.Request) -> web.Response:
        return reply_json(self._source.info(request.match_info["product"]))

    def _book(self, request: web.Request) -> web.Response:
        level = request.query.get("level", "1")
        if level not in ("1", "2", "3"):
            return reply_json({"message": f"unexpected level: {level}"}, 400)
        at_ns = time.time_ns() - self.rest_faults.take_stale_ms() * MS
        body = self._source.book(request.match_info["product"], int(level), at_ns)
        if body is None:
            return reply_json({"message": "Internal server error"}, 500)
        body = self.rest_faults.spoilt(body)
        return reply_raw(body, {"Cache-Control": f"public, max-age={1 if level == '3' else 2}"})

    def _trades(self, request: web.Request) -> web.Response:
        numbers: dict[str, int | None] = {}
        for name in ("before", "after", "limit"):
            text = request.query.get(name)
            if text is not None and not text.isdigit():
                return reply_json({"message": f"invalid {name}"}, 400)
            numbers[name] = int(text) if text else None
        limit = min(numbers["limit"] or 1000, 1000)
        product = request.match_info["product"]
        rows = self._source.rest_trades(product, numbers["before"], numbers["after"], limit)
        paging = (
            {"CB-BEFORE": str(rows[0]["trade_id"]), "CB-AFTER": str(rows[-1]["trade_id"])} if rows else {}
        )
        return reply_json(rows, 200, paging)

    # --- the feed -----------------------------------------------------------------------------

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return self.not_found()
        if not self._connects.take(time.time_ns()):
            return web.Response(status=429)
        connection = await accept(request, self.hub)
        subscriptions = Subscriptions(self._source.symbols, self._account)
        messages = TokenBucket(10, 1000, time.time_ns())
        patience = asyncio.create_task(self._expect_subscribe(connection, subscriptions))
        try:
            async for message in connection.socket:
                if not await self._heard(connection, subscriptions, messages, message):
                    break
            await connection.finish()
        finally:
            patience.cancel()
            self.hub.remove(connection)
        return connection.socket

    async def _heard(
        self, connection: Connection, subscriptions: Subscriptions, messages: TokenBucket, message: WSMessage
    ) -> bool:
        """Answer one incoming message; False ends the connection."""
        connection.sent.received += 1
        if connection.faults.half_open:
            return True
        now_ns = self.hub.pump()
        if not messages.take(now_ns):
            connection.say(error("ErrSlowRead", "client sends too many messages"), now_ns)
            connection.flush(now_ns)
            await connection.close(1008, "ErrSlowRead")
            return False
        if message.type is WSMsgType.PING:
            connection.say(bytes(message.data), now_ns, PONG)
        elif message.type is WSMsgType.TEXT:
            self._subscribe(connection, subscriptions, message.data, now_ns)
        connection.flush(now_ns)
        return True

    def _subscribe(
        self, connection: Connection, subscriptions: Subscriptions, text: str, now_ns: int
    ) -> None:
        try:
            done = subscriptions.do(text, now_ns / 1e9)
        except Refused as refused:
            connection.say(refused.frame(), now_ns)
            return
        connection.say(done.answer, now_ns)
        for channel, product in done.new:
            greeting = self._source.greeting(channel, product)
            if greeting is not None:
                connection.market(greeting, now_ns)
        connection.keys = {
            f"{channel}:{product}" for channel, held in subscriptions.channels.items() for product in held
        }
        self.hub.changed()

    async def _expect_subscribe(self, connection: Connection, subscriptions: Subscriptions) -> None:
        await asyncio.sleep(self._subscribe_within_s)
        if not subscriptions.channels:
            await connection.close(1008, "no subscribe message in time")


_tasks: set[asyncio.Task[None]] = set()
"""Keeps what runs in the background from being collected."""


def _in_background(work: Awaitable[None]) -> None:
    async def run() -> None:
        await work

    task = asyncio.create_task(run())
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
