# cython: boundscheck=False, wraparound=False
"""The compiled twin of ``venue.binance_columns.plain``: the same answer, or None where that may know better.

It reads frames exactly as Binance writes them, byte by byte, once:

    {"stream":"ethusdt@depth","data":{"e":"depthUpdate","E":1,"s":"ETHUSDT","U":1,"u":2,"b":[...],"a":[...]}}
    {"stream":"ethusdt@trade","data":{"e":"trade","E":1,"s":"ETHUSDT","t":1,"p":"1.0","q":"1.0","T":1,"m":true,"M":true}}

(a trade may name its orders, ``"b":1,"a":2``, before ``T``: it did until 2023).  Numbers of one kind have the
same number of decimals and at most 18 digits, so that each fits 64 bits.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcmp, memcpy
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

DEF SAFE_DIGITS = 18
DEF NS_PER_MS = 1_000_000


cdef struct Column:
    int64_t* values
    Py_ssize_t count
    Py_ssize_t room


cdef struct Text:
    const char* at
    const char* end
    int failed


cdef inline int put(Column* column, int64_t value) except -1:
    cdef int64_t* more
    if column.count == column.room:
        column.room = 2 * column.room + 256
        more = <int64_t*>realloc(column.values, column.room * sizeof(int64_t))
        if more == NULL:
            raise MemoryError
        column.values = more
    column.values[column.count] = value
    column.count += 1
    return 0


cdef inline bytes whole(Column* column):
    return PyBytes_FromStringAndSize(<char*>column.values, column.count * sizeof(int64_t))


cdef inline bint follows(Text* text, const char* expected, Py_ssize_t size) noexcept nogil:
    """Go on behind *expected* if it comes next."""
    if text.end - text.at < size or memcmp(text.at, expected, size) != 0:
        return False
    text.at += size
    return True


cdef inline void expect(Text* text, const char* expected, Py_ssize_t size) noexcept nogil:
    if not follows(text, expected, size):
        text.failed = 1


cdef inline void name(Text* text) noexcept nogil:
    """Go on behind a text of printable ASCII without escapes, and the quote that ends it."""
    cdef const char* start = text.at
    while text.at < text.end and 0x20 <= text.at[0] < 0x7F and text.at[0] != b'"' and text.at[0] != b"\\":
        text.at += 1
    if text.at == start:
        text.failed = 1
    expect(text, b'"', 1)


cdef inline int64_t integer(Text* text) noexcept nogil:
    """Read a JSON integer, not negative."""
    cdef const char* start = text.at
    cdef int64_t value = 0
    while text.at < text.end and b"0" <= text.at[0] <= b"9" and text.at - start <= SAFE_DIGITS:
        value = 10 * value + (text.at[0] - 48)
        text.at += 1
    if text.at == start or text.at - start > SAFE_DIGITS or (start[0] == b"0" and text.at - start > 1):
        text.failed = 1
    return value


cdef inline bint eight(const char* at, uint64_t* value) noexcept nogil:
    """Read eight digits at once; say whether they are that (D. Lemire, "Quickly parsing eight digits", 2018)."""
    cdef uint64_t word, high = <uint64_t>0xF0F0F0F0F0F0F0F0
    memcpy(&word, at, 8)
    if (word & high) | ((word + <uint64_t>0x0606060606060606) & high) >> 4 != <uint64_t>0x3333333333333333:
        return False
    word = ((word & <uint64_t>0x0F0F0F0F0F0F0F0F) * 2561) >> 8
    word = ((word & <uint64_t>0x00FF00FF00FF00FF) * 6553601) >> 16
    value[0] = ((word & <uint64_t>0x0000FFFF0000FFFF) * <uint64_t>42949672960001) >> 32
    return True


cdef inline int64_t decimal(Text* text, int* decimals) noexcept nogil:
    """Read ``digits.digits"`` as an integer in units of the last digit; *decimals* is -1 before the first."""
    cdef const char* at = text.at
    cdef const char* end = min(text.end, at + SAFE_DIGITS + 2)  # (their dot, and one more)
    cdef const char* dot
    cdef uint64_t value = 0, fraction = 0
    while at < end and b"0" <= at[0] <= b"9":
        value = 10 * value + (at[0] - 48)
        at += 1
    dot = at
    if dot == text.at or dot == end or dot[0] != b".":
        text.failed = 1
        return 0
    at += 1
    if end - at >= 8 and eight(at, &fraction):
        value = 100_000_000 * value + fraction
        at += 8
    while at < end and b"0" <= at[0] <= b"9":
        value = 10 * value + (at[0] - 48)
        at += 1
    if decimals[0] < 0:
        decimals[0] = <int>(at - dot - 1)
    if decimals[0] == 0 or at - dot - 1 != decimals[0] or at - text.at > SAFE_DIGITS + 1:
        text.failed = 1
    text.at = at
    expect(text, b'"', 1)
    return <int64_t>value


