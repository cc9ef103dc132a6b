"""Effective time: exchange time made monotonic in id order; it alone decides an update's window.

an update's exchange time                         its effective time
not more than an hour ahead of the one before     itself, or the effective time before it if that is later
more than an hour ahead of both neighbours        the effective time before it; counted (a wrong clock)
more than an hour ahead of the one before only    itself (there was a pause)
the same, and the next update is not here yet     waits for it, or for ``SILENT_TICKS`` ticks

A window that has been silent for ``QUIET_TICKS`` is written as it stands; after ``SILENT_TICKS`` it is
final, and what would still fall into it takes the next window's start (``raise_to``).
"""

from collections.abc import Sequence
from itertools import accumulate

AHEAD_NS = 3_600_000_000_000
"""An hour: no exchange clock is that wrong for long, and markets do pause for longer."""

QUIET_TICKS = 3
"""Seconds without an update after which an open window is worth storing as it stands."""

SILENT_TICKS = 900
"""Seconds without an update after which a window is final: nothing arrives a quarter of an hour late."""


class EffectiveTime:
    """The effective time of the updates of one feed."""

    def __init__(self, last_ns: int | None = None) -> None:
        self.last_ns = last_ns
        """Of the last update, or the floor if that is later."""
        self.replaced = 0

    def is_near(self, times_ns: Sequence[int]) -> bool:
        """Say whether none of *times_ns*, of updates that come next, is an hour ahead: none has to wait."""
        last = times_ns[0] if self.last_ns is None else self.last_ns
        return max(times_ns) <= last + AHEAD_NS

    def settle(self, times_ns: Sequence[int], next_ns: int | None, *, waited: bool = False) -> list[int]:
        """Return the effective times of updates with *times_ns*; one fewer when the last must wait.

        *next_ns* is the exchange time of the update after the last one, if it is known; *waited*
        says that the last one has waited long enough.
        """
        last = times_ns[0] if self.last_ns is None else self.last_ns
        if self.is_near(times_ns):
            return list(accumulate(times_ns, max, initial=last))[1:]
        settled: list[int] = []
        for i, time_ns in enumerate(times_ns):
            if time_ns > last + AHEAD_NS:
                after = times_ns[i + 1] if i + 1 < len(times_ns) else next_ns
                if after is None and not waited:
                    break
                if after is None or time_ns <= after + AHEAD_NS:
                    last = time_ns
                else:
                    self.replaced += 1
            elif time_ns > last:
                last = time_ns
            settled.append(last)
        return settled

    def reached(self, effective_ns: int) -> None:
        """Note the effective time of the last update that was applied."""
        self.last_ns = effective_ns

    def raise_to(self, floor_ns: int) -> None:
        """Let nothing that follows have an effective time before *floor_ns*."""
        if self.last_ns is None or self.last_ns < floor_ns:
            self.last_ns = floor_ns
