"""What both exchanges need of aiohttp: taking a websocket, and replies with exact bytes."""

import asyncio
from collections.abc import Mapping

import msgspec
from aiohttp import web

from tests.simulator.connection import Connection
from tests.simulator.hub import Hub

MAX_MESSAGE = 1_000_000
"""Of a client, bytes."""


async def accept(request: web.Request, hub: Hub) -> Connection:
    """Take a websocket whose pings and closing this program answers itself; it hears from now on."""
    socket = web.WebSocketResponse(
        autoping=False, autoclose=False, compress=False, max_msg_size=MAX_MESSAGE, timeout=1.0
    )
    await socket.prepare(request)
    transport = request.transport
    if not isinstance(transport, asyncio.Transport):
        raise ConnectionResetError("the client has gone")
    # The hub bounds what waits for a slow client itself.
    transport.set_write_buffer_limits(high=2**30)
    wrote = hub.account.wrote if hub.account else None
    connection = Connection(hub.next_number(), socket, transport, path=request.path_qs, wrote=wrote)
    hub.add(connection)
    return connection


def reply_json(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return a reply whose body is *body* as JSON."""
    return reply_raw(msgspec.json.encode(body), headers, status)


def reply_raw(body: bytes, headers: Mapping[str, str] | None = None, status: int = 200) -> web.Response:
    """Return a JSON reply with exactly these bytes."""
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")
