"""Names of securities, lines and positions, shared by every process.

name       form                     example
security   venue:SYMBOL             ``binance:BTCUSDT``
line       venue/letter             ``binance/a``
bucket     0 .. 63                  a stable hash of the security
position   epoch * 2**40 + number   one int64 that sorts as (epoch, number) does
"""

import zlib
from functools import lru_cache

BUCKETS = 64
"""Fixed for ever: worker i of N takes the buckets b with b mod N = i, so no stage knows another's N."""

EVERY_SECURITY = ""
"""The route of a record that concerns all securities of its line (a tick, a connection event)."""

POSITION_BITS = 40
"""A line may write 10**12 records in one epoch: three years at ten thousand a second."""

MOST_LINES = 2
"""Of one venue: two receive what one misses, and there are as many tcp ports for each."""

VENUES = ("binance", "coinbase")
"""Those that can be recorded; only adding at the end keeps the tcp ports of the others."""

_DEFAULT_VENUE = "binance"


class BadSecurity(ValueError):
    """The text does not name a security."""


def parse_security(text: str) -> str:
    """Return the one spelling of the security that *text* names.

    Without a venue it is Binance's, as the original logger's commands meant it.

    Raises:
        BadSecurity: there is no symbol, or a character that no venue uses.

    >>> parse_security("btcusdt"), parse_security("Coinbase:btc-usd")
    ('binance:BTCUSDT', 'coinbase:BTC-USD')
    """
    venue, separator, symbol = text.strip().rpartition(":")
    if not separator:
        venue = _DEFAULT_VENUE
    venue, symbol = venue.lower(), symbol.upper()
    if not symbol or not venue.isidentifier() or any(c in "|/:$. " or not c.isprintable() for c in symbol):
        raise BadSecurity(f"{text!r} is not a security: write venue:SYMBOL, as binance:BTCUSDT")
    return f"{venue}:{symbol}"


def venue_of(security: str) -> str:
    """Return the venue's name, in lower case."""
    return security.partition(":")[0]


def symbol_of(security: str) -> str:
    """Return the symbol as the venue's REST interface spells it."""
    return security.partition(":")[2]


def venue_of_line(line: str) -> str:
    """Return the venue that *line* records."""
    return line.partition("/")[0]


def is_first(line: str) -> bool:
    """Whether *line* is the one of its venue that does what only one may do.

    >>> is_first("binance/a"), is_first("binance/b")
    (True, False)
    """
    return line.endswith("/a")


@lru_cache(maxsize=1 << 16)  # each message of a stage asks
def bucket_of(security: str) -> int:
    """Return the bucket, the same on every host and in every version."""
    return zlib.crc32(security.encode()) % BUCKETS


def buckets_of(worker: int, workers: int) -> range:
    """Return the buckets that *worker* of *workers* takes."""
    return range(worker, BUCKETS, workers)


def position_at(epoch: int, number: int) -> int:
    """Return the position of record *number* of *epoch*."""
    return (epoch << POSITION_BITS) | number


def epoch_of(position: int) -> int:
    """Return the epoch of *position*."""
    return position >> POSITION_BITS


def number_of(position: int) -> int:
    """Return the record number of *position* inside its epoch."""
    return position & ((1 << POSITION_BITS) - 1)
