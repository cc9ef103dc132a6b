"""The group: what one linger brought, as it lies in the journal and as it travels to the maintainers.

The bytes of the ZeroMQ message are the bytes on disk, so a replay is what was live.

    offset  bytes  field
    0       4      "OBG1"
    4       4      CRC32C of all that follows, unsigned
    8       4      length of the columns, unsigned
    12      4      count: the records in the group, unsigned, at least 1
    16      8      first: position of the first record (wire.names), signed
    24      8      clock: UTC nanoseconds of the appending, never earlier than the group before it in the
                   epoch, signed: by it the lines of a venue are merged (book.merge)
    32      n      columns: one msgpack array, its elements in this order

    element      type                what
    line         str                 the ingester that wrote it
    kind         int                 Kind, of every record in the group
    names        array of str        the securities of the group, in the order in which they come
    buckets      bin, u1 a bucket    the buckets of the group, ascending; 255: concerns all of the line
    bucket_ends  bin, u4 a bucket    records up to and with that bucket
    recv_ns      bin, i8 a record    when it was received
    lengths      bin, u4 a record    bytes of its payload
    routes       bin, u2 a record    index into names
    connections  bin, u4 a record    the connection that brought it, counted within the epoch; 0: none
    blob         bin                 the payloads, one after the other

Integers are little-endian.  Records are sorted by bucket, in order of arrival within a bucket, and
number ``first + i``; so a reader takes its own buckets as a few slices and leaves the rest alone.
"""

import struct
from collections.abc import Container, Iterable, Sequence
from enum import IntEnum
from functools import lru_cache, partial
from itertools import chain, pairwise, repeat
from typing import NamedTuple

import google_crc32c
import msgspec

from journal.rows import Row, Rows, fits, layout, payloads
from wire.names import EVERY_SECURITY, bucket_of

MAGIC = b"OBG1"
HEADER_BYTES = 32

MAX_GROUP_BYTES = 1 << 26
"""The largest body a venue sends is a whole L3 book, about 10 MB; a longer length is a bad length."""

MAX_RECORDS = 1 << 16
"""What a route of two bytes can tell apart; a linger of 256 KB holds a few thousand frames."""

MAX_PAYLOAD_BYTES = MAX_GROUP_BYTES // 2
"""Leaves room for the columns and names of ``MAX_RECORDS`` records."""

EVERY_BUCKET = 255
"""The bucket of records that concern all of the line."""

_CHECKED = struct.Struct("<IIqq")
_CHECK = struct.Struct("<4sI")
_HEADER = struct.Struct("<4sIIIqq")
_TEN_ELEMENTS = b"\x9a"
_BLOB = struct.Struct(">BI")
_BIN_32 = 0xC6


class Corrupt(ValueError):
    """The bytes are not what the journal wrote."""


class TooLarge(ValueError):
    """More than one group holds; the caller writes several."""


class Kind(IntEnum):
    """What a record is (on disk: never renumber)."""

    FRAME = 1
    """A websocket message, verbatim."""
    REST = 2
    """journal.payload.Rest: the answer to a GET."""
    TICK = 3
    """Nothing but its time; one a second."""
    COMMAND = 4
    """journal.payload.Command: a change of the set of securities that was obeyed."""
    CONNECTION = 5
    """journal.payload.Connection: a websocket opened or closed."""
    EPOCH = 6
    """journal.payload.Epoch: the first record of every epoch."""


class Record(NamedTuple):
    """One record of a line's journal."""

    position: int
    kind: Kind
    recv_ns: int
    security: str
    """``EVERY_SECURITY``: concerns all of the line."""
    connection: int
    payload: bytes
    line: str
    """The line that wrote it: positions and connections count in each by themselves."""


class _Columns(msgspec.Struct, frozen=True, array_like=True, gc=False):
    line: str
    kind: Kind
    names: tuple[str, ...]
    buckets: bytes
    bucket_ends: bytes
    recv_ns: bytes
    lengths: bytes
    routes: bytes
    connections: bytes
    blob: memoryview


