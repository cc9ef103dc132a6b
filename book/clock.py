"""Effective time: exchange time made monotonic in id order; it alone decides an update's window.

an update's exchange time                         its effective time
not more than an hour ahead of the one before     itself, or the effective time before it if that is later
more than an hour ahead of both neighbours        the effective time before it; counted (a wrong clock)
more than an hour ahead of the one before only    itself (there was a pause)
the same, and the next update is not here yet     waits for it, or for ``SILENT_TICKS`` ticks
the same, and no next one came in time            itself; but where it is also more than an hour ahead of its
                                                  receive time, the effective time before it; counted

The very first is compared with the hour in which it was received, which also takes its place.  Hours are
counted as on a clock's face, so the milliseconds between two lines decide nothing.  A host's clock that is
behind makes every exchange time look ahead: what is as far ahead of its receive time as the last such
one, give or take an hour, stands.

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
        self.lead_ns: int | None = None
        """How far the last time that was ahead of the one before and of its receive time was ahead of the
        latter; None: there was none."""

    def is_near(self, times_ns: Sequence[int]) -> bool:
        """Say whether none of *times_ns*, of updates that come next, is an hour ahead: none has to wait."""
        return self.last_ns is not None and max(times_ns) <= self.last_ns + AHEAD_NS

    def follow(self, times_ns: Sequence[int]) -> list[int]:
        """Return the effective times of updates with *times_ns*, none of which is an hour ahead."""
        return list(accumulate(times_ns, max, initial=self.last_ns or 0))[1:]

    def settle(
        self,
        times_ns: Sequence[int],
        received_ns: Sequence[int],
        next_ns: int | None,
        *,
        waited: bool = False,
    ) -> list[int]:
        """Return the effective times of updates with *times_ns*; one fewer when the last must wait.

        *received_ns* are their receive times, *next_ns* is the exchange time of the update after the
        last one, if it is known; *waited* says that the last one has waited long enough.
        """
        if self.is_near(times_ns):
            return self.follow(times_ns)
        last = self.last_ns
        if last is None:
            last = min(times_ns[0], received_ns[0] - received_ns[0] % AHEAD_NS)
        settled: list[int] = []
        for i, time_ns in enumerate(times_ns):
            if time_ns > last + AHEAD_NS:
                after = times_ns[i + 1] if i + 1 < len(times_ns) else next_ns
                if after is None and not waited:
                    break
                if self._stands(time_ns, received_ns[i], after):
                    last = time_ns
                else:
                    self.replaced += 1
            elif time_ns > last:
                last = time_ns
            settled.append(last)
        return settled

    def _stands(self, time_ns: int, recv_ns: int, after_ns: int | None) -> bool:
        """Say whether *time_ns*, an hour ahead of the one before, is believed; *after_ns* is the next one."""
        if after_ns is not None and time_ns > after_ns + AHEAD_NS:
            return False
        if time_ns // AHEAD_NS <= recv_ns // AHEAD_NS + 1:
            return True
        known, self.lead_ns = self.lead_ns, time_ns - recv_ns
        return after_ns is not None or (known is not None and abs(self.lead_ns - known) <= AHEAD_NS)

    def reached(self, effective_ns: int) -> None:
        """Note the effective time of the last update that was applied."""
        self.last_ns = effective_ns

    def raise_to(self, floor_ns: int) -> None:
        """Let nothing that follows have an effective time before *floor_ns*."""
        if self.last_ns is None or self.last_ns < floor_ns:
            self.last_ns = floor_ns
