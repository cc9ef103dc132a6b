"""What goes wrong with the next REST replies."""

from collections import deque
from typing import NamedTuple

import msgspec

WRONG_BID = ("1.00", "77.5")
WRONG_ORDER = "00000000-0000-4000-8000-000000000077"
"""So far from the market that no update ever names it."""


class Canned(NamedTuple):
    """A reply to give instead of the true one."""

    status: int
    retry_after: int | None
    body: str
    path: str
    """Only for paths that begin with this."""


class RestFaults:
    """Replies ordered in advance, and how old or how wrong the next books are."""

    def __init__(self, stale_ms: int = 0) -> None:
        self._canned: deque[Canned] = deque()
        self._always_stale_ms = stale_ms
        self._stale: deque[int] = deque()
        self._late: deque[int] = deque()
        self._wrong = 0

    @property
    def pending(self) -> int:
        """Replies and books that were ordered and not asked for yet."""
        return len(self._canned) + len(self._stale) + len(self._late) + self._wrong

    def order(self, canned: Canned, count: int) -> None:
        """Answer the next *count* requests with *canned*."""
        self._canned.extend([canned] * count)

    def order_stale(self, ms: int, count: int) -> None:
        """Give the next *count* books as they were *ms* ago."""
        self._stale.extend([ms] * count)

    def order_late(self, ms: int, count: int) -> None:
        """Send the next *count* books *ms* after they were made."""
        self._late.extend([ms] * count)

    def order_wrong(self, count: int) -> None:
        """Give the next *count* books with a bid that nobody made."""
        self._wrong += count

    def spoilt(self, body: bytes) -> bytes:
        """Return the book *body*, wrong if that is due."""
        if not self._wrong:
            return body
        self._wrong -= 1
        book = msgspec.json.decode(body)
        is_orders = isinstance(book["bids"][0][-1], str) and len(book["bids"][0]) > len(WRONG_BID)
        book["bids"].append([*WRONG_BID, *([WRONG_ORDER] if is_orders else [])])
        return msgspec.json.encode(book)

    def clear(self) -> None:
        """Answer truly again."""
        self._canned.clear()
        self._stale.clear()
        self._late.clear()
        self._wrong = 0

    def take(self, path: str) -> Canned | None:
        """Return the reply ordered for *path*, if there is one."""
        for canned in self._canned:
            if path.startswith(canned.path):
                self._canned.remove(canned)
                return canned
        return None

    def take_stale_ms(self) -> int:
        """Return how old the next book shall be."""
        return self._stale.popleft() if self._stale else self._always_stale_ms

    def take_late_ms(self) -> int:
        """Return how long the next book shall be on its way."""
        return self._late.popleft() if self._late else 0