class Group(msgspec.Struct, frozen=True):
    """A group that was checked; its records are made when they are asked for."""

    line: str
    kind: Kind
    first: int
    count: int
    clock_ns: int
    """When it was appended, by the line's clock that never goes back within an epoch."""
    size: int
    """Bytes of the whole group."""
    names: tuple[str, ...]
    """The securities in it."""
    _buckets: bytes
    _bucket_ends: tuple[int, ...]
    _recv_ns: bytes
    _lengths: bytes
    _routes: bytes
    _connections: bytes
    _data: bytes
    """Of the group, what its CRC is of."""
    _start: int
    """Where in it the payloads begin."""

    @property
    def next_position(self) -> int:
        """Position after the last record."""
        return self.first + self.count

    def records(self, buckets: Container[int] | None = None) -> list[Record]:
        """Return the records of *buckets* (None: of all) and those of ``EVERY_SECURITY``, by position."""
        if buckets is None:
            return self._slice(0, self.count)
        records: list[Record] = []
        for start, end in self._spans(buckets):
            records += self._slice(start, end)
        return records

    def rows(self, buckets: frozenset[int]) -> list[int]:
        """Return which records are of *buckets*: the first record is 0."""
        if buckets.issuperset(self._buckets):
            return list(range(self.count))
        return list(chain.from_iterable(range(start, end) for start, end in self._spans(buckets)))

    @property
    def routes(self) -> tuple[int, ...]:
        """Which of ``names`` each record is of."""
        return struct.unpack(f"<{self.count}H", self._routes)

    def received_ns(self) -> tuple[int, ...]:
        """Return when each record was received."""
        return struct.unpack(f"<{self.count}q", self._recv_ns)

    def connections(self) -> tuple[int, ...]:
        """Return which connection brought each record."""
        return struct.unpack(f"<{self.count}I", self._connections)

    def recv_column(self) -> memoryview:
        """Return ``received_ns`` as int64, for a compiled loop."""
        return memoryview(self._recv_ns).cast("q")

    def connection_column(self) -> memoryview:
        """Return ``connections`` as uint32, likewise."""
        return memoryview(self._connections).cast("I")

    def route_column(self) -> memoryview:
        """Return ``routes`` as uint16, likewise."""
        return memoryview(self._routes).cast("H")

    def payloads(self, rows: Iterable[int]) -> list[bytes]:
        """Return what the records *rows* brought."""
        return payloads(self._data, self._lengths, self._start, rows)

    def _spans(self, buckets: Container[int]) -> list[tuple[int, int]]:
        """Return the (start, end) of *buckets*, neighbours as one, for each slice has a cost of its own."""
        spans: list[tuple[int, int]] = []
        for bucket, (start, end) in zip(self._buckets, pairwise((0, *self._bucket_ends)), strict=True):
            if bucket in buckets or bucket == EVERY_BUCKET:
                joins = bool(spans) and spans[-1][1] == start
                spans.append((spans.pop()[0] if joins else start, end))
        return spans

    def _slice(self, start: int, end: int) -> list[Record]:
        count = end - start
        columns = zip(
            range(self.first + start, self.first + end),
            repeat(self.kind, count),
            struct.unpack_from(f"<{count}q", self._recv_ns, 8 * start),
            map(self.names.__getitem__, self.routes[start:end]),
            struct.unpack_from(f"<{count}I", self._connections, 4 * start),
            self.payloads(range(start, end)),
            repeat(self.line, count),
            strict=True,
        )
        return list(map(_make_record, columns))


_make_record = partial(tuple.__new__, Record)  # half the time of Record(...): one call in C a record
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Columns).decode


@lru_cache(maxsize=1 << 16)
def _bucket_of(security: str) -> int:
    return EVERY_BUCKET if security == EVERY_SECURITY else bucket_of(security)


