"""Says when a security needs a REST snapshot, and whether the one that came joins.

A snapshot with id S joins a chain of updates (ids first..last without a hole, of one connection)
when S >= first - 1: then every update after S is in the journal (protocols.md 1.6 and 2.10).

state    event                                            next     why
IDLE     subscribed on a connection, no snapshot yet      NEEDED   cause ``subscribe``
IDLE     connection closed, no other carries the chain on NEEDED   ``connection``, once subscribed again
IDLE     update beyond the next id                        NEEDED   ``gap``
IDLE     update at an id that cannot be true (venue.leap) IDLE     it stays in the journal
IDLE     command, wish                                    NEEDED   ``command``, ``wish`` (paced)
IDLE     an audit is due (ingest.audits)                  NEEDED   ``audit``, when the budget has room for it
NEEDED   what is there suffices                           NEEDED   said in the journal
NEEDED   first update seen and settled, or 2 s of quiet   ASKED    asked for
ASKED    body, joins, the widest                          IDLE
ASKED    body, joins, another                             NEEDED   the next step, when the budget has room
ASKED    body, too old                                    NEEDED   after a longer wait each time
ASKED    refused, unreadable or failed                    NEEDED   likewise
ASKED    another reason to need one                       ASKED    judged when the body comes; a command: anew

Before a chain's first update is seen a body joins on trust; an update that then begins beyond its
next id makes the need anew.  What is there *suffices* where only a wider copy, an audit or a command asks for
more: the line then says in its journal that it asks, long enough before for a cache to have let its copy go,
and a maintainer whose book is live compares it with what comes (book.audit).  A feed that brings its own
snapshot (Coinbase ``level2_batch``) has no
``Need`` at all: see ``DEPTHS``.
"""

from enum import Enum
from functools import cache

import msgspec

from venue.leap import LEAP, leaps

NS_PER_SECOND = 1_000_000_000

QUIET_NS = 2 * NS_PER_SECOND
"""A market without an update for this long after the subscription is asked for its book all the same."""

WISH_GAP_NS = 10 * NS_PER_SECOND
"""Maintainers repeat a wish each second; this often it is heard."""

SAID_NS = 10 * NS_PER_SECOND
"""What was said in the journal so long ago is said again: maintainers keep updates from there on."""

LONGEST_WAIT_NS = 30 * NS_PER_SECOND
"""Between two tries for one security."""

_LONG_AGO = -(1 << 62)


class Depth(msgspec.Struct, frozen=True):
    """How the book of a feed is asked for over REST."""

    steps: tuple[int, ...]
    """Levels a side, the cheapest first: the deepest that the budget bears for all that wait, and then the
    next, up to the last; 0: the whole book."""
    settle_ns: int
    """Wait after a chain's first update: the copy a cache may still hold is that old."""
    gap_ns: int
    """Least time between two requests for one security."""


DEPTHS = {
    "depth": Depth(steps=(100, 1000, 5000), settle_ns=0, gap_ns=NS_PER_SECOND),
    # protocols.md 2.3: the level-3 body is cached for a second, and polling it is an abuse.
    "full": Depth(steps=(0,), settle_ns=1_200_000_000, gap_ns=3 * NS_PER_SECOND),
}
"""The feeds whose book comes over REST."""


@cache
def _wider(depth: Depth, levels: int) -> tuple[int, ...]:
    """Return the step after *levels*, or the last."""
    return tuple(step for step in depth.steps if step > levels)[:1] or depth.steps[-1:]


class State(Enum):
    """Of the need of one security."""

    IDLE = "idle"
    NEEDED = "needed"
    ASKED = "asked"


class _Chain:
    """Updates of one connection whose ids follow one another."""

    __slots__ = ("first", "last", "leap", "since")

    def __init__(self, first: int, last: int, since: int) -> None:
        self.first, self.last, self.since = first, last, since
        self.leap: int | None = None
        """Id of the last update that was too far beyond all others to be believed alone."""


