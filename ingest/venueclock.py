"""The exchange's time, by which what is sent to it is signed: the host's clock may be wrong, or be set.

Coinbase takes no signature that is 30 s off.  The ``Date`` of each handshake's answer tells the time to a
second; from there the monotonic clock goes on.  Without one the host's clock has to do.
"""

from email.utils import parsedate_to_datetime

MS = 1_000_000


class VenueClock:
    """What is known of it.  Times are nanoseconds, *now* is monotonic."""

    def __init__(self) -> None:
        self._ahead_ns: int | None = None
        """Of the monotonic clock."""

    def told(self, date: str, now: int) -> None:
        """Take the HTTP date of an answer that has just come; one that is none tells nothing."""
        try:
            self._ahead_ns = int(parsedate_to_datetime(date).timestamp()) * 1000 * MS - now
        except ValueError:
            return

    def now_s(self, now: int, host_ns: int) -> str:
        """Return Unix seconds with three decimals; *host_ns* is the host's time."""
        ms = (host_ns if self._ahead_ns is None else now + self._ahead_ns) // MS
        return f"{ms // 1000}.{ms % 1000:03d}"
