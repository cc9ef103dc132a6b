"""The connections of up to ``MAX_STREAMS`` securities: one, or two while one replaces the other.

links          event                                            what happens
none           something to record, back-off over               dial
none           dial failed                                      back-off, one log line per new reason
one, open      24 h near, venue asks for it, ``reset``          dial a second one (make before break)
two            the new one goes on from the old (or 5 s of both) the old one is closed, ``rotation``
two            either is lost                                   the other goes on
one            lost                                             back-off, dial
any            nothing to record, or the line is paused         closed

A connection that lived 30 s ends the back-off; one that did not lengthens it, so a venue that
accepts and hangs up is not called more often than it allows (Binance: 300 times in 5 minutes).
"""

from collections.abc import Callable, Collection
from random import Random
from typing import NamedTuple

from ingest.backoff import Backoff
from ingest.link import Link

NS_PER_SECOND = 1_000_000_000

FIRST_WAIT_NS = NS_PER_SECOND // 2
LONGEST_WAIT_NS = 30 * NS_PER_SECOND

RENEW_NS = 300 * NS_PER_SECOND
"""A feed that brings its own snapshots brings one with each connection, and a seam for all that it carries:
so long a connection lives before a maintainer that needs a snapshot gets another."""

STEADY_NS = 30 * NS_PER_SECOND
"""A connection that lived so long was a good one."""

OVERLAP_NS = 5 * NS_PER_SECOND
"""A quiet security need not deliver on the new connection before the old one may go."""

LONGEST_OVERLAP_NS = 60 * NS_PER_SECOND
"""An old connection that lags may deliver for so long until it reaches where the new one began."""


class Step(NamedTuple):
    """What a shard wants done about its connections."""

    dial: Link | None = None
    close: Link | None = None
    reason: str = ""


class Shard:
    """Times are monotonic nanoseconds."""

    def __init__(
        self,
        new_link: Callable[[int], Link],
        overlap: Callable[[str, int, int], bool],
        rng: Random,
        rotate_ns: int,
    ) -> None:
        """*overlap* says of a symbol whether the first connection has reached where the second one began."""
        self.links: list[Link] = []
        """The oldest first."""
        self.symbols: dict[str, None] = {}
        """What it is to carry, in order."""
        self.problem = ""
        """Why it is not connected, or ``""``."""
        self._new_link = new_link
        self._overlap = overlap
        self._backoff = Backoff(FIRST_WAIT_NS, LONGEST_WAIT_NS, rng)
        self._dial_at = 0
        self._rotate_ns = rotate_ns
        self._replace = ""
        self._carried_at: int | None = None
        """Since when the newest link carries all that the oldest does."""

    def replace(self, reason: str) -> None:
        """Take a new connection, without a hole."""
        if self.links and not self._replace:
            self._replace = reason

    def opened(self, link: Link, now: int) -> None:
        """The link's handshake is done."""
        link.opened(now)
        self.problem = ""

    def renew(self, now: int) -> None:
        """Take a new connection for the snapshots it brings, unless this one is too young."""
        if self.links and now - self.links[-1].since >= RENEW_NS:
            self.replace("rotation")

    def lost(self, link: Link, reason: str, now: int) -> bool:
        """The link is gone, or never came; return whether the reason is news."""
        self.links.remove(link)
        if link.open and now - link.since >= STEADY_NS:
            self._backoff.succeeded()
        self._dial_at = self._backoff.failed(now)
        news = link.open or reason != self.problem
        if not self.links:
            self.problem = reason
            self._replace = ""
        return news

    def due(self, wanted: Collection[str], now: int) -> Step:
        """Return the next step; called until it is empty."""
        if not wanted:
            if not self.links:
                return Step()
            self._replace = ""
            return Step(close=self.links.pop(), reason="nothing to record")
        if not self.links:
            return self._dial(now)
        newest = self.links[-1]
        if len(self.links) == 1:
            if newest.open and now - newest.since >= self._rotate_ns:
                self._replace = self._replace or "rotation"
            return self._dial(now) if newest.open and self._replace else Step()
        if newest.open and self._relieved(newest, now):
            reason, self._replace = self._replace or "rotation", ""
            return Step(close=self.links.pop(0), reason=reason)
        return Step()

    def _dial(self, now: int) -> Step:
        if now < self._dial_at:
            return Step()
        link = self._new_link(now)
        self.links.append(link)
        self._carried_at = None
        return Step(dial=link)

    def _relieved(self, newest: Link, now: int) -> bool:
        """Whether the newest link delivers what the oldest did, from before the oldest's end on."""
        oldest = self.links[0]
        if not newest.carried.issuperset(oldest.carried & self.symbols.keys()):
            self._carried_at = None
            return False
        if self._carried_at is None:
            self._carried_at = now
        waited = now - self._carried_at
        both = oldest.delivered & newest.delivered
        if waited < LONGEST_OVERLAP_NS and not all(
            self._overlap(symbol, oldest.number, newest.number) for symbol in both
        ):
            return False
        # with nothing to compare (trades only, a quiet market) time alone says that both had it
        return waited >= OVERLAP_NS or (bool(both) and both >= oldest.delivered & newest.carried)
