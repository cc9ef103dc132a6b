"""Joins the replay of a line's journal to its live groups, without a hole and without a double.

``Joint`` is the pure core: it knows the position that comes next and holds a ring of live groups.

state    event                                  next state  output
BEHIND   a group from the files, next in line   BEHIND      the group
BEHIND   a group that was given before          BEHIND      (dropped)
BEHIND   the ring holds what comes next         LIVE        the ring's groups in line
LIVE     a live group, next in line             LIVE        the group
LIVE     a live group that was given before     LIVE        (dropped)
LIVE     a live group that skips positions      BEHIND      (kept: the files have what is missing)
LIVE     a live group of another epoch          BEHIND      (kept: the old epoch's files come first)
LIVE     the ring is full                       BEHIND      (its oldest are dropped: the files have them)
LIVE     nothing live for ``silent_seconds``    BEHIND      (the publisher may be lost, not the journal)

What is published was appended before, so the files always hold what the ring lacks.  Only the files
lead from one epoch to the next: a reader comes to a new epoch after the end of the old one.
"""

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from journal.group import Corrupt, Group, unpack_group
from journal.reader import Reader, Skipped

RING_BYTES = 16 << 20
"""Live groups held while the files are read: a second of the busiest line; more is read from disk again."""

SILENT_SECONDS = 3.0
"""A line ticks each second; three missed ticks mean that the live groups do not reach us."""

TWIN_SILENT_SECONDS = 1.0
"""A line of several says its clock 20 times a second, for the others wait for it."""


STEP_BYTES = 1 << 20
"""Read from the files before the ring is asked again whether it joins."""


class Joint:
    """What comes next, and the live groups that may hold it; no file, no clock."""

    def __init__(self, line: str, ring_bytes: int = RING_BYTES) -> None:
        self.line = line
        self.position = 0
        """Position after the last record that was given."""
        self.behind = True
        """Whether the files must be read."""
        self._ring: deque[Group] = deque()
        self._ring_bytes, self._ring_limit = 0, ring_bytes

    def start(self, position: int) -> None:
        """Begin, or begin again, at *position*; live groups that were kept stay useful."""
        self.position, self.behind = position, True

    @property
    def oldest_ns(self) -> int | None:
        """Clock of the oldest live group that waits to be given; None: none does."""
        return self._ring[0].clock_ns if self._ring else None

    def live(self, group: Group) -> None:
        """Keep a live group."""
        if group.line != self.line or group.next_position <= self.position:
            return
        if self._ring:
            newest = self._ring[-1].next_position
            if group.first < newest:
                return
            if group.first != newest:
                self._clear()
        self._ring.append(group)
        self._ring_bytes += group.size
        while self._ring_bytes > self._ring_limit:
            self._drop_oldest()
        self.behind = self.behind or not self._joins()

    def silent(self) -> None:
        """Nothing live came for too long."""
        self.behind = True

    def from_files(self, group: Group) -> bool:
        """Say whether *group*, next in the files, is to be given now."""
        if group.next_position <= self.position:
            return False
        self.position = group.next_position
        return True

    def take(self, limit_bytes: int) -> list[Group]:
        """Return the next live groups, about *limit_bytes*; none while the files come first."""
        groups: list[Group] = []
        while self._ring and self._ring[0].next_position <= self.position:
            self._drop_oldest()
        while limit_bytes > 0 and self._joins():
            group = self._drop_oldest()
            groups.append(group)
            self.position = group.next_position
            limit_bytes -= group.size
            self.behind = False
        return groups

    def _joins(self) -> bool:
        if not self._ring:
            return False
        group = self._ring[0]
        return group.first <= self.position < group.next_position

    def _drop_oldest(self) -> Group:
        group = self._ring.popleft()
        self._ring_bytes -= group.size
        return group

    def _clear(self) -> None:
        self._ring.clear()
        self._ring_bytes = 0


class Follow:
    """Gives the groups of one line in order, from disk while behind and live from then on; never blocks."""

    def __init__(
        self,
        folder: Path,
        line: str,
        on_skipped: Callable[[Skipped], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        ring_bytes: int = RING_BYTES,
        silent_seconds: float = SILENT_SECONDS,
    ) -> None:
        self._silent_seconds = silent_seconds
        self._joint, self._reader = Joint(line, ring_bytes), Reader(folder, on_skipped)
        self._clock, self._live_at = clock, clock()
        self._at_end = False

    @property
    def position(self) -> int:
        """Position after the last record that was given."""
        return self._joint.position

    @property
    def caught_up(self) -> bool:
        """Whether everything that is known to be written was given."""
        return self.oldest_ns is None

    @property
    def oldest_ns(self) -> int | None:
        """Clock of the oldest group known to be written that was not given; 0: only the files tell it."""
        return 0 if self._joint.behind and not self._at_end else self._joint.oldest_ns

    @property
    def is_away(self) -> bool:
        """Whether nothing was heard of the line for too long, and all that is written was given."""
        return self._clock() - self._live_at > self._silent_seconds and self._at_end and self.caught_up

    def heard(self) -> None:
        """Take note that the line runs, though it has nothing to record."""
        self._live_at = self._clock()

    def start(self, from_position: int) -> None:
        """Give next the group that holds *from_position* (it may begin before) and all after it."""
        self._joint.start(from_position)
        self._at_end = False

    def live(self, data: bytes) -> None:
        """Take a group received from the line's publisher; of bad bytes the files have the right ones."""
        self._live_at, self._at_end = self._clock(), False
        try:
            self._joint.live(unpack_group(data))
        except Corrupt:
            self._joint.silent()

    def read(self, limit_bytes: int) -> list[Group]:
        """Return the next groups, about *limit_bytes*; none: everything that is known was given."""
        if self._clock() - self._live_at > self._silent_seconds:
            self._joint.silent()
        groups = self._joint.take(limit_bytes)
        room = limit_bytes - sum(group.size for group in groups)
        while room > 0 and self._joint.behind:
            self._reader.seek(self._joint.position)
            found = self._reader.read(min(room, STEP_BYTES))
            self._at_end = not found
            if not found:
                break
            new = [group for group in found if self._joint.from_files(group)]
            new += self._joint.take(room)
            groups += new
            room -= sum(group.size for group in new)
        return groups

    def close(self) -> None:
        """Let the open file go."""
        self._reader.close()
