"""The old trades that maintainers miss: which page of ids is asked for next, one security after the other.

A maintainer wishes a page each second for as long as it is missing:

event                                   outcome
a wish for another page                 to be asked for
a wish for the page that was answered   asked for again after ``GAP_NS``: the venue may lag behind its feed
refused or no answer                    the security's next page waits for the back-off
not wished for ``WISHED_NS``            forgotten: it came, or its recording ended

Times are monotonic nanoseconds.
"""

from collections.abc import Container
from random import Random

from ingest.backoff import Backoff

NS_PER_SECOND = 1_000_000_000

GAP_NS = 10 * NS_PER_SECOND
WISHED_NS = 5 * NS_PER_SECOND

_FIRST_RETRY_NS = 5 * NS_PER_SECOND
_LONGEST_RETRY_NS = 300 * NS_PER_SECOND

Page = tuple[int, int]
"""First and last trade id."""


class _Wished:
    def __init__(self, rng: Random) -> None:
        self.page: Page = (0, -1)  # (none yet)
        self.is_due = False
        self.not_before = 0
        self.wished_at = self.answered_at = 0
        self.backoff = Backoff(_FIRST_RETRY_NS, _LONGEST_RETRY_NS, rng)


class Backfill:
    """What is wished, by security."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._wished: dict[str, _Wished] = {}
        self._asked = ""
        """Whose page is on its way: one at a time, for snapshots are more urgent."""

    def wish(self, name: str, first_id: int, last_id: int, now: int) -> None:
        """Take a maintainer's wish for the trades *first_id* to *last_id* of *name*."""
        wished = self._wished.setdefault(name, _Wished(self._rng))
        wished.wished_at = now
        if name == self._asked:
            return
        if wished.page != (first_id, last_id):
            wished.page, wished.is_due = (first_id, last_id), True
        elif now - wished.answered_at >= GAP_NS:
            wished.is_due = True

    def due(self, recorded: Container[str], now: int) -> tuple[str, Page] | None:
        """Return what to ask for now: of the securities in *recorded* the one that waited longest."""
        if self._asked or not self._wished:
            return None
        self._wished = {n: each for n, each in self._wished.items() if now - each.wished_at < WISHED_NS}
        waiting = [
            (each.not_before, name)
            for name, each in self._wished.items()
            if each.is_due and now >= each.not_before and name in recorded
        ]
        if not waiting:
            return None
        _, name = min(waiting)
        return name, self._wished[name].page

    def asked(self, name: str) -> None:
        """Note that the page of *name* was asked for."""
        self._asked = name

    def answered(self, status: int, now: int) -> None:
        """Note the answer's *status* (0: none came)."""
        wished, self._asked = self._wished.get(self._asked), ""
        if wished is None:
            return
        wished.is_due, wished.answered_at = status != 200, now
        if status == 200:
            wished.backoff.succeeded()
            wished.not_before = now
        else:
            wished.not_before = wished.backoff.failed(now)
