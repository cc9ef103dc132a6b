"""What goes wrong with the next REST replies."""

from collections import deque
from typing import NamedTuple


class Canned(NamedTuple):
    """A reply to give instead of the true one."""

    status: int
    retry_after: int | None
    body: str
    path: str
    """Only for paths that begin with this."""


class RestFaults:
    """Replies ordered in advance, and how old the next books are."""

    def __init__(self, stale_ms: int = 0) -> None:
        self._canned: deque[Canned] = deque()
        self._always_stale_ms = stale_ms
        self._stale: deque[int] = deque()

    def order(self, canned: Canned, count: int) -> None:
        """Answer the next *count* requests with *canned*."""
        self._canned.extend([canned] * count)

    def order_stale(self, ms: int, count: int) -> None:
        """Give the next *count* books as they were *ms* ago."""
        self._stale.extend([ms] * count)

    def clear(self) -> None:
        """Answer truly again."""
        self._canned.clear()
        self._stale.clear()

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
