"""When a line asks for a snapshot only to have the book compared with it: the audits' schedule and budget.

Each security that is well gets one every ``every_ns``, all of them spread evenly over that time: the one
whose last was longest ago is next.

event                                            outcome
a step (``every_ns`` over their number) passed   the next one's audit
a security waits for a snapshot that it needs    none
the audits' quarter of the budget is used up     later
"""

from collections.abc import Collection

from ingest.budget import Bucket
from ingest.security import Security, State
from ingest.snapshots import State as Needs
from venue.api import Budget, Venue

SHARE = 0.25
"""Part of the venue's allowance of weight that audits take at most."""


LOOK_NS = 1_000_000_000
"""Between two looks at all securities, where that is not sooner than the schedule needs them."""


class Audits:
    """Of one line.  Times are monotonic nanoseconds."""

    def __init__(self, venue: Venue, feed: str, every_ns: int, now: int) -> None:
        """Begin the schedule; *every_ns* 0: there are no audits."""
        self._venue = venue
        self._feed = feed
        self._every_ns = every_ns
        whole = venue.BUDGET
        self._bucket = Bucket(Budget(int(whole.capacity * SHARE), whole.per_second * SHARE), now)
        self._last = self._looks_at = now
        self._audited: dict[str, int] = {}

    def due(self, securities: Collection[Security], now: int) -> None:
        """Make the next security need a snapshot for its audit, if one is due."""
        if not self._every_ns or now < self._looks_at:
            return
        self._looks_at = now + min(LOOK_NS, self._every_ns // max(len(securities), 1))
        ours = [each for each in securities if each.need is not None and each.added]
        if not ours or now - self._last < self._every_ns // len(ours):
            return
        # (one whose subscription is refused may need a snapshot for ever)
        carried = [each.need for each in ours if each.state is State.SUBSCRIBED]
        if not all(need is not None and need.settled for need in carried):
            return
        ready = [
            (self._audited.get(each.name, -1), each.name, each.symbol, each.need)
            for each in ours
            if each.state is State.SUBSCRIBED and each.need is not None and each.need.state is Needs.IDLE
        ]
        if not ready:
            return
        _, chosen, symbol, need = min(ready, key=lambda each: each[:2])
        request = self._venue.snapshot_request(symbol, self._feed, need.steps[-1])
        if not self._bucket.take(request.weight, now):
            return
        need.audit()
        self._last = now
        self._audited = {each.name: self._audited.get(each.name, -1) for each in ours} | {chosen: now}
