# cython: boundscheck=False, wraparound=False
"""The compiled twins of ``venue.numbers``: of ``plain_at_scale``, and of ``exact`` for what mostly comes."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport int64_t, uint64_t

from venue.scaling cimport fitting


def scaled(const int64_t[::1] values, int64_t by):
    """Return *values*, none below 0, times *by*, or divided by minus *by*, as bytes; None where one does not fit."""
    cdef Py_ssize_t count = values.shape[0]
    cdef bytes out = PyBytes_FromStringAndSize(NULL, count * sizeof(int64_t))
    if count and not fitting(&values[0], <int64_t*>PyBytes_AS_STRING(out), count, by):
        return None
    return out


cdef enum:
    SAFE_DIGITS = 18  # any number of so many fits 64 bits


cdef inline bint number(const char* at, Py_ssize_t size, int scale, int64_t* value) noexcept nogil:
    """Read ``digits`` or ``digits.digits`` at *scale*; say whether it is that, exact, and safely fits."""
    cdef Py_ssize_t n
    cdef int digits = 0, decimals = -1  # (of those that count; no dot yet)
    cdef uint64_t whole = 0
    for n in range(size):
        if at[n] == b"." and decimals < 0 and 0 < n < size - 1:
            decimals = 0
        elif not b"0" <= at[n] <= b"9":
            return False
        elif decimals == scale:
            if at[n] != b"0":
                return False
        else:
            whole = 10 * whole + (at[n] - 48)
            digits += whole > 0
            decimals += decimals >= 0
            if digits > SAFE_DIGITS:
                return False
    for n in range(scale - max(decimals, 0)):
        whole *= 10
        digits += whole > 0
    value[0] = <int64_t>whole
    return size > 0 and digits <= SAFE_DIGITS


def exact(texts, int scale):
    """Return the numbers *texts* in units of ``10**-scale`` as bytes of int64; None where one is to be looked at."""
    cdef Py_ssize_t count = len(texts), n = 0, size
    cdef bytes out = PyBytes_FromStringAndSize(NULL, count * sizeof(int64_t))
    cdef int64_t* value = <int64_t*>PyBytes_AS_STRING(out)
    cdef const char* at
    for text in texts:
        try:
            at = PyUnicode_AsUTF8AndSize(text, &size)
        except UnicodeEncodeError:
            return None
        if not number(at, size, scale, &value[n]):
            return None
        n += 1
    return out
