"""The store: takes documents from every conditioner, puts them into the database, answers per document.

The loop's thread takes, names and answers; one more thread speaks to the database, so that a database that is
away stops neither the beat nor the naming of what is held.  At most one batch is on its way.  While the
buffer (store.waiting) is full nothing is taken: the conditioners' queues fill, and behind them the journal.

state          means
starting       the database has not answered yet
live           the last batch was written
catching_up    more waits than one batch
error          the database is away or refuses: everything is held, ``database.error`` says why
"""

import contextlib
import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, NamedTuple

import zmq
from msgspec.structs import replace
from pymongo.errors import PyMongoError

from store.connection import connect, describe, where
from store.documents import Unstorable, to_bson
from store.outcome import Outcome, Verdict, of_failure
from store.refused import keep
from store.waiting import BATCH_DOCUMENTS, BackOff, Entry, Waiting
from store.writer import Writer, WrongWindow
from wire.endpoints import Endpoints
from wire.messages import Answer, BadMessage, Desired, Document, pack, unpack
from wire.names import BUCKETS
from wire.service import Beats, CannotRun, Loop, Socket, log, process_name, run_process
from wire.settings import Settings

NAMING_S = 1.0
"""A conditioner sends again what nobody has named for 10 s."""

TAKEN_AT_ONCE = 256
"""Messages of one turn, so that the beat is not late."""

QUEUED_PER_BUCKET = 8
"""Messages that ZeroMQ holds for us of each bucket: what is beyond the bounded buffer."""

QUEUED_ANSWERS = 1000

DRAIN_S = 7.0
"""After SIGTERM; supervisord waits 10 s and the sockets linger 2 of them."""

MOST_TROUBLED = 1000
"""Securities in error that the beat names."""

NOT_ASKED_YET = "it has not answered since this writer started"
"""Until the first answer the database counts as away: nobody is told what is not known."""


class Work(NamedTuple):
    """One job of the writing thread."""

    entries: list[Entry]
    desired: Desired | None


class Result(NamedTuple):
    """What became of it; *error* is the database's, in one line."""

    work: Work
    outcomes: list[Outcome]
    held_elsewhere: list[str]
    error: str


