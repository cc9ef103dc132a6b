"""The ingester of one line: sockets, files and clocks around ingest.session.

source                     goes to
websocket                  ingest.intake: the recorder, then the session (its route only)
REST thread                the recorder, then the session
control (desired, beats)   the session
maintainers (needed)       what may be dropped; wishes to the session
timers                     the session 20 times a second; a tick record, the disk (ingest.watch) and the beat
                           each second

The session's actions come back in order and are done at once: what it journals is appended before
whatever it asks for afterwards.
"""

import time
from random import SystemRandom
from typing import Any

import zmq

from ingest.actions import Action, Ask, Dial, Hang, Record, Remember, Say, Send
from ingest.connection import Connection, Lost, dial
from ingest.intake import Intake
from ingest.recorder import Recorder, raising
from ingest.rest import Fetched, Rest
from ingest.retention import Retention
from ingest.roster import save_roster
from ingest.session import Session
from ingest.setting import addresses, open_journal, remembered, subscription_of
from ingest.venueclock import VenueClock
from ingest.watch import DiskWatch
from journal.group import Kind
from journal.payload import Command
from journal.payload import Rest as RestBody
from venue import VENUES
from wire.endpoints import Endpoints
from wire.messages import BadMessage, Desired, Needed, Wanted, unpack
from wire.names import BUCKETS, EVERY_SECURITY, venue_of_line
from wire.service import Beats, Loop, Refusal, log, process_name, run_process
from wire.settings import Settings

NS_PER_SECOND = 1_000_000_000

TURN_SECONDS = 0.05
"""Between two looks at what is due: half the smallest control gap, and nothing to a CPU."""

MOST_NEEDED = 4 * BUCKETS
"""Words of maintainers in the queue: the newest of each bucket is all that matters."""

FIRST_LINE = "/a"
"""Of the lines of a venue the one that asks for old trades: once is enough."""

MOST_RECONNECT_MS = 2000
"""Between tries to reach a maintainer that is not there: there are 64 endpoints to try."""


