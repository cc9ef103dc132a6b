"""Moments as people give them, exactly.

given                                means
``latest``                           None: the last moment that is stored
2024-08-09T12:00:00.25Z              ISO 8601, to nanoseconds; UTC when unmarked; a date alone is its midnight
below 1e11, 1e14, 1e17               seconds, milliseconds, microseconds since 1970
from 1e17 on                         nanoseconds since 1970

Lengths of time are a number with its unit, as 250ms, 1s, 5m, 1h, 1d, or a timedelta.

No float is on the way: 1723161600.1 is exactly that.
"""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

NS_PER_S = 1_000_000_000

_UNITS = ((10**11, NS_PER_S), (10**14, 10**6), (10**17, 10**3))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ISO = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?\s*(Z|z|[+-]\d\d:?\d\d)?",
    re.ASCII,
)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?", re.ASCII)
_LENGTH = re.compile(r"(\d{1,18})\s*(ns|us|ms|s|m|h|d)", re.ASCII)
_LENGTHS = {
    "ns": 1,
    "us": 10**3,
    "ms": 10**6,
    "s": NS_PER_S,
    "m": 60 * NS_PER_S,
    "h": 3600 * NS_PER_S,
    "d": 86_400 * NS_PER_S,
}


class BadTime(ValueError):
    """The text is no moment."""


def moment(given: int | str | datetime) -> int | None:
    """Return the UTC nanoseconds that *given* means, None for ``latest``.

    Raises:
        BadTime: it is none of the forms above.

    >>> moment("1970-01-01T00:01Z"), moment(60), moment("60000000000000"), moment("1970-01-01T01:01+01:00")
    (60000000000, 60000000000, 60000000000000000, 60000000000)
    """
    if isinstance(given, datetime):
        aware = given if given.tzinfo else given.replace(tzinfo=UTC)
        return (aware - _EPOCH) // timedelta(microseconds=1) * 1000
    text = str(given).strip()
    if text.lower() == "latest":
        return None
    if _NUMBER.fullmatch(text):
        return _of_number(text)
    match = _ISO.fullmatch(text)
    if match is None:
        raise BadTime(f"{text[:60]!r} is no time: write 2024-08-09T12:00:00Z, latest, or seconds since 1970")
    return _of_iso(text, *match.groups())


def duration(given: str | timedelta) -> int:
    """Return the nanoseconds that *given* lasts.

    Raises:
        BadTime: it is none of the forms above, or not longer than nothing.

    >>> duration("250ms"), duration("1m"), duration(timedelta(seconds=1))
    (250000000, 60000000000, 1000000000)
    """
    if isinstance(given, timedelta):
        length_ns = given // timedelta(microseconds=1) * 1000
    else:
        match = _LENGTH.fullmatch(str(given).strip().lower())
        length_ns = int(match[1]) * _LENGTHS[match[2]] if match else 0
    if not 0 < length_ns < 2**63:
        raise BadTime(f"{str(given)[:60]!r} is no length of time: write 250ms, 1s, 5m, 1h or 1d")
    return length_ns


def _of_number(text: str) -> int:
    try:
        number = Decimal(text)
    except InvalidOperation as error:  # (beyond what decimals hold)
        raise BadTime(f"{text[:60]!r} is no time") from error
    unit = next((unit for below, unit in _UNITS if abs(number) < below), 1)
    exact = int(number * unit)
    if not -(2**63) <= exact < 2**63:
        raise BadTime(f"{text[:60]!r} is beyond the year 2262")
    return exact


def _of_iso(text: str, date: str, clock: str, seconds: str, fraction: str, zone: str) -> int:
    marked = "+00:00" if zone in (None, "Z", "z") else zone
    try:
        whole = datetime.fromisoformat(f"{date}T{clock or '00:00'}:{seconds or '00'}{marked}")
    except ValueError as error:
        raise BadTime(f"{text!r} is no time: {error}") from error
    return (whole - _EPOCH) // timedelta(seconds=1) * NS_PER_S + int((fraction or "0").ljust(9, "0"))