class Store:
    """One writer process."""

    def __init__(self, loop: Loop, settings: Settings, endpoints: Endpoints, worker: int) -> None:
        self._loop = loop
        self._server = where(settings)
        self._refused_folder = settings.data_dir / "refused"
        self._client = connect(settings)
        self._writer = Writer(
            self._client[settings.mongodb_database],
            settings.recorder_id(),
            settings.window_seconds,
            partial(describe, server=self._server),
            grid_seconds=settings.compact_seconds,
        )
        self._waiting = Waiting()
        self._back_off = BackOff()
        self._pausing = False
        self._desired: Desired | None = None
        self._flight: Future[Result] | None = None
        self._error = NOT_ASKED_YET
        self._counts = {"stored": 0, "had": 0, "refused": 0}
        self._troubled: dict[str, str] = {}
        self._held_elsewhere: set[str] = set()
        self._jobs: queue.SimpleQueue[tuple[Work, Future[Result]]] = queue.SimpleQueue()
        threading.Thread(target=self._write_jobs, name="database", daemon=True).start()
        self._answers: dict[str, Socket] = {}
        self._pull = loop.socket(zmq.PULL, high_water=QUEUED_PER_BUCKET)
        for bucket in range(BUCKETS):
            self._pull.connect(endpoints.documents(bucket))
        self._taking = False
        self._take_while_there_is_room()
        loop.every(NAMING_S, self._name_held)
        name = process_name("store", worker)
        self._beats = Beats(loop, endpoints, name, self._health, on_desired=self._hear)
        self._submit(Work([], None))  # the format is checked before anything comes

    def close(self) -> None:
        """Write what has come, as far as the time allows, and say what is left."""
        deadline = time.monotonic() + DRAIN_S
        self._pausing = False
        while self._take() or self._flight is not None or len(self._waiting):
            if self._flight is None:
                self._submit(Work(self._waiting.batch(), None))
            flight = self._flight
            try:
                result = flight.result(max(0.0, deadline - time.monotonic())) if flight else None
            except (TimeoutError, WrongWindow):
                break
            if result is not None and not self._settle(result) and result.work.entries:
                break
        left = len(self._waiting)
        if left:
            log.warning('event=left_in_journal documents=%d reason="%s"', left, self._error or "out of time")
        else:
            log.info("event=drained")

    # --- taking ------------------------------------------------------------------------------

    def _take_while_there_is_room(self) -> None:
        room = not self._waiting.full
        if room and not self._taking:
            self._loop.on_readable(self._pull, self._take_and_write)
        elif not room and self._taking:
            self._loop.off(self._pull)
        self._taking = room

    def _take_and_write(self) -> None:
        self._take()
        self._take_while_there_is_room()
        self._write()

    def _take(self) -> bool:
        """Take what has come, up to a bound; return whether there may be more."""
        for _ in range(TAKEN_AT_ONCE):
            if self._waiting.full:
                return False
            try:
                data = self._pull.recv(zmq.NOBLOCK)
            except zmq.Again:
                return False
            try:
                document = unpack_document(data)
            except BadMessage as error:
                log.error('event=bad_message reason="%s"', error)
                continue
            self._take_one(document)
        return True

    def _take_one(self, document: Document) -> None:
        try:
            # (what waits is its BSON: the columns are not kept twice)
            entry = Entry(replace(document, fields={}), to_bson(document), time.monotonic())
            self._waiting.take(entry)
        except Unstorable as error:
            if self._keep(Entry(document, b""), str(error)):
                self._counts["refused"] += 1
                refused = ((*document.key, str(error)),)
                self._send(document.reply_to, Answer(refused=refused))

    def _hear(self, desired: Desired) -> None:
        self._desired = desired
        wanted = {each.security for each in desired.securities}
        self._held_elsewhere &= wanted
        self._troubled = {name: why for name, why in self._troubled.items() if name in wanted}
        self._write()

    # --- writing -----------------------------------------------------------------------------

    def _write(self) -> None:
        if self._flight is not None or self._pausing:
            return
        entries = self._waiting.batch()
        if entries or self._desired is not None:
            self._submit(Work(entries, self._desired))

    def _submit(self, work: Work) -> None:
        flight: Future[Result] = Future()
        self._flight = flight
        flight.add_done_callback(lambda _: self._loop.post(self._landed))
        self._jobs.put((work, flight))

    def _landed(self) -> None:
        if self._flight is None or not self._flight.done():
            return  # it was settled by ``close``
        try:
            result = self._flight.result()
        except WrongWindow as error:
            raise CannotRun(str(error)) from error
        progress = self._settle(result)
        self._take_while_there_is_room()
        if progress or not result.error:
            self._back_off.succeeded()
            self._write()
        else:
            self._pausing = True
            self._loop.once(self._back_off.failed(), self._try_again)

    def _try_again(self) -> None:
        self._pausing = False
        self._write()
        if self._flight is None:
            self._submit(Work([], None))  # nothing waits: is the database back?

    def _settle(self, result: Result) -> bool:
        """Answer what is settled and return whether there is progress."""
        self._flight = None
        if result.work.desired is not None and not result.error and self._desired is result.work.desired:
            self._desired = None
        self._held_elsewhere |= set(result.held_elsewhere)
        for security in result.held_elsewhere:
            self._trouble(security, "another recorder holds it in this database")
        self._say(result.error)
        return self._answer(list(zip(result.work.entries, result.outcomes, strict=True)))

    def _answer(self, outcomes: Sequence[tuple[Entry, Outcome]]) -> bool:
        settled = []
        for entry, outcome in outcomes:
            if outcome.verdict is Verdict.REFUSED and not self._keep(entry, outcome.reason):
                continue
            if outcome.verdict is not Verdict.RETRY:
                self._counts[outcome.verdict.value] += 1
                settled.append((entry, outcome))
        for to, answer in self._waiting.settle(settled).items():
            self._send(to, answer)
        return bool(settled)

    def _keep(self, entry: Entry, reason: str) -> bool:
        try:
            path = keep(self._refused_folder, entry, reason)
        except OSError as error:
            log.error('event=refused_not_kept id="%s" reason="%s"', entry.document.id, error)
            return False
        self._trouble(entry.document.security, f"refused {entry.document.id}: {reason}")
        log.error('event=refused id="%s" file=%s reason="%s"', entry.document.id, path.name, reason)
        return True

    def _trouble(self, security: str, reason: str) -> None:
        if len(self._troubled) < MOST_TROUBLED:
            self._troubled[security] = reason

    def _say(self, error: str) -> None:
        if error and self._error in ("", NOT_ASKED_YET):
            log.error('event=database_away server=%s reason="%s"', self._server, error)
        elif self._error not in ("", NOT_ASKED_YET) and not error:
            log.info("event=database_back server=%s waiting=%d", self._server, len(self._waiting))
        is_news = bool(error) != bool(self._error)
        self._error = error
        if is_news:
            self._beats.now()

    def _write_jobs(self) -> None:
        """Do the jobs, in the thread of the database."""
        while True:
            work, flight = self._jobs.get()
            try:
                flight.set_result(self._do(work))
            except BaseException as error:  # noqa: BLE001 handed to the loop's thread, which raises it
                flight.set_exception(error)

    def _do(self, work: Work) -> Result:
        held_elsewhere: list[str] = []
        try:
            self._writer.prepare()
            if work.desired is not None:
                held_elsewhere = self._writer.write_securities(work.desired)
            if not work.entries:
                self._client.admin.command("ping")
        except PyMongoError as error:
            reason = describe(error, self._server)
            return Result(work, of_failure(error, len(work.entries)), [], reason)
        outcomes = self._writer.put(work.entries)
        failed = [each.reason for each in outcomes if each.verdict is Verdict.RETRY]
        return Result(work, outcomes, held_elsewhere, failed[0] if failed else "")

    # --- speaking ----------------------------------------------------------------------------

    def _name_held(self) -> None:
        for to, answer in self._waiting.held().items():
            self._send(to, answer)

    def _send(self, to: str, answer: Answer) -> None:
        socket = self._answers.get(to)
        if socket is None:
            socket = self._answers[to] = self._loop.socket(zmq.PUSH, connect=to, high_water=QUEUED_ANSWERS)
        with contextlib.suppress(zmq.Again):  # it is away, and sends again what it needs to know
            socket.send(pack(answer), zmq.NOBLOCK)

    def _health(self) -> dict[str, Any]:
        oldest = self._waiting.oldest_taken_s
        behind_s = 0.0 if oldest is None else round(time.monotonic() - oldest, 3)
        state = "starting" if self._error == NOT_ASKED_YET else "error" if self._error else "live"
        if state == "live" and len(self._waiting) > BATCH_DOCUMENTS:
            state = "catching_up"
        return {
            "state": state,
            "securities": {
                security: {"state": "error", "reason": reason} for security, reason in self._troubled.items()
            },
            "database": {
                "reachable": not self._error,
                "behind_s": behind_s,
                "waiting": len(self._waiting),
                "error": self._error,
            },
            "held_elsewhere": sorted(self._held_elsewhere),
            **self._counts,
        }


def unpack_document(data: bytes) -> Document:
    """Return the document of one ZeroMQ message.

    Raises:
        BadMessage: it holds something else.
    """
    message = unpack(data)
    if not isinstance(message, Document):
        raise BadMessage(f"a {type(message).__name__} came where documents come")
    return message


def main() -> None:
    """Run ``obl-store N``."""
    run_process("store", Store)


if __name__ == "__main__":
    main()