def pack_group(
    line: str, kind: Kind, first_position: int, clock_ns: int, records: Sequence[Row] | Rows
) -> bytes:
    """Return *records* as one group whose first record has *first_position*, appended at *clock_ns*.

    They are sorted by bucket, those of one bucket keep their order; positions count in that order.

    Raises:
        ValueError: no records.
        TooLarge: more than ``MAX_RECORDS`` or ``MAX_GROUP_BYTES``.
    """
    count = len(records)
    if not 0 < count <= MAX_RECORDS:
        raise TooLarge(f"{count} records in one group") if count else ValueError("a group without records")
    rows = Rows.of(records)
    blob_bytes = sum(map(len, rows.payloads))
    if blob_bytes > MAX_PAYLOAD_BYTES:
        raise TooLarge(f"{blob_bytes} bytes in one group")
    laid = layout(rows, _bucket_of)
    rows = rows.in_order(laid.order)
    columns = (
        line,
        kind,
        laid.names,
        laid.buckets,
        struct.pack(f"<{len(laid.buckets)}I", *laid.bucket_ends),
        struct.pack(f"<{count}q", *rows.recv_ns),
        laid.lengths,
        laid.routes,
        struct.pack(f"<{count}I", *rows.connections),
    )
    # The blob is added by hand, as msgpack's bin 32, so that the payloads are copied once, not three times.
    head = _TEN_ELEMENTS + _encode(columns)[1:] + _BLOB.pack(_BIN_32, blob_bytes)
    fixed = _CHECKED.pack(len(head) + blob_bytes, count, first_position, clock_ns)
    checked = b"".join((fixed, head, *rows.payloads))
    return _CHECK.pack(MAGIC, google_crc32c.value(checked)) + checked


class Header(NamedTuple):
    """What the first 32 bytes of a group say; believed only once the CRC was checked."""

    size: int
    """Bytes of the whole group."""
    first: int
    next: int
    """Position after its last record."""
    clock_ns: int


def read_header(data: bytes, offset: int = 0) -> Header:
    """Return the header of the group that begins at *offset*; nothing of the rest is checked.

    Raises:
        Corrupt: no group begins there.
    """
    if len(data) - offset < HEADER_BYTES:
        raise Corrupt("shorter than a group's header")
    magic, _, length, count, first, clock_ns = _HEADER.unpack_from(data, offset)
    if magic != MAGIC or not 0 < length <= MAX_GROUP_BYTES or not 0 < count <= MAX_RECORDS:
        raise Corrupt("no group begins here")
    return Header(HEADER_BYTES + length, first, first + count, clock_ns)


def is_right(data: bytes) -> bool:
    """Say whether *data*, a group whose header was read, is as it was written."""
    return bool(google_crc32c.value(data[_CHECK.size :]) == _CHECK.unpack_from(data)[1])


def unpack_group(data: bytes) -> Group:
    """Return the group that *data* is, all of it checked; the inverse of ``pack_group``.

    Raises:
        Corrupt: not one whole group as it was written.
    """
    header = read_header(data)
    if len(data) != header.size:
        raise Corrupt(f"{len(data)} bytes where the header says {header.size}")
    checked = data[_CHECK.size :]
    if google_crc32c.value(checked) != _CHECK.unpack_from(data)[1]:
        raise Corrupt("bad checksum")
    try:
        return _group(header, _decode(memoryview(checked)[_CHECKED.size :]), checked)
    except (msgspec.DecodeError, UnicodeDecodeError, struct.error, IndexError) as error:
        raise Corrupt(f"columns that do not fit: {error}") from error


def _group(header: Header, columns: _Columns, checked: bytes) -> Group:
    count, blob_bytes = header.next - header.first, len(columns.blob)
    bucket_ends = struct.unpack(f"<{len(columns.buckets)}I", columns.bucket_ends)
    is_whole = (
        fits(columns.lengths, columns.routes, count, len(columns.names), blob_bytes)
        and len(columns.recv_ns) == 8 * count
        and len(columns.connections) == 4 * count
        and bucket_ends[-1] == count
        and all(a < b for a, b in pairwise((0, *bucket_ends)))
    )
    if not is_whole:
        raise Corrupt("columns that do not fit one another")
    return Group(
        columns.line,
        columns.kind,
        header.first,
        count,
        header.clock_ns,
        header.size,
        columns.names,
        columns.buckets,
        bucket_ends,
        columns.recv_ns,
        columns.lengths,
        columns.routes,
        columns.connections,
        checked,
        len(checked) - blob_bytes,
    )
