"""A segment: one file of a line's journal.

    <epoch, 7 digits>-<number, 13 digits>.obj       position of its first record

    offset  bytes  field
    0       4      "OBJ1"
    4       4      CRC32C of the 56 bytes that follow, unsigned
    8       8      first: position of its first record, signed
    16      8      created_ns: when the file was made, signed
    24      40     line, UTF-8, filled with zeros
    64      n      groups (journal.group), one after the other, without padding

Integers are little-endian.  Names sort as positions do.  A new segment begins with each epoch, and
when the one before is large or old enough; the newest may end in a torn group, and a reader waits
there; any other segment is whole, and what is bad in it is skipped and told.
"""

import os
import struct
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import NamedTuple

import google_crc32c

from journal.group import HEADER_BYTES, MAGIC, Corrupt, Header, read_header, unpack_group
from wire.names import epoch_of, number_of, position_at

SEGMENT_MAGIC = b"OBJ1"
SEGMENT_HEADER_BYTES = 64
LINE_BYTES = 40
SUFFIX = ".obj"

READ_BYTES = 1 << 20
"""What one read asks of the file: ten groups of full size, so that the call costs nothing beside them."""

_HEADER = struct.Struct(f"<qq{LINE_BYTES}s")
_CHECK = struct.Struct("<4sI")


class SegmentHeader(NamedTuple):
    """The first 64 bytes of a segment."""

    line: str
    first: int
    created_ns: int


class Segment(NamedTuple):
    """A segment in a folder."""

    first: int
    path: Path


def segment_name(first: int) -> str:
    """Return the name of the segment whose first record has position *first*.

    >>> segment_name(position_at(3, 1200))
    '0000003-0000000001200.obj'
    """
    return f"{epoch_of(first):07d}-{number_of(first):013d}{SUFFIX}"


def first_position(name: str) -> int | None:
    """Return the position that the name of a segment says, None if it is no segment's name."""
    stem, dot, suffix = name.partition(".")
    epoch, dash, number = stem.partition("-")
    if dot + suffix != SUFFIX or not dash or len(epoch) != 7 or len(number) != 13:
        return None
    if not (stem.isascii() and epoch.isdigit() and number.isdigit()):
        return None
    return position_at(int(epoch), int(number))


def segments_in(folder: Path) -> list[Segment]:
    """Return the segments of *folder*, oldest first; none where there is no folder yet."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names are all it needs, each time a reader is at the end
    except FileNotFoundError:
        return []
    found = ((first_position(name), name) for name in names)
    return sorted(Segment(first, folder / name) for first, name in found if first is not None)


def pack_segment_header(line: str, first: int, created_ns: int) -> bytes:
    """Return the header of a segment.

    Raises:
        ValueError: the line's name is longer than 40 bytes.
    """
    name = line.encode()
    if len(name) > LINE_BYTES:
        raise ValueError(f"the name of line {line!r} is longer than {LINE_BYTES} bytes")
    fields = _HEADER.pack(first, created_ns, name)
    return _CHECK.pack(SEGMENT_MAGIC, google_crc32c.value(fields)) + fields


def unpack_segment_header(data: bytes) -> SegmentHeader:
    """Return the header that *data* begins with; the inverse of ``pack_segment_header``.

    Raises:
        Corrupt: no header, or not as it was written.
    """
    fields = data[_CHECK.size : SEGMENT_HEADER_BYTES]
    if len(fields) != _HEADER.size:
        raise Corrupt("shorter than a segment's header")
    magic, checksum = _CHECK.unpack_from(data)
    if magic != SEGMENT_MAGIC or checksum != google_crc32c.value(fields):
        raise Corrupt("bad header of a segment")
    first, created_ns, name = _HEADER.unpack(fields)
    try:
        return SegmentHeader(name.rstrip(b"\0").decode(), first, created_ns)
    except UnicodeDecodeError as error:
        raise Corrupt("the line's name is not UTF-8") from error


def read_segment_header(path: Path) -> SegmentHeader:
    """Return the header of the segment at *path*.

    Raises:
        Corrupt: no header, or not as it was written.
    """
    with path.open("rb") as file:
        return unpack_segment_header(file.read(SEGMENT_HEADER_BYTES))


def raw_groups(descriptor: int, offset: int) -> Iterator[tuple[int, Header, bytes]]:
    """Yield (offset, header, bytes) of the groups from *offset* on, by large reads, unchecked.

    Ends where no whole group follows: at the end of the file, in a group still being written, or at
    a bad byte.  The file position is not touched.
    """
    wanted = READ_BYTES
    while True:
        asked, wanted = wanted, READ_BYTES
        data = os.pread(descriptor, asked, offset)
        at = 0
        while len(data) - at >= HEADER_BYTES:
            try:
                header = read_header(data, at)
            except Corrupt:
                return
            if at + header.size > len(data):
                wanted = max(READ_BYTES, header.size)
                break
            yield offset + at, header, data[at : at + header.size]
            at += header.size
        if len(data) < asked:
            return
        offset += at


def next_good(descriptor: int, offset: int) -> int | None:
    """Return where, from *offset* on, the first whole and right group begins; None: nowhere."""
    while True:
        data = os.pread(descriptor, READ_BYTES, offset)
        hit = data.find(MAGIC)
        while hit >= 0:
            if place_at(descriptor, offset + hit)[0] is Place.GOOD:
                return offset + hit
            hit = data.find(MAGIC, hit + 1)
        if len(data) < READ_BYTES:
            return None
        offset += len(data) - len(MAGIC) + 1


class Place(Enum):
    """What is at an offset of a segment."""

    END = "the end of the file"
    TORN = "half a group at the end of the file"
    GOOD = "a right group"
    BAD = "bad bytes"


def place_at(descriptor: int, offset: int) -> tuple[Place, str]:
    """Return what is at *offset*, and why where it is bad."""
    head = os.pread(descriptor, HEADER_BYTES, offset)
    if not head:
        return Place.END, ""
    if len(head) < HEADER_BYTES:
        return Place.TORN, "half a group"
    try:
        data = os.pread(descriptor, read_header(head).size, offset)
        if len(data) < read_header(head).size:
            return Place.TORN, "half a group"
        unpack_group(data)
    except Corrupt as error:
        return Place.BAD, str(error)
    return Place.GOOD, ""


def good_end(descriptor: int) -> int:
    """Return where the last right group of a segment ends: what follows was torn by a crash.

    Bad bytes *before* a right group end nothing: that group was written whole, and may be synced.
    """
    end, offset = SEGMENT_HEADER_BYTES, 0
    start: int | None = SEGMENT_HEADER_BYTES
    while start is not None:
        offset = start
        for at, header, data in raw_groups(descriptor, start):
            try:
                unpack_group(data)
            except Corrupt:
                break
            end = offset = at + header.size
        start = next_good(descriptor, offset + 1)
    return end
