# cython: boundscheck=False, wraparound=False, cdivision=True
"""The compiled twins of ``condition.columns``'s plain looks at a column, and of ``condition.blocks.plain_levels``."""

from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free, malloc
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize


def is_constant(const int64_t[::1] values):
    """Say whether all values are the same; there is at least one."""
    cdef Py_ssize_t n
    for n in range(1, values.shape[0]):
        if values[n] != values[0]:
            return False
    return True


def common_step(const int64_t[::1] values):
    """Return the greatest common divisor, as numpy's int64 has it."""
    cdef uint64_t step = 0, other, rest
    cdef Py_ssize_t n
    for n in range(values.shape[0]):
        other = <uint64_t>values[n]
        if values[n] < 0:
            other = 0 - other
        while other:
            rest = step % other if step else 0
            if step == 0:
                step = other
                break
            step, other = other, rest
        if step == 1:
            break
    return <int64_t>step


def decimal_step(const int64_t[::1] values, Py_ssize_t most):
    """Return the largest power of ten that nearly all of the first *most* values are multiples of."""
    cdef Py_ssize_t count = min(values.shape[0], most), n, odd
    cdef int64_t step = 1
    while step < 10**18:
        odd = 0
        for n in range(count):
            odd += values[n] % (step * 10) != 0
        if odd > count // 16:
            break
        step *= 10
    return step


def ones(const int64_t[::1] values):
    """Return how many values are 1; -1 where one is neither 0 nor 1."""
    cdef Py_ssize_t n, found = 0
    for n in range(values.shape[0]):
        if values[n] & ~1:
            return -1
        found += values[n]
    return found


def varints(const int64_t[::1] values):
    """Return a zigzag varint per value."""
    cdef Py_ssize_t count = values.shape[0], n, at = 0
    cdef uint64_t value
    cdef unsigned char* out = <unsigned char*>malloc(10 * count + 1)
    if out == NULL:
        raise MemoryError
    for n in range(count):
        value = <uint64_t>values[n] << 1
        if values[n] < 0:
            value = ~value
        while value > 0x7F:
            out[at] = value & 0x7F | 0x80
            value >>= 7
            at += 1
        out[at] = <unsigned char>value
        at += 1
    try:
        return PyBytes_FromStringAndSize(<char*>out, at)
    finally:
        free(out)


cdef inline bytes int64s(Py_ssize_t count, int64_t** at):
    made = PyBytes_FromStringAndSize(NULL, 8 * count)
    at[0] = <int64_t*>PyBytes_AS_STRING(made)
    return made


def levels(
    const int64_t[::1] prices, const int64_t[::1] sizes, const int64_t[::1] bid_counts, const int64_t[::1] ask_counts
):
    """Return bases, tops and steps of bids and asks, which sizes are kept, and these, as bytes of int64.

    None where an update is not sorted, or the counts do not fit.
    """
    cdef Py_ssize_t updates = bid_counts.shape[0], side, n, k, at = 0
    cdef Py_ssize_t[2] total, heads, step_at, top_at, size_at
    cdef int64_t count, price, before
    cdef int64_t[2] base, last_top
    cdef int64_t* tops[2]
    cdef int64_t* steps[2]
    cdef int64_t* kept
    cdef int64_t* by_side
    if ask_counts.shape[0] != updates or sizes.shape[0] != prices.shape[0]:
        return None
    for side in range(2):
        total[side] = heads[side] = step_at[side] = top_at[side] = base[side] = last_top[side] = 0
        for n in range(updates):
            count = bid_counts[n] if side == 0 else ask_counts[n]
            if count < 0 or count > prices.shape[0]:
                return None
            total[side] += count
            heads[side] += count > 0
    if total[0] + total[1] != prices.shape[0]:
        return None
    bid_tops = int64s(max(0, heads[0] - 1), &tops[0])
    ask_tops = int64s(max(0, heads[1] - 1), &tops[1])
    bid_steps = int64s(total[0] - heads[0], &steps[0])
    ask_steps = int64s(total[1] - heads[1], &steps[1])
    flags = int64s(prices.shape[0], &kept)
    all_sizes = int64s(prices.shape[0], &by_side)
    size_at[0], size_at[1] = 0, total[0]
    for n in range(updates):
        for side in range(2):
            count = bid_counts[n] if side == 0 else ask_counts[n]
            before = 0
            for k in range(count):
                price = prices[at]
                if k:
                    if not (price < before if side == 0 else price > before):
                        return None
                    if side == 0:
                        steps[0][step_at[0]] = <int64_t>(<uint64_t>before - <uint64_t>price)
                    else:
                        steps[1][step_at[1]] = <int64_t>(<uint64_t>price - <uint64_t>before)
                    step_at[side] += 1
                elif top_at[side]:
                    tops[side][top_at[side] - 1] = <int64_t>(<uint64_t>price - <uint64_t>last_top[side])
                else:
                    base[side] = price
                if k == 0:
                    last_top[side] = price
                    top_at[side] += 1
                before = price
                kept[size_at[side]] = sizes[at] != 0
                by_side[size_at[side]] = sizes[at]
                size_at[side] += 1
                at += 1
    k = 0
    for n in range(prices.shape[0]):
        by_side[k] = by_side[n]
        k += by_side[n] != 0
    return base[0], base[1], bid_tops, ask_tops, bid_steps, ask_steps, flags, all_sizes[: 8 * k]
