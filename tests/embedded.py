"""Starts the embedded database server for tests: one per session, in a temporary folder, on a free port.

Name the fixtures in the folder's conftest.py (``from tests.embedded import mongo, mongo_server`` and
``__all__``) and mark the tests ``mongo``.  ``mongo`` is a fresh database of the session's server;
``Server`` may be used alone where a test kills and restarts it.  The server has no users (``--auth`` is
off) and takes ``configureFailPoint``.
"""

import ctypes
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo import MongoClient
from pymongo.database import Database

START_S = 30
"""A start takes 0.6 s on an idle machine."""
STOP_S = 20


_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


def _die_with_parent() -> None:
    """Leave no orphan behind a test run that was killed."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One embedded server over *folder*; restarted on the same port."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.folder = folder
        self.flags = flags
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}/"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it answers."""
        config = self.folder.with_suffix(".toml")
        config.touch()  # or the server looks for one in the working directory and the home
        command = [str(Path(sys.executable).with_name("secantusd-py")), "--config", str(config)]
        command += ["--port", str(self.port), "--storage-path", str(self.folder), "--sync-on-commit"]
        command += ["--standalone", "--enable-test-commands", "--cache-size", "64M", "--log-level", "ERROR"]
        self._process = subprocess.Popen(
            [*command, *self.flags],
            stderr=subprocess.DEVNULL,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 the tests' process has no other thread that forks
        )
        with self.client(serverSelectionTimeoutMS=START_S * 1000) as client:
            client.admin.command("ping")

    def client(self, **options: object) -> MongoClient:
        """Return a client of it; close it."""
        return MongoClient(self.uri, directConnection=True, **{"heartbeatFrequencyMS": 500, **options})

    def kill(self) -> None:
        """End it as a power loss would: SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait(STOP_S)
        self._process = None


@pytest.fixture(scope="session")
def mongo_server() -> Iterator[Server]:
    """Start the session's server."""
    folder = Path(tempfile.mkdtemp(prefix="obl-mongo-"))
    server = Server(folder / "db")
    server.start()
    try:
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def mongo(mongo_server: Server) -> Iterator[Database]:
    """Return a database of its own for this test, and drop it afterwards."""
    with mongo_server.client() as client:
        name = f"test_{uuid.uuid4().hex[:12]}"
        yield client[name]
        client.drop_database(name)
