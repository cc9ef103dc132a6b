"""Exact integers and times as the exchanges write them."""

import hashlib
import time
from functools import lru_cache

NS = 1_000_000_000


def fixed(value: int, scale: int, digits: int) -> str:
    """Return *value* in units of 10**-*scale* with exactly *digits* decimals (at least *scale*).

    >>> fixed(4250, 2, 8), fixed(5, 2, 2)
    ('42.50000000', '0.05')
    """
    if not digits:
        return str(value)
    text = f"{value:0{scale + 1}d}"
    whole = len(text) - scale
    return f"{text[:whole]}.{text[whole:]}{'0' * (digits - scale)}"


def plain(value: int, scale: int) -> str:
    """Return *value* in units of 10**-*scale* without trailing zeros.

    >>> plain(4250, 2), plain(4200, 2), plain(0, 8)
    ('42.5', '42', '0')
    """
    if not scale:
        return str(value)
    text = f"{value:0{scale + 1}d}"
    whole = len(text) - scale
    return f"{text[:whole]}.{text[whole:]}".rstrip("0").rstrip(".")


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def iso_us(time_ns: int) -> str:
    """Return the UTC time with six decimals, as Coinbase's feed has it."""
    seconds, rest = divmod(time_ns, NS)
    return f"{_second(seconds)}.{rest // 1000:06d}Z"


def iso_ns(time_ns: int) -> str:
    """Return the UTC time with nine decimals, as Coinbase's REST book has it."""
    seconds, rest = divmod(time_ns, NS)
    return f"{_second(seconds)}.{rest:09d}Z"


def iso_ms(time_ns: int) -> str:
    """Return the UTC time with three decimals, as Coinbase's ``/time`` has it."""
    seconds, rest = divmod(time_ns, NS)
    return f"{_second(seconds)}.{rest // 1_000_000:03d}Z"


@lru_cache(maxsize=32768)
def order_uuid(salt: str, number: int) -> str:
    """Return the order id that order *number* of the market *salt* has: a version 4 UUID, always the same."""
    digest = hashlib.blake2b(f"{salt}|{number}".encode(), digest_size=16).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-a{digest[17:20]}-{digest[20:]}"
