"""What other compiled loops use of the ladders of a book."""

from libc.stdint cimport int64_t, uint64_t


cdef struct Side:
    int64_t* keys
    int64_t* sizes
    Py_ssize_t count
    Py_ssize_t room
    Py_ssize_t dead


cdef bint keyed(
    const int64_t* counts, Py_ssize_t sides, Py_ssize_t rows, int64_t* key, int64_t* start
) noexcept nogil


cdef class Ladders:
    cdef Side bids
    cdef Side asks
    cdef uint64_t seeds[2]
    cdef uint64_t weights[2][3]
    cdef uint64_t sums_[2]
    cdef Py_ssize_t dead_rows

    cdef void note(self, bint is_ask, int64_t price, int64_t size, int64_t old) noexcept nogil
    cdef bint meet(self) noexcept nogil
    cdef Py_ssize_t advance(
        self, const int64_t* keys, const int64_t* sizes, const int64_t* starts, Py_ssize_t updates,
        bint may_cross, int64_t* old,
    ) except -1
    cdef int take_back(
        self, const int64_t* keys, const int64_t* sizes, const int64_t* old, Py_ssize_t first, Py_ssize_t end
    ) except -1
    cdef void tidy(self, Side* side) noexcept nogil
