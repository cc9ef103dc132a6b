# cython: boundscheck=False, wraparound=False
"""Reads frames of the ``full`` feed together: of each what ``coinbase.decode`` says, or None for all.

A frame is one flat JSON object whose keys may stand in any order, each once: printable ASCII without escapes
or spaces, texts, integers, null, true and false.  Its fields are found first, then read as its type has them
(coinbase_messages).  A number has at most 18 digits; its trailing zeros are not read, so that it has no more
decimals than it needs.  Heartbeats are passed over.
"""

from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcmp, memset
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

DEF SAFE_DIGITS = 18

cdef int64_t LARGEST = 0x7FFFFFFFFFFFFFFF
cdef int64_t ABSENT = -LARGEST - 1

cdef enum:
    RECEIVED, OPEN, DONE, MATCH, CHANGE  # venue.api.OrderKind
cdef enum:
    NO_REASON, FILLED, CANCELED, STP, MODIFY_ORDER, OTHER  # venue.api.Reason
cdef enum:
    NOTHING, NULL_VALUE, TEXT, INTEGER, WORD
cdef enum:
    TYPE, PRODUCT_ID, SEQUENCE, TIME, ORDER_ID, SIDE, PRICE, SIZE, FUNDS, REMAINING_SIZE, REASON, TRADE_ID
    MAKER_ORDER_ID, TAKER_ORDER_ID, OLD_PRICE, NEW_PRICE, OLD_SIZE, NEW_SIZE, NEW_FUNDS, FIELDS
cdef enum:
    PRICES, OLD_PRICES, SIZES, OLD_SIZES, ALL_FUNDS, NUMBERS

cdef (const char*)[FIELDS] NAMES = [
    b"type", b"product_id", b"sequence", b"time", b"order_id", b"side", b"price", b"size", b"funds",
    b"remaining_size", b"reason", b"trade_id", b"maker_order_id", b"taker_order_id", b"old_price", b"new_price",
    b"old_size", b"new_size", b"new_funds",
]
cdef int[FIELDS] LENGTHS = [4, 10, 8, 4, 8, 4, 5, 4, 5, 14, 6, 8, 14, 14, 9, 9, 8, 8, 9]

cdef int64_t[19] POWERS
cdef int _power
POWERS[0] = 1
for _power in range(1, 19):
    POWERS[_power] = 10 * POWERS[_power - 1]


cdef struct Field:
    int kind
    const char* at
    Py_ssize_t size


cdef struct Number:
    int64_t value
    int decimals


cdef inline bint is_text(Field* field, const char* expected, Py_ssize_t size) noexcept nogil:
    return field.kind == TEXT and field.size == size and memcmp(field.at, expected, size) == 0


cdef inline bint is_digit(char c) noexcept nogil:
    return b"0" <= c <= b"9"


cdef const char* value(Field* field, const char* at, const char* end) noexcept nogil:
    """Read one value; return where it ends, NULL where it is none of those that mostly come."""
    if at == end:
        return NULL
    if at[0] == b'"':
        at += 1
        field.kind, field.at = TEXT, at
        while at < end and at[0] != b'"':
            if not 0x20 <= at[0] < 0x7F or at[0] == b"\\":
                return NULL
            at += 1
        field.size = at - field.at
        return at + 1 if at < end else NULL
    field.at = at
    if is_digit(at[0]):
        field.kind = INTEGER
        while at < end and is_digit(at[0]):
            at += 1
        field.size = at - field.at
        return NULL if field.size > 1 and field.at[0] == b"0" else at
    if end - at >= 4 and memcmp(at, b"null", 4) == 0:
        field.kind = NULL_VALUE
        return at + 4
    field.kind = WORD
    if end - at >= 4 and memcmp(at, b"true", 4) == 0:
        return at + 4
    return at + 5 if end - at >= 5 and memcmp(at, b"false", 5) == 0 else NULL


