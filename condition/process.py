"""The process of a conditioner: sockets, clocks and logs around condition.conditioner.

socket             kind          carries
batches(worker)    PULL, bound   run messages, a batch each; not read while the outbox is full
answers(worker)    PULL, bound   the store's answers
frames(line)       SUB           Synced, of each line
documents(bucket)  PUSH, bound   documents; a few queued per writer, the rest waits in the outbox
run(bucket)        PUSH          Subscribe, each second
done(bucket)       PUB, bound    Done, each second

Documents wait until their records are synced.  Of a line whose ingester says nothing, as it is away, this
process syncs the journal itself: every record that a document was made of was appended before it was read.
"""

import resource
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import zmq

from condition.conditioner import Conditioner
from journal.durable import make_durable
from wire.endpoints import Endpoints
from wire.messages import Answer, BadMessage, Document, Subscribe, Synced, pack, unpack, unpack_all
from wire.names import bucket_of, buckets_of
from wire.runs import RunMessage
from wire.service import Beats, Loop, Socket, log, process_name, run_process
from wire.settings import Settings

SYNCED_PREFIX = b"OBS1"
"""What an ingester puts in front of Synced; groups begin with another."""

SILENT_S = 3.0
"""An ingester says Synced each second at least; three missed, and it is away."""

BATCHES_QUEUED = 16
"""Batches that wait unread: what a maintainer cannot send makes it stop taking groups."""

DOCUMENTS_QUEUED = 4
"""Documents on their way to one writer for each bucket; a writer that is away costs no more than these."""

BATCHES_A_TURN = 8
"""Then answers and timers have their turn again."""

CLOSE_SECONDS = 8.0
"""supervisord waits 10, and no socket lingers: what is unanswered then comes again from the journal."""

QUIET_MS = 500
"""Nothing arriving for so long at the end means that the maintainers are done."""

_NS_PER_SECOND = 1_000_000_000


