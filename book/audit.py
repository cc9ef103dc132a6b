"""The audit of one security that is on its way: a fresh snapshot was asked for, to compare the book with.

state     event                                    next      outcome
IDLE      a line asks (the book is live)           KEEPING   updates that are applied from here on are kept
KEEPING   it asks again                            KEEPING   anew
KEEPING   its body, older than what is kept        IDLE      skipped: it cannot be carried forward
KEEPING   its body                                 READY     due once the book has reached its id
READY     the book has reached it                  IDLE      compared (book.compare)
any       too many updates, or for too long        IDLE      skipped
any       a gap, a desync                          IDLE      skipped

Of another line's asking nothing is taken while one is on its way.  All of it is in the checkpoint.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from book.compare import Audited, Difference
from book.scales import Scales
from book.sync import Update
from venue.api import BookSnapshot, OrderSnapshot

MOST_KEPT = 20_000
"""Updates: 20 s of the busiest L3 feed, some 8 MB."""

KEPT_NS = 60_000_000_000
"""No answer takes longer than this (ingest.rest): it does not come any more."""

MOST_COMPARED = 1000
"""Differences of one audit that the next one's are compared with."""


class Fresh(NamedTuple):
    """The body that came."""

    id: int
    levels: int
    body: bytes
    snapshot: BookSnapshot | OrderSnapshot | None
    """What it says; None after a restart: it is decoded again."""


class Auditor:
    """What one security's audit has gathered, and what the one before found."""

    def __init__(self) -> None:
        self.skipped = 0
        self.fresh: Fresh | None = None
        self._line = ""
        """Who asked; "": nobody."""
        self._since_ns = 0
        self._after = 0
        """Every update after this id that was applied is kept."""
        self._kept: list[Update] = []
        self._found_before: list[tuple[Scales, Difference]] = []

    @property
    def is_on_its_way(self) -> bool:
        """Say whether updates are kept."""
        return self._line != ""

    def asked(self, line: str, recv_ns: int, last_id: int) -> None:
        """Note that *line* asks for a snapshot; the book has all updates up to *last_id*, or holds them."""
        if self._line and self._line != line:
            return
        if self.fresh is None:
            self._line, self._since_ns, self._after, self._kept = line, recv_ns, last_id, []

    def expects(self, line: str) -> bool:
        """Say whether the next body of *line* is to be compared."""
        return line == self._line != "" and self.fresh is None

    def body(self, fresh: Fresh) -> None:
        """Take the body that was expected."""
        if fresh.id < self._after:
            self.skip()
        else:
            self.fresh = fresh

    def keep(self, updates: Sequence[Update]) -> None:
        """Note *updates*, which the book is about to take."""
        if self._line and updates:
            self._kept.extend(update._replace(decoded=None) for update in updates)
            if len(self._kept) > MOST_KEPT:
                self.skip()

    def tick(self, recv_ns: int) -> None:
        """Let a second pass."""
        if self._line and recv_ns - self._since_ns > KEPT_NS:
            self.skip()

    def skip(self) -> None:
        """End it without a result."""
        if self._line:
            self.skipped += 1
            self.end()

    def end(self) -> list[Update]:
        """End it; return the updates that were kept."""
        kept = self._kept
        self._line, self._kept, self.fresh = "", [], None
        return kept

    def repeats(self, audited: Audited) -> bool:
        """Say whether the audit before found one of these differences too."""
        before = {_bare(*each) for each in self._found_before}
        found = [(audited.scales, each) for each in audited.comparison.differences[:MOST_COMPARED]]
        again = any(_bare(*each) in before for each in found)
        self._found_before = [] if again else found
        return again

    def dump(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {
            "skipped": self.skipped,
            "fresh": None if self.fresh is None else tuple(self.fresh[:-1]),
            "line": self._line,
            "since_ns": self._since_ns,
            "after": self._after,
            "kept": [tuple(update[:-1]) for update in self._kept],
            "before": [(scales.price, scales.size, *found) for scales, found in self._found_before],
        }

    def load(self, state: dict[str, Any]) -> None:
        """Become what ``dump`` returned."""
        self.skipped, self._line = state["skipped"], state["line"]
        self.fresh = None if state["fresh"] is None else _fresh(*state["fresh"])
        self._since_ns, self._after = state["since_ns"], state["after"]
        self._kept = [Update(*update) for update in state["kept"]]
        self._found_before = [
            (Scales(price, size), Difference(*found)) for price, size, *found in state["before"]
        ]


def _fresh(snapshot_id: int, levels: int, body: bytes) -> Fresh:
    return Fresh(snapshot_id, levels, body, None)


def _bare(scales: Scales, found: Difference) -> tuple[Any, ...]:
    """Return a difference in a form that does not depend on the scales."""
    price_by, size_by = 10 ** (18 - scales.price), 10 ** (18 - scales.size)
    return found.side, found.price * price_by, found.ours * size_by, found.theirs * size_by, found.order_id
