"""Gives the past out at the pace at which it happened, or at a multiple of it."""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from store.timeline import Timed

T = TypeVar("T")


class Pace:
    """When each moment's turn is; ``speed`` 1 is real time, 0 as fast as possible."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._first: tuple[int, float] | None = None

    def wait_s(self, moment_ns: int, now_s: float) -> float:
        """Return how long it is until the turn of *moment_ns*; the first moment's is now."""
        if not self._speed:
            return 0.0
        if self._first is None:
            self._first = moment_ns, now_s
        begin_ns, begin_s = self._first
        return max(0.0, begin_s + (moment_ns - begin_ns) / 1e9 / self._speed - now_s)


def paced(rows: Iterable[Timed[T]], speed: float) -> Iterator[T]:
    """Yield *rows* each at its turn."""
    pace = Pace(speed)
    for moment_ns, row in rows:
        if (wait_s := pace.wait_s(moment_ns, time.monotonic())) > 0:
            time.sleep(wait_s)
        yield row
