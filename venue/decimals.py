"""A price or size as text: what is one, and how many decimals it needs.

A number is ``digits`` or ``digits.digits`` in ASCII: no sign, exponent, space, "NaN" or "Infinity".
Trailing zeros never make it finer: "1.50" fits scale 1.
"""

import re

MAX_SCALE = 18
"""10**18 is the largest power of ten in 64 bits: at a finer scale not even 1 would fit."""

_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")


class BadNumber(ValueError):
    """The text is not a finite decimal number without sign or exponent."""


def is_number(text: str) -> bool:
    """Say whether *text* is a number that ``exact`` can read at some scale, if it is not too large."""
    return _NUMBER.fullmatch(text) is not None


def scale_of(text: str) -> int:
    """Return the decimals that *text* needs.

    Raises:
        BadNumber: *text* is no number.

    >>> scale_of("0.00100000"), scale_of("10")
    (3, 0)
    """
    if not is_number(text):
        raise BadNumber(f"not a number: {text[:40]!r}")
    return len(text.partition(".")[2].rstrip("0"))


def text(value: int, scale: int) -> str:
    """Return *value* units of ``10**-scale`` as decimal text, without exponent or trailing zeros.

    >>> text(2683800, 3), text(-5, 2), text(0, 8)
    ('2683.8', '-0.05', '0')
    """
    sign, digits = ("-", str(-value)) if value < 0 else ("", str(value))
    if scale <= 0:
        return sign + digits
    digits = digits.rjust(scale + 1, "0")
    fraction = digits[-scale:].rstrip("0")
    return f"{sign}{digits[:-scale]}.{fraction}" if fraction else sign + digits[:-scale]
