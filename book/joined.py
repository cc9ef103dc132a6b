"""The book of one security and the rule that joins its snapshots and updates, driven together.

event                              outcome
updates of a group                 those in line are applied together, as few times as possible; one whose
                                   id cannot be true (venue.leap) is refused, and counted
a gap, by the rule                 what was ready is applied; the chain ends
a stop, by the book (book.bookfeed the rule takes back what was not applied, and waits for a snapshot
``Stopped``)
a REST body                        the base of a chain while one is needed; else an image if it was commanded,
                                   and the book is compared with it if the line had said that it asks
the book reaches that body         an Audit; levels beyond the certified range widen it; the same difference
                                   twice: a stop, cause ``desync``
a feed's own snapshot              the chain before ends in a seam; the base of the next
"""

from contextlib import suppress
from typing import Any

from book import following
from book.audit import Fresh
from book.bookfeed import BookFeed, Stopped
from book.compare import audit
from book.feedsync import FeedSync
from book.outlet import Outlet, earliest
from book.run import Run
from book.scales import Refused
from book.source import Source
from book.sync import Outcome, State, Sync, Update
from book.windows import Windows
from journal.group import Record
from journal.payload import Rest
from venue.api import BookSnapshot, DepthUpdate, Feed, OrderEvent, OrderSnapshot, UnknownFrame, Venue
from venue.leap import Leaps
from wire.names import epoch_of
from wire.runs import Marks

WISH_TICKS = 10
"""A security that waits this long asks for a snapshot itself: what the line fetched may have been stale."""

BACK_TICKS = 10
"""So long may connections that began with what is known already take to come to what is new."""

FEW = 16
"""Updates that are taken by themselves first while no chain has begun, then twice as many, and so on."""

BASE_TICKS = 900
"""After this long a snapshot without an update no longer holds back the marks: checkpoints hold it."""


