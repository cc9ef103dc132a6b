"""Makes nanoseconds of the exchanges' ISO 8601 times, exactly and without a float.

The form is ``2026-08-25T03:35:57.198335Z``: UTC, with no fraction or one of 1 to 9 digits.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

NS_PER_SECOND = 1_000_000_000
NS_PER_MS = 1_000_000

LAST_MS = 9_151_488_000_000
"""The first millisecond of 2260: later ones are refused, so that windows after it still fit 64 bits of ns."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_YEAR = 2259
"""The last year before LAST_MS."""


class BadTime(ValueError):
    """The text is no time of that form."""


def nanoseconds(text: str) -> int:
    """Return the UTC nanoseconds since 1970 of an ISO time that ends in ``Z``.

    Raises:
        BadTime: another form, no such moment, or a year before 1970 or after 2259.

    >>> nanoseconds("1970-01-01T00:01:00.5Z")
    60500000000
    """
    seconds, fraction = text[17:19], text[20:-1]
    digits = seconds + fraction
    if not (
        text[-1:] == "Z"
        and len(seconds) == 2
        and seconds < "60"
        and digits.isascii()
        and digits.isdigit()
        and (len(text) == 20 or (text[19] == "." and 0 < len(fraction) <= 9))
    ):
        raise BadTime(f"not a time: {text[:40]!r}")
    return _minute_ns(text[:17]) + int(digits.ljust(11, "0"))


@lru_cache(maxsize=64)
def _minute_ns(minute: str) -> int:
    """Return the nanoseconds of a time cut before its seconds (of the last few, as feeds go on in order)."""
    shape = "".join("0" if "0" <= c <= "9" else c for c in minute)
    if shape != "0000-00-00T00:00:":
        raise BadTime(f"not a time: {minute[:40]!r}")
    try:
        moment = datetime.fromisoformat(f"{minute}00+00:00")
    except ValueError as error:
        raise BadTime(f"no such moment: {minute!r}") from error
    if not _EPOCH.year <= moment.year <= _LAST_YEAR:
        raise BadTime(f"out of range: {minute!r}")
    return (moment - _EPOCH) // timedelta(seconds=1) * NS_PER_SECOND
