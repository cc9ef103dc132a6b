"""Splits the bytes of a websocket into messages (RFC 6455 section 5), many at a time.

websocket-client reads a frame at a time through several calls each, which costs ten times the
splitting of one large read (speed.md).  This takes over after its handshake.

byte 0    FIN, three reserved bits (no extension was offered: they must be 0), opcode
byte 1    MASK (a server never masks), 7 bits of length; 126: 2 bytes follow, 127: 8 bytes follow

opcode    0 continuation  1 text  2 binary  8 close  9 ping  10 pong

Whole text messages, of which a feed consists but for a ping a minute, are taken by ``ingest.framing_loops``
where the project was compiled, by its twin ``plain_texts`` where not.
"""

from enum import IntEnum
from typing import NamedTuple

try:
    from ingest.framing_loops import texts
except ImportError:
    COMPILED = False
else:
    COMPILED = True

MOST_BYTES = 24 * 1024 * 1024
"""A message; the largest known is a level-2 snapshot of 5 MB (protocols.md 2.11), and a journal group,
which also holds what came in the same linger, takes 32 MiB."""

_LONGEST_CONTROL = 125
_LONGEST_HEAD = 10


class Opcode(IntEnum):
    """What a message is."""

    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


class Control(NamedTuple):
    """A closing message, a ping or a pong."""

    opcode: int
    payload: bytes


Message = bytes | Control
"""One whole message: what a venue says, text or not, is its bytes alone."""


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

    def feed(self, data: bytes) -> list[Message]:
        """Return the messages that *data* completes, up to where the peer broke the protocol."""
        if self.broken:
            return []
        self._kept.append(data)
        self._kept_size += len(data)
        if self._kept_size < self._wanted:
            return []
        buffer = b"".join(self._kept) if len(self._kept) > 1 else data
        out: list[Message] = []
        try:
            start = self._split(buffer, out)
        except _Bad as bad:
            self.broken, start = str(bad), len(buffer)
        self._kept = [buffer[start:]] if start < len(buffer) else []
        self._kept_size = len(buffer) - start
        return out

    def _split(self, buffer: bytes, out: list[Message]) -> int:
        """Append the messages of *buffer* to *out*; return where the unfinished frame starts.

        Raises:
            _Bad: the peer broke the protocol; *out* has what came before.
        """
        start = 0
        while True:
            if not self._fragments_opcode:
                start = _texts(buffer, start, MOST_BYTES, out)  # nearly all there is
            head = buffer[start : start + _LONGEST_HEAD]
            self._wanted = _head_size(head)
            if len(head) < self._wanted:
                return start
            length = head[1] if head[1] < 126 else int.from_bytes(head[2 : self._wanted], "big")
            if length > MOST_BYTES:
                raise _Bad(f"a frame of {length} bytes, more than {MOST_BYTES}")
            body = start + self._wanted
            if len(buffer) - body < length:
                self._wanted += length
                return start
            start = body + length
            self._other(head[0], buffer[body:start], out)

    def _other(self, first: int, payload: bytes, out: list[Message]) -> None:
        """Take a frame that is not a whole text message, or comes inside a fragmented one."""
        final, opcode = first & 0x80, first & 0x0F
        if first & 0x70:
            raise _Bad(f"a frame with reserved bits, byte {first:#04x}: no extension was offered")
        if opcode in (Opcode.CLOSE, Opcode.PING, Opcode.PONG):
            if not final or len(payload) > _LONGEST_CONTROL:
                raise _Bad(f"a control frame that is fragmented or of {len(payload)} bytes")
            self.goodbye = self.goodbye or opcode == Opcode.CLOSE
            out.append(Control(opcode, payload))
        elif opcode in (0, Opcode.TEXT, Opcode.BINARY):
            self._fragment(bool(final), opcode, payload, out)
        else:
            raise _Bad(f"a frame of unknown opcode {opcode}")

    def _fragment(self, final: bool, opcode: int, payload: bytes, out: list[Message]) -> None:
        if (opcode == 0) != bool(self._fragments_opcode):
            raise _Bad("a continuation without a start, or a start inside a fragmented message")
        self._parts.append(payload)
        self._parts_size += len(payload)
        if self._parts_size > MOST_BYTES:
            raise _Bad(f"a fragmented message of more than {MOST_BYTES} bytes")
        self._fragments_opcode = self._fragments_opcode or opcode
        if final:
            out.append(b"".join(self._parts))
            self._parts, self._parts_size, self._fragments_opcode = [], 0, 0


def _head_size(head: bytes) -> int:
    """Return the bytes of a frame in front of its payload, as far as *head* tells.

    Raises:
        _Bad: a server never masks.
    """
    if len(head) < 2 or head[1] < 126:
        return 2
    if head[1] > 127:
        raise _Bad("the server sent a masked frame")
    return 4 if head[1] == 126 else 10


def plain_texts(buffer: bytes, start: int, longest: int, out: list[Message]) -> int:
    """Append the payloads of the whole text messages that stand at *start*; return where they end."""
    end = len(buffer)
    while end - start >= 2 and buffer[start] == 0x81:
        length, body = buffer[start + 1], start + 2
        if length > 127:
            break
        if length >= 126:
            body += 2 if length == 126 else 8
            if body > end:
                break
            length = int.from_bytes(buffer[start + 2 : body], "big")
        if length > longest or length > end - body:
            break
        out.append(buffer[body : body + length])
        start = body + length
    return start


_texts = texts if COMPILED else plain_texts
