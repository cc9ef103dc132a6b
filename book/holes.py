"""The rows of the gap ledger of one security: of its book at most one is open.

event                          row
hole noticed                   covered 0, last_id None, to_ns None, state ``open``
the next chain starts          covered 1, last_id the snapshot's id, to_ns its first update's time
the same, no id missing        covered 2, ``healed``
trade ids skipped              covered 1 at once, both ends being known
they come after all            covered 2, ``healed``; ``open`` when the first of them never came (book.healed)
seam of a feed without ids     once, at the next chain's start: covered 1, first_id the snapshot's id,
                               last_id None, ``unverifiable``
"""

from typing import Any

from book.healing import Row
from book.outlet import Outlet
from wire.runs import Hole

NOTICED_BY = "book"


class Ledger:
    """Writes the rows of one feed."""

    def __init__(self, outlet: Outlet, feed: str) -> None:
        self.feed = feed
        self.rows = 0
        self._outlet = outlet
        self._open: dict[str, Any] | None = None
        self._seam: dict[str, Any] | None = None

    @property
    def is_open(self) -> bool:
        """Say whether a hole has no end yet."""
        return self._open is not None

    def open(self, first_id: int, from_ns: int, start_ns: int, cause: str) -> None:
        """Note that ids are missing from *first_id* on; a hole that is open already just goes on."""
        if self._open is None:
            self._open = {"first_id": first_id, "from_ns": from_ns, "start_ns": start_ns, "cause": cause}
            self._seam = None
            self.rows += 1
            self._emit(self._open, last_id=None, to_ns=None, state="open", covered=0)

    def seam(self, first_id: int, from_ns: int, start_ns: int, cause: str) -> None:
        """Note that the chain which starts next cannot be joined to the one before."""
        if self._open is None:
            self._seam = {"first_id": first_id, "from_ns": from_ns, "start_ns": start_ns, "cause": cause}

    def close(self, last_id: int, to_ns: int) -> None:
        """Note that a chain starts after *last_id*, its first update at *to_ns*."""
        if self._seam is not None:
            self.rows += 1
            self._emit(self._seam, last_id=None, to_ns=to_ns, state="unverifiable", covered=1)
            self._seam = None
        elif self._open is not None:
            healed = last_id < self._open["first_id"]
            state, covered = ("healed", 2) if healed else ("open", 1)
            self._emit(self._open, last_id=last_id, to_ns=to_ns, state=state, covered=covered)
            self._open = None

    def whole(self, row: Row) -> None:
        """Note a hole whose both ends are known."""
        self.rows += 1
        self._emit(row._asdict(), state="open", covered=1)

    def heal(self, row: Row) -> None:
        """Note that every id of a hole has come after all."""
        self._emit(row._asdict(), state="healed", covered=2)

    def shorten(self, row: Row) -> None:
        """Note that of a hole only its first ids stay missing, up to ``row.last_id``."""
        self._emit(row._asdict(), state="open", covered=2)

    def split(self, row: Row) -> None:
        """Note ids inside a hole that stay missing."""
        self._emit(row._asdict(), state="open", covered=1)

    def _emit(self, row: dict[str, Any], **rest: Any) -> None:
        self._outlet.emit(Hole, feed=self.feed, noticed_by=NOTICED_BY, **row, **rest)

    def dump(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {"rows": self.rows, "open": self._open, "seam": self._seam}

    def load(self, state: dict[str, Any]) -> None:
        """Become what ``dump`` returned."""
        self.rows, self._open, self._seam = state["rows"], state["open"], state["seam"]
