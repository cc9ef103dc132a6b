"""What the encoder wants to know of a column of int64 before it is encoded.

Most columns of a window hold some hundred values, and a call of numpy costs more than a look at these: where
the project was compiled ``condition.columns_loops`` looks, where not its twins ``plain_...``.
"""

import numpy as np
import numpy.typing as npt

try:
    from condition import columns_loops as loops
except ImportError:
    COMPILED = False
else:
    COMPILED = True

Int64s = npt.NDArray[np.int64]

_FIRST = 8
"""Values whose common divisor mostly is the one of all."""


def plain_is_constant(values: Int64s) -> bool:
    """Say whether all of *values*, at least one, are the same."""
    return bool(values[0] == values[-1] and (values == values[0]).all())


def plain_common_step(values: Int64s) -> int:
    """Return the greatest common divisor; that of the first few is mostly the one of all."""
    step = int(np.gcd.reduce(values[:_FIRST]))
    if step > 1 and not (values % step).any():
        return step
    return int(np.gcd.reduce(values)) if step != 1 else 1


def plain_decimal_step(values: Int64s, most: int) -> int:
    """Return the largest power of ten that nearly all of the first *most* values are multiples of."""
    sample = values[:most]
    odd, step = len(sample) // 16, 1
    while step < 10**18 and np.count_nonzero(sample % (step * 10)) <= odd:
        step *= 10
    return step


def plain_ones(values: Int64s) -> int:
    """Return how many of *values* are 1; -1 where one is neither 0 nor 1."""
    return -1 if (values >> 1).any() else int(np.count_nonzero(values))


is_constant = loops.is_constant if COMPILED else plain_is_constant
common_step = loops.common_step if COMPILED else plain_common_step
decimal_step = loops.decimal_step if COMPILED else plain_decimal_step
ones = loops.ones if COMPILED else plain_ones