class Need:
    """The need of one security.  Times are monotonic nanoseconds."""

    def __init__(self, depth: Depth) -> None:
        self.state = State.IDLE
        self.cause = ""
        self.joined: int | None = None
        """Id of the newest snapshot that joined, or may join a chain that has not begun."""
        self._depth = depth
        self._chains: dict[int, _Chain] = {}
        self._links: dict[int, int] = {}
        """Connections that carry it, and since when."""
        self.widening = False
        """What is there suffices; the wide depth is asked for when the budget bears it."""
        self._said_at: int | None = None
        """When the journal said that it is asked for."""
        self._commanded = False
        """A command came while one was asked for."""
        self._orphaned = False
        """The connection went while its snapshot was asked for."""
        self._asked_levels = 0
        self.asked_at = _LONG_AGO
        """When it was last asked for: who waited longest is served first."""
        self._not_before = _LONG_AGO
        self._failures = 0

    @property
    def settled(self) -> bool:
        """Whether nothing is needed but perhaps a wider copy."""
        return self.state is State.IDLE or (self.state is State.NEEDED and self.widening)

    def subscribed(self, link: int, now: int) -> None:
        """Connection *link* carries the security."""
        if link in self._links:
            return
        self._links[link] = now
        if self.joined is None and self.state is State.IDLE:
            self._need("subscribe")

    def continues(self, link: int, first: int, last: int) -> bool:
        """Take the updates *first* to *last* where they go on from the link's chain: nearly all do."""
        chain = self._chains.get(link)
        if chain is None or first > chain.last + 1 or last - chain.last > LEAP:
            return False
        if last > chain.last:
            chain.last = last
        return True

    def update(self, link: int, first: int, last: int, now: int) -> bool:
        """Connection *link* brought the updates *first* to *last*; return False at a break."""
        if self.continues(link, first, last):
            return True
        chain = self._chains.get(link)
        if chain is None:
            if leaps(last, None):
                return True
            self.subscribed(link, now)
            begins = bool(self._chains) or self.joined is None or first <= self.joined + 1
            self._chains[link] = _Chain(first, last, now)
            if not begins:
                self._need(self.cause)
            return begins
        if leaps(last, chain.last):
            known, chain.leap = chain.leap, last
            if known is None or first <= known or leaps(last, known):
                return True
        if self.joined is None or first > self.joined + 1:
            self._chains[link] = _Chain(first, last, now)
            self._need("gap")
            return False
        chain.last = max(chain.last, last)
        return True

    def closed(self, link: int) -> None:
        """Connection *link* does not carry it any more; another may carry the chain on without a hole."""
        self._links.pop(link, None)
        old = self._chains.pop(link, None)
        reached = old.last if old is not None else self.joined
        if reached is not None and any(c.first <= reached + 1 for c in self._chains.values()):
            return
        self.joined = None
        self._orphaned = True
        self._need("connection")

    def overlap(self, old: int, new: int) -> bool:
        """Say whether connection *old* has brought an update that *new* brought too.

        That they follow one another is not enough: of the trades between the two updates those before
        *new* was subscribed are on *old* alone, and may still be on their way.
        """
        before, after = self._chains.get(old), self._chains.get(new)
        return before is None or (after is not None and after.first <= before.last)

    def wish(self, cause: str, now: int) -> None:
        """A command or a maintainer asks for a fresh snapshot; one on its way serves."""
        if cause == "command" and self.state is State.ASKED:
            self._commanded = True
        if self.settled and (cause != "wish" or now - self.asked_at >= WISH_GAP_NS):
            self._need(cause)

    def audit(self) -> None:
        """An audit is due: what is there suffices."""
        if self.state is State.IDLE:
            self._need("audit")
            self.widening = True

    @property
    def steps(self) -> tuple[int, ...]:
        """Levels a side that may be asked for now: one step where what is there is to become wider.

        A maintainer whose book nears its edge is not helped by the cheapest: it would wish again at once.
        """
        if self.widening:
            return _wider(self._depth, self._asked_levels)
        steps = self._depth.steps
        return steps[1:] or steps if self.cause == "wish" else steps

    @property
    def suffices(self) -> bool:
        """Whether the book may be live without what is needed."""
        return self.widening or self.cause == "command"

    def says(self, now: int) -> bool:
        """Say whether the journal has yet to say that it is asked for; note that it does now."""
        if not self.suffices or (self._said_at is not None and now - self._said_at < SAID_NS):
            return False
        self._said_at = now
        return True

    def was_said(self, now: int) -> bool:
        """Say whether what comes can be compared: a cache holds nothing from before the journal said so."""
        if not self.widening:
            return True
        return self._said_at is not None and now - self._said_at >= self._depth.settle_ns

    def due(self, now: int) -> bool:
        """Say whether the snapshot is to be asked for as soon as the budget bears one of ``steps``."""
        if self.state is not State.NEEDED or not self._links or now < self._not_before:
            return False
        if now - self.asked_at < self._depth.gap_ns:
            return False
        if self._chains:
            return now - max(c.since for c in self._chains.values()) >= self._depth.settle_ns
        return now - max(self._links.values()) >= QUIET_NS

    def asked(self, levels: int, now: int) -> None:
        """The request is on its way."""
        self.state, self._asked_levels, self.asked_at = State.ASKED, levels, now
        self._orphaned, self._said_at = False, None

    def answered(self, snapshot_id: int, now: int) -> bool:
        """A body came with *snapshot_id*; return False when it is too old and is asked for again."""
        if self.state is not State.ASKED:
            return True
        firsts = [c.first for c in self._chains.values()]
        if firsts and snapshot_id < min(firsts) - 1:
            self.failed(now)
            return False
        self.state, self._failures, self.widening = State.IDLE, 0, False
        if self._orphaned and not firsts:
            self._need("connection")
            return True
        self.joined = max(snapshot_id, self.joined or 0)
        if self._asked_levels < self._depth.steps[-1]:
            self._need(self.cause)
            self.widening = True
        if self._commanded:
            self._commanded = False
            self._need("command")
        return True

    def failed(self, now: int) -> None:
        """The request brought nothing usable; try again later, the later the more often it happens."""
        if self.state is not State.ASKED:
            return
        wait = min(self._depth.gap_ns << min(self._failures, 16), LONGEST_WAIT_NS)
        self._failures += 1
        self.state = State.NEEDED
        self._not_before = now + wait

    def _need(self, cause: str) -> None:
        self.widening = False
        if self.state is not State.ASKED:
            self.state, self.cause = State.NEEDED, cause