class ConditionService:
    """One worker: its buckets' sockets and the core."""

    def __init__(self, loop: Loop, settings: Settings, endpoints: Endpoints, worker: int) -> None:
        _allow_many_sockets()
        self._loop = loop
        self._buckets = buckets_of(worker, settings.condition_workers)
        self._endpoint = endpoints.batches(worker)
        self._core = Conditioner(
            window_ns=settings.window_seconds * _NS_PER_SECOND,
            reply_to=endpoints.answers(worker),
            token=time.time_ns(),
            lines=frozenset(settings.lines()),
        )
        self._journals = {line: settings.journal_folder(line) for line in settings.lines()}
        self._spoken_s = dict.fromkeys(self._journals, time.monotonic())
        """When each line's ingester was last heard."""
        self._refused: dict[str, str] = {}
        """Why the disk did not sync a line, as it was logged."""
        self._batches = loop.socket(zmq.PULL, bind=self._endpoint, high_water=BATCHES_QUEUED)
        self._answers = loop.socket(zmq.PULL, bind=endpoints.answers(worker))
        self._frames = loop.socket(zmq.SUB)
        self._frames.subscribe(SYNCED_PREFIX)
        for line in settings.lines():
            self._frames.connect(endpoints.frames(line))
        self._documents = {
            bucket: loop.socket(
                zmq.PUSH, bind=endpoints.documents(bucket), high_water=DOCUMENTS_QUEUED, linger_ms=0
            )
            for bucket in self._buckets
        }
        self._done = {
            bucket: loop.socket(zmq.PUB, bind=endpoints.done(bucket), linger_ms=0) for bucket in self._buckets
        }
        self._runs = {bucket: _asking(loop, endpoints.run(bucket)) for bucket in self._buckets}
        self._reading = False
        loop.on_readable(self._answers, self._read_answers)
        loop.on_readable(self._frames, self._read_synced)
        self._read_when_room()
        loop.once(0, self._each_second)
        loop.every(1.0, self._each_second)
        Beats(loop, endpoints, process_name("condition", worker), self._health)

    # --- in ----------------------------------------------------------------------------------

    def _read_batches(self) -> int:
        read = 0
        while read < BATCHES_A_TURN and not self._core.outbox.full:
            try:
                data = self._batches.recv(zmq.NOBLOCK)
            except zmq.Again:
                break
            read += 1
            try:
                broken = self._core.take(self._ours(unpack_all(data)), time.monotonic_ns())
            except BadMessage as error:
                log.error('event=bad_batch bytes=%d reason="%s"', len(data), error)
                continue
            for security, reason in broken:
                log.error('event=broken_run security=%s reason="%s"', security, reason)
        self._send()
        self._read_when_room()
        return read

    def _ours(self, messages: Iterable[Any]) -> list[RunMessage]:
        """Leave out what a maintainer still sends here after the number of workers changed."""
        return [m for m in messages if isinstance(m, RunMessage) and bucket_of(m.security) in self._buckets]

    def _read_when_room(self) -> None:
        room = not self._core.outbox.full
        if room != self._reading:
            self._reading = room
            if room:
                self._loop.on_readable(self._batches, self._read_batches)
            else:
                self._loop.off(self._batches)

    def _read_answers(self) -> None:
        for data in _waiting(self._answers):
            with suppress(BadMessage):
                answer = unpack(data)
                if isinstance(answer, Answer):
                    for name, reason in self._core.answer(answer, time.monotonic_ns()):
                        log.error('event=refused document="%s" reason="%s"', name, reason)
        self._send()
        self._read_when_room()

    def _read_synced(self) -> None:
        for data in _waiting(self._frames):
            with suppress(BadMessage):
                synced = unpack(data[len(SYNCED_PREFIX) :])
                if isinstance(synced, Synced):
                    self._spoken_s[synced.line] = time.monotonic()
                    self._core.synced(synced)
        self._send()

    # --- out ---------------------------------------------------------------------------------

    def _send(self) -> None:
        full: set[int] = set()
        for document in self._core.outbox.due():
            bucket = bucket_of(document.security)
            if bucket not in full and not self._sent(bucket, document):
                full.add(bucket)

    def _sent(self, bucket: int, document: Document) -> bool:
        try:
            self._documents[bucket].send(pack(document), zmq.NOBLOCK)
        except zmq.Again:
            return False  # no writer has room: the next answer or second tries again
        self._core.outbox.sent(document, time.monotonic_ns())
        return True

    def _each_second(self) -> None:
        self._core.tick(time.monotonic_ns())
        newest = self._core.newest_runs()
        for bucket, socket in self._runs.items():
            with suppress(zmq.Again):  # the maintainer is away, or has one to read already
                token, run = self._core.token(bucket), newest.get(bucket, 0)
                socket.send(pack(Subscribe(bucket, self._endpoint, token, run)), zmq.NOBLOCK)
        self._publish_done()
        self._sync_silent_lines()
        self._send()

    def _sync_silent_lines(self) -> None:
        """Sync the journals that documents wait for and whose ingesters are away."""
        now = time.monotonic()
        for line, position in self._core.outbox.unsynced().items():
            if now - self._spoken_s[line] < SILENT_S:
                continue
            try:
                make_durable(self._journals[line])
            except OSError as error:
                if self._refused.get(line) != str(error):
                    self._refused[line] = str(error)
                    log.error('event=not_synced line=%s reason="%s": its documents wait', line, error)
            else:
                self._refused.pop(line, None)
                self._core.synced(Synced(line, position))

    def _publish_done(self) -> None:
        for bucket, done in self._core.done().items():
            self._done[bucket].send(pack(done))

    def _health(self) -> dict[str, Any]:
        outbox = self._core.outbox
        return {
            "state": "catching_up" if outbox.full else "live",
            "securities": self._core.health(),
            "unacknowledged": len(outbox),
            "unacknowledged_bytes": outbox.bytes,
        }

    # --- the end -----------------------------------------------------------------------------

    def close(self) -> None:
        """Take what the maintainers sent at their end, and wait for the store as long as there is time."""
        deadline = time.monotonic() + CLOSE_SECONDS
        while time.monotonic() < deadline and (self._wait() or len(self._core.outbox)):
            self._read_batches()
            self._read_answers()
            self._read_synced()
            self._sync_silent_lines()
        self._publish_done()
        left = len(self._core.outbox)
        if left:
            log.warning("event=unanswered documents=%d: they come again from the journal", left)
        else:
            log.info("event=all_stored")

    def _wait(self) -> bool:
        """Wait until something arrives, at most QUIET_MS; batches count only where there is room for them."""
        poller = zmq.Poller()
        poller.register(self._answers, zmq.POLLIN)
        poller.register(self._frames, zmq.POLLIN)
        if not self._core.outbox.full:
            poller.register(self._batches, zmq.POLLIN)
        return bool(poller.poll(QUIET_MS))


def _asking(loop: Loop, endpoint: str) -> Socket:
    """Return a socket that queues one message, and only for a maintainer that is there."""
    socket = loop.socket(zmq.PUSH, high_water=1, linger_ms=0)
    socket.immediate = True
    socket.connect(endpoint)
    return socket


def _waiting(socket: Socket) -> Iterable[bytes]:
    """Yield the messages that wait in *socket*, at most as many as its queue holds."""
    for _ in range(1000):
        try:
            yield socket.recv(zmq.NOBLOCK)
        except zmq.Again:
            return


def _allow_many_sockets() -> None:
    """Raise the number of open files to what the host allows: three sockets a bucket, and their peers'."""
    _, allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, allowed))


def main() -> None:
    """Run a conditioner: ``obl-condition WORKER``."""
    run_process("condition", ConditionService)