cdef bint fields_of(Field* fields, const char* at, const char* end) noexcept nogil:
    """Find the fields of one frame; False where it is not written as usual."""
    cdef Field key, strange
    cdef int n, known
    for n in range(FIELDS):
        fields[n].kind = NOTHING
    if at == end or at[0] != b"{":
        return False
    while True:
        at = value(&key, at + 1, end)
        if at == NULL or key.kind != TEXT or at == end or at[0] != b":":
            return False
        known = FIELDS
        for n in range(FIELDS):
            if LENGTHS[n] == key.size and memcmp(NAMES[n], key.at, key.size) == 0:
                known = n
                break
        if known < FIELDS and fields[known].kind != NOTHING:
            return False
        at = value(&fields[known] if known < FIELDS else &strange, at + 1, end)
        if at == NULL or at == end:
            return False
        if at[0] == b"}":
            return at + 1 == end
        if at[0] != b",":
            return False


cdef inline bint whole(Field* field, int64_t* found) noexcept nogil:
    """Read a field as an integer, whose digits may stand in a text."""
    cdef Py_ssize_t n
    found[0] = 0
    if field.kind != INTEGER and field.kind != TEXT or not 0 < field.size <= SAFE_DIGITS:
        return False
    for n in range(field.size):
        if not is_digit(field.at[n]):
            return False
        found[0] = 10 * found[0] + (field.at[n] - 48)
    return True


cdef inline bint number(Field* field, Number* found) noexcept nogil:
    """Read a field as ``digits`` or ``digits.digits``; ABSENT where there is none."""
    cdef const char* at = field.at
    cdef const char* end = field.at + field.size
    cdef const char* dot = NULL
    cdef int64_t made = 0
    found.value, found.decimals = ABSENT, 0
    if field.kind == NOTHING or field.kind == NULL_VALUE:
        return True
    if field.kind != TEXT or not 0 < field.size <= SAFE_DIGITS + 1:
        return False
    while at < end:
        if at[0] == b".":
            if dot != NULL or at == field.at or at + 1 == end:
                return False
            dot = at
        elif not is_digit(at[0]):
            return False
        at += 1
    if dot == NULL and field.size > SAFE_DIGITS:
        return False
    if dot != NULL:
        while (end - 1)[0] == b"0":
            end -= 1
        if end - 1 == dot:
            end = dot
        else:
            found.decimals = <int>(end - 1 - dot)
    at = field.at
    while at < end:
        if at != dot:
            made = 10 * made + (at[0] - 48)
        at += 1
    found.value = made
    return True


cdef inline int nibble(char c) noexcept nogil:
    if b"0" <= c <= b"9":
        return c - 48
    if b"a" <= c <= b"f":
        return c - 87
    if b"A" <= c <= b"F":
        return c - 55
    return -1


cdef inline bint uuid(Field* field, char* found) noexcept nogil:
    """Read the 16 bytes of an order's id."""
    cdef int n = 0, high, low
    cdef const char* at = field.at
    if field.kind != TEXT or field.size != 36:
        return False
    if not (at[8] == at[13] == at[18] == at[23] == b"-"):
        return False
    while n < 16:
        if at[0] == b"-" and (n == 4 or n == 6 or n == 8 or n == 10):
            at += 1
        high, low = nibble(at[0]), nibble(at[1])
        if high < 0 or low < 0:
            return False
        found[n] = <char>(16 * high + low)
        at += 2
        n += 1
    return True


cdef inline int two(const char* at) noexcept nogil:
    """Read two digits; -1 where they are none."""
    return 10 * (at[0] - 48) + at[1] - 48 if is_digit(at[0]) and is_digit(at[1]) else -1


