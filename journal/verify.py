"""Walks a line's journal and says the first bad byte, if there is one.

Everything is checked: names, headers, each group's checksum and columns, each payload that is not a
frame, and that positions follow one another within an epoch.  Half a group at the end of the
newest segment is what a running writer, or a crash, leaves there: it is told, and is not bad.
"""

import os
from pathlib import Path

import msgspec

from journal import payload
from journal.formats import format_of
from journal.group import Corrupt, Group, Kind, unpack_group
from journal.segment import (
    SEGMENT_HEADER_BYTES,
    Place,
    Segment,
    place_at,
    raw_groups,
    segments_in,
    unpack_segment_header,
)
from wire.names import epoch_of, number_of

_WITH_PAYLOAD = frozenset({Kind.REST, Kind.COMMAND, Kind.CONNECTION, Kind.EPOCH})


class Verdict(msgspec.Struct, frozen=True):
    """What a walk found."""

    line: str = ""
    """As the segments' headers name it."""
    segments: int = 0
    epochs: int = 0
    groups: int = 0
    records: int = 0
    bytes: int = 0
    """Of the segments that were walked, headers too."""
    torn_bytes: int = 0
    """Half a group at the end of the newest segment."""
    first_bad: str | None = None
    """Name of the first segment in which a byte is bad; None: none is."""
    offset: int = 0
    """Where in that segment; everything before it is right."""
    why: str = ""


class _Bad(Exception):
    """The first bad byte."""

    def __init__(self, segment: Segment, offset: int, why: str) -> None:
        super().__init__(why)
        self.segment, self.offset, self.why = segment, offset, why


class _Walk:
    def __init__(self, newest: Segment) -> None:
        self.newest = newest
        self.line = ""
        self.position = 0
        self.epochs: set[int] = set()
        self.segments = self.groups = self.records = self.bytes = self.torn_bytes = 0

    def segment(self, segment: Segment) -> None:
        try:
            descriptor = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            self.position = 0
            return  # dropped since the folder was listed: only the oldest go
        try:
            head = os.pread(descriptor, SEGMENT_HEADER_BYTES, 0)
            if len(head) < SEGMENT_HEADER_BYTES and segment == self.newest:
                self.torn_bytes = len(head)
                return
            if other := format_of(segment.path):
                raise _Bad(segment, 0, f"it has {other}, which another version of this program reads")
            self._header(segment, head)
            offset = SEGMENT_HEADER_BYTES
            place = Place.GOOD, ""
            while place[0] is Place.GOOD:  # (again where the writer appended while the end was looked at)
                for at, header, data in raw_groups(descriptor, offset):
                    self._group(segment, at, data)
                    offset = at + header.size
                place = place_at(descriptor, offset)
            self._end(segment, descriptor, offset, place)
            self.bytes += offset + self.torn_bytes
        finally:
            os.close(descriptor)
        self.segments += 1

    def _header(self, segment: Segment, data: bytes) -> None:
        try:
            header = unpack_segment_header(data)
        except Corrupt as error:
            raise _Bad(segment, 0, str(error)) from error
        if header.first != segment.first:
            raise _Bad(segment, 8, "the header names another position than the file's name")
        if self.line and header.line != self.line:
            raise _Bad(segment, 24, f"the header names line {header.line}, not {self.line}")
        self.line = header.line
        if self.position and epoch_of(header.first) == epoch_of(self.position) != 0:
            self._follows(segment, 8, header.first)
        self.position = header.first

    def _follows(self, segment: Segment, offset: int, first: int) -> None:
        if first != self.position:
            wanted, found = number_of(self.position), number_of(first)
            raise _Bad(segment, offset, f"record {found} where {wanted} follows")

    def _group(self, segment: Segment, offset: int, data: bytes) -> None:
        try:
            group = unpack_group(data)
            _check_payloads(group)
        except Corrupt as error:
            raise _Bad(segment, offset, str(error)) from error
        if group.line != self.line:
            raise _Bad(segment, offset, f"a group of line {group.line} in the journal of {self.line}")
        self._follows(segment, offset, group.first)
        self.position = group.next_position
        self.epochs.add(epoch_of(group.first))
        self.groups += 1
        self.records += group.count

    def _end(self, segment: Segment, descriptor: int, offset: int, found: tuple[Place, str]) -> None:
        place, why = found
        if place is Place.TORN and segment == self.newest:
            self.torn_bytes = max(0, os.fstat(descriptor).st_size - offset)
        elif place is not Place.END:
            raise _Bad(segment, offset, why or "no group begins here")


def _check_payloads(group: Group) -> None:
    if group.kind in _WITH_PAYLOAD:
        for record in group.records():
            payload.unpack(group.kind, record.payload)


def verify(folder: Path) -> Verdict:
    """Walk the journal in *folder* and return what was found, up to the first bad byte."""
    segments = segments_in(folder)
    if not segments:
        return Verdict()
    walk = _Walk(segments[-1])
    bad: _Bad | None = None
    try:
        for segment in segments:
            walk.segment(segment)
    except _Bad as found:
        bad = found
    return Verdict(
        line=walk.line,
        segments=walk.segments,
        epochs=len(walk.epochs),
        groups=walk.groups,
        records=walk.records,
        bytes=walk.bytes,
        torn_bytes=walk.torn_bytes,
        first_bad=bad.segment.path.name if bad else None,
        offset=bad.offset if bad else 0,
        why=bad.why if bad else "",
    )
