"""The allowance of REST weight of one venue and IP, as a bucket that fills at a steady rate.

event                        effect
take, enough weight in it    the weight is taken
take, too little             nothing; ask again later
the venue's own count        the bucket holds no more than what the venue has left for all of us
429 or 418                   empty, and closed for Retry-After (or a stated time without one)

Sources: protocols.md 1.5 (Binance: weight a minute, X-MBX-USED-WEIGHT-1M, Retry-After) and 2.3
(Coinbase: 10 requests a second, burst 15, no Retry-After seen).
"""

from venue.api import Budget

NS_PER_SECOND = 1_000_000_000

SHARE = 0.9
"""Part of the allowance that is used: the rest is for whoever else works from this address."""

CLOSED_WITHOUT_WORD_NS = {429: 10 * NS_PER_SECOND, 418: 120 * NS_PER_SECOND, 403: 60 * NS_PER_SECOND}
"""How long a refusal that names no time closes the bucket; Binance's shortest ban (418) is two minutes."""


class Bucket:
    """What one of *lines* may ask now: an equal part each.  Times are monotonic nanoseconds."""

    def __init__(self, budget: Budget, now: int, lines: int = 1) -> None:
        self._whole = budget.capacity * SHARE
        self._capacity = self._whole / lines
        self._per_ns = budget.per_second * SHARE / lines / NS_PER_SECOND
        self._weight = self._capacity
        self._filled = now
        self._closed_until = now

    def available(self, now: int) -> float:
        """Return the weight that may be taken now; 0 while closed."""
        self._weight = min(self._capacity, self._weight + (now - self._filled) * self._per_ns)
        self._filled = now
        return 0.0 if now < self._closed_until else self._weight

    def take(self, weight: int, now: int) -> bool:
        """Take *weight* and return True, or return False and take nothing.

        What weighs more than the whole bucket is let through when the bucket is full, or it would
        wait for ever.
        """
        available = self.available(now)
        if available <= 0 or available < min(weight, self._capacity):
            return False
        self._weight -= weight
        return True

    def used(self, weight: int, now: int) -> None:
        """Heed the venue's own count of the weight used, which others of this address share."""
        self.available(now)
        self._weight = min(self._weight, self._whole - weight)

    def refused(self, status: int, retry_after_s: float | None, now: int) -> int:
        """Close after an HTTP *status* of 429, 418 or 403; return the time it opens again."""
        self.available(now)
        self._weight = min(self._weight, 0.0) if status in (429, 418) else self._weight
        if retry_after_s is None:
            wait = CLOSED_WITHOUT_WORD_NS.get(status, NS_PER_SECOND)
        else:
            wait = int(retry_after_s * NS_PER_SECOND)
        self._closed_until = max(self._closed_until, now + wait)
        return self._closed_until
