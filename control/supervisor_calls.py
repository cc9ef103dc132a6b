"""Calls of a supervisord over its Unix socket, none of which waits for ever."""

import socket
from pathlib import Path
from typing import Any
from xmlrpc.client import Error, ServerProxy

from supervisor.xmlrpc import SupervisorTransport, UnixStreamHTTPConnection

FAILURES = (OSError, Error)

ANSWER_S = 5.0
"""It answers in milliseconds, or it is stopped or stuck: control goes on without it."""


def call(path: Path, method: str, *arguments: str) -> Any:
    """Return what the supervisord whose socket is at *path* answers.

    Raises:
        OSError, Error: it cannot be reached, does not answer (``TimeoutError``), or refuses.
    """
    with ServerProxy("http://127.0.0.1", Transport(path)) as server:
        return getattr(server.supervisor, method)(*arguments)


class _Connection(UnixStreamHTTPConnection):  # type: ignore[misc]  # (untyped)
    """One that does not wait for ever."""

    socketfile: str

    def connect(self) -> None:
        """Connect to the socket's file."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(ANSWER_S)
        self.sock.connect(self.socketfile)


class Transport(SupervisorTransport):  # type: ignore[misc]  # (untyped)
    """The way to the supervisord whose Unix socket is at *path*; ``TimeoutError``: it does not answer."""

    def __init__(self, path: Path) -> None:
        super().__init__(None, None, f"unix://{path}")
        self._path = str(path)
        self._get_connection = self._dial

    def _dial(self) -> _Connection:
        connection = _Connection("localhost")
        connection.socketfile = self._path
        return connection
