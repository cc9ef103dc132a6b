"""Moments as people and JSON read them: ISO 8601, UTC, ``Z``."""

import time
from functools import lru_cache

_NS_PER_S = 1_000_000_000
_DIGITS = {"binance": 3, "coinbase": 6}
"""What a venue's own times have: milliseconds, microseconds."""


def iso(moment_ns: int, venue: str = "") -> str:
    """Return *moment_ns* with the digits that *venue* gives, or more where they would not be exact.

    >>> iso(1_723_161_600_250_000_000, "binance"), iso(1_723_161_600_000_000_000)
    ('2024-08-09T00:00:00.250Z', '2024-08-09T00:00:00Z')
    """
    seconds, rest = divmod(moment_ns, _NS_PER_S)
    digits = _DIGITS.get(venue, 0)
    while rest % 10 ** (9 - digits):
        digits += 3
    text = _second(seconds)
    return f"{text}.{rest // 10 ** (9 - digits):0{digits}d}Z" if digits else f"{text}Z"


@lru_cache(maxsize=64)  # many moments in a row are of the same seconds
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
