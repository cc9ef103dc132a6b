"""Collects which levels changed, and says when a batch of them is due.

A batch ends at every multiple of its period of exchange time (with a phase of its own) and holds each
level that was touched since, once; a batch without a change is not sent.  The truth that a reader of
batches can know at a moment is the book at the last batch whose time is not later.
"""

from array import array
from bisect import bisect_right
from typing import NamedTuple

from tests.simulator.engine import Message
from tests.simulator.queues import Op

MAX_BATCHES = 131_072
"""Of 50 ms: 109 minutes; 2 MB."""

Touched = list[tuple[int, int]]
"""(side, price) of the levels, in the order they were first touched."""


class Batch(NamedTuple):
    """The levels touched by the events first_number .. last_number, sent at *time_ns*."""

    time_ns: int
    first_number: int
    last_number: int
    touched: Touched


class Batches:
    """The batches of one market at one period."""

    def __init__(self, period_ns: int, start_ns: int, number: int, phase_ns: int = 0) -> None:
        self._period_ns = period_ns
        self.next_ns = (start_ns - phase_ns) // period_ns * period_ns + period_ns + phase_ns
        self._number = number
        self._touched: dict[tuple[int, int], None] = {}
        self._times: array[int] = array("q", [start_ns])
        self._numbers: array[int] = array("q", [number])

    def touch(self, message: Message) -> None:
        """Note the levels that *message* changed."""
        if message.op is Op.NONE:
            return
        self._touched[message.side, message.level] = None
        if message.op is Op.MOVE and message.price is not None:
            self._touched[message.side, message.price] = None

    def close(self, number: int) -> Batch | None:
        """End the batch at its time; *number* is the newest event's.  None where nothing changed."""
        time_ns = self.next_ns
        self.next_ns += self._period_ns
        if not self._touched:
            return None
        batch = Batch(time_ns, self._number + 1, number, list(self._touched))
        self._number = number
        self._touched = {}
        self._times.append(time_ns)
        self._numbers.append(number)
        if len(self._times) > 2 * MAX_BATCHES:
            del self._times[:MAX_BATCHES], self._numbers[:MAX_BATCHES]
        return batch

    def last_at(self, time_ns: int) -> tuple[int, int]:
        """Return (time, last number) of the last batch at or before *time_ns*; before any: the start."""
        index = max(0, bisect_right(self._times, time_ns) - 1)
        return self._times[index], self._numbers[index]
