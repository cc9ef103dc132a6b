"""The scales of one security: decimals of price and size, raised when a finer value comes, never lowered.

Nothing is rounded and nothing wraps: a value or a book that does not fit 64 bits at the scale it
needs is refused as it came (``Refused``), and everything stays as it was.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from venue import numbers
from venue.decimals import BadNumber

Column = NDArray[np.int64]

LARGEST = 2**63 - 1
MAX_SCALE = 18
"""One unit of a finer scale would not fit an int64."""


class Refused(ValueError):
    """A value cannot be held exactly in 64 bits; its record stays in the journal only."""


class Scales(msgspec.Struct, frozen=True, array_like=True):
    """Decimals: a price p is p * 10**-price."""

    price: int = 0
    size: int = 0


class Finer(Exception):
    """The values need these scales."""

    def __init__(self, scales: Scales) -> None:
        super().__init__(f"needs {scales.price} decimals of price and {scales.size} of size")
        self.scales = scales


def factor(old: int, new: int) -> int:
    """Return what an integer of scale *old* is multiplied by at scale *new*.

    Raises:
        Refused: *new* is beyond what 64 bits hold.
    """
    if new > MAX_SCALE:
        raise Refused(f"{new} decimals do not fit 64 bits")
    return int(10 ** (new - old))


def rescaled(value: int, by: int) -> int:
    """Return ``value * by``.

    Raises:
        Refused: it does not fit 64 bits.
    """
    product = value * by
    if not -LARGEST <= product <= LARGEST:
        raise Refused(f"{value} times {by} does not fit 64 bits")
    return product


def exact(prices: Sequence[str], sizes: Sequence[str], scales: Scales) -> tuple[Column, Column]:
    """Return the exact integers of *prices* and *sizes* at *scales*.

    Raises:
        Finer: a value needs a higher scale.
        Refused: a value does not fit 64 bits, or is no number.
    """
    price_column, price_scale = _column(prices, scales.price)
    size_column, size_scale = _column(sizes, scales.size)
    if price_column is None or size_column is None:
        raise Finer(Scales(price_scale, size_scale))
    return price_column, size_column


def _column(texts: Sequence[str], scale: int) -> tuple[Column | None, int]:
    if not texts:
        return np.empty(0, dtype=np.int64), scale
    try:
        return numbers.exact(texts, scale), scale
    except numbers.Finer as finer:
        return None, finer.scale
    except (numbers.TooLarge, BadNumber) as error:
        raise Refused(str(error)) from error


def raised(scales: Scales, to: Scales) -> Scales:
    """Return the higher of both, each."""
    return Scales(max(scales.price, to.price), max(scales.size, to.size))


def until_exact(scales: Scales, convert: Callable[[Scales], Any]) -> tuple[Any, Scales]:
    """Return what *convert* gives at the lowest scales not below *scales* that it accepts, and those.

    Raises:
        Refused: what *convert* raised, or no scale that fits.
    """
    while True:
        try:
            return convert(scales), scales
        except Finer as finer:
            if finer.scales.price > MAX_SCALE or finer.scales.size > MAX_SCALE:
                raise Refused(str(finer)) from finer
            scales = raised(scales, finer.scales)
