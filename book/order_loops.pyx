# cython: boundscheck=False, wraparound=False
"""The compiled twin of ``book.orders.OrderBook``: orders in one table, 56 bytes each, found by id.

what       how it lies
orders     an array; a slot that became free is the next to be used
index      open addressing from the id's hash to the slot, at most three quarters full; no tombstones
levels     of each side a sorted array, its best last (as in ``table_loops``): what rests there, first and last slot
queue      of a level: each order knows the slots before and after it

A level that was emptied stays until it is the best one, or those like it are more than ``dead_levels`` and
half of all.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memmove, memset
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize

from book.mixing cimport mix

cdef int64_t LARGEST = 0x7FFFFFFFFFFFFFFF
cdef int64_t ABSENT = -LARGEST - 1
cdef Py_ssize_t MOST_ORDERS = 0x7FFFFFF0

cdef enum:
    OPEN = 1, DONE = 2, MATCH = 3, CHANGE = 4  # venue.api.OrderKind
    NO_VALUE = 1, TOO_MUCH = 2, ACROSS = 3, NO_MAKER = 4, MORE_THAN_MAKER = 5  # book.orders.WHY, from 1


cdef struct Order:
    uint64_t low
    uint64_t high
    int64_t price
    int64_t size
    int64_t placed_id
    int32_t before
    int32_t after
    uint8_t side
    uint8_t certain


cdef struct Level:
    int64_t key
    int64_t total
    int32_t first
    int32_t last


cdef struct Side:
    Level* levels
    Py_ssize_t count
    Py_ssize_t room
    Py_ssize_t dead


cdef struct Change:
    int64_t side
    int64_t price
    int64_t size
    int64_t old


cdef inline Py_ssize_t place_of(Side* side, int64_t key) noexcept nogil:
    """Return where the first level is whose key is not below *key*, looking from the best on in growing steps."""
    cdef Level* levels = side.levels
    cdef Py_ssize_t low = side.count, high = side.count, middle, step = 1
    while low > 0 and levels[low - 1].key >= key:
        high = low - 1
        low = max(high - step, 0)
        step *= 2
    while low < high:
        middle = (low + high) >> 1
        if levels[middle].key < key:
            low = middle + 1
        else:
            high = middle
    return low


cdef class Orders:
    """The orders of both sides and the sums of their hash (book.hash)."""

    cdef Order* orders
    cdef Py_ssize_t used, room
    cdef readonly Py_ssize_t count
    cdef int32_t freed
    cdef int32_t* index
    cdef uint64_t mask
    cdef Side sides[2]
    cdef uint64_t seeds[2]
    cdef uint64_t weights[2][6]
    cdef uint64_t sums_[2]
    cdef public Py_ssize_t unknown
    cdef Py_ssize_t dead_levels
    cdef Change changes[2]
    cdef int changed

    def __cinit__(self, Py_ssize_t dead_levels):
        self.dead_levels = dead_levels
        self.freed = -1
        self.make_index(64)

    def __dealloc__(self):
        free(self.orders)
        free(self.index)
        free(self.sides[0].levels)
        free(self.sides[1].levels)

    # --- the hash -----------------------------------------------------------------------------

    def weigh(self, seeds, weights):
        """Hash what comes with these, each for two lanes, whatever was hashed before."""
        cdef int lane, word
        for lane in range(2):
            self.seeds[lane] = seeds[lane]
            for word in range(6):
                self.weights[lane][word] = weights[lane][word]

    @property
    def sums(self):
        return self.sums_[0], self.sums_[1]

    @sums.setter
    def sums(self, given):
        self.sums_[0], self.sums_[1] = given

    cdef inline void note(self, Order* order, int64_t old, int64_t size) noexcept nogil:
        """Put *size* in the place of *old* in the sums; 0: there is, or was, no such order."""
        cdef uint64_t base
        cdef uint64_t* weights
        cdef int lane
        for lane in range(2):
            weights = self.weights[lane]
            base = self.seeds[lane] + weights[0] * order.side + weights[1] * <uint64_t>order.price
            base += weights[3] * order.low + weights[4] * order.high + weights[5] * <uint64_t>order.placed_id
            if old:
                self.sums_[lane] -= mix(base + weights[2] * <uint64_t>old)
            if size:
                self.sums_[lane] += mix(base + weights[2] * <uint64_t>size)

    # --- the index ----------------------------------------------------------------------------

    cdef inline uint64_t home(self, uint64_t low, uint64_t high) noexcept nogil:
        return mix(low + mix(high)) & self.mask

    cdef inline Py_ssize_t find(self, uint64_t low, uint64_t high) noexcept nogil:
        """Return the place of the order in the index; the free one where it would be is -1 where there is none."""
        cdef uint64_t at = self.home(low, high)
        cdef Order* order
        while self.index[at] >= 0:
            order = &self.orders[self.index[at]]
            if order.low == low and order.high == high:
                return at
            at = (at + 1) & self.mask
        return -1

    cdef inline void enter(self, int32_t slot) noexcept nogil:
        cdef uint64_t at = self.home(self.orders[slot].low, self.orders[slot].high)
        while self.index[at] >= 0:
            at = (at + 1) & self.mask
        self.index[at] = slot

    cdef void leave(self, uint64_t hole) noexcept nogil:
        """Free a place of the index; those behind it that it kept from their own move up."""
        cdef uint64_t at = hole
        cdef uint64_t home
        cdef Order* order
        while True:
            at = (at + 1) & self.mask
            if self.index[at] < 0:
                break
            order = &self.orders[self.index[at]]
            home = self.home(order.low, order.high)
            if ((at - home) & self.mask) >= ((at - hole) & self.mask):
                self.index[hole] = self.index[at]
                hole = at
        self.index[hole] = -1

    cdef int make_index(self, Py_ssize_t places) except -1:
        cdef int32_t* index = <int32_t*>realloc(self.index, places * sizeof(int32_t))
        cdef Py_ssize_t at
        cdef int32_t slot
        cdef int side
        if index == NULL:
            raise MemoryError
        self.index, self.mask = index, places - 1
        memset(index, 0xFF, places * sizeof(int32_t))
        for side in range(2):
            for at in range(self.sides[side].count):
                slot = self.sides[side].levels[at].first
                while slot >= 0:
                    self.enter(slot)
                    slot = self.orders[slot].after
        return 0

    # --- orders come and go ---------------------------------------------------------------------

    cdef inline void tell(self, int side, int64_t price, int64_t size, int64_t old) noexcept nogil:
        self.changes[self.changed].side, self.changes[self.changed].price = side, price
        self.changes[self.changed].size, self.changes[self.changed].old = size, old
        self.changed += 1

    cdef int32_t slot(self) except -1:
        """Return a free slot."""
        cdef Order* orders
        cdef Py_ssize_t room
        cdef int32_t slot = self.freed
        if slot >= 0:
            self.freed = self.orders[slot].after
            return slot
        if self.used == self.room:
            room = self.room + self.room // 4 + 64
            orders = <Order*>realloc(self.orders, room * sizeof(Order)) if room < MOST_ORDERS else NULL
            if orders == NULL:
                raise MemoryError
            self.orders, self.room = orders, room
        self.used += 1
        return <int32_t>(self.used - 1)

    cdef Py_ssize_t level(self, int side, int64_t price) except -1:
        """Return where the level is, put in where it was not."""
        cdef Side* ladder = &self.sides[side]
        cdef int64_t key = -price if side else price
        cdef Py_ssize_t room, at = place_of(ladder, key)
        cdef Level* levels
        if at < ladder.count and ladder.levels[at].key == key:
            ladder.dead -= ladder.levels[at].total == 0
            return at
        if ladder.count == ladder.room:
            room = ladder.room + ladder.room // 4 + 64
            levels = <Level*>realloc(ladder.levels, room * sizeof(Level))
            if levels == NULL:
                raise MemoryError
            ladder.levels, ladder.room = levels, room
        levels = ladder.levels
        memmove(levels + at + 1, levels + at, (ladder.count - at) * sizeof(Level))
        ladder.count += 1
        levels[at].key, levels[at].total, levels[at].first, levels[at].last = key, 0, -1, -1
        return at

    cdef int put(
        self, int side, int64_t price, int64_t size, uint64_t low, uint64_t high, int64_t placed_id, bint certain
    ) except -1:
        """Place an order behind all others of its price; its id is not in the book."""
        cdef int32_t slot = self.slot()
        cdef Order* order = &self.orders[slot]
        cdef Level* level = &self.sides[side].levels[self.level(side, price)]
        order.low, order.high, order.price, order.size, order.placed_id = low, high, price, size, placed_id
        order.side, order.certain = side, certain
        order.before, order.after = level.last, -1
        if level.last >= 0:
            self.orders[level.last].after = slot
        else:
            level.first = slot
        level.last = slot
        self.tell(side, price, level.total + size, level.total)
        level.total += size
        self.count += 1
        if 4 * self.count > 3 * <Py_ssize_t>(self.mask + 1):
            self.make_index(2 * (self.mask + 1))
        else:
            self.enter(slot)
        self.note(order, 0, size)
        return 0

    cdef void remove(self, Py_ssize_t found) noexcept nogil:
        """Let the order go that is at *found* in the index."""
        cdef int32_t slot = self.index[found]
        cdef Order* order = &self.orders[slot]
        cdef Side* ladder = &self.sides[order.side]
        cdef Level* level = &ladder.levels[place_of(ladder, -order.price if order.side else order.price)]
        self.note(order, order.size, 0)
        self.leave(found)
        if order.before >= 0:
            self.orders[order.before].after = order.after
        else:
            level.first = order.after
        if order.after >= 0:
            self.orders[order.after].before = order.before
        else:
            level.last = order.before
        self.tell(order.side, order.price, level.total - order.size, level.total)
        level.total -= order.size
        order.after, self.freed = self.freed, slot
        self.count -= 1
        if level.total == 0:
            ladder.dead += 1
            self.tidy(ladder)

    cdef inline void tidy(self, Side* ladder) noexcept nogil:
        """Forget emptied levels: those in front of the best, and all where they are many."""
        while ladder.count and ladder.levels[ladder.count - 1].total == 0:
            ladder.count -= 1
            ladder.dead -= 1
        if ladder.dead > self.dead_levels and 2 * ladder.dead > ladder.count:
            self.purge(ladder)

    cdef void purge(self, Side* ladder) noexcept nogil:
        cdef Level* levels = ladder.levels
        cdef Py_ssize_t at, kept = 0
        for at in range(ladder.count):
            if levels[at].total:
                levels[kept] = levels[at]
                kept += 1
        ladder.count, ladder.dead = kept, 0

    cdef inline void resize(self, Py_ssize_t found, int64_t size) noexcept nogil:
        """Make an order of the book smaller; 0: it is gone."""
        cdef Order* order = &self.orders[self.index[found]]
        cdef Side* ladder = &self.sides[order.side]
        cdef Level* level
        if size == 0:
            self.remove(found)
        elif size != order.size:
            level = &ladder.levels[place_of(ladder, -order.price if order.side else order.price)]
            self.note(order, order.size, size)
            self.tell(order.side, order.price, level.total - order.size + size, level.total)
            level.total += size - order.size
            order.size = size

    # --- events ---------------------------------------------------------------------------------

    cdef inline int check(self, int side, int64_t price, int64_t size, bint may_cross) noexcept nogil:
        """Say why an order cannot rest there; 0: it can."""
        cdef Side* ladder = &self.sides[side]
        cdef Side* other = &self.sides[1 - side]
        cdef int64_t key = -price if side else price
        cdef Py_ssize_t at = place_of(ladder, key)
        if at < ladder.count and ladder.levels[at].key == key and ladder.levels[at].total > LARGEST - size:
            return TOO_MUCH
        if other.count and size and not may_cross and key >= -other.levels[other.count - 1].key:
            return ACROSS
        return 0

    cdef int step(
        self, int kind, int side, const char* order_id, int64_t price, int64_t size, int64_t event_id, bint may_cross
    ) except -1:
        """Apply one event; return why it cannot be true of the book, which then is as it was; 0: it can."""
        cdef uint64_t low, high
        cdef Py_ssize_t found
        cdef Order* order
        cdef int why
        self.changed = 0
        if not OPEN <= kind <= CHANGE:
            return 0
        memcpy(&low, order_id, 8)
        memcpy(&high, order_id + 8, 8)
        found = self.find(low, high)
        if kind == OPEN:
            if price == ABSENT or size == ABSENT:
                return NO_VALUE
            why = self.check(side, price, size, may_cross)
            if why:
                return why
        elif found < 0:
            if kind == MATCH:
                return NO_MAKER
            self.unknown += 1
            return 0
        else:
            order = &self.orders[self.index[found]]
            if kind == DONE:
                self.remove(found)
                return 0
            if kind == MATCH:
                if size > order.size or size == ABSENT:
                    return MORE_THAN_MAKER
                self.resize(found, order.size - size)
                return 0
            side = order.side
            price = order.price if price == ABSENT else price
            size = order.size if size == ABSENT else size
            if price == order.price and size <= order.size:
                self.resize(found, size)
                return 0
            why = self.check(side, price, size, may_cross)
            if why:
                return why
        if found >= 0:
            self.remove(found)
        if size:
            self.put(side, price, size, low, high, event_id, True)
        return 0

    def apply(
        self,
        const uint8_t[::1] kinds,
        const uint8_t[::1] sides,
        const uint8_t[::1] order_ids,
        const int64_t[::1] prices,
        const int64_t[::1] sizes,
        const int64_t[::1] event_ids,
        Py_ssize_t begin,
        Py_ssize_t end,
        bint may_cross,
        bint fold,
    ):
        """Apply the events *begin* to *end*, up to the first that cannot be true.

        Return where it stopped and why (0: at the end), and with *fold* what each did to the levels, netted:
        how many bids and asks, and their price, size and old size, as bytes of int64, bids first.
        """
        cdef Py_ssize_t n = begin, rows = 0, count = end - begin
        cdef int why = 0
        cdef bytes counts = PyBytes_FromStringAndSize(NULL, (2 * count if fold else 0) * sizeof(int64_t))
        cdef bytes found = PyBytes_FromStringAndSize(NULL, (6 * count if fold else 0) * sizeof(int64_t))
        cdef int64_t* each = <int64_t*>PyBytes_AS_STRING(counts)
        cdef int64_t* row = <int64_t*>PyBytes_AS_STRING(found)
        cdef int at
        while n < end:
            why = self.step(
                kinds[n], sides[n], <const char*>&order_ids[16 * n], prices[n], sizes[n], event_ids[n], may_cross
            )
            if why:
                break
            if fold:
                self.net()
                each[0] = each[1] = 0
                for at in range(self.changed):
                    each[self.changes[at].side] += 1
                    row[0], row[1], row[2] = self.changes[at].price, self.changes[at].size, self.changes[at].old
                    row += 3
                    rows += 1
                each += 2
            n += 1
        return n, why, counts[: 2 * (n - begin) * sizeof(int64_t)], found[: 3 * rows * sizeof(int64_t)]

    def one(self, int kind, int side, bytes order_id, int64_t price, int64_t size, int64_t event_id, bint may_cross):
        """Apply one event; return why it cannot be true (0: it can), and each (side, price, size, old size)."""
        cdef int at
        if len(order_id) != 16:
            order_id = order_id.ljust(16, b"\0")[:16]
        cdef int why = self.step(kind, side, PyBytes_AS_STRING(order_id), price, size, event_id, may_cross)
        return why, [
            (self.changes[at].side, self.changes[at].price, self.changes[at].size, self.changes[at].old)
            for at in range(0 if why else self.changed)
        ]

    cdef inline void net(self) noexcept nogil:
        """Make what the event did one change a level, none where it is as before, bids first, then by price."""
        cdef Change first = self.changes[0], second = self.changes[1]
        if self.changed < 2:
            return
        if first.side == second.side and first.price == second.price:
            self.changes[0].size = second.size
            self.changed = 0 if first.old == second.size else 1
        elif first.side > second.side or (first.side == second.side and first.price > second.price):
            self.changes[0], self.changes[1] = second, first

    # --- the whole book -------------------------------------------------------------------------

    def add(self, int side, int64_t price, int64_t size, bytes order_id, int64_t placed_id, bint certain):
        """Place an order whose id is new and has 16 bytes; return False where more than 64 bits rest there."""
        return bool(self.admit(side, price, size, PyBytes_AS_STRING(order_id), placed_id, certain))

    cdef bint admit(
        self, int side, int64_t price, int64_t size, const char* order_id, int64_t placed_id, bint certain
    ) except -1:
        cdef uint64_t low, high
        memcpy(&low, order_id, 8)
        memcpy(&high, order_id + 8, 8)
        if size == 0 or self.find(low, high) >= 0:
            return True
        if self.check(side, price, size, True):
            return False
        self.changed = 0
        self.put(side, price, size, low, high, placed_id, certain)
        return True

    def add_all(
        self,
        Py_ssize_t bids,
        const int64_t[::1] prices,
        const int64_t[::1] sizes,
        const uint8_t[::1] order_ids,
        const int64_t[::1] placed_ids,
        const uint8_t[::1] certain,
        bint worst_first,
    ):
        """Place the orders, the first *bids* of them bids, as ``add`` does; return False where one does not fit.

        With *worst_first* run by run of a price, the last first: a level behind all others is put in front.
        """
        cdef Py_ssize_t count = prices.shape[0], begin = count if worst_first else 0, end = count, n
        while end > 0:
            if worst_first:
                begin = end - 1
                while begin > 0 and begin != bids and prices[begin - 1] == prices[begin]:
                    begin -= 1
            for n in range(begin, end):
                if not self.admit(
                    n >= bids, prices[n], sizes[n], <const char*>&order_ids[16 * n], placed_ids[n], certain[n]
                ):
                    return False
            end = begin
        return True

    def crossed(self):
        """Say whether somebody bids what somebody else asks."""
        cdef Side* bids = &self.sides[0]
        cdef Side* asks = &self.sides[1]
        if not bids.count or not asks.count:
            return False
        return bids.levels[bids.count - 1].key >= -asks.levels[asks.count - 1].key

    def levels(self):
        """Return how many bids there are, and price and size of all levels as bytes of int64, best first."""
        cdef Py_ssize_t bids = self.sides[0].count - self.sides[0].dead
        cdef Py_ssize_t count = bids + self.sides[1].count - self.sides[1].dead, at
        cdef bytes prices = PyBytes_FromStringAndSize(NULL, count * sizeof(int64_t))
        cdef bytes sizes = PyBytes_FromStringAndSize(NULL, count * sizeof(int64_t))
        cdef int64_t* price = <int64_t*>PyBytes_AS_STRING(prices)
        cdef int64_t* size = <int64_t*>PyBytes_AS_STRING(sizes)
        cdef Level* level
        cdef int side
        for side in range(2):
            for at in range(self.sides[side].count - 1, -1, -1):
                level = &self.sides[side].levels[at]
                if level.total:
                    price[0], size[0] = -level.key if side else level.key, level.total
                    price += 1
                    size += 1
        return bids, prices, sizes

    def rows(self, Py_ssize_t depth):
        """Return how many are bids, and of all orders of *depth* levels a side (-1: of all) as bytes, best first
        and in queue order: price, size and placed id as int64, certain as a byte, the ids of 16 bytes.
        """
        cdef Py_ssize_t counts[2]
        cdef Py_ssize_t at, left
        cdef int side
        cdef int32_t slot
        cdef Level* level
        for side in range(2):
            counts[side], left = 0, depth
            for at in range(self.sides[side].count - 1, -1, -1):
                if left == 0:
                    break
                level = &self.sides[side].levels[at]
                if level.total:
                    left -= 1
                    slot = level.first
                    while slot >= 0:
                        counts[side] += 1
                        slot = self.orders[slot].after
        cdef Py_ssize_t n = 0, count = counts[0] + counts[1]
        cdef bytes prices = PyBytes_FromStringAndSize(NULL, count * sizeof(int64_t))
        cdef bytes sizes = PyBytes_FromStringAndSize(NULL, count * sizeof(int64_t))
        cdef bytes placed_ids = PyBytes_FromStringAndSize(NULL, count * sizeof(int64_t))
        cdef bytes certain = PyBytes_FromStringAndSize(NULL, count)
        cdef bytes ids = PyBytes_FromStringAndSize(NULL, 16 * count)
        cdef int64_t* price = <int64_t*>PyBytes_AS_STRING(prices)
        cdef int64_t* size = <int64_t*>PyBytes_AS_STRING(sizes)
        cdef int64_t* placed = <int64_t*>PyBytes_AS_STRING(placed_ids)
        cdef char* sure = PyBytes_AS_STRING(certain)
        cdef char* name = PyBytes_AS_STRING(ids)
        cdef Order* order
        for side in range(2):
            left = counts[side]
            at = self.sides[side].count - 1
            while left:
                slot = self.sides[side].levels[at].first
                while slot >= 0:
                    order = &self.orders[slot]
                    price[n], size[n], placed[n], sure[n] = order.price, order.size, order.placed_id, order.certain
                    memcpy(name + 16 * n, &order.low, 8)
                    memcpy(name + 16 * n + 8, &order.high, 8)
                    n += 1
                    left -= 1
                    slot = order.after
                at -= 1
        return counts[0], prices, sizes, ids, placed_ids, certain

    def place(self, bytes order_id):
        """Return side, price, size, placed id and certainty of an order of 16 bytes, how many rest before it,
        and their size; None: it is gone.
        """
        cdef uint64_t low, high
        cdef Py_ssize_t count = 0
        cdef int64_t before = 0
        memcpy(&low, PyBytes_AS_STRING(order_id), 8)
        memcpy(&high, PyBytes_AS_STRING(order_id) + 8, 8)
        cdef Py_ssize_t found = self.find(low, high)
        if found < 0:
            return None
        cdef Order* order = &self.orders[self.index[found]]
        cdef int32_t slot = order.before
        while slot >= 0:
            count += 1
            before += self.orders[slot].size
            slot = self.orders[slot].before
        return order.side, order.price, order.size, order.placed_id, bool(order.certain), count, before

    def rescale(self, int64_t price_by, int64_t size_by):
        """Multiply all prices and sizes; the caller has seen to it that they fit, and weighs anew."""
        cdef Py_ssize_t at
        cdef int side
        cdef int32_t slot
        cdef Level* level
        for side in range(2):
            self.purge(&self.sides[side])
            for at in range(self.sides[side].count):
                level = &self.sides[side].levels[at]
                level.key *= price_by
                level.total *= size_by
                slot = level.first
                while slot >= 0:
                    self.orders[slot].price *= price_by
                    self.orders[slot].size *= size_by
                    slot = self.orders[slot].after
