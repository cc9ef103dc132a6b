"""Reads a line's journal from any position, while it is being written or long after.

where the reading stops                   newest segment           older segment
end of the file                           wait                     go on with the next segment
half a group at the end                   wait: it is being        skip it, go on with the next segment
                                          written, or torn,
                                          or its length is bad
bad bytes, a right group after them       skip to that group       skip to that group
bad bytes, none after them                wait                     skip them, go on with the next segment

A segment counts as older once a newer one was seen *before* its end was reached, so nothing that
was appended in between is passed over; in the same way an epoch is read to its end before the next.
What is skipped is told (``Skipped``): with its bytes, and with the positions that are missing.
"""

import os
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from journal.group import Corrupt, Group, Header, is_right, unpack_group
from journal.segment import (
    SEGMENT_HEADER_BYTES,
    Place,
    Segment,
    next_good,
    place_at,
    raw_groups,
    segments_in,
)
from wire.names import epoch_of, number_of

SKIPPED_KEPT = 1000
"""A journal with more bad places than this is not repaired by a longer list."""

BATCH_BYTES = 1 << 20
"""What ``groups`` holds at once: one read of the file."""

BEGINNING = 0
"""The position from which a reader takes whatever is there."""


_GONE = ("", 0, 0, "a segment is gone")


class Skipped(msgspec.Struct, frozen=True):
    """What a reader could not give: told before the group that follows it."""

    first: int
    """Position of the first missing record."""
    next: int
    """Position of the first record that is there again; equal to ``first``: no record is missing."""
    segment: str
    """Name of the file with the bad bytes; "" where no byte is bad: a segment is gone."""
    offset: int
    size: int
    why: str


class Reader:
    """A reading cursor over a folder; it holds one file open."""

    def __init__(self, folder: Path, on_skipped: Callable[[Skipped], None] | None = None) -> None:
        self._descriptor = -1
        self.position = BEGINNING
        """Position after the last record that was given: what comes next."""
        self.skipped: deque[Skipped] = deque(maxlen=SKIPPED_KEPT)
        """What was skipped, where no callback takes it."""
        self._folder = Path(folder)
        self._on_skipped = on_skipped or self.skipped.append
        self._segment: Segment | None = None
        self._offset = 0
        self._raw: Iterator[tuple[int, Header, bytes]] = iter(())
        self._newest = True
        self._bad: list[tuple[str, int, int, str]] = []

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Close the open segment; reading on opens it again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._segment, self._raw = -1, None, iter(())

    def groups(self, from_position: int) -> Iterator[Group]:
        """Yield the group that holds *from_position* and all after it, as far as they are written.

        The first group may begin before *from_position*.  Call it again, with ``position``, for
        what was written since: the reader goes on where it stood.
        """
        self.seek(from_position)
        while batch := self.read(BATCH_BYTES):
            yield from batch

    def seek(self, position: int) -> None:
        """Make the group that holds *position* the next one; going forward keeps the place in the file."""
        if position == self.position and self._segment is not None:
            return
        if position < self.position or _holder(segments_in(self._folder), position) != self._segment:
            self.close()
        self.position = position
        self._bad.clear()

    def read(self, limit_bytes: int) -> list[Group]:
        """Return the next groups, at least *limit_bytes* of them if they are written."""
        groups: list[Group] = []
        while limit_bytes > 0 and (group := self._next()) is not None:
            groups.append(group)
            limit_bytes -= group.size
        return groups

    def _next(self) -> Group | None:
        """Return the next group; None: it is not written yet."""
        while self._segment is not None or self._open_at_position():
            for offset, header, data in self._raw:
                # (damage may say of an epoch's last group that it was given before: nothing would miss it)
                if header.next > self.position or not is_right(data):
                    try:
                        group = unpack_group(data)
                    except Corrupt:
                        break  # told by _resume, which looks at the bytes again: they may be right by now
                    self._offset = offset + header.size
                    return self._give(group)
                self._offset = offset + header.size
            if not self._resume():
                break
        return None

    def _give(self, group: Group) -> Group:
        position, self.position = self.position, group.next_position
        if not self._bad and position != BEGINNING and not _joins(position, group.first):
            self._bad.append(_GONE)
        for segment, offset, size, why in self._bad:
            self._on_skipped(Skipped(min(position, group.first), group.first, segment, offset, size, why))
        self._bad.clear()
        return group

    def _resume(self) -> bool:
        """Go on from where no right group followed; False: there is nothing more yet."""
        assert self._segment is not None  # noqa: S101 - for the type checker; _next saw to it
        place, why = place_at(self._descriptor, self._offset)
        good = self._offset if place is Place.GOOD else None
        if place is Place.BAD or (place is Place.TORN and not self._newest):
            good = next_good(self._descriptor, self._offset + 1)
        if good is not None:
            self._skip_to(good, why)
            self._raw = raw_groups(self._descriptor, good)
            return True
        newer = [s for s in segments_in(self._folder) if s.first > self._segment.first]
        if not newer:
            return False
        if self._newest:
            self._newest = False  # look once more: the writer may have appended before it went on
            return True
        self._skip_to(os.fstat(self._descriptor).st_size, why)
        return self._open(newer[0]) or self._open_at_position()

    def _skip_to(self, offset: int, why: str) -> None:
        if offset > self._offset and self._segment is not None:
            self._bad.append((self._segment.path.name, self._offset, offset - self._offset, why))
        self._offset = offset

    def _open_at_position(self) -> bool:
        segment = _holder(segments_in(self._folder), self.position)
        if segment is None or not self._open(segment):
            return False
        if segment.first > self.position != BEGINNING:
            self._bad.append(_GONE)
        return True

    def _open(self, segment: Segment) -> bool:
        """Begin *segment*; False: it is gone, dropped between the listing and now."""
        try:
            descriptor = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        self.close()
        self._descriptor, self._segment, self._newest = descriptor, segment, True
        self._offset = SEGMENT_HEADER_BYTES
        self._raw = raw_groups(descriptor, self._offset)
        return True


def _holder(segments: list[Segment], position: int) -> Segment | None:
    """Return the segment in which *position* lies, or the oldest if it lies before all of them."""
    index = bisect_right([segment.first for segment in segments], position)
    return segments[max(0, index - 1)] if segments else None


def _joins(position: int, first: int) -> bool:
    """Say whether a group at *first* follows with nothing missing: in line, or as a new epoch's beginning."""
    return first <= position or (epoch_of(first) > epoch_of(position) and number_of(first) == 0)