cdef inline bint moment(Field* field, int64_t* found) noexcept nogil:
    """Read ``2026-08-25T03:35:57.198335Z``, as venue.times does."""
    cdef const char* at = field.at
    cdef int year, month, day, hour, minute, second, digits, days
    cdef int64_t fraction = 0, shifted, era, of_era
    if field.kind != TEXT or not (field.size == 20 or 22 <= field.size <= 30) or at[field.size - 1] != b"Z":
        return False
    if not (at[4] == at[7] == b"-" and at[10] == b"T" and at[13] == at[16] == b":"):
        return False
    year, month, day = two(at), two(at + 5), two(at + 8)
    hour, minute, second = two(at + 11), two(at + 14), two(at + 17)
    if year < 0 or two(at + 2) < 0 or hour < 0 or minute < 0 or second < 0:
        return False
    year = 100 * year + two(at + 2)
    if not (1970 <= year <= 2259 and 1 <= month <= 12 and hour < 24 and minute < 60 and second < 60):
        return False
    days = 30 + (month + month // 8) % 2
    if month == 2:
        days = 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    if not 1 <= day <= days:
        return False
    if field.size > 20:
        if at[19] != b".":
            return False
        for digits in range(20, 29):
            fraction *= 10
            if digits < field.size - 1:
                if not is_digit(at[digits]):
                    return False
                fraction += at[digits] - 48
    # days since 1970 of the proleptic Gregorian calendar, whose years begin in March here
    shifted = year - (month <= 2)
    era = shifted // 400
    of_era = shifted - 400 * era
    shifted = 365 * of_era + of_era // 4 - of_era // 100 + (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    shifted += era * 146097 - 719468
    found[0] = (((shifted * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000_000 + fraction
    return True


cdef inline int reason_of(Field* field) noexcept nogil:
    if is_text(field, b"filled", 6):
        return FILLED
    if is_text(field, b"canceled", 8):
        return CANCELED
    if is_text(field, b"STP", 3):
        return STP
    return MODIFY_ORDER if is_text(field, b"modify_order", 12) else OTHER


cdef class Events:
    """What the order events of some frames say."""

    cdef readonly list at, ids, times_ns
    cdef Py_ssize_t count, room
    cdef uint8_t* bytes_
    cdef int64_t* longs
    cdef uint8_t* decimals_

    def __cinit__(self, Py_ssize_t room):
        self.at, self.ids, self.times_ns = [], [], []
        self.room = room
        # of each event: three bytes and two ids, five numbers and a trade id, the decimals of the numbers
        self.bytes_ = <uint8_t*>realloc(NULL, 35 * room + 1)
        self.longs = <int64_t*>realloc(NULL, (NUMBERS + 1) * room * sizeof(int64_t) + 1)
        self.decimals_ = <uint8_t*>realloc(NULL, NUMBERS * room + 1)
        if self.bytes_ == NULL or self.longs == NULL or self.decimals_ == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.bytes_)
        free(self.longs)
        free(self.decimals_)

    cdef bint put(self, int which, Field* field, bint is_price) noexcept nogil:
        cdef Number found
        if not number(field, &found) or (is_price and found.value == 0):
            return False
        self.longs[which * self.room + self.count] = found.value
        self.decimals_[which * self.room + self.count] = <uint8_t>found.decimals
        return True

    cdef bint read(self, Field* fields, int kind) noexcept nogil:
        """Read an event of *kind* from its fields; False where one is not as it mostly is."""
        cdef Field nothing
        cdef Field* name = &fields[MAKER_ORDER_ID if kind == MATCH else ORDER_ID]
        cdef Field* price = &fields[PRICE]
        cdef Field* size = &fields[SIZE]
        cdef uint8_t* ids = self.bytes_ + 3 * self.room
        cdef Py_ssize_t n = self.count
        cdef int reason = NO_REASON
        cdef int64_t* trade_id = &self.longs[NUMBERS * self.room + n]
        nothing.kind = NOTHING
        if not is_text(&fields[SIDE], b"buy", 3) and not is_text(&fields[SIDE], b"sell", 4):
            return False
        if not uuid(name, <char*>ids + 16 * n):
            return False
        trade_id[0] = ABSENT
        memset(ids + 16 * (self.room + n), 0, 16)
        if kind == OPEN or kind == DONE:
            size = &fields[REMAINING_SIZE]
        if kind == DONE:
            if fields[REASON].kind != TEXT:
                return False
            reason = reason_of(&fields[REASON])
        elif kind == MATCH:
            if not uuid(&fields[TAKER_ORDER_ID], <char*>ids + 16 * (self.room + n)):
                return False
            if fields[TRADE_ID].kind != INTEGER or not whole(&fields[TRADE_ID], trade_id):
                return False
        elif kind == CHANGE:
            if fields[REASON].kind != TEXT and fields[REASON].kind != NOTHING:
                return False
            reason = reason_of(&fields[REASON])
            size = &fields[NEW_SIZE]
            if fields[PRICE].kind != NOTHING and fields[PRICE].kind != NULL_VALUE and fields[PRICE].kind != TEXT:
                return False
            if fields[NEW_PRICE].kind != NOTHING and fields[NEW_PRICE].kind != NULL_VALUE:
                price = &fields[NEW_PRICE]
        if (kind == OPEN or kind == MATCH) and (price.kind != TEXT or size.kind != TEXT):
            return False
        self.bytes_[n] = <uint8_t>kind
        self.bytes_[self.room + n] = fields[SIDE].size == 4
        self.bytes_[2 * self.room + n] = <uint8_t>reason
        return (
            self.put(PRICES, price, True)
            and self.put(SIZES, size, False)
            and self.put(OLD_PRICES, &fields[OLD_PRICE] if kind == CHANGE else &nothing, True)
            and self.put(OLD_SIZES, &fields[OLD_SIZE] if kind == CHANGE else &nothing, False)
            and self.put(
                ALL_FUNDS,
                &fields[FUNDS] if kind == RECEIVED else &fields[NEW_FUNDS] if kind == CHANGE else &nothing,
                False,
            )
        )

    def texts(self):
        """Return kinds, sides, reasons, ids of orders and of takers (zeros: none)."""
        cdef const char* start = <char*>self.bytes_
        cdef const char* ids = start + 3 * self.room
        return (
            start[: self.count],
            start[self.room : self.room + self.count],
            start[2 * self.room : 2 * self.room + self.count],
            ids[: 16 * self.count],
            ids[16 * self.room : 16 * (self.room + self.count)],
        )

    def trade_ids(self):
        """Return the trade ids as bytes of int64."""
        return self.column(NUMBERS)

    def numbers(self, int first, int end):
        """Return the decimals that the columns *first* to *end* need, and them in that unit as bytes of int64.

        None where one does not fit.
        """
        cdef int which, most = 0
        cdef Py_ssize_t n
        cdef int64_t power
        cdef int64_t* number
        for which in range(first, end):
            for n in range(self.count):
                most = max(most, <int>self.decimals_[which * self.room + n])
        for which in range(first, end):
            for n in range(self.count):
                number = &self.longs[which * self.room + n]
                power = POWERS[most - self.decimals_[which * self.room + n]]
                if number[0] != ABSENT and power > 1:
                    if number[0] > LARGEST // power:
                        return None
                    number[0] *= power
                self.decimals_[which * self.room + n] = <uint8_t>most
        return most, [self.column(which) for which in range(first, end)]

    cdef bytes column(self, int which):
        return PyBytes_FromStringAndSize(
            <char*>(self.longs + which * self.room), self.count * sizeof(int64_t)
        )


cdef inline int kind_of(Field* field) noexcept nogil:
    """Return the kind of a message that is an event; -1: a heartbeat, -2: another one."""
    if is_text(field, b"received", 8):
        return RECEIVED
    if is_text(field, b"open", 4):
        return OPEN
    if is_text(field, b"done", 4):
        return DONE
    if is_text(field, b"match", 5):
        return MATCH
    if is_text(field, b"change", 6):
        return CHANGE
    return -1 if is_text(field, b"heartbeat", 9) else -2


def parse(frames):
    """Return the Events of *frames*; None where one is not exactly as it mostly is."""
    cdef Events events = Events(len(frames))
    cdef Field[FIELDS] fields
    cdef Py_ssize_t n = 0
    cdef int64_t sequence, time_ns
    cdef const char* start
    cdef int kind
    cdef bytes frame
    for frame in frames:
        start = PyBytes_AS_STRING(frame)
        if not fields_of(fields, start, start + PyBytes_GET_SIZE(frame)):
            return None
        kind = kind_of(&fields[TYPE])
        if kind == -2 or fields[PRODUCT_ID].kind != TEXT or fields[PRODUCT_ID].size == 0:
            return None
        if not whole(&fields[SEQUENCE], &sequence) or not moment(&fields[TIME], &time_ns):
            return None
        if kind >= 0:
            if not events.read(fields, kind):
                return None
            events.at.append(n)
            events.ids.append(sequence)
            events.times_ns.append(time_ns)
            events.count += 1
        n += 1
    return events
