"""Joins a snapshot to the stream of updates of one security, in id order; nothing here knows prices.

The same rule serves Binance (U and u; protocols.md 1.6) and Coinbase L3 (sequence; 2.10), whose updates
have one id each.  ``last_id`` is the id that the book has reached.

state    event                                    next     outcome
WAITING  update                                   WAITING  kept, in id order
WAITING  snapshot that joins the kept updates,    BASED    the book is replaced; then each kept update as if
         or with none kept beyond it                       it came now
WAITING  snapshot older than that, or at an id     WAITING  stale (dropped; another one is needed)
         that cannot be true (venue.leap)
BASED    update at or before the snapshot         BASED    old (dropped)
BASED    update that reaches the next id          LIVE     ready: a chain starts at the snapshot's id + 1
BASED    update beyond, the ids between missing   WAITING  kept; the snapshot was stale after all
BASED    snapshot at a later id                   BASED    the book is replaced; not where an open connection
                                                           has brought something: what follows is on its way
LIVE     update that reaches the next id          LIVE     ready, then kept ones that now follow
LIVE     update at or before the last id          LIVE     old (dropped)
LIVE     update beyond                            LIVE     kept while its connection's rivals may bring what
                                                           is between
LIVE     ids between missing                      WAITING  Gap; the update beyond and all later ones are kept
any      an update that cannot be                 same     as if its connection had passed over it
LIVE     desync (the book says so)                WAITING  kept: the updates from there on

An id is *missing* when every connection of every line that is open for the security has brought a later one
or is closed, or ``RIVAL_NS`` (by receive time) after the first later one came.  Lines are merged before
(book.merge): two of them are here what two connections of one are.  A feed that has no ids and sends its own
snapshot on each connection has a rule of its own (book.feedsync).
"""

import enum
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, NamedTuple

from book.outlet import earliest
from book.source import Connections, Source
from venue.api import DepthUpdate, OrderEvent
from venue.leap import LEAP, leaps
from wire.names import POSITION_BITS, epoch_of
from wire.runs import Marks

BUFFERED_UPDATES = 50_000
"""Kept while a security waits for its snapshot: a minute of the busiest L3 feed, 20 MB; then the oldest tenth
goes."""

BUFFERED_NS = 120_000_000_000
"""A kept update older than this is dropped: a snapshot that comes now was made seconds ago, so it is past
that update, which would only hold back *done* and fill checkpoints."""

BUFFERED_TICKS = 120
"""Nor before so many ticks without a base: the clock alone may have been set."""

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
    line: str = ""
    decoded: DepthUpdate | OrderEvent | None = None

    @property
    def source(self) -> Source:
        """Where it came from."""
        return Source(self.line, epoch_of(self.position), self.connection)


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


