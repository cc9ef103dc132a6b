"""Which lines record a security: it is recorded while one of them says so.

event of a line                       what is known then
``add``                               it records the security
``remove``                            it does not
a new epoch                           it has ``CONFIRM_TICKS`` of its own to add the security again
``CONFIRM_TICKS`` of another line,    it does not: it is not running any more
and nothing of its own

Time passes by the ticks of one line, the *leader*, until it misses ``LEADER_TICKS`` of another one.
"""

from typing import Any

CONFIRM_TICKS = 900
"""A line that starts again adds each of its securities again at once; one it has not named by then was
removed while it was away."""

LEADER_TICKS = 3
"""Ticks come each second: three that are missing mean that the line is not running."""


class Presence:
    """The lines of one security."""

    def __init__(self) -> None:
        self._unconfirmed: dict[str, int | None] = {}
        """Of each line that records it the ticks since it started again; None: it has confirmed."""
        self._unheard: dict[str, int] = {}
        """Of each of them the ticks of others since its last one."""
        self._leader = ""
        self._leader_missed = 0

    @property
    def lines(self) -> frozenset[str]:
        """The lines that record the security."""
        return frozenset(self._unconfirmed)

    @property
    def recorded(self) -> bool:
        """Say whether a line records the security."""
        return bool(self._unconfirmed)

    def repeats(self, line: str) -> bool:
        """Say whether *line*, one of several, has said in this epoch already that it records it."""
        return len(self._unconfirmed) > 1 and line in self._unconfirmed and self._unconfirmed[line] is None

    def added(self, line: str) -> None:
        """Note an ``add``."""
        self._unconfirmed[line], self._unheard[line] = None, 0

    def removed(self, line: str) -> None:
        """Note a ``remove``."""
        self._unconfirmed.pop(line, None)
        self._unheard.pop(line, None)

    def clear(self) -> None:
        """Note that the recording ended whatever the lines say."""
        self._unconfirmed, self._unheard = {}, {}

    def new_epoch(self, line: str) -> None:
        """Note that *line* started again."""
        if line in self._unconfirmed:
            self._unconfirmed[line] = 0

    def tick(self, line: str) -> bool:
        """Note a tick of *line*; return whether it is a second that passes."""
        for other in list(self._unheard):
            self._unheard[other] = 0 if other == line else self._unheard[other] + 1
            if self._unheard[other] > CONFIRM_TICKS:
                self.removed(other)
        ticks = self._unconfirmed.get(line)
        if ticks is not None:
            self._unconfirmed[line] = ticks + 1
            if ticks + 1 > CONFIRM_TICKS:
                self.removed(line)
        return self._passes(line)

    def _passes(self, line: str) -> bool:
        if line != self._leader and self._leader:
            self._leader_missed += 1
            if self._leader_missed < LEADER_TICKS:
                return False
        self._leader, self._leader_missed = line, 0
        return True

    def dump(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {
            "unconfirmed": self._unconfirmed,
            "unheard": self._unheard,
            "leader": self._leader,
            "leader_missed": self._leader_missed,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Become what ``dump`` returned."""
        self._unconfirmed, self._unheard = state["unconfirmed"], state["unheard"]
        self._leader, self._leader_missed = state["leader"], state["leader_missed"]
