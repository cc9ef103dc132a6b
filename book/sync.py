"""Joins a snapshot to the stream of updates of one security, in id order; nothing here knows prices.

The same rule serves Binance (U and u; protocols.md 1.6) and Coinbase L3 (sequence; 2.10), whose updates
have one id each.  ``last_id`` is the id that the book has reached.

state    event                                    next     outcome
WAITING  update                                   WAITING  kept, in id order
WAITING  snapshot that joins the kept updates,    BASED    the book is replaced; then each kept update as if
         or with none kept beyond it                       it came now
WAITING  snapshot older than that                 WAITING  stale (dropped; another one is needed)
BASED    update at or before the snapshot         BASED    old (dropped)
BASED    update that reaches the next id          LIVE     ready: a chain starts at the snapshot's id + 1
BASED    update beyond, the ids between missing   WAITING  kept; the snapshot was stale after all
BASED    snapshot at a later id                   BASED    the book is replaced
LIVE     update that reaches the next id          LIVE     ready, then kept ones that now follow
LIVE     update at or before the last id          LIVE     old (dropped)
LIVE     update beyond                            LIVE     kept while its connection's rivals may bring what
                                                           is between
LIVE     ids between missing                      WAITING  Gap; the update beyond and all later ones are kept
LIVE     desync (the book says so)                WAITING  kept: the updates from there on

An id is *missing* when every connection open for the security has brought a later one or is closed, or
``RIVAL_NS`` (by receive time) after the first later one came.  ``FeedSync`` is the rule for a feed that
has no ids and sends its own snapshot on each connection (Coinbase ``level2_batch``).
"""

import enum
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, NamedTuple

from book.cause import cause_of, ended_for_disk
from venue.api import DepthUpdate, OrderEvent
from wire.names import POSITION_BITS, epoch_of

BUFFERED_UPDATES = 50_000
"""Kept while a security waits for its snapshot: a minute of the busiest L3 feed, 20 MB; then the oldest tenth
goes."""

BUFFERED_NS = 120_000_000_000
"""A kept update older than this is dropped: a snapshot that comes now was made seconds ago, so it is past
that update, which would only hold back *done* and fill checkpoints."""

RIVAL_NS = 5_000_000_000
"""How long (by receive time) another open connection may take to bring an id that one has passed."""


class Update(NamedTuple):
    """One update of the book as a record brought it; its frame is decoded again when it was kept."""

    first_id: int
    last_id: int
    position: int
    time_ns: int
    recv_ns: int
    connection: int
    payload: bytes
    decoded: DepthUpdate | OrderEvent | None = None


class Gap(NamedTuple):
    """The ids from ``last_id + 1`` on are missing; *beyond* is the first update after them."""

    beyond: Update
    cause: str


class Outcome(NamedTuple):
    """Updates to be applied now, in id order; then, perhaps, a gap."""

    ready: list[Update]
    gap: Gap | None = None


NOTHING = Outcome([])


def _ids(update: Update) -> tuple[int, int]:
    return update.first_id, update.last_id


class State(enum.StrEnum):
    """Where a security is."""

    WAITING = "waiting"
    BASED = "based"
    LIVE = "live"


class Connections:
    """Which connections are open for one security, and how far each has come."""

    def __init__(self) -> None:
        self.reached: dict[int, int] = {}
        """The last id that each open connection brought."""
        self.ended: dict[int, str] = {}
        """Why connections of this epoch closed; those still named in a position to come matter."""

    def brought(self, connection: int, last_id: int) -> None:
        """Note an update."""
        if last_id > self.reached.get(connection, -1):
            self.reached[connection] = last_id

    def closed(self, connection: int, reason: str) -> None:
        """Note the end of a connection."""
        if self.reached.pop(connection, None) is not None:
            self.ended = {connection: reason}

    def new_epoch(self) -> None:
        """Forget all: connections count within an epoch.

        But one that ended for the disk, with none after it, is why what comes next is missing, however often
        the line starts again before there is room.
        """
        paused = {} if self.reached else {n: r for n, r in self.ended.items() if ended_for_disk(r)}
        self.reached, self.ended = {}, paused

    def cause(self, before: tuple[int, int], after: Update) -> str:
        """Say why ids are missing between the (epoch, connection) *before* and the update *after*."""
        epoch, connection = before
        if epoch != epoch_of(after.position):
            return "disk" if ended_for_disk(self.ended.get(connection, "")) else "own_restart"
        if connection == after.connection:
            return "venue"
        return cause_of(self.ended.get(connection, ""))


