"""Every message that crosses a process boundary, one class each; what a run consists of is in wire.runs.

Units are those of wire.runs, for every field of that name in this project.  A message is a fact and never
changes.  Fields may be added at the end with a default; they are never renamed, retyped or reused.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from wire.runs import Marks, RunMessage


class BadMessage(ValueError):
    """The bytes are not a message of this version."""


class Policy(msgspec.Struct, frozen=True, array_like=True):
    """How a security is recorded, from one window on."""

    every_ms: int = 0
    """0: every update; else net changes per this many ms of exchange time (divides the window)."""
    images_s: int = 0
    """Seconds between base images; 0: the setting BASE_IMAGE_SECONDS (L3: 3600)."""
    from_ns: int = 0
    """Start of the first window it rules."""
    order_ids: bool = True
    """Of an L3 security: False stores its orders without the exchange's ids (book.naming)."""


class Wanted(msgspec.Struct, frozen=True, array_like=True):
    """One security of the desired state."""

    security: str
    policies: tuple[Policy, ...]
    """In the order of ``from_ns``; never empty."""
    since_ns: int


class Desired(msgspec.Struct, frozen=True, array_like=True, tag="desired"):
    """Control to all, at each change and each second: the whole set of securities."""

    version: int
    securities: tuple[Wanted, ...]


# --- the maintainer to the conditioner -------------------------------------------------------


class Subscribe(msgspec.Struct, frozen=True, array_like=True, tag="subscribe"):
    """A conditioner to the maintainer of *bucket*, each second: send its runs to *endpoint*.

    A maintainer that meets a new *token* begins a new run of every security of the bucket.
    """

    bucket: int
    endpoint: str
    token: int
    run: int = 0
    """The newest run that it knows of the bucket: the new one is to be higher, whatever the clock says."""


# --- the conditioner to the store, and back --------------------------------------------------


class Document(msgspec.Struct, frozen=True, array_like=True, tag="document"):
    """One version of one document; ``fields`` is all of it but ``_id``, ``security``, ``start``, ``covered``.

    In ``fields`` a name ending in ``_ns`` becomes the BSON date of that name without the ending.
    """

    collection: str
    id: str
    security: str
    start_ns: int
    covered: int
    fields: dict[str, Any]
    reply_to: str
    """The endpoint that the answer goes to."""

    @property
    def name(self) -> str:
        """Return what tells it from all documents, whatever their collection.

        Their ids name their kind; that of a row of the ledger names its feed and may be that of a block too,
        whose window began at the second that is the row's first missing id.
        """
        return f"gaps/{self.id}" if self.collection == "gaps" else self.id

    @property
    def key(self) -> tuple[str, int]:
        """Return what tells this version of it from every other: its name and what it covers."""
        return self.name, self.covered


class Answer(msgspec.Struct, frozen=True, array_like=True, tag="answer"):
    """The store's word on documents, by their keys.

    ``stored`` and ``had`` come after MongoDB's majority and journal acknowledgement; ``refused``
    is final (no retry can mend it); ``held`` is said each second of those still waiting.
    """

    stored: tuple[tuple[str, int], ...] = ()
    had: tuple[tuple[str, int], ...] = ()
    refused: tuple[tuple[str, int, str], ...] = ()
    held: tuple[tuple[str, int], ...] = ()


class Done(msgspec.Struct, frozen=True, array_like=True, tag="done"):
    """A conditioner to all, each second: per security, every record before the marks is stored for good."""

    bucket: int
    marks: dict[str, Marks]


class Needed(msgspec.Struct, frozen=True, array_like=True, tag="needed"):
    """A maintainer to the ingesters, each second, for each of its buckets.

    A line may drop what lies before ``marks[line]``; a bucket nobody spoke for needs everything.
    ``wishes`` are the securities that want a REST snapshot now, ``trades`` the trade ids (security, first,
    last) that are missing.
    """

    bucket: int
    marks: Marks
    wishes: tuple[str, ...] = ()
    trades: tuple[tuple[str, int, int], ...] = ()


class Synced(msgspec.Struct, frozen=True, array_like=True, tag="synced"):
    """An ingester to all: every record before *position* survives a power loss."""

    line: str
    position: int


class Clock(msgspec.Struct, frozen=True, array_like=True, tag="clock"):
    """An ingester to the maintainers: no group that it appends from *position* on has an earlier clock."""

    line: str
    position: int
    clock_ns: int


# --- health and commands ---------------------------------------------------------------------


class Beat(msgspec.Struct, frozen=True, array_like=True, tag="beat"):
    """A process to control, each second."""

    process: str
    """As supervisord names it: ``book-0``, ``ingest-binance-a``."""
    pid: int
    started_ns: int
    health: dict[str, Any]


class Request(msgspec.Struct, frozen=True, array_like=True, tag="request"):
    """Control to a process: do *command*; answered by a Reply with the same id."""

    id: int
    command: str
    args: dict[str, Any]


class Reply(msgspec.Struct, frozen=True, array_like=True, tag="reply"):
    """A process to control."""

    id: int
    process: str
    ok: bool
    result: Any = None
    error: str = ""


Message = (
    RunMessage
    | Desired
    | Subscribe
    | Document
    | Answer
    | Done
    | Needed
    | Synced
    | Clock
    | Beat
    | Request
    | Reply
)


# No plain lists in between: a Changes message is decoded in 0.7 us instead of 23.
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Message).decode
_decode_all = msgspec.msgpack.Decoder(list[Message]).decode


def pack(message: Message) -> bytes:
    """Return *message* as one msgpack array whose first element names its class."""
    return _encode(message)


def unpack(data: bytes) -> Message:
    """Return the message that *data* holds; the inverse of ``pack``.

    Raises:
        BadMessage: *data* is not msgpack, or no message of this version.
    """
    try:
        return _decode(data)  # type: ignore[no-any-return]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadMessage(f"not a message of this version: {error}") from error


def pack_all(messages: Sequence[Message]) -> bytes:
    """Return *messages* as one msgpack array: one ZeroMQ message for a whole batch."""
    return _encode(messages)


def unpack_all(data: bytes) -> list[Message]:
    """Return the messages of a batch; the inverse of ``pack_all``.

    Raises:
        BadMessage: *data* is not msgpack, or holds something that is no message.
    """
    try:
        return _decode_all(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadMessage(f"not a batch of messages of this version: {error}") from error
