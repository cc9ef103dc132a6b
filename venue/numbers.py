"""Makes exact integers of the exchanges' decimal text, and back; no float on the way.

At scale s a number of ``venue.decimals`` becomes the int64 ``number * 10**s``.

refusal    meaning                                        what the caller does
BadNumber  the text is no such number                     drops the message, counts it
Finer      it has more decimals than the scale            raises the scale to ``.scale``, asks again
TooLarge   it does not fit 64 bits, or has > 18 decimals  drops the message, counts it, writes a row

Of several in one batch the first of this table is raised, whichever comes first in the batch, and
Finer names the scale that all of the batch needs.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from venue.decimals import MAX_SCALE, BadNumber, is_number, scale_of, text
from wire.runs import ABSENT

try:
    from venue import numbers_loops as loops
except ImportError:
    COMPILED = False
else:
    COMPILED = True

Int64s = NDArray[np.int64]

LARGEST = 2**63 - 1

_FEW, _FEW_MIXED = 8, 64
"""Below this many texts (of one or of several numbers of decimals) a loop costs less than numpy's calls."""

_SAFE_DIGITS = 18
"""Any number of so many digits fits 64 bits; a longer text is read by the loop."""

_COMMA, _DOT = ord(","), ord(".")
_ALLOWED = b"0123456789.,"
_DIGITS_TO_ZERO = bytes.maketrans(b"123456789", b"000000000")
_POWERS = 10 ** np.arange(MAX_SCALE + 1, dtype=np.int64)
_FACTORS = {n: 10**n if n >= 0 else -(10**-n) for n in range(-MAX_SCALE, MAX_SCALE + 1)}
"""What a number is multiplied by for so many decimals more; below 0: what it is divided by for fewer."""


class Finer(ValueError):
    """A number has more decimals than the scale holds; ``scale`` is the one that is needed."""

    def __init__(self, scale: int) -> None:
        super().__init__(f"a number needs {scale} decimals")
        self.scale = scale


class TooLarge(ValueError):
    """A number does not fit 64 bits at its scale."""


def exact(texts: Sequence[str], scale: int) -> Int64s:
    """Return the numbers *texts* in units of ``10**-scale`` (0 <= scale <= 18), exactly.

    Raises:
        BadNumber, Finer, TooLarge: as the table above says; nothing is rounded or left out.
    """
    found = loops.exact(texts, scale) if COMPILED else None
    return plain_exact(texts, scale) if found is None else np.frombuffer(found, np.int64)


def plain_exact(texts: Sequence[str], scale: int) -> Int64s:
    """Return the same, and say what is refused, by what every machine has."""
    if len(texts) >= _FEW:
        numbers = _exact_together(texts, scale)
        if numbers is not None:
            return numbers
    return _exact_singly(texts, scale)


def rescale(values: Int64s, from_scale: int, to_scale: int) -> Int64s:
    """Return *values* of one scale in units of another; ABSENT stays ABSENT.

    Raises:
        Finer: *to_scale* is too coarse for one of them; names the scale that is enough.
        TooLarge: one does not fit 64 bits, or *to_scale* is beyond 18.
    """
    if from_scale == to_scale:
        return values
    if to_scale > MAX_SCALE:
        raise TooLarge(f"a scale of {to_scale} decimals leaves no room in 64 bits")
    absent = values == ABSENT
    present = np.where(absent, 0, values)
    if to_scale > from_scale:
        return np.where(absent, ABSENT, _multiplied(present, _POWERS[to_scale - from_scale]))
    divided, rest = np.divmod(present, _POWERS[from_scale - to_scale])
    if rest.any():
        raise Finer(max(scale_of(text(abs(int(v)), from_scale)) for v in present[rest != 0]))
    return np.where(absent, ABSENT, divided)


def uniform(joined: bytes, count: int) -> tuple[int, Int64s] | None:
    """Return how many decimals each of *count* texts has, and them as integers in units of the last decimal.

    In *joined* a comma is before and after each.  None where one is not digits, a dot and as many digits as
    the others have, or is so long that it might not fit 64 bits.
    """
    shape = joined.translate(_DIGITS_TO_ZERO)
    decimals = joined.find(b",", 1) - joined.find(b".") - 1
    if (
        0 < decimals < _SAFE_DIGITS
        and shape.count(b".%b," % (b"0" * decimals)) == count
        and b",." not in shape
        and b",%b" % (b"0" * (_SAFE_DIGITS + 1 - decimals)) not in shape
        and shape.translate(None, b"0") == b",." * count + b","
    ):
        return decimals, _integers(joined)
    return None