cdef inline int levels(Text* text, int* decimals, Column* prices, Column* sizes, Column* counts) except -1:
    """Read one side: ``[["price","size"],...]``."""
    cdef int64_t price
    cdef Py_ssize_t before = prices.count
    expect(text, b"[", 1)
    if follows(text, b"]", 1):
        put(counts, 0)
        return 0
    while not text.failed:
        expect(text, b'["', 2)
        price = decimal(text, decimals)
        expect(text, b',"', 2)
        put(prices, price)
        put(sizes, decimal(text, decimals))
        if price == 0:
            text.failed = 1
        expect(text, b"]", 1)
        if not follows(text, b",", 1):
            break
    expect(text, b"]", 1)
    put(counts, prices.count - before)
    return 0


cdef class Depths:
    """What the depth updates of some frames say."""

    cdef readonly list at, first_ids, last_ids, times_ns
    cdef Column prices_, sizes_, counts_
    cdef int decimals_

    def __cinit__(self):
        self.at, self.first_ids, self.last_ids, self.times_ns = [], [], [], []
        self.decimals_ = -1

    def __dealloc__(self):
        free(self.prices_.values)
        free(self.sizes_.values)
        free(self.counts_.values)

    @property
    def decimals(self):
        return max(self.decimals_, 0)

    @property
    def columns(self):
        """The levels of each side, the prices and the sizes, as bytes of int64."""
        return whole(&self.counts_), whole(&self.prices_), whole(&self.sizes_)

    cdef int read(self, Text* text, Py_ssize_t n, int64_t last_ms) except -1:
        cdef int64_t time_ms, first, last
        expect(text, b'"E":', 4)
        time_ms = integer(text)
        expect(text, b',"s":"', 6)
        name(text)
        expect(text, b',"U":', 5)
        first = integer(text)
        expect(text, b',"u":', 5)
        last = integer(text)
        expect(text, b',"b":', 5)
        levels(text, &self.decimals_, &self.prices_, &self.sizes_, &self.counts_)
        expect(text, b',"a":', 5)
        levels(text, &self.decimals_, &self.prices_, &self.sizes_, &self.counts_)
        if time_ms > last_ms or first > last:
            text.failed = 1
        self.at.append(n)
        self.first_ids.append(first)
        self.last_ids.append(last)
        self.times_ns.append(NS_PER_MS * time_ms)
        return 0


cdef class Trades:
    """What the trades of some frames say."""

    cdef readonly list at, ids, times_ns
    cdef readonly bytearray sides
    cdef Column prices_, sizes_
    cdef int decimals_

    def __cinit__(self):
        self.at, self.ids, self.times_ns, self.sides = [], [], [], bytearray()
        self.decimals_ = -1

    def __dealloc__(self):
        free(self.prices_.values)
        free(self.sizes_.values)

    @property
    def decimals(self):
        return max(self.decimals_, 0)

    @property
    def columns(self):
        """The prices and the sizes, as bytes of int64."""
        return whole(&self.prices_), whole(&self.sizes_)

    cdef int read(self, Text* text, Py_ssize_t n, int64_t last_ms) except -1:
        cdef int64_t trade_id, price, time_ms
        cdef bint is_maker
        expect(text, b'"E":', 4)
        integer(text)
        expect(text, b',"s":"', 6)
        name(text)
        expect(text, b',"t":', 5)
        trade_id = integer(text)
        expect(text, b',"p":"', 6)
        price = decimal(text, &self.decimals_)
        expect(text, b',"q":"', 6)
        put(&self.prices_, price)
        put(&self.sizes_, decimal(text, &self.decimals_))
        if follows(text, b',"b":', 5):
            integer(text)
            expect(text, b',"a":', 5)
            integer(text)
        expect(text, b',"T":', 5)
        time_ms = integer(text)
        is_maker = follows(text, b',"m":true', 9)
        if not is_maker:
            expect(text, b',"m":false', 10)
        if not follows(text, b',"M":true', 9):
            follows(text, b',"M":false', 10)
        if time_ms > last_ms or price == 0:
            text.failed = 1
        self.at.append(n)
        self.ids.append(trade_id)
        self.times_ns.append(NS_PER_MS * time_ms)
        self.sides.append(is_maker)
        return 0


def parse(frames, int64_t last_ms):
    """Return (Depths, Trades) of *frames*; None where one is not exactly as it mostly is.

    No exchange time is later than *last_ms*.
    """
    cdef Depths depths = Depths()
    cdef Trades trades = Trades()
    cdef Text text
    cdef Py_ssize_t n = 0
    cdef bytes frame
    for frame in frames:
        text.at = PyBytes_AS_STRING(frame)
        text.end = text.at + PyBytes_GET_SIZE(frame)
        text.failed = 0
        expect(&text, b'{"stream":"', 11)
        name(&text)
        expect(&text, b',"data":{"e":"', 14)
        if follows(&text, b'depthUpdate",', 13):
            depths.read(&text, n, last_ms)
        elif follows(&text, b'trade",', 7):
            trades.read(&text, n, last_ms)
        else:
            return None
        expect(&text, b"}}", 2)
        if text.failed or text.at != text.end:
            return None
        n += 1
    return depths, trades
