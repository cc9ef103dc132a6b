"""One websocket of a client: frames go out through here, with the faults that were ordered.

Frames are written to the transport directly, many in one write: a server's frames carry no mask, so a
frame is its header and its payload.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from tests.simulator.spoiling import SPOILT

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA

MAX_BUFFERED = 64_000_000
"""What may wait for a slow client, bytes; then it is cut off."""


def encode(opcode: int, payload: bytes) -> bytes:
    """Return a websocket frame as a server sends it (RFC 6455, 5.2)."""
    length = len(payload)
    if length < 126:
        return bytes((0x80 | opcode, length)) + payload
    if length < 65_536:
        return bytes((0x80 | opcode, 126)) + length.to_bytes(2, "big") + payload
    return bytes((0x80 | opcode, 127)) + length.to_bytes(8, "big") + payload


@dataclass
class Faults:
    """What goes wrong with the next frames of a connection."""

    drop: int = 0
    duplicate: int = 0
    spoil: int = 0
    spoil_how: str = "nan"
    """A key of ``spoiling.SPOILT``."""
    reorder: int = 0
    match: bytes = b""
    """Only frames that hold this are dropped, doubled, spoilt or sent too late."""
    delay_ns: int = 0
    half_open: bool = False

    @property
    def pending(self) -> int:
        """Frames that are still to be dropped, doubled, spoilt or sent too late."""
        return self.drop + self.duplicate + self.spoil + self.reorder

    def spoilt(self, payload: bytes) -> bytes:
        """Return the frame as it is sent; one that cannot be spoilt is left for the next."""
        if not self.spoil or self.match not in payload:
            return payload
        spoilt = SPOILT[self.spoil_how](payload)
        self.spoil -= spoilt != payload
        return spoilt

    def copies(self, payload: bytes) -> int:
        """Return how often this frame is sent."""
        if not (self.drop or self.duplicate) or self.match not in payload:
            return 1
        if self.drop:
            self.drop -= 1
            return 0
        self.duplicate -= 1
        return 2


@dataclass
class Sent:
    """What went out and came in, for tests to wait on."""

    frames: int = 0
    dropped: int = 0
    received: int = 0
    pings: int = 0
    pongs: int = 0


@dataclass
class Connection:
    """A client's websocket; *keys* are the streams it has."""

    number: int
    socket: web.WebSocketResponse
    transport: asyncio.Transport
    keys: set[str] = field(default_factory=set)
    faults: Faults = field(default_factory=Faults)
    sent: Sent = field(default_factory=Sent)
    path: str = ""
    wrote: Callable[[int, bytes], None] | None = None
    """Is told the payload of each frame of market data that goes out as it was made."""
    _ready: list[bytes] = field(default_factory=list)
    _whole: list[bytes] = field(default_factory=list)
    """The payloads in *_ready* that nothing was done to."""
    _delayed: deque[tuple[int, bytes, bytes]] = field(default_factory=deque)
    _held: tuple[bytes, bytes] | None = None
    """A frame that goes out after the next one which holds the same text, and that text."""

    def market(self, payload: bytes, now_ns: int) -> None:
        """Queue a frame of market data; faults apply."""
        if self._held is None and self.faults.reorder and self.faults.match in payload:
            self._held = payload, self.faults.match
            return
        spoilt = self.faults.spoilt(payload)
        self._send(spoilt, now_ns, whole=spoilt is payload)
        if self._held is not None and self._held[1] in payload:
            held, _ = self._held
            self._held = None
            self.faults.reorder -= min(self.faults.reorder, 1)
            self._send(held, now_ns, whole=True)

    def _send(self, payload: bytes, now_ns: int, *, whole: bool) -> None:
        copies = self.faults.copies(payload)
        self.sent.frames += copies
        if not copies:
            self.sent.dropped += 1
        for _ in range(copies):
            self._queue(encode(TEXT, payload), now_ns, payload if whole else b"")

    def say(self, payload: bytes, now_ns: int, opcode: int = TEXT) -> None:
        """Queue an answer or a control frame; it stays in order with what was sent before."""
        self._queue(encode(opcode, payload), now_ns)

    def raw(self, data: bytes) -> None:
        """Write bytes that need not be a frame, at once."""
        if not self.faults.half_open:
            self.transport.write(data)

    @property
    def buffered(self) -> int:
        """Bytes that the client has not taken yet."""
        return self.transport.get_write_buffer_size()

    def flush(self, now_ns: int) -> None:
        """Write what is due."""
        while self._delayed and self._delayed[0][0] <= now_ns:
            _, frame, whole = self._delayed.popleft()
            self._ready.append(frame)
            self._whole.append(whole)
        if not self._ready:
            return
        if not self.faults.half_open and not self.transport.is_closing():
            self.transport.write(b"".join(self._ready))
            for payload in self._whole if self.wrote else ():
                self.wrote(self.number, payload)
        self._ready.clear()
        self._whole.clear()

    def abort(self) -> None:
        """Cut the connection without a word."""
        self.transport.abort()

    async def close(self, code: int, reason: str) -> None:
        """Close in order, with a close frame."""
        await self.socket.close(code=code, message=reason.encode())

    async def finish(self) -> None:
        """Answer the client's close; where the connection shall seem dead, wait until the client gives up."""
        while self.faults.half_open and not self.transport.is_closing():
            await asyncio.sleep(0.02)
        if not self.transport.is_closing():
            await self.socket.close()

    def _queue(self, frame: bytes, now_ns: int, whole: bytes = b"") -> None:
        if self.faults.delay_ns or self._delayed:
            self._delayed.append((now_ns + self.faults.delay_ns, frame, whole))
        else:
            self._ready.append(frame)
            self._whole.append(whole)