class Ingester:
    """One line's process."""

    def __init__(self, loop: Loop, settings: Settings, endpoints: Endpoints, line: str) -> None:
        self._loop = loop
        self._line = line
        self._venue = VENUES[venue_of_line(line)]
        self._urls = addresses(settings, self._venue)
        self._folder = settings.journal_folder(line)
        self._keep_ns = settings.journal_keep_seconds * NS_PER_SECOND
        self._archive_dir = settings.journal_archive_dir
        subscription = subscription_of(settings, self._venue, line)
        self._feed = subscription.feed
        self._unsaved: tuple[Wanted, ...] | None = None
        self._retention = Retention(line)
        self._venue_clock = VenueClock()
        self._connections: dict[int, Connection] = {}
        self._dialing: set[int] = set()
        self._unfinished: set[int] = set()
        self._beats: Beats | None = None
        self._writer = open_journal(self._folder, line, settings.journal_segment_bytes)
        self._recorder = Recorder(
            loop,
            self._writer,
            loop.socket(zmq.PUB, bind=endpoints.frames(line)),
            sync_ms=settings.journal_sync_ms,
            has_twin=settings.lines_of_venue(self._venue.NAME) > 1,
            on_refused=self._disk_refused,
        )
        self._rest = Rest(self._urls[1], self._venue, self._feed, self._fetched, self._crash)
        self._told = Session(
            self._venue,
            subscription,
            SystemRandom(),
            time.monotonic_ns(),
            rotate_ns=settings.rotate_seconds * NS_PER_SECOND,
            # only the first line of a venue audits
            audit_ns=settings.audit_seconds * NS_PER_SECOND if line.endswith("/a") else 0,
            lines=settings.lines_of_venue(self._venue.NAME),
            remembered=remembered(self._folder),
        )
        self._disk = DiskWatch(self._folder, settings.reserve_bytes(), self._recorder, self._told, self._turn)
        parts = self._venue, self._feed, self._recorder, self._told
        self._intake = Intake(loop, *parts, linger_ms=settings.publish_linger_ms)
        self._listen(endpoints)
        log.info(
            'event=line line=%s feed=%s reason="%s" epoch=%d',
            line,
            self._feed,
            subscription.reason,
            self._writer.epoch,
        )

    def _listen(self, endpoints: Endpoints) -> None:
        loop = self._loop
        self._needed = loop.socket(zmq.SUB, high_water=MOST_NEEDED)
        self._needed.setsockopt(zmq.RECONNECT_IVL_MAX, MOST_RECONNECT_MS)
        self._needed.subscribe(b"")
        for bucket in range(BUCKETS):
            self._needed.connect(endpoints.needed(bucket))
        loop.on_readable(self._needed, self._hear_needed)
        commands = {"snapshot": self._snapshot, "reset": self._reset}
        name = process_name("ingest", self._line)
        self._beats = Beats(loop, endpoints, name, self.health, commands, self._desired)
        self._act()  # EPOCH is followed by what is recorded on
        self._named_in = self._writer.segment
        self._second()
        loop.every(1.0, self._second)
        loop.every(TURN_SECONDS, self._turn)
        loop.idle(self._read_on)

    @property
    def _session(self) -> Session:
        """The session, after it was told of all that came."""
        self._intake.settle()
        return self._told

    def close(self) -> None:
        """Close the connections, and see that all is on disk."""
        for number in list(self._connections):
            self._read(number)
        self._session.pause("stopped")
        self._turn()
        self._recorder.close()
        self._loop.off(self._needed)
        self._needed.close(0)  # its word to maintainers that are away is not worth a wait

    # --- frames --------------------------------------------------------------------------

    def _read_on(self) -> bool:
        """Read on where more was waiting than one turn may take."""
        unfinished, self._unfinished = self._unfinished, set()
        for number in unfinished:
            self._read(number)
        return bool(self._unfinished)

    def _read(self, number: int) -> None:
        connection = self._connections.get(number)
        if connection is None:
            return
        now = time.monotonic_ns()
        try:
            messages, more = connection.read()
        except Lost as lost:
            self._drop(number)
            self._session.lost(number, str(lost), now)
            self._act()
            return
        if more:
            self._unfinished.add(number)
        recv_ns = time.time_ns()
        self._told.heard(number, now)
        self._intake.take(number, messages, recv_ns, now)

    # --- what the session wants ----------------------------------------------------------

    def _turn(self) -> None:
        for number, connection in list(self._connections.items()):
            try:
                connection.flush()
            except Lost as lost:
                self._drop(number)
                self._session.lost(number, str(lost), time.monotonic_ns())
        now = time.monotonic_ns()
        self._session.tick(now, self._venue_clock.now_s(now, time.time_ns()))
        self._act()

    def _act(self) -> None:
        told = False
        while actions := self._session.take():
            for action in actions:
                self._do(action)
                told = told or isinstance(action, Say)
        if told and self._beats is not None:
            self._beats.now()  # who waits for what was just said need not wait for the next beat

    def _do(self, action: Action) -> None:
        match action:
            case Record():
                kind = Kind.COMMAND if isinstance(action.payload, Command) else Kind.CONNECTION
                self._recorder.record(
                    kind, action.security, action.connection, action.payload, time.time_ns()
                )
            case Remember():
                self._unsaved = action.securities
                self._save()
            case Send():
                self._send(action)
            case Dial():
                self._dial(action.connection)
            case Hang():
                self._dialing.discard(action.connection)
                self._drop(action.connection)
            case Ask():
                self._rest.ask(action)
            case Say():
                getattr(log, action.level)("%s", action.text)

    def _send(self, action: Send) -> None:
        connection = self._connections.get(action.connection)
        if connection is None:
            return
        try:
            connection.send(action.kind, action.payload)
        except Lost as lost:
            self._drop(action.connection)
            self._session.lost(action.connection, str(lost), time.monotonic_ns())

    def _dial(self, number: int) -> None:
        self._dialing.add(number)

        def done(connection: Connection | None, reason: str) -> None:
            self._loop.post(lambda: self._dialed(number, connection, reason))

        dial(self._urls[0], self._venue, done, self._crash)

    def _dialed(self, number: int, connection: Connection | None, reason: str) -> None:
        now = time.monotonic_ns()
        if number not in self._dialing:  # nobody wants it any more
            if connection is not None:
                connection.close()
            return
        self._dialing.discard(number)
        if connection is None:
            self._session.lost(number, reason, now)
        else:
            self._venue_clock.told(connection.date, now)
            self._connections[number] = connection
            self._loop.on_readable(connection.fileno(), lambda: self._read(number))
            self._session.opened(number, now)
        self._turn()

    def _drop(self, number: int) -> None:
        connection = self._connections.pop(number, None)
        self._unfinished.discard(number)
        if connection is not None:
            self._loop.off(connection.fileno())
            connection.close()

    def _crash(self, error: Exception) -> None:
        """End the process for a fault in one of its threads, which call this."""
        self._loop.post(raising(error))

    def _fetched(self, fetched: Fetched) -> None:
        """Called in the REST thread."""
        self._loop.post(lambda: self._answered(fetched))

    def _answered(self, fetched: Fetched) -> None:
        """Journal the answer, and let the session act on it.

        What the venue says of a new symbol leads to its ``add``, which is journalled first: a
        maintainer knows a security from its ``add`` on.  Nothing leaves the process before the body is.
        """
        self._intake.settle()
        now = time.monotonic_ns()
        if fetched.ask.what == "instrument":
            self._session.answered(fetched.ask, fetched.answer, now)
            self._act()
            self._journal(fetched)
        else:
            self._journal(fetched)
            self._session.answered(fetched.ask, fetched.answer, now)
            self._act()

    def _journal(self, fetched: Fetched) -> None:
        ask, answer = fetched.ask, fetched.answer
        if answer.status:
            security = ask.securities[0] if len(ask.securities) == 1 else EVERY_SECURITY
            path, asked_ns = ask.request.path, fetched.asked_ns
            body = RestBody(ask.what, ask.cause, answer.status, asked_ns, path, ask.levels, answer.body)
            self._recorder.record(Kind.REST, security, 0, body, fetched.received_ns)

    # --- control, maintainers, time ------------------------------------------------------

    def _desired(self, desired: Desired) -> None:
        self._session.desired(desired.securities, time.monotonic_ns())
        self._turn()

    def _snapshot(self, args: dict[str, Any]) -> list[str]:
        names = [str(name) for name in args.get("securities", [])]
        unknown = self._session.snapshot(names, time.monotonic_ns())
        self._act()
        if unknown and len(unknown) == len(names):
            raise Refusal(f"{self._line} does not record {', '.join(unknown)}")
        return [name for name in names if name not in unknown]

    def _reset(self, _: dict[str, Any]) -> str:
        self._session.reset()
        return "new connections are on their way"

    def _hear_needed(self) -> None:
        wishes: list[str] = []
        trades: list[tuple[str, int, int]] = []
        for _ in range(MOST_NEEDED):
            try:
                needed = unpack(self._needed.recv(zmq.NOBLOCK))
            except zmq.Again:
                break
            except BadMessage as error:
                log.warning('event=bad_message from=book reason="%s"', error)
                continue
            if isinstance(needed, Needed):
                self._retention.heard(needed)
                wishes += needed.wishes
                if self._line.endswith(FIRST_LINE):
                    trades += needed.trades
        self._session.wishes(wishes, trades, time.monotonic_ns())

    def _second(self) -> None:
        self._intake.settle()
        now_ns = time.time_ns()
        self._recorder.record(Kind.TICK, EVERY_SECURITY, 0, None, now_ns)
        if self._writer.segment != self._named_in:
            self._named_in = self._writer.segment
            self._session.name_again()
            self._act()
        self._save()
        self._disk.second(now_ns, self._keep_ns, self._retention.position(), self._archive_dir)

    def _save(self) -> None:
        """Keep which securities are recorded, where that has changed."""
        if self._unsaved is None:
            return
        try:
            save_roster(self._folder, self._unsaved)
        except OSError as error:
            self._disk_refused(f"the list of securities cannot be kept: {error}")
        else:
            self._unsaved = None

    def _disk_refused(self, why: str) -> None:
        """Record nothing from here on; the connections close when the work at hand is done."""
        self._disk.refused(why)
        self._loop.post(self._disk.end)

    def health(self) -> dict[str, Any]:
        """Return the body of a beat."""
        return {
            **self._session.health(),
            "line": self._line,
            "feed": self._feed,
            "epoch": self._writer.epoch,
            "position": self._writer.next_position,
            "frames": self._recorder.frames_taken,
            "unknown_frames": self._intake.garbage,
            "journal_bytes": self._writer.size_bytes,
            "disk": self._disk.health(),
        }


def build(loop: Loop, settings: Settings, endpoints: Endpoints, line: str) -> Ingester:
    """Return the ingester of *line*, started."""
    return Ingester(loop, settings, endpoints, line)


def main() -> None:
    """Run ``obl-ingest``."""
    run_process("ingest", build)
