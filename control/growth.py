"""How long the disk lasts: from the growth of the logger's own files, for others use the disk too.

They are measured once a minute (control.files).
"""

from collections import deque

EVERY_S = 60.0

SAMPLES = 360
"""Six hours: long enough to average out a compaction and the coming and going of segments, short enough to
follow a change."""

LEAST_SPAN_S = 300.0
"""Before that nobody knows: a segment alone comes and goes within minutes."""

_S_PER_DAY = 86_400


class Growth:
    """The sizes of all files together; times are monotonic seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque(maxlen=SAMPLES)

    def measured(self, size_bytes: int, now_s: float) -> None:
        """Take a measurement."""
        self._samples.append((now_s, size_bytes))

    def days_left(self, free_bytes: int, reserve_bytes: int) -> float | None:
        """Return the days until only *reserve_bytes* are free, at the rate so far.

        None: not known yet, or the files do not grow.
        """
        if not self._samples:
            return None
        (first_s, first_bytes), (last_s, last_bytes) = self._samples[0], self._samples[-1]
        if last_s - first_s < LEAST_SPAN_S or last_bytes <= first_bytes:
            return None
        per_s = (last_bytes - first_bytes) / (last_s - first_s)
        return round(max(free_bytes - reserve_bytes, 0) / per_s / _S_PER_DAY, 1)
