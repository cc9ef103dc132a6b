"""The process of a book worker: sockets, files, clocks and logs around book.maintainer.

socket             kind          carries
frames(line)       SUB           groups and clock marks, of each line; the files hold what is missed
run(bucket)        PULL, bound   Subscribe, each second: who takes the runs of a bucket
batches(worker)    PUSH          run messages, a batch each
done(bucket)       SUB           Done, each second
needed(bucket)     PUB, bound    Needed, each second, with the wishes for snapshots and for old trades
tap(bucket)        XPUB, bound   the live tap, only what somebody subscribed to

The worker never blocks: while a conditioner takes nothing it takes no groups, and the journal is the buffer.
"""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import zmq

from book import live
from book.checkpoint import Rounds, later
from book.keeping import Keeper
from book.maintainer import Maintainer, Output, Saved
from book.merge import Merge, merges_of, neighbours
from book.sending import Queues
from book.setting import check_checkpoints, journal_folder
from book.telling import Looks, Teller, late
from book.windows import Recipe
from journal.clock import steady_clock
from journal.follow import SILENT_SECONDS, TWIN_SILENT_SECONDS, Follow
from journal.group import Group
from journal.reader import Skipped
from venue import VENUES
from wire.endpoints import Endpoints
from wire.messages import BadMessage, Clock, Done, Needed, Subscribe, pack, unpack
from wire.names import bucket_of, buckets_of, venue_of, venue_of_line
from wire.service import Beats, Loop, Refusal, Socket, log, process_name, run_process
from wire.settings import Settings

GROUPS_PREFIX = b"OBG1"
"""What a group begins with; an ingester's other messages begin otherwise."""

CLOCK_PREFIX = b"OBT1"
"""What an ingester puts in front of its Clock."""

READ_BYTES = 1 << 18
"""Of groups read from one line before anything else has its turn: some 20 ms of work."""

FRAMES_A_TURN = 64
TICKED_A_TURN = 16
"""Securities that see a tick before frames that have come meanwhile have their turn: a millisecond."""

KEPT_A_TURN = 4
"""Securities whose state is taken for a checkpoint, likewise."""

BATCHES_QUEUED = 8
"""On their way to one conditioner; beyond that the worker waits."""

TAP_QUEUED = 1000
"""Tap messages for one slow watcher; beyond that it misses some (and sees it by the ids)."""

HEAR_TAPS_SECONDS = 0.2
NEWS_SECONDS = 0.1
"""After it who asks knows that a book has begun; beats come each second."""

FLUSH_MS = 1500
"""What a closing worker waits for its last batches."""

NS_PER_SECOND = 1_000_000_000

ON_ITS_WAY_NS = 2 * NS_PER_SECOND
"""What was received so lately is on its way, not behind: ticks come each second."""


