# cython: boundscheck=False, wraparound=False
"""The compiled twin of ``venue.numbers.plain_at_scale``."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t

from venue.scaling cimport fitting


def scaled(const int64_t[::1] values, int64_t by):
    """Return *values*, none below 0, times *by*, or divided by minus *by*, as bytes; None where one does not fit."""
    cdef Py_ssize_t count = values.shape[0]
    cdef bytes out = PyBytes_FromStringAndSize(NULL, count * sizeof(int64_t))
    if count and not fitting(&values[0], <int64_t*>PyBytes_AS_STRING(out), count, by):
        return None
    return out
