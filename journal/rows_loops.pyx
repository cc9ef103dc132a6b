# cython: boundscheck=False, wraparound=False
"""The compiled twins of ``journal.rows``'s plain functions."""

from libc.stdint cimport uint16_t, uint32_t
from libc.stdlib cimport free, malloc
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE


def layout(list securities not None, list payloads not None, bucket_of):
    """Return names, buckets, bucket_ends, lengths, routes and order of the rows; order None: as they are."""
    cdef Py_ssize_t count = len(securities), n, row, place, at
    if len(payloads) != count or count > 65536:
        raise ValueError("columns of different lengths, or too long")
    cdef Py_ssize_t ends[257]
    cdef list names = [], order = None, in_order = []
    cdef dict places = {}
    cdef object last = None, security
    cdef bint sorted_ = True
    cdef int bucket = 0
    cdef unsigned char* buckets = <unsigned char*>malloc(count + 1)
    cdef uint16_t* which = <uint16_t*>malloc(2 * count + 2)
    cdef int* numbers = <int*>malloc(sizeof(int) * (count + 1))
    cdef bytes lengths = PyBytes_FromStringAndSize(NULL, 4 * count)
    cdef bytes routes = PyBytes_FromStringAndSize(NULL, 2 * count)
    cdef uint32_t* length_at = <uint32_t*>PyBytes_AS_STRING(lengths)
    cdef uint16_t* route_at = <uint16_t*>PyBytes_AS_STRING(routes)
    cdef bytes payload
    try:
        if buckets == NULL or which == NULL or numbers == NULL:
            raise MemoryError
        for n in range(257):
            ends[n] = 0
        place = 0
        for n in range(count):
            security = securities[n]
            if security is not last:
                last = security
                found = places.get(security)
                if found is None:
                    place = len(names)
                    places[security] = place
                    names.append(security)
                    numbers[place] = bucket_of(security)
                else:
                    place = found
            if numbers[place] < bucket:
                sorted_ = False
            bucket = numbers[place]
            buckets[n], which[n] = <unsigned char>bucket, <uint16_t>place
            ends[bucket + 1] += 1
        bucket_names = bytearray()
        bucket_ends = []
        for n in range(256):
            if ends[n + 1]:
                bucket_names.append(n)
                bucket_ends.append(ends[n] + ends[n + 1])
            ends[n + 1] += ends[n]
        if not sorted_:
            order = [0] * count
            for n in range(count):
                order[ends[buckets[n]]] = n
                ends[buckets[n]] += 1
            for n in range(len(names)):
                numbers[n] = -1
        for n in range(count):
            row = n if sorted_ else order[n]
            payload = payloads[row]
            length_at[n] = <uint32_t>PyBytes_GET_SIZE(payload)
            at = which[row]
            if not sorted_:
                if numbers[at] < 0:
                    numbers[at] = <int>len(in_order)
                    in_order.append(names[at])
                at = numbers[at]
            route_at[n] = <uint16_t>at
        return names if sorted_ else in_order, bytes(bucket_names), bucket_ends, lengths, routes, order
    finally:
        free(buckets)
        free(which)
        free(numbers)


def fits(bytes lengths not None, bytes routes not None, Py_ssize_t count, Py_ssize_t names, Py_ssize_t size):
    """Say whether there are *count* lengths that come to *size*, and as many routes of so many *names*."""
    cdef const uint32_t* length_at = <const uint32_t*>PyBytes_AS_STRING(lengths)
    cdef const uint16_t* route_at = <const uint16_t*>PyBytes_AS_STRING(routes)
    cdef Py_ssize_t n
    if PyBytes_GET_SIZE(lengths) != 4 * count or PyBytes_GET_SIZE(routes) != 2 * count:
        return False
    for n in range(count):
        size -= length_at[n]
        if route_at[n] >= names:
            return False
    return size == 0


def payloads(bytes data not None, bytes lengths not None, Py_ssize_t start, rows):
    """Return the payloads of *rows*; that of row 0 begins at *start*."""
    cdef const uint32_t* length_at = <const uint32_t*>PyBytes_AS_STRING(lengths)
    cdef const char* data_at = PyBytes_AS_STRING(data)
    cdef Py_ssize_t count = PyBytes_GET_SIZE(lengths) // 4, size = PyBytes_GET_SIZE(data), n = 0, at = start, row
    cdef list found = []
    for row in rows:
        if row < n:
            n, at = 0, start
        if row >= count:
            raise IndexError(row)
        while n < row:
            at += length_at[n]
            n += 1
        if at < 0 or at + length_at[row] > size:
            raise IndexError(row)
        found.append(PyBytes_FromStringAndSize(data_at + at, length_at[row]))
    return found
