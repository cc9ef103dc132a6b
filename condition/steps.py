"""Columns as differences: a base, and the step from each value to the next, modulo 2**64."""

import numpy as np

from condition.columns import Int64s


def steps_of(values: Int64s) -> Int64s:
    """Return the difference of each value but the first from the one before it."""
    steps: Int64s = values[1:] - values[:-1]
    return steps


def first_of(values: Int64s) -> int:
    """Return the base of a column of differences: its first value, or 0."""
    return int(values[0]) if len(values) else 0


def summed(base: int, steps: Int64s, count: int) -> Int64s:
    """Return the *count* values that begin with *base* and rise by *steps*."""
    values = np.empty(count, np.int64)
    if count:
        values[0] = base
        values[1:] = steps
        np.cumsum(values, out=values)
    return values
