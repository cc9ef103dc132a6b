"""Real ingester processes beside the simulator, with the test in the place of control and the maintainers."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import zmq

from journal import payload
from journal.group import Kind, Record
from journal.payload import Payload
from journal.reader import Reader
from tests.simulator.process import ROOT, Simulator
from wire.endpoints import Endpoints
from wire.messages import Beat, Desired, Needed, Policy, Reply, Request, Wanted, pack, unpack
from wire.names import BUCKETS
from wire.settings import load_settings

DEADLINE_S = 20.0


def wanted(*names: str, since_ns: int = 1, every_ms: int = 0) -> tuple[Wanted, ...]:
    return tuple(Wanted(name, (Policy(every_ms=every_ms),), since_ns) for name in names)


class Line:
    """One ingester; the test publishes what it should record and reads what it journals."""

    def __init__(
        self,
        folder: Path,
        simulator: Simulator,
        line: str = "binance/a",
        beside: "Line | None" = None,
        **settings: str,
    ) -> None:
        """*beside* is the first line of the same installation, which speaks for both."""
        plain = {k: v for k, v in os.environ.items() if k in {"PATH", "HOME", "LANG", "TMPDIR"}}
        self.environment = {
            **plain,
            **{f"{venue.upper()}_WS_URL": simulator.ws_url(venue) for venue in simulator.ports},
            **{f"{venue.upper()}_REST_URL": simulator.rest_url(venue) for venue in simulator.ports},
            "DATA_DIR": str(folder),
            "DISK_RESERVE_BYTES": "1000000",
            "ORDERBOOK_UPDATEFREQUENCY": "100",
            **settings,
        }
        self.environment = {k: v for k, v in self.environment.items() if v}
        self.folder = folder / "journal" / line.replace("/", "-")
        self.log = folder / f"ingest-{line.replace('/', '-')}.log"
        self.line = line
        self.records: list[Record] = []
        self.health: dict[str, Any] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self._replies: dict[int, Reply] = {}
        self._owner = beside or self
        self._lines: dict[str, Line] = beside._lines if beside is not None else {}
        self._lines[f"ingest-{line.replace('/', '-')}"] = self
        self._version = 0
        self._desired: Desired | None = None
        self._reader: Reader | None = None
        if beside is not None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        endpoints = Endpoints(load_settings(self.environment))
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._desired_socket = self._bound(zmq.PUB, endpoints.desired())
        self._beats = self._bound(zmq.ROUTER, endpoints.beats())
        self._needed = self._bound(zmq.PUB, endpoints.needed(0))

    def _bound(self, kind: int, endpoint: str) -> zmq.Socket[bytes]:
        made = self._context.socket(kind)
        made.linger = 0
        made.bind(endpoint)
        return made

    def start(self) -> None:
        command = [sys.executable, "-m", "ingest", self.line]
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=self.environment, stdout=output, stderr=subprocess.STDOUT
            )

    def stop(self, number: int = signal.SIGTERM, seconds: float = 10) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(seconds)
        self.process = None
        self._read()
        return code

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
        if self._reader is not None:
            self._reader.close()
        if self._owner is self:
            self._context.destroy(0)

    def desire(self, securities: Sequence[Wanted]) -> None:
        self._version += 1
        self._desired = Desired(self._version, tuple(securities))

    def wish(self, *names: str, trades: tuple[tuple[str, int, int], ...] = ()) -> None:
        self._needed.send(pack(Needed(0, {}, names, trades)))

    def needs(self, position: int) -> None:
        """Say for all buckets that nothing before *position* is needed."""
        for bucket in range(BUCKETS):
            self._needed.send(pack(Needed(bucket, {self.line: position})))

    def ask(self, command: str, **args: Any) -> Reply:
        number = time.monotonic_ns()
        name = f"ingest-{self.line.replace('/', '-')}".encode()
        self._beats.send_multipart([name, pack(Request(number, command, args))])
        self.until(f"an answer to {command}", lambda: number in self._replies)
        return self._replies[number]

    def until(self, what: str, holds: Callable[[], object], seconds: float = DEADLINE_S) -> None:
        """Publish the desired state and read journals and beats until *holds*."""
        if self._owner is not self:
            return self._owner.until(what, holds, seconds)
        deadline = time.monotonic() + seconds
        while True:
            for each in self._lines.values():
                each._read()
            if holds():
                return None
            if self._desired is not None:
                self._desired_socket.send(pack(self._desired))
            alive = self.process is None or self.process.poll() is None
            assert alive, f"the ingester ended: {self.text()}"
            assert time.monotonic() < deadline, (
                f"not within {seconds} s: {what}\n{self.text()}\n{self.health}"
            )
            if self._beats.poll(100):
                self._hear(unpack(self._beats.recv_multipart()[1]))

    def _hear(self, message: Any) -> None:
        if isinstance(message, Beat):
            self._lines[message.process].health = message.health
        elif isinstance(message, Reply):
            self._replies[message.id] = message

    def _read(self) -> None:
        if self._reader is None:
            if not self.folder.is_dir():
                return
            self._reader = Reader(self.folder)
        for group in self._reader.groups(self._reader.position):
            self.records += group.records()

    def text(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def state(self, security: str) -> str:
        found: dict[str, Any] = self.health.get("securities", {}).get(security, {})
        return str(found.get("state", ""))

    def payloads(self, kind: Kind, security: str | None = None) -> list[Payload]:
        return [
            payload.unpack(kind, r.payload)
            for r in self.records
            if r.kind is kind and security in (None, r.security)
        ]

    def frames(self, security: str, connection: int = 0) -> list[bytes]:
        return [
            r.payload
            for r in self.records
            if r.kind is Kind.FRAME and r.security == security and connection in (0, r.connection)
        ]
