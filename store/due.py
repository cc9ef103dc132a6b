"""When a security is to be looked at again for spans that have become old; pure.

A span is old once its feed's newest effective time is COMPACT_AFTER past its end.  A feed that goes on cannot
be there before the time that it lacks has passed, so until then nobody asks the database about it.

feed at the last look           the security is looked at again
has gone on, or is new          after what its newest effective time lacked
has not gone on                 after AGAIN_S
lacks more than AGAIN_S         after AGAIN_S: what was recorded before may come faster than time passes
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from store.documents import NS_PER_S

AGAIN_S = 3600.0


class Reach(NamedTuple):
    """How far a feed goes."""

    newest_ns: int
    """Its newest effective time; 0 where nothing is stored."""
    end_ns: int
    """Where its newest old span ends."""
    from_ns: int = 0
    """From where on it is looked through for what is to be merged."""


class Known(NamedTuple):
    """What was seen of a security when it was last looked at."""

    reaches: tuple[Reach, ...]
    """By feed, in their order."""
    due_s: float


class Due:
    """Remembers, of each security, what was seen and when to look again: seconds of a monotonic clock."""

    def __init__(self, grid_s: int, after_s: int) -> None:
        self._longest_ns = (grid_s + after_s) * NS_PER_S
        self._known: dict[str, Known] = {}

    def of(self, securities: Sequence[str], now_s: float) -> list[str]:
        """Return which of *securities* to look at; the others, and those not among them, need nothing."""
        kept: Mapping[str, Known] = self._known
        self._known = {name: kept[name] for name in securities if name in kept}
        return [name for name in securities if name not in kept or kept[name].due_s <= now_s]

    def reaches(self, security: str) -> tuple[Reach, ...]:
        """Return how far its feeds went at the last look; none where that was never."""
        known = self._known.get(security)
        return known.reaches if known else ()

    def looked(self, security: str, reaches: tuple[Reach, ...], now_s: float) -> None:
        """Remember how far its feeds went, all that was old being merged."""
        before = self.reaches(security) or (None,) * len(reaches)
        waits = (self._wait_s(*feed) for feed in zip(reaches, before, strict=True))
        self._known[security] = Known(reaches, now_s + min(waits, default=AGAIN_S))

    def forget(self) -> None:
        """Have all of them looked at, from the beginning."""
        self._known = {}

    def _wait_s(self, reach: Reach, before: Reach | None) -> float:
        if before is not None and before.newest_ns == reach.newest_ns:
            return AGAIN_S
        lacks_ns = reach.end_ns + self._longest_ns - reach.newest_ns if reach.newest_ns else self._longest_ns
        return min(AGAIN_S, max(0, lacks_ns) / NS_PER_S)
