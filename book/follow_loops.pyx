# cython: boundscheck=False, wraparound=False
"""Where what simply follows of each security goes, frame by frame: see ``book.following``.

A place is taken as it was when the security was last touched, and moves on with each update, or trade, that
follows, from window to window where nothing but a cut parts them.  What went there waits in its tables until
the security is touched again.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize

from book.table_loops cimport Ladders, keyed
from venue.scaling cimport factor, fitting

cdef enum:
    WIDEST = 7
    LEAST_ROOM = 16
    MOST_ROWS = 65536  # updates, levels or trades that wait: a security for which more came is touched


cdef struct Table:
    int64_t* column[WIDEST]
    Py_ssize_t count
    Py_ssize_t room


cdef int make_room(Table* table, int columns, Py_ssize_t more) except -1:
    cdef Py_ssize_t room = table.room
    cdef int64_t* column
    cdef int n
    if table.count + more <= room:
        return 0
    room = max(2 * room, table.count + more, LEAST_ROOM)
    for n in range(columns):
        column = <int64_t*>realloc(table.column[n], room * sizeof(int64_t))
        if column == NULL:
            raise MemoryError
        table.column[n] = column
    table.room = room
    return 0


cdef void let_go(Table* table) noexcept:
    cdef int n
    for n in range(WIDEST):
        free(table.column[n])


cdef bytes bytes_of(Table* table, int column, Py_ssize_t begin, Py_ssize_t end):
    return PyBytes_FromStringAndSize(<char*>(table.column[column] + begin), (end - begin) * sizeof(int64_t))


cdef class Clock:
    """The windows of a feed, and the effective time of its last row (book.clock)."""

    cdef int64_t last_ns, ahead_ns, window_ns, start_ns, limit_ns

    def __init__(self, int64_t last_ns, int64_t ahead_ns, int64_t window_ns, int64_t start_ns, int64_t limit_ns):
        """*start_ns* is that of the open window; no row at *limit_ns* or later follows."""
        self.last_ns, self.ahead_ns, self.window_ns = last_ns, ahead_ns, window_ns
        self.start_ns, self.limit_ns = start_ns, limit_ns

    cdef inline int64_t effective_ns(self, int64_t time_ns) noexcept:
        """Return the effective time of a row with *time_ns*; -1 where it has to be looked at."""
        cdef int64_t effective_ns = max(self.last_ns, time_ns)
        if time_ns > self.last_ns + self.ahead_ns or not self.start_ns <= effective_ns < self.limit_ns:
            return -1
        return effective_ns

    cdef inline bint turns(self, int64_t effective_ns) noexcept:
        """Say whether a later window begins at *effective_ns*."""
        return effective_ns >= self.start_ns + self.window_ns

    cdef inline void reach(self, int64_t effective_ns) noexcept:
        self.last_ns = effective_ns
        if self.turns(effective_ns):
            self.start_ns = effective_ns - effective_ns % self.window_ns


cdef class BookPlace:
    """Where updates go: a book in an open window, with all that its next update has to fit to."""

    cdef Ladders ladders
    cdef Clock clock
    cdef int64_t last_id, leap, first_id, absent
    cdef int price_scale, size_scale
    cdef bint may_cross, nets
    cdef Table updates
    cdef Table levels
    cdef Table turns

    def __init__(
        self, Ladders ladders, int64_t last_id, int64_t leap, Clock clock, int price_scale, int size_scale,
        bint may_cross, bint nets,
    ):
        self.ladders, self.clock, self.nets = ladders, clock, nets
        self.last_id, self.leap, self.first_id = last_id, leap, last_id + 1
        self.price_scale, self.size_scale, self.may_cross = price_scale, size_scale, may_cross

    def __dealloc__(self):
        let_go(&self.updates)
        let_go(&self.levels)
        let_go(&self.turns)

    cdef bint take(
        self, int64_t first_id, int64_t last_id, int64_t time_ns, int64_t recv_ns, const int64_t* counts,
        const int64_t* prices, const int64_t* sizes, int decimals,
    ) except -1:
        """Apply an update where it follows; say whether it did.  Else all is as it was."""
        cdef Table* updates = &self.updates
        cdef Table* levels = &self.levels
        cdef Py_ssize_t rows = counts[0] + counts[1], n, at = updates.count, low = levels.count
        cdef int64_t effective_ns = self.clock.effective_ns(time_ns), starts[2]
        cdef uint64_t sums[2]
        if not first_id <= self.last_id + 1 <= last_id or last_id - self.last_id > self.leap:
            return False
        if effective_ns < 0 or max(at, low + rows) >= MOST_ROWS:
            return False
        make_room(updates, 7, 1)
        make_room(levels, 4, rows)
        if self.clock.turns(effective_ns):
            make_room(&self.turns, 4, 1)
        cdef int64_t* price = levels.column[0] + low
        cdef int64_t* size = levels.column[1] + low
        cdef int64_t* old = levels.column[2] + low
        cdef int64_t* key = levels.column[3] + low
        if not fitting(prices, price, rows, factor(decimals, self.price_scale)):
            return False
        if not fitting(sizes, size, rows, factor(decimals, self.size_scale)):
            return False
        memcpy(key, price, rows * sizeof(int64_t))
        if not keyed(counts, 2, rows, key, starts):
            return False
        sums[0], sums[1] = self.ladders.sums_[0], self.ladders.sums_[1]
        if not self.ladders.advance(key, size, starts, 1, self.may_cross, old):
            return False
        for n in range(rows):
            self.absent += (size[n] | old[n]) == 0
        if self.clock.turns(effective_ns):
            self.turn(at, low, sums)
        updates.column[0][at], updates.column[1][at] = self.last_id + 1, last_id
        updates.column[2][at], updates.column[3][at], updates.column[4][at] = time_ns, effective_ns, recv_ns
        updates.column[5][at], updates.column[6][at] = counts[0], counts[1]
        updates.count, levels.count = at + 1, low + rows
        self.last_id = last_id
        self.clock.reach(effective_ns)
        return True

    cdef void turn(self, Py_ssize_t at, Py_ssize_t low, const uint64_t* sums) noexcept:
        """Note that a window begins with update *at*, before which the book had *sums*."""
        cdef Py_ssize_t n = self.turns.count
        self.turns.column[0][n], self.turns.column[1][n] = at, low
        self.turns.column[2][n], self.turns.column[3][n] = <int64_t>sums[0], <int64_t>sums[1]
        self.turns.count = n + 1

    @property
    def reached(self):
        """Return id and exchange time of the last update that went here; None: none did."""
        cdef Table* updates = &self.updates
        return (self.last_id, updates.column[2][updates.count - 1]) if updates.count else None

    def followed(self):
        """Return what book.following calls Followed of the updates that went here; None: none did."""
        cdef Py_ssize_t n, at = 0, low = 0
        cdef list windows = []
        sums = None
        if not self.updates.count:
            return None
        for n in range(self.turns.count):
            if self.turns.column[0][n] > at:
                windows.append(self.window(sums, at, self.turns.column[0][n], low, self.turns.column[1][n]))
            at, low = self.turns.column[0][n], self.turns.column[1][n]
            sums = <uint64_t>self.turns.column[2][n], <uint64_t>self.turns.column[3][n]
        windows.append(self.window(sums, at, self.updates.count, low, self.levels.count))
        return self.absent, windows

    cdef tuple window(self, sums, Py_ssize_t at, Py_ssize_t end, Py_ssize_t low, Py_ssize_t high):
        """Return the updates from *at* up to *end*, whose levels are those from *low* up to *high*."""
        cdef Table* updates = &self.updates
        cdef int n
        columns = [bytes_of(updates, n, at, end) for n in range(7)]
        columns += [bytes_of(&self.levels, n, low, high if n < 2 or self.nets else low) for n in range(3)]
        last = updates.column[1][end - 1], updates.column[2][end - 1], updates.column[3][end - 1]
        return sums, updates.column[0][at], *last, columns


cdef class TapePlace:
    """Where trades go: a tape in an open window."""

    cdef Clock clock
    cdef int64_t last_id
    cdef int price_scale, size_scale
    cdef Table trades
    cdef list turns

    def __init__(self, int64_t last_id, Clock clock, int price_scale, int size_scale):
        self.last_id, self.clock, self.turns = last_id, clock, []
        self.price_scale, self.size_scale = price_scale, size_scale

    def __dealloc__(self):
        let_go(&self.trades)

    cdef bint take(
        self, int64_t trade_id, int64_t time_ns, int64_t recv_ns, unsigned char side, const int64_t* price,
        const int64_t* size, int decimals,
    ) except -1:
        """Keep a trade where it follows; say whether it did.  Else all is as it was."""
        cdef Table* trades = &self.trades
        cdef Py_ssize_t at = trades.count
        cdef int64_t effective_ns = self.clock.effective_ns(time_ns)
        if trade_id != self.last_id + 1 or effective_ns < 0 or at >= MOST_ROWS:
            return False
        make_room(trades, 7, 1)
        if not fitting(price, trades.column[4] + at, 1, factor(decimals, self.price_scale)):
            return False
        if not fitting(size, trades.column[5] + at, 1, factor(decimals, self.size_scale)):
            return False
        if self.clock.turns(effective_ns):
            self.turns.append(at)
        trades.column[0][at], trades.column[1][at] = trade_id, time_ns
        trades.column[2][at], trades.column[3][at] = effective_ns, recv_ns
        trades.column[6][at] = side
        trades.count = at + 1
        self.last_id = trade_id
        self.clock.reach(effective_ns)
        return True

    def followed(self):
        """Return what book.following calls Printed of the trades that went here; None: none did."""
        cdef Py_ssize_t begin = 0, end
        cdef list windows = []
        if not self.trades.count:
            return None
        for end in [*self.turns, self.trades.count]:
            if end > begin:
                windows.append(self.window(begin in self.turns, begin, end))
            begin = end
        return windows

    cdef tuple window(self, bint is_new, Py_ssize_t at, Py_ssize_t end):
        """Return the trades from *at* up to *end*."""
        cdef Table* trades = &self.trades
        cdef bytes sides = PyBytes_FromStringAndSize(NULL, end - at)
        cdef Py_ssize_t n
        for n in range(end - at):
            PyBytes_AS_STRING(sides)[n] = <char>trades.column[6][at + n]
        moments = [bytes_of(trades, n, at, end) for n in range(4)]
        columns = [*moments, sides, bytes_of(trades, 4, at, end), bytes_of(trades, 5, at, end)]
        last = trades.column[0][end - 1], trades.column[1][end - 1], trades.column[2][end - 1]
        return is_new, trades.column[0][at], *last, columns


cdef class Follower:
    """The places of one security, for what one connection of one line brings of a feed from a position on."""

    cdef readonly str line, feed
    cdef readonly int64_t connection, next_position, recv_ns
    cdef readonly bint has_taken, has_ended
    cdef readonly BookPlace book
    cdef readonly TapePlace tape

    def __init__(self, str line, str feed, int64_t next_position, BookPlace book, TapePlace tape):
        self.line, self.feed, self.next_position, self.connection = line, feed, next_position, -1
        self.book, self.tape = book, tape

    def end(self):
        """Let the places go: the security was touched."""
        self.has_ended, self.book, self.tape = True, None, None


def follow(
    list followers, const unsigned short[::1] routes, list rows, int64_t first,
    const int64_t[::1] received_ns, const unsigned int[::1] connections,
    depth_at, tuple updates, const int64_t[::1] counts, int depth_decimals,
    const int64_t[::1] prices, const int64_t[::1] sizes,
    trade_at, tuple trades, const unsigned char[::1] sides, int trade_decimals,
    const int64_t[::1] trade_prices, const int64_t[::1] trade_sizes,
):
    """Let each frame go where it follows; return those of *rows* that did not, nor what came after them.

    *followers* are those of the group's names (None: there is no place), *routes* the name of each row,
    *first* the position of row 0.  *updates* are first and last ids and times, *trades* ids and times; the
    other columns are those of venue.columns.
    """
    cdef Py_ssize_t k, row, depth = 0, trade = 0, level = 0
    cdef Py_ssize_t depths = len(depth_at), trades_ = len(trade_at)
    cdef list left = []
    cdef Follower follower
    cdef int64_t connection, recv_ns
    cdef bint is_depth, is_trade, took
    first_ids, last_ids, times_ns = updates
    ids, trade_times_ns = trades
    for k in range(len(rows)):
        row = rows[k]
        is_depth = depth < depths and depth_at[depth] == k
        is_trade = not is_depth and trade < trades_ and trade_at[trade] == k
        follower, took = followers[routes[row]], False
        if follower is not None and first + row >= follower.next_position:
            connection, recv_ns = connections[row], received_ns[row]
            if follower.connection < 0:
                follower.connection = connection
            if connection != follower.connection:
                pass
            elif is_depth:
                took = follower.book is not None and follower.book.take(
                    first_ids[depth], last_ids[depth], times_ns[depth], recv_ns, &counts[2 * depth],
                    &prices[level] if level < prices.shape[0] else NULL,
                    &sizes[level] if level < sizes.shape[0] else NULL, depth_decimals,
                )
            elif is_trade:
                took = follower.tape is not None and follower.tape.take(
                    ids[trade], trade_times_ns[trade], recv_ns, sides[trade], &trade_prices[trade],
                    &trade_sizes[trade], trade_decimals,
                )
            else:
                took = True  # it changes nothing
            if took:
                follower.next_position, follower.recv_ns, follower.has_taken = first + row + 1, recv_ns, True
        if not took:
            followers[routes[row]] = None
            left.append(row)
        if is_depth:
            level += counts[2 * depth] + counts[2 * depth + 1]
            depth += 1
        elif is_trade:
            trade += 1
    return left