class Joined:
    """A feed's rule, and its book."""

    def __init__(
        self, outlet: Outlet, windows: Windows, venue: Venue, symbol: str, feed: str, traits: Feed
    ) -> None:
        self.traits = traits
        self.sync: Sync | FeedSync = Sync() if traits.rest_base else FeedSync()
        self.book = BookFeed(outlet, windows, traits.book, self._decoded)
        self.refused_snapshots = 0
        self._venue = venue
        self._symbol = symbol
        self._feed = feed
        self._was_desync = False
        self._refused_after: int | None = None
        """The last id before an update that cannot be."""
        self._waiting_ticks = 0
        self._base_at: Marks = {}
        """Where the body of the snapshot lies that waits for its first update."""
        self._base_ticks = 0
        self._back_ticks = 0
        self._leaps = Leaps()
        self._is_bare = False
        """The checkpoint had lost the book (book.bare), and the row of that is still to be written."""

    @property
    def ids_went_back(self) -> bool:
        """Say whether all that comes has lower ids than the book: the exchange has begun its ids anew."""
        return self._back_ticks > BACK_TICKS

    @property
    def wishes_snapshot(self) -> bool:
        """Say whether only a new snapshot helps, and none seems to be on its way."""
        waits = self.sync.state is State.WAITING
        # no line sees that what it brought cannot be
        unseen = self._was_desync or self._refused_after == self.sync.last_id
        return waits and (unseen or self._waiting_ticks >= WISH_TICKS)

    def take(self, updates: list[Update]) -> None:
        """Put *updates* through the sync rule and apply what is ready, as few times as possible."""
        sync, ready = self.sync, []
        for update in updates:
            if isinstance(sync, Sync):
                if update.line not in self._leaps.lines and sync.next_in_line(update):
                    ready.append(update)
                    continue
                if not self._leaps.takes(update.line, update.first_id, update.last_id, sync.reached):
                    self.book.refused += 1
                    continue
                if ready and update.last_id <= sync.last_id and update.last_id != ready[-1].last_id:
                    # inside one that the book may yet refuse: whether it is old is known then
                    self._run(Outcome(ready))
                    ready = []
                outcome = sync.offer(update)
            else:
                outcome = sync.offer(update)
            ready += outcome.ready
            if outcome.gap is not None:
                self._run(Outcome(ready, outcome.gap))
                ready = []
        self._run(Outcome(ready))

    def take_run(self, run: Run) -> None:
        """Do the same with updates that came as columns."""
        few = FEW
        while self.sync.state is not State.LIVE and len(run.frames) > few:
            # (once a chain has begun, what comes after may simply follow)
            first, run = run.cut(few)
            self.take(first.updates())
            few *= 2
        ids, frames = (run.columns.first_ids, run.columns.last_ids), run.frames
        if self.book.auditor.fresh is not None or frames.line in self._leaps.lines:
            self.take(run.updates())
        elif isinstance(self.sync, Sync) and self.sync.follow(
            *ids, frames.connections, frames.line, frames.positions[-1]
        ):
            if self.book.auditor.is_on_its_way:
                self.book.auditor.keep(run.updates())
            self.stop(self.book.take_run(run))
        elif not (isinstance(self.sync, Sync) and self.sync.repeats(ids[1], frames.connections, frames.line)):
            self.take(run.updates())

    def place(self, line: str) -> "following.BookPlace | None":
        """Return where updates of *line* go on that simply follow; None where they are to be looked at."""
        sync, auditor = self.sync, self.book.auditor
        if not isinstance(sync, Sync) or not sync.is_plain or line in self._leaps.lines:
            return None
        if auditor.fresh is not None or auditor.is_on_its_way:
            return None
        return self.book.place(sync.last_id)

    def followed(self, followed: following.Followed, source: Source) -> None:
        """Go on after the updates that *source* brought to the book's place."""
        last_id = self.book.followed(followed)
        if isinstance(self.sync, Sync):
            self.sync.reach(last_id, source)

    def _run(self, outcome: Outcome) -> None:
        ready, gap = outcome
        while self.book.auditor.fresh is not None and ready:
            # one by one: the books are compared at the update that reaches the snapshot, however they came
            self.book.auditor.keep(ready[:1])
            stopped = self.book.take(ready[:1]) or self._compare()
            ready = ready[1:]
            if stopped is not None:
                stopped.again.extend(ready)
                self.stop(stopped)
                return
        self.book.auditor.keep(ready)
        stopped = self.book.take(ready, gap.beyond.time_ns if gap else None)
        if stopped is not None:
            self.stop(stopped)
        elif gap is not None:
            self._was_desync = False
            self.book.auditor.skip()
            self.book.break_chain(gap.cause)

    def commanded(self, record: Record, what: str) -> None:
        """Work off a command ``snapshot``, or that a line has ``asked`` for one to compare the book with."""
        if isinstance(self.sync, FeedSync):
            if what == "snapshot":
                self.book.image()
        elif what == "asked" and self.sync.state is State.LIVE:
            self.book.auditor.asked(record.line, record.recv_ns, self.sync.last_id)

    def _compare(self) -> Stopped | None:
        """Compare the book with the fresh snapshot once it has reached it."""
        fresh, last_id = self.book.auditor.fresh, self.book.last_id
        if fresh is None or last_id is None or not self.book.in_chain or last_id < fresh.id:
            return None
        updates = [update for update in self.book.auditor.end() if update.last_id <= last_id]
        try:
            snapshot = fresh.snapshot or self._snapshot(fresh.body, fresh.levels)
            audited = audit(self.book.book, snapshot, fresh.id, updates, self._decoded)
        except (UnknownFrame, Refused):
            self.book.auditor.skipped += 1
            return None
        self.book.audited(audited)
        if self.book.auditor.repeats(audited):
            self.book.desyncs += 1
            return self.book.settle_held() or Stopped("desync", [])
        if audited.beyond is not None and not audited.comparison.differences:
            with suppress(Refused):
                self.book.widen(audited.scales, audited.beyond)
        return None

    def _snapshot(self, body: bytes, levels: int) -> BookSnapshot | OrderSnapshot:
        return self._venue.snapshot(self._symbol, self._feed, body, levels)

    def stop(self, stopped: Stopped | None) -> None:
        """Go back to where the book is good, and wait for a snapshot."""
        if stopped is None:
            return
        if isinstance(self.sync, Sync) and stopped.cause == "venue":
            self._refuse(self.sync, stopped.again)
            return
        last_id = -1 if self.book.last_id is None else self.book.last_id
        if isinstance(self.sync, Sync):
            self.sync.desync(last_id, stopped.again)
        else:
            self.sync.desync()
        self._was_desync = True
        self.book.auditor.skip()
        self.book.break_chain(stopped.cause)

    def begun(self) -> None:
        """Say, at the start of a run, that the book of its checkpoint is lost, if it is."""
        if self._is_bare:
            self._is_bare = False
            self.stop(Stopped("disk", []))

    def _refuse(self, sync: Sync, again: list[Update]) -> None:
        """Go back to before an update that cannot be; unless a connection brings it whole, it is missing."""
        starting, reached = self.book.starting, self.book.last_id
        self._refused_after = starting if starting is not None else -1 if reached is None else reached
        self.book.auditor.skip()
        self._run(sync.refuse(self._refused_after, again, is_base=starting is not None))

    def expect(self, line: str) -> None:
        """Note that *line* records the security, or opened a connection."""
        if isinstance(self.sync, Sync):
            self.sync.connections.expect(line)

    def leave(self, line: str) -> None:
        """Note that *line* does not record it any more."""
        if isinstance(self.sync, Sync):
            self.sync.connections.leave(line)

    def closed(self, record: Record, reason: str) -> None:
        """Work off the end of a connection."""
        if isinstance(self.sync, FeedSync):
            self.sync.closed(record.line, record.connection, reason)
        else:
            self._run(self.sync.closed(record.line, record.connection, reason, record.recv_ns))

    def new_epoch(self, record: Record) -> None:
        """Work off the start of another epoch."""
        if isinstance(self.sync, FeedSync):
            self.sync.new_epoch(record.line)
        else:
            self._run(self.sync.new_epoch(record.line, epoch_of(record.position), record.recv_ns))

    def lost(self) -> None:
        """Work off that records cannot be read: only ids can show whether updates were among them."""
        if isinstance(self.sync, Sync):
            self.sync.lost()
        elif self.sync.state is State.LIVE:
            self.stop(self.book.settle_held() or Stopped("disk", []))

    def tick(self, record: Record) -> None:
        """Let a second pass."""
        if isinstance(self.sync, Sync):
            self._run(self.sync.tick(record.recv_ns))
        self.stop(self.book.tick() or self._compare())
        self.book.auditor.tick(record.recv_ns)
        self._waiting_ticks = self._waiting_ticks + 1 if self.sync.state is State.WAITING else 0
        self._back_ticks = self._back_ticks + 1 if self._is_back else 0
        self._base_ticks += 1

    @property
    def _is_back(self) -> bool:
        sync = self.sync
        if not isinstance(sync, Sync) or sync.state is not State.LIVE:
            return False
        return sync.connections.all_behind(sync.last_id)

    def may_have_lost(self, record: Record) -> bool:
        """Say whether a frame that cannot be decoded held an update that nobody else will miss."""
        if isinstance(self.sync, Sync) or self.sync.state is not State.LIVE:
            return False
        try:
            return self._venue.route(record.payload, self._feed).kind == "book"
        except UnknownFrame:
            return False

    def rest_snapshot(self, record: Record, rest: Rest) -> None:
        """Work off a REST body of the book."""
        sync = self.sync
        if not isinstance(sync, Sync):
            return
        if sync.state is State.LIVE:
            if rest.cause == "command":
                self.book.image()
            self._audit(record, rest)
            return
        try:
            snapshot = self._snapshot(rest.body, rest.levels)
            if snapshot.last_id is None or not sync.accepts(snapshot.last_id):
                return
            self.book.book.replace(snapshot, snapshot.last_id)
        except (UnknownFrame, Refused):
            self.refused_snapshots += 1
            return
        self._was_desync = False
        self.book.base(snapshot.last_id)
        self._base_at, self._base_ticks = {record.line: record.position}, 0
        self._run(sync.base(snapshot.last_id, record.recv_ns))

    def _audit(self, record: Record, rest: Rest) -> None:
        """Compare the live book with a body that was asked for so that the updates after it are kept."""
        if not self.book.auditor.expects(record.line):
            return
        try:
            snapshot = self._snapshot(rest.body, rest.levels)
        except UnknownFrame:
            snapshot = None
        if snapshot is None or snapshot.last_id is None:
            self.book.auditor.skip()
            return
        self.book.auditor.body(Fresh(snapshot.last_id, rest.levels, rest.body, snapshot))
        self.stop(self._compare())

    def feed_snapshot(self, record: Record, snapshot: BookSnapshot) -> None:
        """Work off the snapshot that a connection begins with."""
        sync = self.sync
        if not isinstance(sync, FeedSync):
            return
        self.stop(self.book.settle_held())
        source = Source(record.line, epoch_of(record.position), record.connection)
        if self.book.last_id is not None:
            self.book.seam(record.position, sync.cause(source))
        try:
            self.book.book.replace(snapshot, record.position)
        except Refused:
            self.refused_snapshots += 1
            self.stop(Stopped("venue", []))
            return
        sync.base(record.position, source)
        self.book.base(record.position)
        self._base_at, self._base_ticks = {record.line: record.position}, 0

    def forget(self) -> None:
        """Let the book go; what a later recording must not repeat or contradict stays."""
        self.sync = Sync() if self.traits.rest_base else FeedSync()
        self.book.forget()
        self._base_at = {}

    def lows(self) -> Marks:
        """Return of each line the position of the earliest record that is still kept, held or waited for."""
        held, kept = self.book.lows, self.sync.lows() if isinstance(self.sync, Sync) else {}
        if not held and not kept and self.book.starting is None:
            return kept
        lows = [*held.items(), *kept.items()]
        if self.book.starting is not None and self._base_ticks < BASE_TICKS:
            lows += self._base_at.items()
        return earliest(lows)

    def _decoded(self, update: Update) -> Update:
        decoded = self._venue.decode(update.payload, self._feed)
        if not isinstance(decoded, DepthUpdate | OrderEvent):
            raise TypeError("a kept update is no update any more")
        return update._replace(decoded=decoded)

    def dump(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {
            "refused_snapshots": self.refused_snapshots,
            "was_desync": self._was_desync,
            "refused_after": self._refused_after,
            "waiting_ticks": self._waiting_ticks,
            "base_at": self._base_at,
            "base_ticks": self._base_ticks,
            "sync": self.sync.dump(),
            "leaps": self._leaps.dump(),
            "book": self.book.dump(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Become what ``dump`` returned."""
        self.refused_snapshots, self._was_desync = state["refused_snapshots"], state["was_desync"]
        self._refused_after = state.get("refused_after")
        self._waiting_ticks = state["waiting_ticks"]
        self._base_at, self._base_ticks = state["base_at"], state["base_ticks"]
        self.sync.load(state["sync"])
        self._leaps.load(state.get("leaps", [{}, []]))
        self._is_bare = state.get("is_bare", False)
        self.book.load(state["book"])
