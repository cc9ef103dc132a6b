# cython: boundscheck=False, wraparound=False
"""The compiled twin of ``venue.binance_routes.plain``: the same answer, or None where that may know better.

It looks at the beginning and at the end of frames as Binance writes them:

    {"stream":"ethusdt@depth","data":{"e":"depthUpdate","E":1723161254000,"s":"ETHUSDT","U":1,"u":2,"b":[ ... ]}}
    {"stream":"ethusdt@trade","data":{"e":"trade","E":1723161254000,"s":"ETHUSDT","t":1,"p":" ... }}
"""

from libc.stdint cimport int64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcmp
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE

DEF SAFE_DIGITS = 18
DEF TIME_DIGITS = 13


cdef struct Run:
    int64_t first, last
    int updates
    bint unbroken


cdef struct Text:
    const char* at
    const char* end


cdef inline bint follows(Text* text, const char* expected, Py_ssize_t size) noexcept nogil:
    """Go on behind *expected* if it comes next."""
    if text.end - text.at < size or memcmp(text.at, expected, size) != 0:
        return False
    text.at += size
    return True


cdef inline Py_ssize_t name(Text* text) noexcept nogil:
    """Go on behind a text of printable ASCII without escapes and its quote; return its length, 0 if none."""
    cdef const char* start = text.at
    while text.at < text.end and 0x20 <= text.at[0] < 0x7F and text.at[0] != b'"' and text.at[0] != b"\\":
        text.at += 1
    cdef Py_ssize_t size = text.at - start
    return size if follows(text, b'"', 1) else 0


cdef inline Py_ssize_t integer(Text* text, int64_t* value) noexcept nogil:
    """Read a JSON integer, not negative; return its digits, 0 if it is none that surely fits 64 bits."""
    cdef const char* start = text.at
    value[0] = 0
    while text.at < text.end and b"0" <= text.at[0] <= b"9" and text.at - start <= SAFE_DIGITS:
        value[0] = 10 * value[0] + (text.at[0] - 48)
        text.at += 1
    cdef Py_ssize_t digits = text.at - start
    return 0 if digits > SAFE_DIGITS or (digits > 1 and start[0] == b"0") else digits


cdef inline bint ids(Text* text, bint is_depth, int64_t* first, int64_t* last) noexcept nogil:
    """Read the ids behind the symbol, and look at the end."""
    if is_depth:
        return (
            follows(text, b',"U":', 5) and integer(text, first)
            and follows(text, b',"u":', 5) and integer(text, last)
            and first[0] <= last[0]
            and follows(text, b',"b":[', 6)
            and text.end - text.at >= 3 and memcmp(text.end - 3, b"]}}", 3) == 0
        )
    return (
        follows(text, b',"t":', 5) and integer(text, first)
        and follows(text, b',"p":"', 6)
        and text.end - text.at >= 2 and memcmp(text.end - 2, b"}}", 2) == 0
    )


cdef inline void add(Run* run, int64_t first, int64_t last) noexcept nogil:
    if not run.updates:
        run.first, run.last, run.unbroken = first, last, True
    elif first > run.last + 1:
        run.unbroken = False
    if last > run.last:
        run.last = last
    run.updates += 1


def routes(frames):
    """Return the symbol of each of *frames*, and (symbol, first id, last id, unbroken) of those with updates.

    None where a frame is not exactly as it mostly is.
    """
    cdef Text text
    cdef bytes frame
    cdef bint is_depth
    cdef int64_t time_ms, first = 0, last = 0
    cdef Py_ssize_t size, place, room = 0
    cdef const char* symbol
    cdef Run* runs = NULL
    cdef Run* more
    cdef dict places = {}
    cdef list symbols = [], each = [], begun = []
    try:
        for frame in frames:
            text.at = PyBytes_AS_STRING(frame)
            text.end = text.at + PyBytes_GET_SIZE(frame)
            if not (follows(&text, b'{"stream":"', 11) and name(&text) and follows(&text, b',"data":{"e":"', 14)):
                return None
            is_depth = follows(&text, b'depthUpdate","E":', 17)
            if not is_depth and not follows(&text, b'trade","E":', 11):
                return None
            if integer(&text, &time_ms) != TIME_DIGITS or not follows(&text, b',"s":"', 6):
                return None
            symbol, size = text.at, name(&text)
            if size == 0 or not ids(&text, is_depth, &first, &last):
                return None
            key = symbol[:size]
            found = places.get(key)
            if found is None:
                place = len(symbols)
                if place == room:
                    room = 2 * room + 16
                    more = <Run*>realloc(runs, room * sizeof(Run))
                    if more == NULL:
                        raise MemoryError
                    runs = more
                runs[place].updates = 0
                places[key] = place
                symbols.append(key.decode("ascii"))
            else:
                place = found
            each.append(symbols[place])
            if is_depth:
                if not runs[place].updates:
                    begun.append(place)
                add(&runs[place], first, last)
        return each, [
            (symbols[n], runs[<Py_ssize_t>n].first, runs[<Py_ssize_t>n].last, bool(runs[<Py_ssize_t>n].unbroken))
            for n in begun
        ]
    finally:
        free(runs)