def at_scale(unscaled: Int64s, decimals: int, scale: int) -> Int64s | None:
    """Return *unscaled*, integers with *decimals*, at *scale*; None where one does not fit or is finer."""
    if decimals == scale:
        return unscaled
    if not COMPILED:
        return plain_at_scale(unscaled, decimals, scale)
    found = loops.scaled(unscaled, _FACTORS[scale - decimals])
    return None if found is None else np.frombuffer(found, np.int64)


def plain_at_scale(unscaled: Int64s, decimals: int, scale: int) -> Int64s | None:
    """Return the same without a compiler; the scales differ."""
    if decimals < scale:
        return _fitting_product(unscaled, _POWERS[scale - decimals])
    return _whole_quotient(unscaled, _POWERS[decimals - scale])


def _exact_together(texts: Sequence[str], scale: int) -> Int64s | None:
    """Return all of them by numpy; None where a text is wrong or long and must be looked at singly.

    Raises:
        Finer: as ``exact`` says.
    """
    try:
        joined = f",{','.join(texts)},".encode("ascii")
    except UnicodeEncodeError:
        return None
    found = uniform(joined, len(texts))
    if found is None:
        return _exact_mixed(joined, len(texts), scale)
    decimals, unscaled = found
    numbers = at_scale(unscaled, decimals, scale)
    if numbers is None and decimals > scale:
        common = str(np.gcd.reduce(unscaled))  # has as many zeros at its end as all of them have
        raise Finer(decimals - len(common) + len(common.rstrip("0")))
    return numbers


def _exact_mixed(joined: bytes, count: int, scale: int) -> Int64s | None:
    """Do the same for texts that differ in their number of decimals; a comma is before and after each."""
    if count < _FEW_MIXED or joined.translate(None, _ALLOWED):
        return None
    chars = np.frombuffer(joined, np.uint8)
    commas = np.flatnonzero(chars == _COMMA)
    widths = np.diff(commas) - 1
    if len(widths) != count or widths.min() < 1 or widths.max() > _SAFE_DIGITS:
        return None
    dots = np.flatnonzero(chars == _DOT)
    owners = np.searchsorted(commas, dots) - 1
    after = commas[owners + 1] - dots - 1
    if len(dots) and (after.min() < 1 or (dots - commas[owners]).min() < 2 or not np.diff(owners).all()):
        return None  # nothing before or after the dot, or two dots in one text
    decimals = np.zeros(count, np.int64)
    decimals[owners] = after
    raised = _fitting_product(_integers(joined), _POWERS[np.maximum(scale - decimals, 0)])
    return None if raised is None else _whole_quotient(raised, _POWERS[np.maximum(decimals - scale, 0)])


def _integers(joined: bytes) -> Int64s:
    return np.fromstring(joined[1:-1].translate(None, b"."), dtype=np.int64, sep=",")


def _fitting_product(values: Int64s, power: Int64s | np.int64) -> Int64s | None:
    return None if (values > LARGEST // power).any() else values * power


def _whole_quotient(values: Int64s, power: Int64s | np.int64) -> Int64s | None:
    quotient = values // power
    return quotient if (quotient * power == values).all() else None


def _multiplied(values: Int64s, power: np.int64) -> Int64s:
    if bool((np.abs(values) > LARGEST // power).any()):
        raise TooLarge(f"a number does not fit 64 bits at {int(power)} times the scale")
    return values * power


def _exact_singly(texts: Sequence[str], scale: int) -> Int64s:
    """Return them by the plain rule, which alone decides what is refused and why."""
    numbers, needed = [], scale
    for each in texts:
        if not is_number(each):
            raise BadNumber(f"not a number: {each[:40]!r}")
        whole, _, fraction = each.partition(".")
        if len(fraction) > scale:
            fraction = fraction.rstrip("0")
            if len(fraction) > needed:
                needed = len(fraction)
        digits = whole + fraction.ljust(scale, "0")
        if len(digits) > _SAFE_DIGITS:
            # 40 digits keep an absurd number too large without the cost of reading all of it
            digits = digits.lstrip("0")[:40] or "0"
        numbers.append(int(digits))
    if needed > MAX_SCALE:
        raise TooLarge(f"a number has {needed} decimals")
    if needed > scale:
        raise Finer(needed)
    if max(numbers, default=0) > LARGEST:
        raise TooLarge(f"{max(numbers)} does not fit 64 bits at scale {scale}")
    return np.array(numbers, np.int64)
