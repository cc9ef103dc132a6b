"""What the records that are no frames hold, one class a kind.

kind         payload
FRAME        the websocket message, verbatim (no class)
REST         ``Rest``
TICK         nothing
COMMAND      ``Command``
CONNECTION   ``Connection``
EPOCH        ``Epoch``

Each is one msgpack array of its fields in order, without a tag: the record's kind says which it
is.  They lie in journals for years: a field is only ever added at the end, with a default.
"""

import msgspec

from journal.group import Corrupt, Kind
from wire.messages import Policy


class Rest(msgspec.Struct, frozen=True, array_like=True):
    """The answer to a GET, with its body verbatim; the record's recv_ns is when it was complete."""

    what: str
    """``depth`` (a snapshot of the book), ``instrument`` or ``trades``"""
    cause: str
    """``subscribe`` ``gap`` ``connection`` ``command`` ``wish`` ``audit`` ``hourly``"""
    status: int
    """HTTP's; 0: no answer came, and the body says why."""
    asked_ns: int
    path: str
    levels: int
    """Levels a side that were asked for; 0: all."""
    body: bytes


class Command(msgspec.Struct, frozen=True, array_like=True):
    """A change of the set of securities, as the line obeyed it; or what it is about to ask for."""

    what: str
    """``add`` ``remove`` ``policy`` ``snapshot``; ``asked``: its next ``depth`` body answers a request
    that goes out after this record"""
    feed: str
    update_ms: int
    policies: tuple[Policy, ...]
    since_ns: int
    """When the security was first wanted: an ``add`` with the same one goes on with that recording."""


class Connection(msgspec.Struct, frozen=True, array_like=True):
    """A websocket opened or closed; the record's connection is its number."""

    what: str
    """``open`` or ``closed``"""
    reason: str


class Epoch(msgspec.Struct, frozen=True, array_like=True):
    """The writer opened the folder."""

    cut_bytes: int
    """Bytes after the last whole group that were cut from the newest segment: what a crash tore."""
    reason: str
    """``first`` (an empty folder), ``restart``, or ``torn`` (something was cut)"""


Payload = Rest | Command | Connection | Epoch

_encode = msgspec.msgpack.Encoder().encode
_DECODERS: dict[Kind, msgspec.msgpack.Decoder[Payload]] = {
    Kind.REST: msgspec.msgpack.Decoder(Rest),
    Kind.COMMAND: msgspec.msgpack.Decoder(Command),
    Kind.CONNECTION: msgspec.msgpack.Decoder(Connection),
    Kind.EPOCH: msgspec.msgpack.Decoder(Epoch),
}


def pack(payload: Payload) -> bytes:
    """Return *payload* as a record holds it."""
    return _encode(payload)


def unpack(kind: Kind, data: bytes) -> Payload:
    """Return what the payload of a record of *kind* says; the inverse of ``pack``.

    Raises:
        Corrupt: no payload of that kind (frames and ticks have none).
    """
    decoder = _DECODERS.get(kind)
    if decoder is None:
        raise Corrupt(f"a record of kind {kind.name} has no payload to decode")
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Corrupt(f"no payload of kind {kind.name}: {error}") from error
