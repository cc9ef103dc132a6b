"""How much the exchanges let one address do: pure counters that are told the time."""

from collections import deque
from typing import NamedTuple

NS = 1_000_000_000


class TokenBucket:
    """Fills at *per_second* up to *burst*; each use takes one."""

    def __init__(self, per_second: float, burst: float, now_ns: int) -> None:
        self._per_second, self._burst = per_second, burst
        self._level, self._at_ns = burst, now_ns

    def take(self, now_ns: int) -> bool:
        """Take one and say whether there was one."""
        grown = (now_ns - self._at_ns) / NS * self._per_second
        self._level, self._at_ns = min(self._burst, self._level + grown), now_ns
        if self._level < 1:
            return False
        self._level -= 1
        return True


class RecentCount:
    """Counts what came in the last second."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._times: deque[int] = deque()

    def add(self, now_ns: int) -> bool:
        """Count one and say whether the limit still holds."""
        self._times.append(now_ns)
        while self._times[0] <= now_ns - NS:
            self._times.popleft()
        return len(self._times) <= self._limit


class Verdict(NamedTuple):
    """200, 429 or 418; what was used in this minute; seconds to wait."""

    status: int
    used: int
    retry_after: int


IGNORED_BEFORE_BAN = 10
"""Requests after a 429 in the same minute until the address is banned; the real number is not published."""

BAN_S = 120
"""The shortest of Binance's bans."""


class WeightWindow:
    """Binance's REQUEST_WEIGHT of one address: *limit* in each minute of the clock (protocols.md 1.5)."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._minute = -1
        self._used = self._refused = 0
        self._banned_until_s = 0

    def use(self, weight: int, now_ns: int) -> Verdict:
        """Count *weight* and say what the answer is."""
        now_s = now_ns // NS
        if now_s < self._banned_until_s:
            return Verdict(418, self._used, self._banned_until_s - now_s)
        if now_s // 60 != self._minute:
            self._minute, self._used, self._refused = now_s // 60, 0, 0
        self._used += weight
        if self._used <= self.limit:
            return Verdict(200, self._used, 0)
        self._refused += 1
        if self._refused > IGNORED_BEFORE_BAN:
            self._banned_until_s = now_s + BAN_S
            return Verdict(418, self._used, BAN_S)
        return Verdict(429, self._used, 60 - now_s % 60)
