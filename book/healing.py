"""The holes among the trades of one security that can still be filled, and what has come for them.

event                                         outcome
a hole is written into the ledger             kept; of its ids the newest ``MOST_IDS`` are waited for
a trade of a hole, from REST or late          kept
an answer leaves ids of its page missing      a try; the ``MOST_TRIES``-th time they are *absent*
every id waited for has come or is absent     ``Filled``: what came leaves, in id order, all at once
more than ``MOST_HOLES``, or ``MOST_KEPT``    the oldest hole is let go: ``Filled`` with what came for it
trades kept

A hole leaves whole, so what becomes of it depends on the trades and not on the order in which they came.  The
effective time of a trade is its exchange time, not before that of the trade before it and not after that of
the first one after the hole: a reader finds it where it belongs.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

from book.tape import Print

PAGE_IDS = 1000
"""Trades that one request brings, at both venues."""

MOST_IDS = 20 * PAGE_IDS
"""Of one hole: 20 requests.  What is older stays missing."""

MOST_HOLES = 1000
MOST_KEPT = 2 * MOST_IDS
"""Trades of one security in memory and in its checkpoints."""

MOST_TRIES = 3
"""The venue's answers may lag behind its feed by seconds; a maintainer asks again after ten."""


class Row(NamedTuple):
    """A hole as the ledger has it."""

    first_id: int
    last_id: int
    from_ns: int | None
    to_ns: int | None
    start_ns: int
    cause: str


class Filled(NamedTuple):
    """What is known of a hole in the end."""

    row: Row
    runs: list[tuple[list[Print], list[int]]]
    """Trades whose ids follow one another, with their effective times."""


class _Hole:
    def __init__(self, row: Row, before_ns: int, after_ns: int) -> None:
        self.row = row
        self.before_ns, self.after_ns = before_ns, after_ns
        """Effective times of the trades around it."""
        self.next_id = max(row.first_id, row.last_id - MOST_IDS + 1)
        """Every id before it has come, is absent, or is not waited for."""
        self.tries = 0
        self.came: dict[int, Print] = {}

    def add(self, one: Print) -> bool:
        """Keep *one*; say whether it is new."""
        if not self.row.last_id - MOST_IDS < one.id <= self.row.last_id or one.id < self.row.first_id:
            return False
        return self.came.setdefault(one.id, one) is one

    def advance(self) -> None:
        begun = self.next_id
        while self.next_id in self.came:
            self.next_id += 1
        if self.next_id != begun:
            self.tries = 0

    @property
    def page(self) -> tuple[int, int]:
        return self.next_id, min(self.next_id + PAGE_IDS - 1, self.row.last_id)

    @property
    def is_settled(self) -> bool:
        return self.next_id > self.row.last_id

    def filled(self) -> Filled:
        last_ns, timed = self.before_ns, []
        for one in (self.came[trade_id] for trade_id in sorted(self.came)):
            last_ns = min(max(last_ns, one.time_ns), self.after_ns)
            timed.append((one, last_ns))
        runs = []
        for _, run in groupby(enumerate(timed), key=lambda pair: pair[1][0].id - pair[0]):
            prints, effective = zip(*(each for _, each in run), strict=True)
            runs.append((list(prints), list(effective)))
        return Filled(self.row, runs)


def _last_id(hole: _Hole) -> int:
    return hole.row.last_id


class Healing:
    """The open holes, oldest first: in the order of their ids."""

    def __init__(self) -> None:
        self._holes: list[_Hole] = []

    @property
    def page(self) -> tuple[int, int] | None:
        """Return the first and the last id that are to be asked for next; None: nothing is missing."""
        return self._holes[0].page if self._holes else None

    def open(self, row: Row, before_ns: int, after_ns: int) -> list[Filled]:
        """Take a hole between trades of these effective times; return what is let go for it."""
        self._holes.append(_Hole(row, before_ns, after_ns))
        return [self._holes.pop(0).filled()] if len(self._holes) > MOST_HOLES else []

    def concerns(self, first_id: int) -> bool:
        """Say whether trades from *first_id* on may fall into a hole."""
        return bool(self._holes) and first_id <= self._holes[-1].row.last_id

    def take(self, prints: Iterable[Print]) -> list[Filled]:
        """Take those of *prints* that fall into a hole; return the holes that are filled now."""
        news = False
        for one in prints:
            place = bisect_left(self._holes, one.id, key=_last_id)
            news = (place < len(self._holes) and self._holes[place].add(one)) or news
        return list(self._settled()) if news else []

    def tried(self) -> list[Filled]:
        """Note that ``page`` was answered, and what came of it taken; return the holes done with now."""
        if self._holes:
            hole = self._holes[0]
            hole.tries += 1
            if hole.tries >= MOST_TRIES:
                hole.next_id, hole.tries = hole.page[1] + 1, 0
        return list(self._settled())

    def _settled(self) -> Iterator[Filled]:
        for hole in self._holes:
            hole.advance()
        done = [hole for hole in self._holes if hole.is_settled]
        self._holes = [hole for hole in self._holes if not hole.is_settled]
        yield from (hole.filled() for hole in done)
        while sum(len(hole.came) for hole in self._holes) > MOST_KEPT:
            yield self._holes.pop(0).filled()

    def dump(self) -> list[Any]:
        """Return the state for a checkpoint."""
        return [
            (
                tuple(hole.row),
                hole.before_ns,
                hole.after_ns,
                hole.next_id,
                hole.tries,
                [tuple(one) for one in hole.came.values()],
            )
            for hole in self._holes
        ]

    def load(self, state: list[Any]) -> None:
        """Become what ``dump`` returned."""
        self._holes = []
        for row, before_ns, after_ns, next_id, tries, came in state:
            hole = _Hole(Row(*row), before_ns, after_ns)
            hole.next_id, hole.tries = next_id, tries
            hole.came = {one.id: one for one in (Print(*each) for each in came)}
            self._holes.append(hole)
