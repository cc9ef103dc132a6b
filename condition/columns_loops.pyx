# cython: boundscheck=False, wraparound=False, cdivision=True
"""The compiled twins of ``condition.columns``'s plain looks at a column, and of ``plain_levels`` and ``plain_rows``."""

from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy
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


cdef inline Py_ssize_t put_uvarint(unsigned char* out, Py_ssize_t at, uint64_t value) noexcept:
    while value > 0x7F:
        out[at] = value & 0x7F | 0x80
        value >>= 7
        at += 1
    out[at] = <unsigned char>value
    return at + 1


def varints(const int64_t[::1] values):
    """Return a zigzag varint per value."""
    cdef Py_ssize_t count = values.shape[0], n, at = 0
    cdef unsigned char* out = <unsigned char*>malloc(10 * count + 1)
    if out == NULL:
        raise MemoryError
    for n in range(count):
        at = put_uvarint(out, at, (<uint64_t>values[n] << 1) ^ <uint64_t>(values[n] >> 63))
    try:
        return PyBytes_FromStringAndSize(<char*>out, at)
    finally:
        free(out)


def packed(bytes front, columns):
    """Return *front*, how many *columns* there are, the head of each, and the data of each."""
    cdef Py_ssize_t room = len(front) + 10, at = len(front)
    cdef unsigned char* out
    cdef bytes data
    for _, _, data in columns:
        room += len(data) + 21
    out = <unsigned char*>malloc(room)
    if out == NULL:
        raise MemoryError
    try:
        memcpy(out, PyBytes_AS_STRING(front), at)
        at = put_uvarint(out, at, len(columns))
        for encoding, size, data in columns:
            out[at] = encoding
            at = put_uvarint(out, put_uvarint(out, at + 1, size), len(data))
        for _, _, data in columns:
            memcpy(out + at, PyBytes_AS_STRING(data), len(data))
            at += len(data)
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


cdef inline int64_t step_down(int64_t price, int64_t step) noexcept nogil:
    return <int64_t>(<uint64_t>price - <uint64_t>step)


cdef inline int64_t step_up(int64_t price, int64_t step) noexcept nogil:
    return <int64_t>(<uint64_t>price + <uint64_t>step)


def interleaved(
    const int64_t[::1] bid_counts,
    const int64_t[::1] ask_counts,
    (int64_t, int64_t) bases,
    const int64_t[::1] bid_tops,
    const int64_t[::1] ask_tops,
    const int64_t[::1] bid_steps,
    const int64_t[::1] ask_steps,
    const int64_t[::1] kept,
    const int64_t[::1] held,
    int64_t[::1] prices,
    int64_t[::1] sizes,
):
    """Write *prices* and *sizes* of the levels, update by update: the inverse of ``levels``.

    The lengths are those that the counts give (condition.blocks checks them); *held* has one number more.
    """
    cdef Py_ssize_t n, k, at = 0, bids = 0, bid_at = 0, ask_at, bid_held = 0, ask_held = 0
    cdef Py_ssize_t bid_top = 0, ask_top = 0, bid_step = 0, ask_step = 0
    cdef int64_t price, last_bid = bases[0], last_ask = bases[1], is_kept
    for n in range(bid_counts.shape[0]):
        bids += bid_counts[n]
    ask_at = bids
    for n in range(bids):
        ask_held += kept[n] != 0
    for n in range(bid_counts.shape[0]):
        if bid_counts[n]:
            if bid_top:
                last_bid = step_up(last_bid, bid_tops[bid_top - 1])
            bid_top += 1
            price = last_bid
            for k in range(bid_counts[n]):
                if k:
                    price = step_down(price, bid_steps[bid_step])
                    bid_step += 1
                is_kept = kept[bid_at] != 0
                prices[at] = price
                sizes[at] = held[bid_held] & -is_kept
                bid_held += is_kept
                bid_at += 1
                at += 1
        if ask_counts[n]:
            if ask_top:
                last_ask = step_up(last_ask, ask_tops[ask_top - 1])
            ask_top += 1
            price = last_ask
            for k in range(ask_counts[n]):
                if k:
                    price = step_up(price, ask_steps[ask_step])
                    ask_step += 1
                is_kept = kept[ask_at] != 0
                prices[at] = price
                sizes[at] = held[ask_held] & -is_kept
                ask_held += is_kept
                ask_at += 1
                at += 1


cdef Py_ssize_t uvarint(const unsigned char* data, Py_ssize_t at, Py_ssize_t size, uint64_t* value) noexcept:
    """Read a number of at most 56 bits; return where it ends, -1 where it does not."""
    cdef int shift = 0
    value[0] = 0
    while at < size and shift < 56:
        value[0] |= <uint64_t>(data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return at
        shift += 7
    return -1


def container(bytes data, Py_ssize_t at):
    """Return encoding, count and bytes of each column of the container whose list begins at *at*.

    None where something is wrong or unusually large: the plain reader says what.
    """
    cdef const unsigned char* source = <const unsigned char*>PyBytes_AS_STRING(data)
    cdef Py_ssize_t size = len(data)
    cdef uint64_t columns, count, length, n, taken
    cdef Py_ssize_t[64] begins, ends
    cdef int[64] kinds
    cdef uint64_t[64] counts
    at = uvarint(source, at, size, &columns)
    if at < 0 or columns > 64:
        return None
    taken = 0
    for n in range(columns):
        if at >= size:
            return None
        kinds[n] = source[at]
        at = uvarint(source, at + 1, size, &count)
        if at < 0:
            return None
        at = uvarint(source, at, size, &length)
        if at < 0 or length > <uint64_t>size:
            return None
        counts[n] = count
        begins[n], ends[n] = taken, taken + length
        taken += length
    if taken != <uint64_t>(size - at):
        return None
    return [(kinds[n], counts[n], data[at + begins[n] : at + ends[n]]) for n in range(columns)]


cdef enum:
    CONSTANT = 1, VARINTS = 2, BITS = 5  # condition.columns.Encoding


cdef Py_ssize_t zigzag(const unsigned char* data, Py_ssize_t at, Py_ssize_t size, int64_t* value) noexcept:
    cdef uint64_t raw
    at = uvarint(data, at, size, &raw)
    value[0] = <int64_t>(raw >> 1) ^ -<int64_t>(raw & 1)
    return at


def small(int encoding, bytes data, int64_t[::1] values):
    """Write the values of a column whose encoding is one of the three; return whether that was done.

    Not where something is wrong or unusually large: the plain reader says what.
    """
    cdef const unsigned char* source = <const unsigned char*>PyBytes_AS_STRING(data)
    cdef Py_ssize_t size = len(data), count = values.shape[0], at = 0, n
    cdef int64_t value = 0
    if encoding == CONSTANT:
        at = zigzag(source, 0, size, &value)
        for n in range(count):
            values[n] = value
    elif encoding == VARINTS:
        for n in range(count):
            at = zigzag(source, at, size, &values[n])
            if at < 0:
                return False
    elif encoding == BITS and size == (count + 7) // 8:
        for n in range(count):
            values[n] = source[n >> 3] >> (n & 7) & 1
        at = size
    else:
        return False
    return at == size


def counts(const int64_t[::1] values, int64_t most):
    """Return the sum of *values* and how many are not 0; (-1, 0) where one is negative or they are more than *most*."""
    cdef Py_ssize_t n, found = 0
    cdef int64_t total = 0
    for n in range(values.shape[0]):
        if values[n] < 0 or values[n] > most - total:
            return -1, 0
        total += values[n]
        found += values[n] != 0
    return total, found
