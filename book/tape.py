"""Which trade comes next: each id once, in order, whichever connection of whichever line brings it.

``last_id`` is the id that was given last.

trade id                          outcome
the next one, or the first        given; then kept ones that now follow
beyond the next one               kept while its connection's rivals may bring what is between
at or before the last             dropped and counted: a duplicate, or late; it stays in the journal
ids between missing               the kept ones are given: what follows finds the hole by their ids

An id is missing as an update's is (book.sync).  Trade ids are contiguous at Binance and Coinbase
(protocols.md 2.9; 1.4 by every capture).
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, NamedTuple

from book.source import Connections, Source
from book.sync import RIVAL_NS
from wire.names import epoch_of


class Print(NamedTuple):
    """One trade as a record brought it."""

    id: int
    time_ns: int
    price: str
    size: str
    side: int
    position: int
    recv_ns: int
    connection: int
    line: str = ""

    @property
    def source(self) -> Source:
        """Where it came from."""
        return Source(self.line, epoch_of(self.position), self.connection)


class Tape:
    """The ids that have come."""

    def __init__(self) -> None:
        self.last_id: int | None = None
        self.repeated = 0
        self.connections = Connections()
        self.kept: list[Print] = []
        """In the order of their ids."""

    @property
    def reached(self) -> int | None:
        """Return the highest id so far; None: there is none."""
        return self.kept[-1].id if self.kept else self.last_id

    def is_next(self, trade_id: int) -> bool:
        """Say whether *trade_id* can be given at once."""
        return not self.kept and (self.last_id is None or trade_id == self.last_id + 1)

    def follow(self, ids: Sequence[int], connections: Sequence[int], line: str) -> None:
        """Note that *ids*, the first being the next, were given at once, each by one of *connections*."""
        self.last_id = ids[-1]
        self.connections.brought_in_turn(line, connections, ids)

    def repeats(self, ids: Sequence[int], connections: Sequence[int], line: str) -> bool:
        """Drop *ids*, ascending, where all were there already; else leave everything as it is."""
        if self.kept or self.last_id is None or ids[-1] > self.last_id:
            return False
        self.repeated += len(ids)
        self.connections.brought_in_turn(line, connections, ids)
        return True

    def offer(self, prints: Sequence[Print]) -> list[Print]:
        """Take *prints*, as they arrived; return those that are to be sent now."""
        ready: list[Print] = []
        for each in prints:
            self.connections.brought(each.line, each.connection, each.id)
            if self.is_next(each.id):
                self.last_id = each.id
                ready.append(each)
            elif self._keep(each):
                ready += self.drain(each.recv_ns)
        return ready

    def drain(self, recv_ns: int) -> list[Print]:
        """Return what is to be sent now, since *recv_ns* is reached or a connection ended."""
        ready: list[Print] = []
        while self.kept and (self.kept[0].id == (self.last_id or 0) + 1 or self._missing(recv_ns)):
            ready.append(self.kept.pop(0))
            self.last_id = ready[-1].id
        return ready

    def _keep(self, one: Print) -> bool:
        place = bisect_left(self.kept, one.id, key=_id)
        known = place < len(self.kept) and self.kept[place].id == one.id
        if known or one.id <= (self.last_id or 0):
            self.repeated += 1
            return False
        self.kept.insert(place, one)
        return True

    def _missing(self, recv_ns: int) -> bool:
        return self.connections.all_past(self.last_id or 0) or recv_ns - self.kept[0].recv_ns >= RIVAL_NS

    def dump(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {
            "last_id": self.last_id,
            "repeated": self.repeated,
            "connections": self.connections.dump(),
            "kept": [tuple(each) for each in self.kept],
        }

    def load(self, state: dict[str, Any]) -> None:
        """Become what ``dump`` returned."""
        self.last_id, self.repeated = state["last_id"], state["repeated"]
        self.connections.load(state["connections"])
        self.kept = [Print(*each) for each in state["kept"]]


def _id(one: Print) -> int:
    return one.id
