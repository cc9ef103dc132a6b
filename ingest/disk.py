"""How long the disk lasts, and when recording must stop so that it is not filled to the brim.

free space                     state
more than the reserve          recording
less than the reserve          paused (what is not needed has gone before)
more than reserve and a tenth  recording again
"""

from collections import deque

SAMPLE_NS = 60 * 1_000_000_000
SAMPLES = 60
"""An hour of the past tells how fast the disk fills; one minute of it is all that is needed to say so."""

DAY_S = 86_400
_NS_PER_SECOND = 1_000_000_000


class Disk:
    """The disk of DATA_DIR.  Times are monotonic nanoseconds."""

    def __init__(self, reserve_bytes: int) -> None:
        self.reserve_bytes = reserve_bytes
        self.free_bytes = 0
        self.low = False
        self._samples: deque[tuple[int, int]] = deque(maxlen=SAMPLES)

    def measured(self, free_bytes: int, now: int) -> bool:
        """Take a measurement; return whether the disk is (still) too full to record."""
        self.free_bytes = free_bytes
        if not self._samples or now - self._samples[-1][0] >= SAMPLE_NS:
            self._samples.append((now, free_bytes))
        enough = self.reserve_bytes + self.reserve_bytes // 10 if self.low else self.reserve_bytes
        self.low = free_bytes < enough
        return self.low

    def days_left(self, now: int) -> float | None:
        """Return the days until the reserve is reached at the last hour's rate; None: never, or unknown."""
        if not self._samples or now - self._samples[0][0] < SAMPLE_NS:
            return None
        then, before = self._samples[0]
        per_s = (before - self.free_bytes) / ((now - then) / _NS_PER_SECOND)
        if per_s <= 0:
            return None
        return max(0.0, (self.free_bytes - self.reserve_bytes) / per_s / DAY_S)