class BookService:
    """One worker: its buckets' sockets, its checkpoints and the core."""

    def __init__(self, loop: Loop, settings: Settings, endpoints: Endpoints, worker: int) -> None:
        self._loop = loop
        self._buckets = buckets_of(worker, settings.book_workers)
        self._maintainer = Maintainer(VENUES, Recipe.of(settings), self._buckets)
        journals = {line: settings.journal_folder(line) for line in settings.lines()}
        self._rounds = Rounds(settings.data_dir / "checkpoints", worker, self._buckets, journals)
        self._done = self._rounds.done()
        self._keeper = Keeper(self._rounds, self._maintainer, self._done)
        self._queues = Queues()
        self._conditioners: dict[str, Socket] = {}
        self._follows: dict[str, Follow] = {}
        self._lost: dict[str, deque[Skipped]] = {}
        """What the journal could not give: to be worked off before the group that follows it."""
        self._watchers = live.Watchers()
        self._tapped: dict[tuple[str, str], int] = {}
        """Of each security and line the position up to which the tap was told."""
        self._teller, self._looks = Teller(), Looks(self._maintainer.securities)
        self._merges, self._clock = merges_of(list(journals)), steady_clock(settings.data_dir)
        for line in journals:
            folder = journal_folder(settings, line)
            self._lost[line] = deque()
            has_twin = self._merges[venue_of_line(line)].is_several
            silence = TWIN_SILENT_SECONDS if has_twin else SILENT_SECONDS
            skipped = partial(self._skipped, line)
            self._follows[line] = Follow(folder, line, skipped, silent_seconds=silence)
            socket = loop.socket(zmq.SUB, connect=endpoints.frames(line), linger_ms=0)
            socket.subscribe(GROUPS_PREFIX)
            socket.subscribe(CLOCK_PREFIX)
            loop.on_readable(socket, partial(self._hear_frames, socket, line))
        self._runs = loop.socket(zmq.PULL)
        heard = loop.socket(zmq.SUB, linger_ms=0)
        heard.subscribe(b"")
        self._needed: dict[int, Socket] = {}
        self._taps: dict[int, Socket] = {}
        self._asked = zmq.Poller()
        for bucket in self._buckets:
            self._runs.bind(endpoints.run(bucket))
            heard.connect(endpoints.done(bucket))
            self._needed[bucket] = loop.socket(zmq.PUB, bind=endpoints.needed(bucket), linger_ms=0)
            self._taps[bucket] = loop.socket(
                zmq.XPUB, bind=endpoints.tap(bucket), high_water=TAP_QUEUED, linger_ms=0
            )
            self._asked.register(self._taps[bucket], zmq.POLLIN)
        loop.on_readable(self._runs, self._hear_runs)
        loop.on_readable(heard, partial(self._hear_done, heard))
        loop.idle(self._work)
        loop.every(1.0, self._each_second)
        loop.every(HEAR_TAPS_SECONDS, self._hear_taps)
        loop.every(settings.checkpoint_seconds, self._keeper.begin)
        loop.idle(partial(self._keeper.some, KEPT_A_TURN))
        name = process_name("book", worker)
        self._beats = Beats(loop, endpoints, name, self._health, {"book": self._book})
        loop.every(NEWS_SECONDS, self._tell_news)
        check_checkpoints(self._rounds, self._buckets, journals.values())
        self._restore()

    # --- in ----------------------------------------------------------------------------------

    def _restore(self) -> None:
        self._maintainer.restore(self._saved(set(self._buckets)))
        for what in self._rounds.unreadable:
            log.error(
                'event=unreadable_checkpoint what="%s": an older one or the journal takes its place', what
            )
        for line in self._follows:
            searched = self._rounds.searched(line, self._buckets)
            self._maintainer.read[line] = searched
            self._read_from(line, min(searched, self._maintainer.cursor(line, searched)))
            for name in self._maintainer.securities:
                self._tapped[name, line] = searched

    def _saved(self, buckets: set[int]) -> list[Saved]:
        """Return where each security of *buckets* has to start: what the rounds and the worker know of it."""
        born = {name: entry.born for name, entry in self._rounds.securities().items()}
        born |= {name: security.born for name, security in self._maintainer.securities.items()}
        return [
            Saved(name, positions, self._rounds.state(name, self._done.get(name, {})))
            for name, positions in born.items()
            if bucket_of(name) in buckets and venue_of(name) in self._merges
        ]

    def _read_from(self, line: str, position: int) -> None:
        self._follows[line].start(position)
        self._merges[venue_of_line(line)].restart(line, position)

    def _hear_frames(self, socket: Socket, line: str) -> None:
        for _ in range(FRAMES_A_TURN):
            try:
                data = socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            if data.startswith(CLOCK_PREFIX):
                self._hear_clock(line, data[len(CLOCK_PREFIX) :])
            else:
                self._follows[line].live(data)

    def _hear_clock(self, line: str, data: bytes) -> None:
        try:
            clock = unpack(data)
        except BadMessage as error:
            log.error('event=bad_clock line=%s reason="%s"', line, error)
            return
        if isinstance(clock, Clock):
            self._follows[line].heard()
            self._merges[venue_of_line(line)].promise(line, clock.position, clock.clock_ns)

    def _hear_runs(self) -> None:
        new: set[int] = set()
        newest = 0
        with suppress(zmq.Again):
            while True:
                try:
                    message = unpack(self._runs.recv(zmq.NOBLOCK))
                except BadMessage as error:
                    log.error('event=bad_subscribe reason="%s"', error)
                    continue
                if not isinstance(message, Subscribe) or message.bucket not in self._buckets:
                    continue
                newest = max(newest, message.run)
                if self._queues.subscribed(message):
                    new.add(message.bucket)
        if new:
            # (the clock may have been set back since the last run began)
            self._rewind(new, max(time.time_ns(), newest + 1))

    def _rewind(self, buckets: set[int], run: int) -> None:
        """Take the securities of *buckets* back to what is stored for good, and begin *run* of each."""
        self._maintainer.restore(self._saved(buckets))
        self._looks.clear()
        self._keeper.drop()
        for bucket in buckets:
            for output in self._maintainer.begin(bucket, run):
                self._queues.put(output.bucket, output.messages)
        for line in self._follows:
            read = self._maintainer.read[line]
            self._read_from(line, min(read, self._maintainer.cursor(line, read)))
        self._send()

    def _hear_done(self, socket: Socket) -> None:
        with suppress(zmq.Again):
            while True:
                try:
                    message = unpack(socket.recv(zmq.NOBLOCK))
                except BadMessage as error:
                    log.error('event=bad_done reason="%s"', error)
                    continue
                if isinstance(message, Done):
                    for security, marks in message.marks.items():
                        self._done[security] = later(self._done.get(security, {}), marks)

    def _hear_taps(self) -> None:
        asked = dict(self._asked.poll(0))  # (to ask 64 sockets one by one takes ten times as long)
        for bucket, socket in self._taps.items() if asked else ():
            with suppress(zmq.Again):
                while True:
                    self._watchers.heard(bucket, socket.recv(zmq.NOBLOCK))
        self._maintainer.watched = set(filter(self._watchers.watch, self._maintainer.securities))

    # --- the work ----------------------------------------------------------------------------

    def _work(self) -> bool:
        if self._queues.blocked:
            return False
        took = False
        for merge in self._merges.values():
            for groups in neighbours(self._merged(merge)):
                took = True
                self._put(self._fed(groups))
        self._put(self._maintainer.late(TICKED_A_TURN))
        self._send()
        waits = took and not all(follow.caught_up for follow in self._follows.values())
        return (waits or self._maintainer.is_late) and not self._queues.blocked

    def _put(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            self._queues.put(output.bucket, output.messages)
            self._tap(output)
            self._looks.note(output.security, output.messages)

    def _merged(self, merge: Merge) -> list[Group]:
        """Return what comes next of a venue's lines."""
        for line in merge.hungry:
            follow = self._follows[line]
            groups = follow.read(READ_BYTES)
            merge.put(line, groups, away=follow.is_away)
        return merge.take()

    def _fed(self, groups: list[Group]) -> Iterator[Output]:
        """Yield what *groups* come to, after what it means that records before them are lost."""
        line = groups[0].line
        while (lost := self._lost[line]) and lost[0].next <= groups[0].first:
            yield from self._maintainer.lost(line, lost.popleft().next)
        yield from self._maintainer.outputs(*groups)

    def _skipped(self, line: str, skipped: Skipped) -> None:
        log.error('event=journal_skipped line=%s what="%s"', line, skipped)
        if skipped.next > skipped.first:
            self._lost[line].append(skipped)

    def _tap(self, output: Output) -> None:
        """Tell and publish what *output* says, once: a run that begins again repeats what was told."""
        place = output.security, output.line
        if output.position <= self._tapped.get(place, -1):
            return
        self._tapped[place] = output.position
        self._teller.holes(output.messages)
        if self._watchers.watch(output.security):
            topic = live.topic(output.security)
            for message in output.messages:
                for body in live.tapped(message):
                    self._taps[output.bucket].send_multipart((topic, body), zmq.NOBLOCK)

    def _send(self) -> None:
        for endpoint, data in self._queues.batches():
            socket = self._conditioners.get(endpoint)
            if socket is None:
                socket = self._loop.socket(zmq.PUSH, connect=endpoint, high_water=BATCHES_QUEUED)
                self._conditioners[endpoint] = socket
            try:
                socket.send(data, zmq.NOBLOCK)
            except zmq.Again:
                self._loop.on_writable(socket, self._send)
            else:
                self._queues.sent(endpoint)
                self._loop.off_writable(socket)

    # --- each second, each round -------------------------------------------------------------

    def _each_second(self) -> None:
        looks = self._looks.all()
        self._teller.each_second(looks)
        behind_venues = set(filter(self._is_behind, self._merges))
        wishes: dict[int, list[str]] = {}
        trades: dict[int, list[tuple[str, int, int]]] = {}
        for name, look in looks.items() if not self._queues.blocked else ():
            if venue_of(name) in behind_venues:
                continue
            if look.wishes_snapshot:
                wishes.setdefault(bucket_of(name), []).append(name)
            if look.page is not None:
                trades.setdefault(bucket_of(name), []).append((name, *look.page))
        needed = {line: self._rounds.needed(line, self._buckets, self._done) for line in self._follows}
        for bucket, socket in self._needed.items():
            marks = {line: low[bucket] for line, low in needed.items()}
            wished = tuple(wishes.get(bucket, ())), tuple(trades.get(bucket, ()))
            socket.send(pack(Needed(bucket, marks, *wished)))

    def _tell_news(self) -> None:
        if self._teller.take_news():
            self._beats.now()

    # --- asked -------------------------------------------------------------------------------

    def _book(self, args: dict[str, Any]) -> dict[str, Any]:
        name = str(args.get("security", ""))
        security = self._maintainer.securities.get(name)
        if security is None or security.state == "removed":
            raise Refusal(f"{name} is not recorded")
        depth = args.get("depth")
        answer = live.answer(
            security, depth if isinstance(depth, int) else None, orders=bool(args.get("orders"))
        )
        if answer is None:
            raise Refusal(f"{name} has no book yet: it waits for its first snapshot")
        return answer

    def _is_behind(self, venue: str) -> bool:
        """Say whether records of the venue known to be written ``ON_ITS_WAY_NS`` ago were not worked off."""
        merge = self._merges[venue]
        # (one whose group waits for another line's clock is not read on meanwhile)
        waiting = [merge.oldest_ns, *(self._follows[line].oldest_ns for line in merge.hungry)]
        oldest_ns = min((each for each in waiting if each is not None), default=None)
        return oldest_ns is not None and self._clock() - oldest_ns > ON_ITS_WAY_NS

    def _health(self) -> dict[str, Any]:
        behind_venues = set(filter(self._is_behind, self._merges))
        now_ns = time.time_ns()
        rows = self._looks.rows()
        for name in rows if self._queues.blocked or behind_venues else ():
            if self._queues.blocked or venue_of(name) in behind_venues:
                lag_ns = now_ns - self._maintainer.securities[name].recv_ns
                if lag_ns > ON_ITS_WAY_NS:
                    rows[name] = late(rows[name], lag_ns)
        lag_s = max((row["lag_s"] for row in rows.values()), default=0.0)
        return {"state": "catching_up" if lag_s else "live", "securities": rows, "lag_s": lag_s}

    # --- the end -----------------------------------------------------------------------------

    def close(self) -> None:
        """Take what is written, let open windows be stored as they stand, and keep the state."""
        for merge in self._merges.values():
            for groups in neighbours(self._merged(merge)):
                self._put(self._fed(groups))
        self._put(self._maintainer.late())
        # The state is kept before the windows are cut as they stand: a restart goes on as if they never were.
        self._keeper.drop()
        self._keeper.begin()
        self._keeper.some()
        for output in self._maintainer.cut_open():
            self._queues.put(output.bucket, output.messages)
        deadline = time.monotonic() + FLUSH_MS / 1000
        self._send()
        while self._queues.blocked and time.monotonic() < deadline:
            poller = zmq.Poller()
            for socket in self._conditioners.values():
                poller.register(socket, zmq.POLLOUT)
            poller.poll(100)
            self._send()
        if self._queues.blocked:
            log.warning("event=unsent what=batches: they come again from the journal")
        for follow in self._follows.values():
            follow.close()


def main() -> None:
    """Run a book worker: ``obl-book WORKER``."""
    run_process("book", BookService)
