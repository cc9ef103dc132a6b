# cython: boundscheck=False, wraparound=False
"""The compiled twins of the loops of ``book.table`` and ``book.depth``: level by level, nothing sorted anew.

Each side is a sorted array with its best level last, so that most levels are found, and put in, near its end.
A level that was removed stays with size 0, for it mostly comes back; those behind the best go at once, the
others when they are more than ``dead_rows`` and half of all.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memmove
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize

from book.mixing cimport mix
from venue.scaling cimport factor, fitting


cdef int make_room(Side* side, Py_ssize_t room) except -1:
    cdef int64_t* keys
    cdef int64_t* sizes
    if room <= side.room:
        return 0
    keys = <int64_t*>realloc(side.keys, room * sizeof(int64_t))
    if keys == NULL:
        raise MemoryError
    side.keys = keys
    sizes = <int64_t*>realloc(side.sizes, room * sizeof(int64_t))
    if sizes == NULL:
        raise MemoryError
    side.sizes = sizes
    side.room = room
    return 0


cdef inline Py_ssize_t place_of(Side* side, int64_t key, Py_ssize_t near) noexcept nogil:
    """Return where the first key that is not below *key* is, looking from *near* on in steps that double."""
    cdef int64_t* keys = side.keys
    cdef Py_ssize_t low, high, half, step = 1
    if near < side.count and keys[near] < key:
        low = high = near + 1
        while high < side.count and keys[high] < key:
            low = high + 1
            high += step
            step *= 2
        high = min(high, side.count)
    elif near > 0 and keys[near - 1] >= key:
        low = high = near - 1
        while low > 0 and keys[low - 1] >= key:
            high = low - 1
            low = max(low - step, 0)
            step *= 2
    else:
        return near
    # (half of all guesses would be wrong: no branch depends on the key)
    high -= low
    while high > 1:
        half = high >> 1
        low += half & -<Py_ssize_t>(keys[low + half - 1] < key)
        high -= half
    return low + (1 if high and keys[low] < key else 0)


cdef inline int64_t put(Side* side, int64_t key, int64_t size, Py_ssize_t* near) except -1:
    """Make *size* that of *key*; return what it was."""
    cdef Py_ssize_t at = place_of(side, key, near[0])
    cdef int64_t old
    near[0] = at
    if at < side.count and side.keys[at] == key:
        old = side.sizes[at]
        side.sizes[at] = size
        side.dead += (size == 0) - (old == 0)
        return old
    if size == 0:
        return 0
    if side.count == side.room:
        make_room(side, 2 * side.room + 64)
    memmove(side.keys + at + 1, side.keys + at, (side.count - at) * sizeof(int64_t))
    memmove(side.sizes + at + 1, side.sizes + at, (side.count - at) * sizeof(int64_t))
    side.keys[at] = key
    side.sizes[at] = size
    side.count += 1
    return 0


cdef inline void trim(Side* side) noexcept nogil:
    """Forget what was removed from in front of the best level."""
    while side.count and side.sizes[side.count - 1] == 0:
        side.count -= 1
        side.dead -= 1


cdef void purge(Side* side) noexcept nogil:
    cdef Py_ssize_t n, kept = 0
    for n in range(side.count):
        if side.sizes[n]:
            side.keys[kept] = side.keys[n]
            side.sizes[kept] = side.sizes[n]
            kept += 1
    side.count = kept
    side.dead = 0


cdef inline bytes bytes_of(Py_ssize_t values):
    """Return room for so many int64."""
    return PyBytes_FromStringAndSize(NULL, values * sizeof(int64_t))


cdef inline int64_t* int64s(bytes column):
    return <int64_t*>PyBytes_AS_STRING(column)


cdef class Ladders:
    """Both sides of a book and the sums of its hash (book.hash); keys as in ``book.table``."""

    def __cinit__(self, Py_ssize_t dead_rows):
        self.dead_rows = dead_rows

    def __dealloc__(self):
        free(self.bids.keys)
        free(self.bids.sizes)
        free(self.asks.keys)
        free(self.asks.sizes)

    def weigh(self, seeds, weights):
        """Hash what comes with these, each for two lanes, whatever was hashed before."""
        cdef int lane, word
        for lane in range(2):
            self.seeds[lane] = seeds[lane]
            for word in range(3):
                self.weights[lane][word] = weights[lane][word]

    @property
    def sums(self):
        return self.sums_[0], self.sums_[1]

    @sums.setter
    def sums(self, given):
        self.sums_[0], self.sums_[1] = given

    @property
    def rows(self):
        """How many levels there are, those without size included."""
        return self.bids.count + self.asks.count

    cdef void note(self, bint is_ask, int64_t price, int64_t size, int64_t old) noexcept nogil:
        cdef uint64_t base
        cdef int lane
        for lane in range(2):
            base = self.seeds[lane] + self.weights[lane][1] * <uint64_t>price
            if is_ask:
                base += self.weights[lane][0]
            if old:
                self.sums_[lane] -= mix(base + self.weights[lane][2] * <uint64_t>old)
            if size:
                self.sums_[lane] += mix(base + self.weights[lane][2] * <uint64_t>size)

    cdef bint meet(self) noexcept nogil:
        if not self.bids.count or not self.asks.count:
            return False
        return self.bids.keys[self.bids.count - 1] >= -self.asks.keys[self.asks.count - 1]

    def crossed(self):
        """Say whether somebody bids what somebody else asks."""
        return self.meet()

    def load(self, const int64_t[::1] keys, const int64_t[::1] sizes):
        """Become the levels of *keys*, ascending, all of them with a size; nothing is hashed."""
        cdef Py_ssize_t n, at, count = keys.shape[0], bids = 0
        cdef Side* side
        while bids < count and keys[bids] < 0:
            bids += 1
        make_room(&self.bids, bids)
        make_room(&self.asks, count - bids)
        self.bids.count, self.asks.count = bids, count - bids
        self.bids.dead = self.asks.dead = 0
        for n in range(count):
            side = &self.bids if n < bids else &self.asks
            at = bids - 1 - n if n < bids else count - 1 - n
            side.keys[at] = -keys[n]
            side.sizes[at] = sizes[n]

    def levels(self):
        """Return (keys, sizes) of all levels with a size as bytes of int64, keys ascending."""
        purge(&self.bids)
        purge(&self.asks)
        cdef Py_ssize_t n, bids = self.bids.count, asks = self.asks.count
        cdef bytes keys = PyBytes_FromStringAndSize(NULL, (bids + asks) * sizeof(int64_t))
        cdef bytes sizes = PyBytes_FromStringAndSize(NULL, (bids + asks) * sizeof(int64_t))
        cdef int64_t* key = <int64_t*>PyBytes_AS_STRING(keys)
        cdef int64_t* size = <int64_t*>PyBytes_AS_STRING(sizes)
        for n in range(bids):
            key[n], size[n] = -self.bids.keys[bids - 1 - n], self.bids.sizes[bids - 1 - n]
        for n in range(asks):
            key[bids + n], size[bids + n] = -self.asks.keys[asks - 1 - n], self.asks.sizes[asks - 1 - n]
        return keys, sizes

    def apply(
        self, const int64_t[::1] keys, const int64_t[::1] sizes, const int64_t[::1] starts, bint may_cross
    ):
        """Apply updates, the levels of each from its start to the next one's.

        Return how many were applied, and the old size of each of their levels as bytes of int64.
        """
        cdef Py_ssize_t updates = starts.shape[0] - 1, rows = starts[updates] - starts[0], applied
        cdef bytes olds = bytes_of(rows)
        cdef const int64_t* key = &keys[0] if rows else NULL
        cdef const int64_t* size = &sizes[0] if rows else NULL
        applied = self.advance(key, size, &starts[0], updates, may_cross, int64s(olds))
        return applied, olds if applied == updates else olds[: (starts[applied] - starts[0]) * sizeof(int64_t)]

    cdef Py_ssize_t advance(
        self, const int64_t* keys, const int64_t* sizes, const int64_t* starts, Py_ssize_t updates,
        bint may_cross, int64_t* old,
    ) except -1:
        """Do what ``apply`` says with columns of C."""
        cdef Py_ssize_t applied, n, first, end, near_bid, near_ask
        cdef int64_t key
        for applied in range(updates):
            first, end = starts[applied] - starts[0], starts[applied + 1] - starts[0]
            near_bid, near_ask = self.bids.count, self.asks.count
            for n in range(first, end):
                key = keys[n]
                if key < 0:
                    old[n] = put(&self.bids, -key, sizes[n], &near_bid)
                    self.note(False, -key, sizes[n], old[n])
                else:
                    old[n] = put(&self.asks, -key, sizes[n], &near_ask)
                    self.note(True, key, sizes[n], old[n])
            trim(&self.bids)
            trim(&self.asks)
            if not may_cross and self.meet():
                self.take_back(keys, sizes, old, first, end)
                return applied
        self.tidy(&self.bids)
        self.tidy(&self.asks)
        return updates

    cdef int take_back(
        self, const int64_t* keys, const int64_t* sizes, const int64_t* old, Py_ssize_t first, Py_ssize_t end
    ) except -1:
        cdef Py_ssize_t n, near_bid = self.bids.count, near_ask = self.asks.count
        for n in range(first, end):
            if keys[n] < 0:
                put(&self.bids, -keys[n], old[n], &near_bid)
                self.note(False, -keys[n], old[n], sizes[n])
            else:
                put(&self.asks, -keys[n], old[n], &near_ask)
                self.note(True, keys[n], old[n], sizes[n])
        trim(&self.bids)
        trim(&self.asks)
        return 0

    cdef void tidy(self, Side* side) noexcept nogil:
        if side.dead > self.dead_rows and 2 * side.dead > side.count:
            purge(side)


cdef bint keyed(
    const int64_t* counts, Py_ssize_t sides, Py_ssize_t rows, int64_t* key, int64_t* start
) noexcept nogil:
    """Make keys of the prices in *key*, and where each update starts; say whether each side is sorted."""
    cdef Py_ssize_t n = 0, k, end
    for k in range(sides):
        if k % 2 == 0:
            start[k // 2] = n
        end = n + counts[k]
        if end > rows:
            return False
        while n < end:
            if k % 2 == 0:
                key[n] = -key[n]
            if n > end - counts[k] and key[n] <= key[n - 1]:
                return False
            n += 1
    start[sides // 2] = n
    return n == rows


def scaled(
    const int64_t[::1] prices,
    const int64_t[::1] sizes,
    const int64_t[::1] counts,
    int decimals,
    int price_scale,
    int size_scale,
):
    """Return (keys, sizes, starts) as bytes of int64; None where a number does not fit its scale or order fails.

    The numbers have *decimals*, more than their scale only where those are zeros.  *counts* are the levels of
    each side of each update; each side is sorted, bids down, asks up, and so names no price twice.
    """
    cdef Py_ssize_t rows = prices.shape[0], sides = counts.shape[0]
    cdef bytes keys_ = bytes_of(rows), sizes_ = bytes_of(rows), starts_ = bytes_of(sides // 2 + 1)
    if not fitting(&prices[0] if rows else NULL, int64s(keys_), rows, factor(decimals, price_scale)):
        return None
    if not fitting(&sizes[0] if rows else NULL, int64s(sizes_), rows, factor(decimals, size_scale)):
        return None
    if not keyed(&counts[0] if sides else NULL, sides, rows, int64s(keys_), int64s(starts_)):
        return None
    return keys_, sizes_, starts_
