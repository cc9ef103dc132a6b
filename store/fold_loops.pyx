# cython: boundscheck=False, wraparound=False, cdivision=True
"""The compiled twin of ``store.fold.plain_newest``."""

from libc.stdint cimport int8_t, int64_t, uint64_t
from libc.stdlib cimport free, malloc


cdef inline uint64_t slot_of(int64_t side, int64_t price) noexcept nogil:
    cdef uint64_t mixed = (<uint64_t>price * 2 + <uint64_t>side) * <uint64_t>0x9E3779B97F4A7C15
    return mixed ^ (mixed >> 32)


cdef int64_t* empty(uint64_t size) except NULL:
    cdef int64_t* slots = <int64_t*>malloc(size * sizeof(int64_t))
    cdef uint64_t n
    if slots == NULL:
        raise MemoryError
    for n in range(size):
        slots[n] = -1
    return slots


def newest(const int8_t[::1] sides, const int64_t[::1] prices, int64_t[::1] places):
    """Write where each level is named for the last time into *places*, from the end; return how many they are.

    The table of the places that were found grows with them, and half of it stays free: most rows name a level
    that was found already, and the table of a book fits the processor's cache.
    """
    cdef Py_ssize_t n, k, found = 0
    cdef uint64_t size = 4096, slot
    cdef int64_t* slots = empty(size)
    cdef int64_t place
    for n in range(prices.shape[0] - 1, -1, -1):
        slot = slot_of(sides[n], prices[n]) & (size - 1)
        while True:
            place = slots[slot]
            if place < 0:
                slots[slot] = n
                places[found] = n
                found += 1
                break
            if prices[place] == prices[n] and sides[place] == sides[n]:
                break
            slot = (slot + 1) & (size - 1)
        if 2 * <uint64_t>found > size:
            free(slots)
            size *= 4
            slots = empty(size)
            for k in range(found):
                slot = slot_of(sides[places[k]], prices[places[k]]) & (size - 1)
                while slots[slot] >= 0:
                    slot = (slot + 1) & (size - 1)
                slots[slot] = places[k]
    free(slots)
    return found
