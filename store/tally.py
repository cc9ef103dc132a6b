"""What a walk over stored data found: counts, and the first thing that is wrong."""

from dataclasses import dataclass
from typing import NamedTuple


class Bad(NamedTuple):
    """A document that is not what it has to be."""

    start_ns: int
    """Of its window."""
    id: str
    why: str


@dataclass(slots=True)
class Tally:
    """The counts of one security.

    *Proven* are the ids of updates and trades whose documents are sound, whose feed numbers them and which
    follow one another; of a book also: the book rebuilt up to them has the recorder's hash.  *Unverifiable*
    are the ids of sound documents of which that cannot be said: their feed has no ids (its updates are
    counted, not its positions), or the book before them is not known because of what is wrong before them.
    The ids of bad documents are in neither.
    """

    security: str
    documents: int = 0
    proven: int = 0
    unverifiable: int = 0
    bad: int = 0
    first_bad: Bad | None = None
    from_ns: int | None = None
    to_ns: int | None = None
    """Exchange times of the first and the last row that was read."""

    def wrong(self, start_ns: int, identity: str, why: str) -> None:
        """Note that something is wrong."""
        self.bad += 1
        if self.first_bad is None or start_ns < self.first_bad.start_ns:
            self.first_bad = Bad(start_ns, identity, why)

    def read(self, first_ns: int, last_ns: int) -> None:
        """Note the exchange times of rows that were read."""
        self.from_ns = first_ns if self.from_ns is None else min(self.from_ns, first_ns)
        self.to_ns = last_ns if self.to_ns is None else max(self.to_ns, last_ns)