class Sync:
    """The state machine of a feed with update ids."""

    def __init__(self) -> None:
        self.state = State.WAITING
        self.last_id = -1
        self.old = 0
        self.stale = 0
        self.connections = Connections()
        self._kept: list[Update] = []
        self._low: int | None = None
        """The lowest position among them; None: to be found out."""
        self._source = (0, 0)
        self._lost_after: int | None = None
        """The last id before records that the journal cannot give any more."""

    @property
    def kept(self) -> int:
        """Return how many updates are kept."""
        return len(self._kept)

    def low_position(self) -> int | None:
        """Return the position of the earliest record that is kept."""
        if self._low is None and self._kept:
            self._low = min(update.position for update in self._kept)
        return self._low

    def next_in_line(self, update: Update) -> bool:
        """Take *update* at once where it simply follows; else leave everything as it is."""
        next_id = self.last_id + 1
        if self.state is not State.LIVE or self._kept or not update.first_id <= next_id <= update.last_id:
            return False
        self._reach(update)
        return True

    def follow(
        self,
        first_ids: Sequence[int],
        last_ids: Sequence[int],
        connections: Sequence[int],
        last_position: int,
    ) -> bool:
        """Take updates of one group at once where each simply follows the one before it.

        Else leave everything as it is.  *last_position* is that of the last update's record.
        """
        if self.state is not State.LIVE or self._kept:
            return False
        last_id = self.last_id
        for first, last in zip(first_ids, last_ids, strict=True):
            if not first <= last_id + 1 <= last:
                return False
            last_id = last
        self.last_id = last_id
        self._source = (epoch_of(last_position), connections[-1])
        for connection, reached in dict(zip(connections, last_ids, strict=True)).items():
            self.connections.brought(connection, reached)
        return True

    def offer(self, update: Update) -> Outcome:
        """Take *update*, as it arrived."""
        self.connections.brought(update.connection, update.last_id)
        if self.state is not State.WAITING and update.last_id <= self.last_id:
            self.old += 1
            return self._drain(update.recv_ns)
        self._keep(update)
        return self._drain(update.recv_ns)

    def accepts(self, snapshot_id: int) -> bool:
        """Say whether a snapshot at *snapshot_id* can be the book's base now; counts it as stale if not."""
        if self.state is State.LIVE:
            return False
        beyond = next((u for u in self._kept if u.last_id > snapshot_id), None)
        joins = beyond is None or beyond.first_id <= snapshot_id + 1
        if not joins or (self.state is State.BASED and snapshot_id <= self.last_id):
            self.stale += 1
            return False
        return True

    def base(self, snapshot_id: int, recv_ns: int) -> Outcome:
        """Go on from an accepted snapshot."""
        self.state = State.BASED
        self.last_id = snapshot_id
        return self._drain(recv_ns)

    def desync(self, last_id: int, again: list[Update]) -> None:
        """Wait for a new snapshot: the book is only good up to *last_id*; *again* comes after it."""
        self.state = State.WAITING
        self.last_id = last_id
        for update in again:
            self._keep(update)

    def closed(self, connection: int, reason: str, recv_ns: int) -> Outcome:
        """Note the end of a connection: what only it could still have brought is missing now."""
        self.connections.closed(connection, reason)
        return self._drain(recv_ns)

    def new_epoch(self, recv_ns: int) -> Outcome:
        """Note the start of another epoch: all connections of the one before are gone."""
        self.connections.new_epoch()
        return self._drain(recv_ns)

    def lost(self) -> None:
        """Note that records of the journal cannot be read: ids that are missing now are missing for that."""
        self._lost_after = self.last_id

    def tick(self, recv_ns: int) -> Outcome:
        """Let time pass."""
        if self.state is State.WAITING:
            if self._kept and self._kept[0].recv_ns < recv_ns - BUFFERED_NS:
                self._kept = [u for u in self._kept if u.recv_ns >= recv_ns - BUFFERED_NS]
                self._low = None
            return NOTHING
        return self._drain(recv_ns)

    def dump(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {
            "state": self.state.value,
            "last_id": self.last_id,
            "old": self.old,
            "stale": self.stale,
            "reached": self.connections.reached,
            "ended": self.connections.ended,
            "source": self._source,
            "kept": [tuple(update[:-1]) for update in self._kept],
            "lost_after": self._lost_after,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Become what ``dump`` returned."""
        self.state = State(state["state"])
        self.last_id, self.old, self.stale = state["last_id"], state["old"], state["stale"]
        self.connections.reached, self.connections.ended = state["reached"], state["ended"]
        self._source = (state["source"][0], state["source"][1])
        self._kept = [Update(*update) for update in state["kept"]]
        self._lost_after = state.get("lost_after")

    def _reach(self, update: Update) -> None:
        _, last_id, position, _, _, connection, _, _ = update
        self.last_id = last_id
        self._source = (position >> POSITION_BITS, connection)
        reached = self.connections.reached
        if last_id > reached.get(connection, -1):
            reached[connection] = last_id

    def _keep(self, update: Update) -> None:
        bare = update._replace(decoded=None)
        if not self._kept or _ids(update) > _ids(self._kept[-1]):
            self._kept.append(bare)
        else:
            place = bisect_left(self._kept, _ids(update), key=_ids)
            if _ids(self._kept[place]) == _ids(update):
                self.old += 1
                return
            self._kept.insert(place, bare)
        if self._low is not None or len(self._kept) == 1:
            self._low = min(update.position, self._kept[0].position if self._low is None else self._low)
        if len(self._kept) > BUFFERED_UPDATES:
            self._drop(BUFFERED_UPDATES // 10 + 1)

    def _drop(self, count: int) -> None:
        """Let the first *count* of what is kept go."""
        if count:
            del self._kept[:count]
            self._low = None

    def _drain(self, recv_ns: int) -> Outcome:
        ready: list[Update] = []
        gap: Gap | None = None
        taken = 0
        for update in self._kept if self.state is not State.WAITING else ():
            if update.last_id <= self.last_id:
                self.old += 1
            elif update.first_id <= self.last_id + 1:
                self._reach(update)
                self.state = State.LIVE
                ready.append(update)
            else:
                break
            taken += 1
        self._drop(taken)
        if self.state is not State.WAITING and self._kept and self._missing(recv_ns):
            if self.state is State.LIVE:
                gap = Gap(self._kept[0], self._cause(self._kept[0]))
            else:
                self.stale += 1
            self.state = State.WAITING
        return Outcome(ready, gap)

    def _cause(self, beyond: Update) -> str:
        """Say why the ids between the last one and *beyond* are missing."""
        if self._lost_after == self.last_id:
            return "disk"
        return self.connections.cause(self._source, beyond)

    def _missing(self, recv_ns: int) -> bool:
        if all(reached > self.last_id for reached in self.connections.reached.values()):
            return True
        return recv_ns - min(update.recv_ns for update in self._kept) >= RIVAL_NS


class FeedSync:
    """The rule of a feed whose connections each begin with a snapshot of their own, without ids.

    state    event                                  next     outcome
    any      snapshot of a connection               LIVE     a chain starts at the snapshot's position + 1
    LIVE     update of that connection              LIVE     ready: reaches from the last id to its position
    any      update of another connection           same     old (dropped)
    LIVE     that connection closes, a new epoch    WAITING
    """

    def __init__(self) -> None:
        self.state = State.WAITING
        self.last_id = -1
        self.old = 0
        self._source = (0, 0)
        self._reason = ""

    def cause(self, position: int, connection: int) -> str:
        """Say why the chain before the snapshot at *position* of *connection* ended."""
        if self._source[0] != epoch_of(position):
            return "disk" if ended_for_disk(self._reason) else "own_restart"
        if self._source[1] == connection:
            return "venue"
        return cause_of(self._reason)

    def base(self, position: int, connection: int) -> None:
        """Go on from the snapshot at *position* of *connection*."""
        self.state = State.LIVE
        self.last_id = position
        self._source = (epoch_of(position), connection)
        self._reason = ""

    def offer(self, update: Update) -> Outcome:
        """Take *update*, as it arrived; its ids are set here."""
        if self.state is not State.LIVE or self._source != (epoch_of(update.position), update.connection):
            self.old += 1
            return NOTHING
        first_id, self.last_id = self.last_id + 1, update.position
        return Outcome([update._replace(first_id=first_id, last_id=update.position)])

    def desync(self) -> None:
        """Wait for a new snapshot."""
        self.state = State.WAITING

    def closed(self, connection: int, reason: str) -> None:
        """Note the end of a connection."""
        if self._source[1] == connection:
            self._reason = reason
            self.state = State.WAITING

    def new_epoch(self) -> None:
        """Note the start of another epoch."""
        self.state = State.WAITING

    def dump(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {
            "state": self.state.value,
            "last_id": self.last_id,
            "old": self.old,
            "source": self._source,
            "reason": self._reason,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Become what ``dump`` returned."""
        self.state = State(state["state"])
        self.last_id, self.old, self._reason = state["last_id"], state["old"], state["reason"]
        self._source = (state["source"][0], state["source"][1])