class Sync:
    """The state machine of a feed with update ids."""

    def __init__(self) -> None:
        self.state = State.WAITING
        self.last_id = -1
        self.old = 0
        self.stale = 0
        self.connections = Connections()
        self._kept: list[Update] = []
        self._kept_since_ns: int | None = None
        """When the first of them came; None: to be found out."""
        self._lows: Marks | None = {}
        """The lowest position among them of each line; None: to be found out."""
        self._source = Source("", 0, 0)
        self._waited_ticks = 0
        self._lost_after: int | None = None
        """The last id before records that the journal cannot give any more."""

    @property
    def kept(self) -> int:
        """Return how many updates are kept."""
        return len(self._kept)

    @property
    def is_plain(self) -> bool:
        """Say whether an update that simply follows is ready at once."""
        return self.state is State.LIVE and not self._kept

    @property
    def reached(self) -> int | None:
        """Return the highest id of the book and of what is kept; None: there is none."""
        highest = max(self.last_id, self._kept[-1].last_id if self._kept else -1)
        return None if highest < 0 else highest

    def lows(self) -> Marks:
        """Return of each line the position of the earliest record that is kept."""
        if self._lows is None:
            self._lows = earliest((update.line, update.position) for update in self._kept)
        return self._lows

    def _lower(self, update: Update) -> None:
        if self._lows is not None:
            line, position = update.line, update.position
            self._lows[line] = min(position, self._lows.get(line, position))

    def next_in_line(self, update: Update) -> bool:
        """Take *update* at once where it simply follows; else leave everything as it is."""
        next_id = self.last_id + 1
        fits = update.first_id <= next_id <= update.last_id < next_id + LEAP
        if self.state is not State.LIVE or self._kept or not fits:
            return False
        self._reach(update)
        self.connections.brought(update.line, update.connection, update.last_id)
        return True

    def follow(
        self,
        first_ids: Sequence[int],
        last_ids: Sequence[int],
        connections: Sequence[int],
        line: str,
        last_position: int,
    ) -> bool:
        """Take updates of one group of *line*, its last record at *last_position*, if each simply follows."""
        if self.state is not State.LIVE or self._kept:
            return False
        last_id = self.last_id
        for first, last in zip(first_ids, last_ids, strict=True):
            if not first <= last_id + 1 <= last:
                return False
            last_id = last
        if last_id - self.last_id > LEAP:
            return False
        self.last_id = last_id
        self._source = Source(line, epoch_of(last_position), connections[-1])
        self.connections.brought_in_turn(line, connections, last_ids)
        return True

    def reach(self, last_id: int, source: Source) -> None:
        """Note that updates of *source* up to *last_id* simply followed."""
        self.last_id, self._source = last_id, source
        self.connections.brought(source.line, source.connection, last_id)

    def repeats(self, last_ids: Sequence[int], connections: Sequence[int], line: str) -> bool:
        """Drop updates of one group at once where each was there already, as a second line's; else no-op."""
        if self.state is not State.LIVE or self._kept or max(last_ids) > self.last_id:
            return False
        self.old += len(last_ids)
        for connection, reached in zip(connections, last_ids, strict=True):
            self.connections.brought(line, connection, reached)
        return True

    def offer(self, update: Update) -> Outcome:
        """Take *update*, as it arrived."""
        self.connections.brought(update.line, update.connection, update.last_id)
        if self.state is not State.WAITING and update.last_id <= self.last_id:
            self.old += 1
            return self._drain(update.recv_ns)
        self._keep(update)
        return self._drain(update.recv_ns)

    def accepts(self, snapshot_id: int) -> bool:
        """Say whether a snapshot at *snapshot_id* can be the base now; counts it as stale if not."""
        is_joining = self.state is State.BASED and not self._kept and self.connections.have_brought
        if self.state is State.LIVE or is_joining:
            return False
        beyond = next((u for u in self._kept if u.last_id > snapshot_id), None)
        joins = beyond is None or beyond.first_id <= snapshot_id + 1
        if (
            not joins
            or leaps(snapshot_id, self.reached)
            or (self.state is State.BASED and snapshot_id <= self.last_id)
        ):
            self.stale += 1
            return False
        return True

    def base(self, snapshot_id: int, recv_ns: int) -> Outcome:
        """Go on from an accepted snapshot."""
        self.state = State.BASED
        self.last_id = snapshot_id
        self._waited_ticks = 0
        return self._drain(recv_ns)

    def desync(self, last_id: int, again: list[Update]) -> None:
        """Wait for a new snapshot: the book is only good up to *last_id*; *again* comes after it."""
        self.state = State.WAITING
        self.last_id = last_id
        for update in again:
            self._keep(update)

    def refuse(self, last_id: int, again: list[Update], *, is_base: bool) -> Outcome:
        """Take the update after *last_id* back, which cannot be: another connection may bring it whole."""
        self.last_id, self.state = last_id, State.BASED if is_base else State.LIVE
        for update in again:
            self._keep(update)
        return self._drain(0)

    def closed(self, line: str, connection: int, reason: str, recv_ns: int) -> Outcome:
        """Note the end of a connection: what only it could still have brought is missing now."""
        self.connections.closed(line, connection, reason)
        return self._drain(recv_ns)

    def new_epoch(self, line: str, epoch: int, recv_ns: int) -> Outcome:
        """Note the start of another epoch: all connections of the line's one before are gone."""
        self.connections.new_epoch(line, epoch)
        return self._drain(recv_ns)

    def lost(self) -> None:
        """Note that records of the journal cannot be read: ids that are missing now are missing for that."""
        self._lost_after = self.last_id

    def tick(self, recv_ns: int) -> Outcome:
        """Let time pass."""
        if self.state is State.WAITING:
            self._waited_ticks += 1
            is_long = self._waited_ticks >= BUFFERED_TICKS
            if is_long and self._kept and self._kept[0].recv_ns < recv_ns - BUFFERED_NS:
                self._kept = [u for u in self._kept if u.recv_ns >= recv_ns - BUFFERED_NS]
                self._lows = self._kept_since_ns = None
            return NOTHING
        return self._drain(recv_ns)

    def dump(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {
            "state": self.state.value,
            "last_id": self.last_id,
            "old": self.old,
            "stale": self.stale,
            "connections": self.connections.dump(),
            "source": tuple(self._source),
            "kept": [tuple(update[:-1]) for update in self._kept],
            "lost_after": self._lost_after,
            "waited_ticks": self._waited_ticks,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Become what ``dump`` returned."""
        self.state = State(state["state"])
        self.last_id, self.old, self.stale = state["last_id"], state["old"], state["stale"]
        self.connections.load(state["connections"])
        self._source = Source(*state["source"])
        self._kept = [Update(*update) for update in state["kept"]]
        self._lows = self._kept_since_ns = None
        self._lost_after = state.get("lost_after")
        self._waited_ticks = state.get("waited_ticks", 0)

    def _reach(self, update: Update) -> None:
        # Not that its connection brought it: the update may have been kept, and the connection be closed.
        _, last_id, position, _, _, connection, _, line, _ = update
        self.last_id = last_id
        self._source = Source(line, position >> POSITION_BITS, connection)

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
        self._lower(update)
        if self._kept_since_ns is not None:
            self._kept_since_ns = min(update.recv_ns, self._kept_since_ns)
        if len(self._kept) > BUFFERED_UPDATES:
            self._drop(BUFFERED_UPDATES // 10 + 1)

    def _drop(self, count: int) -> None:
        """Let the first *count* of what is kept go."""
        if count:
            del self._kept[:count]
            self._lows, self._kept_since_ns = None if self._kept else {}, None

    def _drain(self, recv_ns: int) -> Outcome:
        ready: list[Update] = []
        gap: Gap | None = None
        taken = 0
        for update in self._kept if self.state is not State.WAITING else ():
            if update.last_id <= self.last_id:
                if ready and update.last_id != ready[-1].last_id:
                    break  # inside one that the book may yet refuse: whether it is old is known later
                self.old += 1
            elif update.first_id <= self.last_id + 1:
                self._reach(update)
                self.state = State.LIVE
                ready.append(update)
            else:
                break
            taken += 1
        self._drop(taken)
        beyond = bool(self._kept) and self._kept[0].first_id > self.last_id + 1
        if self.state is not State.WAITING and beyond and self._missing(recv_ns):
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
        return self.connections.cause(self._source, beyond.source)

    def _missing(self, recv_ns: int) -> bool:
        if self.connections.all_past(self.last_id):
            return True
        if self._kept_since_ns is None:
            self._kept_since_ns = min(update.recv_ns for update in self._kept)
        return recv_ns - self._kept_since_ns >= RIVAL_NS
