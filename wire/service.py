"""What every process is made of: one loop, a beat each second, and an orderly end.

exit code  meaning
0          asked to stop (SIGTERM, SIGINT, ``terminate``, ``restart``)
1          a promise could not be kept; the last line says why
2          could not start: bad setting, busy port or folder; the last line says which

supervisord starts it again unless it ordered the end itself, ever more slowly where it ends at once.
"""

import gc
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

import zmq

from wire.endpoints import Endpoints
from wire.log import log, start_logging, uncaught
from wire.loop import CannotRun, Loop, Socket, Timer
from wire.messages import BadMessage, Beat, Desired, Reply, Request, pack, unpack
from wire.names import BUCKETS
from wire.parent import die_with_supervisor
from wire.secrets import CannotKeep
from wire.settings import BadSetting, Settings, load_settings

__all__ = [
    "Beats",
    "CannotRun",
    "Loop",
    "Refusal",
    "Service",
    "Socket",
    "Timer",
    "log",
    "process_name",
    "resident_bytes",
    "run_process",
]

BEAT_SECONDS = 1.0
_BEATS_QUEUED = 5
"""While control is away older beats are of no use to anybody."""


class Refusal(Exception):
    """A command cannot be done; its text is the answer."""


class Beats:
    """A process's tie to control: its beat each second, the commands it obeys, the desired state.

    *health* gives the body of a beat; ``rss_bytes`` is added.  *commands* answer by returning a value
    that msgpack packs, or raise Refusal; ``ping``, ``terminate`` and ``restart`` (an orderly end, after which
    supervisord starts it again) are always there.  *on_desired* is
    called when the desired state differs from the last one heard.
    """

    def __init__(
        self,
        loop: Loop,
        endpoints: Endpoints,
        process: str,
        health: Callable[[], dict[str, Any]],
        commands: Mapping[str, Callable[[dict[str, Any]], Any]] | None = None,
        on_desired: Callable[[Desired], None] | None = None,
    ) -> None:
        self._process = process
        self._health = health
        ends = {name: lambda _: loop.stop() for name in ("terminate", "restart")}
        self._commands = {"ping": lambda _: "pong", **ends, **(commands or {})}
        self._on_desired = on_desired
        self._desired: Desired | None = None
        self._started_ns = time.time_ns()
        self._dealer = loop.context.socket(zmq.DEALER)
        self._dealer.set_hwm(_BEATS_QUEUED)
        self._dealer.linger = 0
        self._dealer.identity = process.encode()
        self._dealer.connect(endpoints.beats())
        loop.on_readable(self._dealer, self._obey)
        if on_desired is not None:
            self._subscriber = loop.socket(zmq.SUB, connect=endpoints.desired())
            self._subscriber.subscribe(b"")
            loop.on_readable(self._subscriber, self._hear)
        loop.once(0, self.now)
        loop.every(BEAT_SECONDS, self.now)

    def now(self) -> None:
        """Beat at once, so that control need not wait a second for what has changed."""
        health = {"rss_bytes": resident_bytes(), **self._health()}
        self._send(pack(Beat(self._process, os.getpid(), self._started_ns, health)))

    def _send(self, data: bytes) -> None:
        with suppress(zmq.Again):  # control is away: the next beat says the same
            self._dealer.send(data, zmq.NOBLOCK)

    def _obey(self) -> None:
        try:
            request = unpack(self._dealer.recv(zmq.NOBLOCK))
        except (zmq.Again, BadMessage):
            return
        if not isinstance(request, Request):
            return
        command = self._commands.get(request.command)
        if command is None:
            error = f"{self._process} does not know {request.command!r}"
            self._send(pack(Reply(request.id, self._process, False, error=error)))
            return
        try:
            reply = Reply(request.id, self._process, True, command(request.args))
        except Refusal as refusal:
            reply = Reply(request.id, self._process, False, error=str(refusal))
        self._send(pack(reply))

    def _hear(self) -> None:
        try:
            desired = unpack(self._subscriber.recv(zmq.NOBLOCK))
        except (zmq.Again, BadMessage):
            return
        if isinstance(desired, Desired) and desired != self._desired and self._on_desired is not None:
            self._desired = desired
            self._on_desired(desired)


class Service(Protocol):
    """What a process's ``build`` returns."""

    def close(self) -> None:
        """Bring what is in memory where it must be; called once, after the loop, before sockets close."""


def resident_bytes(process: int | str = "self") -> int:
    """Return the memory that the process of that pid holds, 0 where there is none."""
    try:
        with open(f"/proc/{process}/statm", "rb") as statm:  # noqa: PTH123 half the cost of a Path
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def process_name(kind: str, instance: int | str) -> str:
    """Return the process's name, as supervisord and control use it.

    >>> process_name("book", 0), process_name("ingest", "binance/a"), process_name("control", "")
    ('book-0', 'ingest-binance-a', 'control')
    """
    return f"{kind}-{instance}".replace("/", "-").rstrip("-")


def run_process(
    kind: str,
    build: Callable[[Loop, Settings, Endpoints, Any], Service],
    argv: Sequence[str] | None = None,
) -> None:
    """Run one process of *kind* from start to end; never returns.

    Its one argument is the worker's number (``book condition store``), the line (``ingest``:
    ``binance/a`` or ``binance-a``) or nothing (any other kind).  *build* gets the loop, the settings,
    the endpoints and that instance (int, str or ""), and its service is closed after the loop.
    """
    sys.exit(_run(kind, build, sys.argv[1:] if argv is None else argv))


def _run(kind: str, build: Callable[[Loop, Settings, Endpoints, Any], Service], argv: Sequence[str]) -> int:
    name = kind
    try:
        settings = load_settings(os.environ)
        instance = _instance(kind, argv, settings)
        name = process_name(kind, instance)
        start_logging(name, settings.loglevel, as_service=settings.as_service)
        die_with_supervisor()
        _settle(name)
        endpoints = Endpoints(settings)
        loop = Loop()
        loop.catch_signals()
        try:
            service = build(loop, settings, endpoints, instance)
            gc.freeze()  # modules stay: looking through them took each collection 40 ms
            log.info("event=started pid=%d", os.getpid())
            loop.run()
            service.close()
        finally:
            loop.close()
    except (BadSetting, CannotRun, CannotKeep) as error:
        start_logging(name, "Info", as_service=os.environ.get("AS_SERVICE", "").lower() == "true")
        log.critical('event=cannot_run reason="%s"', error)
        return 2
    except Exception as error:  # noqa: BLE001 the one place: whatever it is, one line says it
        uncaught(error)
        return 1
    log.info("event=stopped")
    return 0


def _instance(kind: str, argv: Sequence[str], settings: Settings) -> int | str:
    if kind == "ingest":
        line = argv[0].replace("-", "/", 1) if len(argv) == 1 else ""
        if line not in settings.lines():
            raise CannotRun(f"{kind} needs one argument, a line of {' '.join(settings.lines())}")
        return line
    if kind in ("book", "condition", "store"):
        text = argv[0] if len(argv) == 1 else ""
        if not text.isdecimal() or int(text) >= BUCKETS:
            raise CannotRun(f"{kind} needs one argument, the worker's number (0 to {BUCKETS - 1})")
        return int(text)
    if argv:
        raise CannotRun(f"{kind} takes no arguments")
    return ""


def _settle(name: str) -> None:
    """Take a name that ``ps`` shows."""
    import setproctitle

    setproctitle.setproctitle(f"obl-{name}")
