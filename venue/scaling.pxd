"""What compiled loops share: numbers brought to another scale, exactly or not at all."""

from libc.stdint cimport int64_t, uint64_t


cdef inline int64_t factor(int decimals, int scale) noexcept nogil:
    """Return what numbers with *decimals* are multiplied by at *scale*; below 0: what they are divided by."""
    cdef int64_t by = 1
    cdef int n
    for n in range(abs(scale - decimals)):
        by *= 10
    return by if scale >= decimals else -by


cdef inline bint fitting(const int64_t* values, int64_t* out, Py_ssize_t count, int64_t by) noexcept nogil:
    """Multiply by a factor above 0, divide by one below 0 without a rest; say whether all fit.  None is below 0."""
    cdef Py_ssize_t n
    cdef int64_t most, quotient
    if by > 0:
        most = <int64_t>0x7FFFFFFFFFFFFFFF // by
        for n in range(count):
            if values[n] > most:
                return False
            out[n] = values[n] * by
    else:
        by = -by
        for n in range(count):
            quotient = <int64_t>(<uint64_t>values[n] // <uint64_t>by)
            if quotient * by != values[n]:
                return False
            out[n] = quotient
    return True
