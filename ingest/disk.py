"""When recording must stop so that the disk is not filled to the brim, and when it may go on.

state   event                                                    next    what the shell does
ROOM    less than the reserve is free, something may be dropped  SHORT   old committed segments go
ROOM    less than the reserve is free, nothing may be dropped    PAUSED
SHORT   the reserve is free again                                ROOM
SHORT   it is not, and nothing is being dropped, or for 10 s     PAUSED
any     the disk refuses a write                                 PAUSED  the connections close; their
                                                                         records end what is recorded
PAUSED  a tenth more than the reserve is free, the disk takes
        what it had refused (5 s on), and space is set aside
        again                                                    ROOM    records again

The reserve is the database's to use: it and the checkpoints go on while recording is paused, and so do the
ticks of the journal, with which windows become final and segments are needed no more.
"""

from enum import StrEnum

LONGEST_SHORT = 10
"""Measurements, of one a second: an archive that takes segments slowly is not waited for longer."""

LEAST_REFUSED = 5
"""Measurements: a disk that has free space and takes nothing must not make us connect each second."""

_MB = 1_000_000


class State(StrEnum):
    """Whether there is room to record."""

    ROOM = "room"
    SHORT = "short"
    PAUSED = "paused"


class Disk:
    """The disk of DATA_DIR."""

    def __init__(self, reserve_bytes: int) -> None:
        self.reserve_bytes = reserve_bytes
        self.free_bytes = 0
        self.state = State.ROOM
        self.reason = ""
        """Why nothing is recorded, and what to do; it begins with ``disk``: so the ledger knows the cause."""
        self._short_for = 0
        self._wait = 0

    def measured(self, free_bytes: int, *, may_drop: bool, dropping: bool) -> State:
        """Take a measurement, made once a second.

        *may_drop*: segments are known that nobody needs; *dropping*: they are still on their way.
        """
        self.free_bytes = free_bytes
        if self.state is State.PAUSED:
            self._wait -= 1
            return self.state
        if free_bytes >= self.reserve_bytes:
            self.state, self._short_for = State.ROOM, 0
        elif may_drop if self.state is State.ROOM else dropping and self._short_for < LONGEST_SHORT:
            self.state = State.SHORT
            self._short_for += 1
        else:
            self._pause(f"disk has less than its reserve of {self.reserve_bytes / _MB:.0f} MB free")
        return self.state

    def refused(self, why: str) -> None:
        """Take note that the disk refuses a write."""
        if self.state is not State.PAUSED:
            self._pause(f"disk refuses a write ({why})")
            self._wait = LEAST_REFUSED

    @property
    def has_room(self) -> bool:
        """Whether so much is free that recording may go on."""
        return self.free_bytes >= self._enough and self._wait <= 0

    def resume(self) -> None:
        """Record again."""
        self.state, self.reason = State.ROOM, ""

    def _pause(self, why: str) -> None:
        mend = (
            f"free space where DATA_DIR is, recording resumes by itself at {self._enough / _MB:.0f} MB free"
        )
        self.state, self._short_for, self.reason = State.PAUSED, 0, f"{why}: {mend}"

    @property
    def _enough(self) -> int:
        return self.reserve_bytes + self.reserve_bytes // 10
