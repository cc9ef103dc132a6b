"""How long to wait before the next try of something outside that is away.

The n-th delay is the first one times 2**n, no longer than the longest, and of that a random part
between a half and the whole, so that many clients do not come back at the same moment.
"""

from random import Random

NS_PER_SECOND = 1_000_000_000


class Backoff:
    """Counts failures and says when the next try is due.  Times are monotonic nanoseconds."""

    def __init__(self, first_ns: int, longest_ns: int, rng: Random) -> None:
        self._first_ns = first_ns
        self._longest_ns = longest_ns
        self._rng = rng
        self.failures = 0

    def failed(self, now: int) -> int:
        """Count a failure; return the time of the next try."""
        whole = min(self._first_ns << min(self.failures, 32), self._longest_ns)
        self.failures += 1
        return now + whole // 2 + self._rng.randrange(whole // 2 + 1)

    def succeeded(self) -> None:
        """Begin again with the shortest delay."""
        self.failures = 0
