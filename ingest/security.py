"""One security of a line: its state (the table is ingest.session's) and the reason for it."""

from enum import Enum
from random import Random

from ingest.backoff import Backoff
from ingest.snapshots import Depth, Need
from wire.messages import Wanted

NS_PER_SECOND = 1_000_000_000

_FIRST_RETRY_NS = 5 * NS_PER_SECOND
_LONGEST_RETRY_NS = 300 * NS_PER_SECOND
"""Between two tries of a subscription that the venue refuses: a bad key is not mended in seconds."""


class State(Enum):
    """As ``Beat.health`` shows it."""

    PENDING = "pending"
    SUBSCRIBED = "subscribed"
    REFUSED = "refused"


class Security:
    """Times are monotonic nanoseconds."""

    def __init__(self, wanted: Wanted, symbol: str, depth: Depth | None, rng: Random, now: int) -> None:
        self.wanted = wanted
        self.name = wanted.security
        self.symbol = symbol
        self.state = State.PENDING
        self.reason = ""
        self.added = False
        """The journal says so, and its connection may carry it."""
        self.unknown = False
        """The venue has no such symbol."""
        self.since = now
        self.need = Need(depth) if depth is not None else None
        self._backoff = Backoff(_FIRST_RETRY_NS, _LONGEST_RETRY_NS, rng)
        self._retry_at = now

    def carried(self) -> bool:
        """A connection carries it; return whether that is news."""
        news = self.state is not State.SUBSCRIBED
        self.state, self.reason = State.SUBSCRIBED, ""
        self._backoff.succeeded()
        return news

    def orphaned(self, reason: str) -> None:
        """No connection carries it any more."""
        if self.state is State.SUBSCRIBED:
            self.state, self.reason = State.PENDING, reason

    def refuse(self, reason: str, now: int, *, unknown: bool = False) -> bool:
        """The venue refuses it for now, or (*unknown*) has no such symbol; return whether that is news."""
        news = self.state is not State.REFUSED or self.reason != reason
        self.state, self.reason, self.unknown = State.REFUSED, reason, unknown
        self._retry_at = self._backoff.failed(now)
        return news

    def listed(self) -> None:
        """The venue lists the symbol, which it may not have done before."""
        if self.unknown:
            self.unknown, self.state, self.reason = False, State.PENDING, ""

    def wants(self, now: int) -> bool:
        """Whether it is to be carried."""
        return self.added and (self.state is not State.REFUSED or now >= self._retry_at)
