"""Brings columns of prices and sizes to finer scales, exactly or not at all."""

import numpy as np

from book.scales import Refused, Scales
from condition.codec import Int64s
from wire.runs import ABSENT


def finer(scales: Scales, price_scale: int, size_scale: int) -> Scales:
    """Return the higher of both, each."""
    return Scales(max(scales.price, price_scale), max(scales.size, size_scale))


def times(values: Int64s, decimals: int) -> Int64s:
    """Return *values* with *decimals* more.

    Raises:
        Refused: one does not fit 64 bits.
    """
    if not decimals or not len(values):
        return values
    largest = max(abs(int(values.min())), abs(int(values.max())))
    if largest * 10**decimals >= 2**63:
        raise Refused(f"{largest} does not fit 64 bits with {decimals} decimals more")
    product: Int64s = values * np.int64(10**decimals)
    return product


def times_present(values: Int64s, decimals: int) -> Int64s:
    """Return *values* with *decimals* more, ABSENT where they are.

    Raises:
        Refused: one does not fit 64 bits.
    """
    if not decimals:
        return values
    absent = values == ABSENT
    return np.where(absent, ABSENT, times(np.where(absent, 0, values), decimals))
