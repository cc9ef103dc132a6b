"""From which position on this line's journal is still needed: the lowest word of all buckets.

A bucket that nobody has spoken for needs everything, so nothing is dropped before every maintainer
has been heard.
"""

from wire.messages import Needed
from wire.names import BUCKETS


class Retention:
    """The newest word of each bucket."""

    def __init__(self, line: str) -> None:
        self._line = line
        self._marks: dict[int, int] = {}

    def heard(self, needed: Needed) -> None:
        """Take the word of a maintainer; one that does not name this line needs all of it."""
        mark = needed.marks.get(self._line)
        if mark is None:
            self._marks.pop(needed.bucket, None)
        elif 0 <= needed.bucket < BUCKETS:
            self._marks[needed.bucket] = mark

    def position(self) -> int | None:
        """Return the position before which nothing is needed, or None."""
        return min(self._marks.values()) if len(self._marks) == BUCKETS else None
