"""Splits the bytes of a websocket into messages (RFC 6455 section 5), many at a time.

websocket-client reads a frame at a time through several calls each, which costs ten times the
splitting of one large read (speed.md).  This takes over after its handshake.

byte 0    FIN, three reserved bits (no extension was offered: they must be 0), opcode
byte 1    MASK (a server never masks), 7 bits of length; 126: 2 bytes follow, 127: 8 bytes follow

opcode    0 continuation  1 text  2 binary  8 close  9 ping  10 pong
"""

from enum import IntEnum
from functools import partial
from typing import NamedTuple

MOST_BYTES = 24 * 1024 * 1024
"""A message; the largest known is a level-2 snapshot of 5 MB (protocols.md 2.11), and a journal group,
which also holds what came in the same linger, takes 32 MiB."""

_LONGEST_CONTROL = 125


class Opcode(IntEnum):
    """What a message is."""

    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


class Incoming(NamedTuple):
    """One whole message."""

    opcode: int
    payload: bytes


_make_incoming = partial(tuple.__new__, Incoming)  # a third of the time of Incoming(...), for every frame


class _Bad(ValueError):
    """A frame that RFC 6455 forbids, or a message over ``MOST_BYTES``."""


class Splitter:
    """Holds the bytes of the message that is not whole yet, at most ``MOST_BYTES`` and a read."""

    def __init__(self) -> None:
        self.broken = ""
        """How the peer broke the protocol; nothing after that is of use."""
        self.goodbye = False
        """A closing message is among those that were returned."""
        self._wanted = 2
        self._parts: list[bytes] = []
        self._parts_size = 0
        self._fragments_opcode = 0
        self._kept: list[bytes] = []
        self._kept_size = 0

    def feed(self, data: bytes) -> list[Incoming]:
        """Return the messages that *data* completes, up to where the peer broke the protocol."""
        if self.broken:
            return []
        self._kept.append(data)
        self._kept_size += len(data)
        if self._kept_size < self._wanted:
            return []
        buffer = b"".join(self._kept) if len(self._kept) > 1 else data
        out: list[Incoming] = []
        try:
            start = self._split(buffer, out)
        except _Bad as bad:
            self.broken, start = str(bad), len(buffer)
        self._kept = [buffer[start:]] if start < len(buffer) else []
        self._kept_size = len(buffer) - start
        return out

    def _split(self, buffer: bytes, out: list[Incoming]) -> int:
        """Append the messages of *buffer* to *out*; return where the unfinished frame starts.

        Raises:
            _Bad: the peer broke the protocol; *out* has what came before.
        """
        start, end = 0, len(buffer)
        while end - start >= 2:
            first, length = buffer[start], buffer[start + 1]
            body = start + 2
            if length >= 126:
                if length > 127:
                    raise _Bad("the server sent a masked frame")
                body += 2 if length == 126 else 8
                if end < body:
                    self._wanted = body - start
                    return start
                if length == 126:
                    length = buffer[start + 2] << 8 | buffer[start + 3]
                else:
                    length = int.from_bytes(buffer[start + 2 : body], "big")
            if length > MOST_BYTES:
                raise _Bad(f"a frame of {length} bytes, more than {MOST_BYTES}")
            stop = body + length
            if end < stop:
                self._wanted = stop - start
                return start
            if first == 0x81:  # a whole text message: nearly every one
                if self._fragments_opcode:
                    raise _Bad("a new message inside a fragmented one")
                out.append(_make_incoming((1, buffer[body:stop])))
            else:
                self._other(first, buffer[body:stop], out)
            start = stop
        self._wanted = 2
        return start

    def _other(self, first: int, payload: bytes, out: list[Incoming]) -> None:
        """Take a frame that is not a whole text message."""
        final, opcode = first & 0x80, first & 0x0F
        if first & 0x70:
            raise _Bad(f"a frame with reserved bits, byte {first:#04x}: no extension was offered")
        if opcode in (Opcode.CLOSE, Opcode.PING, Opcode.PONG):
            if not final or len(payload) > _LONGEST_CONTROL:
                raise _Bad(f"a control frame that is fragmented or of {len(payload)} bytes")
            self.goodbye = self.goodbye or opcode == Opcode.CLOSE
            out.append(Incoming(opcode, payload))
        elif opcode in (0, Opcode.TEXT, Opcode.BINARY):
            self._fragment(bool(final), opcode, payload, out)
        else:
            raise _Bad(f"a frame of unknown opcode {opcode}")

    def _fragment(self, final: bool, opcode: int, payload: bytes, out: list[Incoming]) -> None:
        if (opcode == 0) != bool(self._fragments_opcode):
            raise _Bad("a continuation without a start, or a start inside a fragmented message")
        self._parts.append(payload)
        self._parts_size += len(payload)
        if self._parts_size > MOST_BYTES:
            raise _Bad(f"a fragmented message of more than {MOST_BYTES} bytes")
        self._fragments_opcode = self._fragments_opcode or opcode
        if final:
            out.append(Incoming(self._fragments_opcode, b"".join(self._parts)))
            self._parts, self._parts_size, self._fragments_opcode = [], 0, 0
