"""The control process: one socket for people, two for the processes.

socket                 with                 what
ROUTER manager port    obl (CURVE)          requests and answers of control.protocol
REP    inproc          ZeroMQ itself        "may this key in?" (ZAP, control.auth)
PUB    desired()       every process        the desired state, each second and at each change
ROUTER beats()         every process        beats and replies up, requests down
"""

import os
import shutil
import signal
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import zmq

from control import registry
from control.auth import ZAP_ENDPOINT, Keys, derive, zap_answer
from control.desk import Desk, whole_ms
from control.effects import Answer, Ask, Effect, Keep, Now, Say, Signal, StopAll, StopSelf
from control.files import bytes_of
from control.growth import EVERY_S
from control.health import Board, Workers
from control.protocol import MAX_MESSAGE_BYTES
from control.restarting import CONTROL, DATABASE
from control.supervised import Supervisor
from wire.endpoints import Endpoints
from wire.folders import make_folder, sync_folder
from wire.messages import BadMessage, Beat, Desired, Policy, Reply, Request, pack, unpack
from wire.secrets import made_once
from wire.service import BEAT_SECONDS, CannotRun, Loop, log, resident_bytes, run_process
from wire.settings import Settings

DESIRED_FILE = "control/desired.msgpack"
KEY_FILE = "secrets/manager_key"

_KEY_BYTES = 32
_PUBLISH_S = 1.0
_TICK_S = 0.25
_FAREWELL_S = 0.3
"""Between the answer to ``terminate`` and the end, so that the caller hears it."""

_LEAVE_S = 5.0
"""How long the other processes may take to stop before control goes, where nobody supervises."""

_MESSAGES_A_TURN = 100

SOON_DAYS = 2.0
"""A weekend: so long before the reserve is reached the log says so."""


class NotKept(Exception):
    """The disk did not take a new desired state: the one before is in force."""


