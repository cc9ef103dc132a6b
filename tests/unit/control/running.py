"""A real control process on loopback, and a process's side of its beats."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import zmq

from control.client import Client
from wire.endpoints import Endpoints
from wire.messages import Beat, Message, Reply, Request, pack, unpack
from wire.settings import load_settings

ROOT = Path(__file__).parents[3]
DEADLINE_MS = 20_000


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Installation:
    """A DATA_DIR of its own, with a port and a short run-time folder."""

    def __init__(self, tmp_path: Path, **settings: str) -> None:
        self.runtime = tempfile.mkdtemp(prefix="obl")
        self.data_dir = tmp_path / "data"
        self.port = free_port()
        self.environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "XDG_RUNTIME_DIR": self.runtime,
            "DATA_DIR": str(self.data_dir),
            "MANAGER_PORT": str(self.port),
            "SECURITIES": "binance:BTCUSDT",
            **settings,
        }
        self.first_lines: list[str] = []
        self._started: list[subprocess.Popen[str]] = []

    def endpoints(self) -> Endpoints:
        return _endpoints(self.environ)

    def key(self) -> str:
        return (self.data_dir / "secrets" / "manager_key").read_text().strip()

    def client(self) -> Client:
        return Client("127.0.0.1", self.port, self.key())

    def popen(self, *command: str, **environ: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *command],
            env={**self.environ, **environ},
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._started.append(process)
        return process

    def start(self, **environ: str) -> "Control":
        process = self.popen("-m", "control.process", **environ)
        lines = []
        assert process.stdout is not None
        while "event=listening" not in (lines[-1] if lines else ""):
            line = process.stdout.readline()
            assert line, lines
            lines.append(line)
        return Control(process, lines)

    def obl(self, *words: str, stdin: str = "", **environ: str) -> "subprocess.CompletedProcess[str]":
        process = self.popen("-m", "ui.cli", *words, **environ)
        out, err = process.communicate(stdin, timeout=30)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def close(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()
        shutil.rmtree(self.runtime)


class Control:
    """A running control process and what it has logged."""

    def __init__(self, process: "subprocess.Popen[str]", lines: list[str]) -> None:
        self.process = process
        self.lines = lines

    def end(self, number: signal.Signals | None = None) -> tuple[int, str]:
        """Wait for the end (after a signal) and return the exit code and the rest of the log."""
        if number is not None:
            self.process.send_signal(number)
        out, _ = self.process.communicate(timeout=20)
        return self.process.returncode, out


class Peer:
    """A process's side: it beats, takes requests and replies."""

    def __init__(self, installation: Installation, name: str) -> None:
        self.name = name
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._dealer = self._context.socket(zmq.DEALER)
        self._dealer.identity = name.encode()
        self._dealer.connect(installation.endpoints().beats())
        self._subscriber = self._context.socket(zmq.SUB)
        self._subscriber.subscribe(b"")
        self._subscriber.connect(installation.endpoints().desired())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._context.destroy(0)

    def beat(self, health: Mapping[str, Any]) -> None:
        self._dealer.send(pack(Beat(self.name, os.getpid(), 1, dict(health))))

    def send(self, data: bytes) -> None:
        self._dealer.send(data)

    def request(self) -> Request:
        message = _receive(self._dealer)
        assert isinstance(message, Request)
        return message

    def reply(self, request: Request, result: Any) -> None:
        self._dealer.send(pack(Reply(request.id, self.name, True, result)))

    def desired(self) -> Message:
        return _receive(self._subscriber)


def _receive(source: "zmq.Socket[bytes]") -> Message:
    assert source.poll(DEADLINE_MS), "nothing came"
    return unpack(source.recv())


def _endpoints(environ: Mapping[str, str]) -> Endpoints:
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = environ["XDG_RUNTIME_DIR"]
    try:
        return Endpoints(load_settings(environ))
    finally:
        if before is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = before