class DesiredFile:
    """The desired state on disk, replaced in one step so that a crash leaves the old or the new."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Desired | None:
        """Return what was kept; None at the first start.

        Raises:
            CannotRun: there is a file that is no desired state.
        """
        try:
            return registry.from_bytes(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (registry.Corrupt, OSError) as error:
            raise CannotRun(
                f"{self._path} cannot be read ({error}): remove it to begin with SECURITIES"
            ) from error

    def write(self, desired: Desired) -> None:
        """Keep *desired* through a power loss.

        Raises:
            NotKept: the disk refuses; the old state is still there.
        """
        try:
            self._write(desired)
        except OSError as error:
            raise NotKept(f"nothing was changed, the disk of DATA_DIR refuses it: {error}") from error

    def _write(self, desired: Desired) -> None:
        make_folder(self._path.parent)
        aside = self._path.with_suffix(".new")
        with aside.open("wb") as file:
            file.write(registry.to_bytes(desired))
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self._path)
        sync_folder(self._path.parent)


class Control:
    """Joins the desk to its sockets, its file and the clock."""

    def __init__(self, loop: Loop, settings: Settings, endpoints: Endpoints) -> None:
        self._loop = loop
        self._settings = settings
        self._reserve_bytes = settings.reserve_bytes()
        self._file = DesiredFile(settings.data_dir / DESIRED_FILE)
        workers = Workers(
            tuple(settings.lines()), settings.book_workers, settings.condition_workers, settings.store_writers
        )
        self._board = Board(workers)
        self._supervisor = Supervisor(endpoints.runtime_dir)
        supervised = [*workers.names(), CONTROL, *([DATABASE] if settings.embedded else [])]
        self._desk = Desk(
            self._first_state(),
            self._board,
            settings.window_seconds * 1_000_000_000,
            settings.change_interval_ms,
            self._now(),
            supervised if self._supervisor.pid() else (),
        )
        self._people = loop.context.socket(zmq.ROUTER)
        key = manager_key(settings)
        threading.Thread(target=self._derive, args=(key,), name="keys", daemon=True).start()
        self._processes = loop.socket(zmq.ROUTER, bind=endpoints.beats())
        self._processes.router_mandatory = True
        self._processes.router_handover = True
        self._desired = loop.socket(zmq.PUB, bind=endpoints.desired(), high_water=10)
        loop.on_readable(self._processes, self._hear_processes)
        self._started_ns = time.time_ns()
        loop.once(0, self._own_beats)
        loop.every(BEAT_SECONDS, self._own_beats)
        loop.every(_PUBLISH_S, self._publish)
        loop.every(_TICK_S, lambda: self._do(self._desk.tick(self._now())))
        self._said_near = False
        self._measure()
        loop.every(EVERY_S, self._measure)
        self._publish()

    def close(self) -> None:
        """Nothing is in memory only."""

    # --- start -------------------------------------------------------------------------------

    def _first_state(self) -> Desired:
        kept = self._file.read()
        seed = self._settings.securities
        if kept is not None:
            if differs := registry.difference(kept, seed):
                log.warning(
                    'event=securities_differ reason="the persisted set rules; SECURITIES only began it" '
                    'difference="%s"',
                    differs,
                )
            return kept
        policy = Policy(self._settings.change_interval_ms)
        desired = registry.add(registry.EMPTY, list(seed), policy, whole_ms(time.time_ns()))
        self._file.write(desired)
        log.info("event=first_start securities=%s", ",".join(registry.names(desired)))
        return desired

    def _derive(self, key: str) -> None:
        """Run in a thread: the stages hear what to record before people can ask."""
        with suppress(Exception):  # (the loop's thread asks again, is told at once, and says what is wrong)
            derive(key)
        self._loop.post(lambda: self._listen(derive(key)))

    def _listen(self, keys: Keys) -> None:
        self._allowed = keys.client.public
        self._zap = self._loop.socket(zmq.REP, bind=ZAP_ENDPOINT)
        self._loop.on_readable(self._zap, self._let_in)
        people = self._people
        people.curve_server = True
        people.curve_secretkey = keys.server.secret
        people.curve_publickey = keys.server.public
        people.zap_domain = b"obl"
        people.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
        host, port = self._settings.manager_host, self._settings.manager_port
        host = "127.0.0.1" if host == "localhost" else host  # ZeroMQ binds to addresses only
        people.ipv6 = ":" in host
        address = f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"
        try:
            people.bind(address)
        except zmq.ZMQError as error:
            people.close(0)
            reason = zmq.strerror(error.errno or 0)
            raise CannotRun(
                f"MANAGER_PORT={port}: cannot listen on {host} ({reason}): is the logger running already? "
                "else set another MANAGER_PORT"
            ) from error
        for warning in self._settings.warnings():
            log.warning('event=unwise reason="%s"', warning)
        self._loop.on_readable(people, self._hear_people)
        log.info("event=listening host=%s port=%d", host, port)

    # --- hearing -----------------------------------------------------------------------------

    def _let_in(self) -> None:
        answer = zap_answer(self._zap.recv_multipart(), self._allowed)
        if answer[2] != b"200":
            log.warning('event=refused_client reason="wrong key"')
        self._zap.send_multipart(answer)

    def _hear_people(self) -> None:
        for _ in range(_MESSAGES_A_TURN):
            try:
                caller, *parts = self._people.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._request(caller, parts[-1] if parts else b"")

    def _request(self, caller: bytes, data: bytes) -> None:
        before = self._desk.desired
        try:
            self._do(self._desk.request(caller, data, self._now()))
        except NotKept as error:
            log.error('event=not_kept reason="%s"', error)
            self._do(self._desk.not_kept(before, caller, data, str(error)))

    def _hear_processes(self) -> None:
        for _ in range(_MESSAGES_A_TURN):
            try:
                parts = self._processes.recv_multipart(zmq.NOBLOCK)
                message = unpack(parts[-1])
            except zmq.Again:
                return
            except BadMessage as error:
                log.warning('event=bad_message from=%r reason="%s"', parts[0], error)
                continue
            match message:
                case Beat():
                    self._beat(message)
                case Reply():
                    self._do(self._desk.reply(message))
                case _:
                    log.warning("event=bad_message from=%r reason=unexpected", parts[0])

    def _own_beats(self) -> None:
        """Beat for this process, and for the embedded database, which cannot."""
        self._beat(Beat(CONTROL, os.getpid(), self._started_ns, {"rss_bytes": resident_bytes()}))
        if self._settings.embedded and (database := self._supervisor.child(DATABASE)):
            self._beat(Beat(DATABASE, database, 0, {"rss_bytes": resident_bytes(database)}))

    def _beat(self, beat: Beat) -> None:
        if self._board.incarnation(beat.process) != (beat.pid, beat.started_ns):
            self._publish()  # (one that has just started need not wait for the next second)
        before = self._desk.desired
        try:
            self._do(self._desk.beat(beat, self._now()))
        except NotKept:
            self._desk.desired = before  # what the beat asks for is asked for again by the next one

    # --- doing -------------------------------------------------------------------------------

    def _do(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Keep(desired):
                    self._file.write(desired)
                    log.info(
                        "event=desired version=%d securities=%d", desired.version, len(desired.securities)
                    )
                    self._publish()
                case Answer(caller, data):
                    self._people.send_multipart([caller, data])
                case Ask(process, request):
                    self._ask(process, request)
                case Signal(process, name):
                    log.info("event=signal process=%s signal=%s", process, name)
                    self._supervisor.send(process, name)
                case Say(text):
                    log.warning(text)
                case StopAll():
                    self._loop.once(_FAREWELL_S, self._stop_all)
                case StopSelf():
                    log.info("event=restart")
                    self._loop.once(_FAREWELL_S, self._loop.stop)

    def _ask(self, process: str, request: Request) -> None:
        try:
            self._processes.send_multipart([process.encode(), pack(request)], zmq.NOBLOCK)
        except zmq.ZMQError:
            self._do(self._desk.unreachable(process, request.id))

    def _publish(self) -> None:
        self._desired.send(pack(self._desk.desired))

    def _stop_all(self) -> None:
        if supervisor := self._supervisor.pid():
            log.info("event=terminate supervisord=%d", supervisor)
            os.kill(supervisor, signal.SIGTERM)
            return
        log.info("event=terminate")
        self._leaving = set(self._board.beating(time.monotonic()))
        for process in self._leaving:
            self._ask(process, Request(0, "terminate", {}))
        self._until_s = time.monotonic() + _LEAVE_S
        self._loop.every(_TICK_S, self._leave)

    def _leave(self) -> None:
        """Go when the last process is gone, so that nothing is sent to it any more, or has had its time."""
        for process in list(self._leaving):
            try:
                self._processes.send_multipart([process.encode(), pack(Request(0, "ping", {}))], zmq.NOBLOCK)
            except zmq.ZMQError:
                self._leaving.discard(process)
        if not self._leaving or time.monotonic() > self._until_s:
            self._loop.stop()

    def _now(self) -> Now:
        free = shutil.disk_usage(self._settings.data_dir).free
        again = self._supervisor.runs_again(DATABASE)
        return Now(time.monotonic(), time.time_ns(), free, self._reserve_bytes, again)

    def _measure(self) -> None:
        """Have the files measured, in a thread: an archive of years holds many."""
        threading.Thread(target=self._measured, name="files", daemon=True).start()

    def _measured(self) -> None:
        """Run in the thread."""
        size_bytes = bytes_of(self._settings.data_dir, self._settings.journal_archive_dir)
        self._loop.post(partial(self._grown, size_bytes))

    def _grown(self, size_bytes: int) -> None:
        self._board.growth.measured(size_bytes, time.monotonic())
        now = self._now()
        days_left = self._board.growth.days_left(now.free_bytes, now.reserve_bytes)
        is_near = days_left is not None and days_left < SOON_DAYS
        if is_near and not self._said_near:
            log.warning(
                'event=disk_fills days_left=%s reason="at this rate recording pauses then: free space where '
                'DATA_DIR is, or lower JOURNAL_KEEP_SECONDS" free_bytes=%d',
                days_left,
                now.free_bytes,
            )
        self._said_near = is_near


def manager_key(settings: Settings) -> str:
    """Return the key that control and obl share, making it at the first start."""
    if settings.manager_authkey is not None:
        return settings.manager_authkey.reveal()
    return made_once(settings.data_dir / KEY_FILE, _KEY_BYTES)


def _build(loop: Loop, settings: Settings, endpoints: Endpoints, _: object) -> Control:
    make_folder(settings.data_dir)
    return Control(loop, settings, endpoints)


def main() -> None:
    """Run the control process."""
    run_process("control", _build)


if __name__ == "__main__":
    main()
