"""The embedded server as a child of ours: waited for until it listens, and ended."""

import socket
import subprocess
import time
from contextlib import suppress

from store.login import EMBEDDED_HOST

_LOOK_S = 0.02
_STOP_S, _KNOCK_S = 20.0, 0.05
_DEAF = 6
"""Callers that one which is ending would not have taken."""


def wait(server: "subprocess.Popen[bytes]", port: int, seconds: float) -> None:
    """Wait until *server* listens, has ended or took *seconds*; the driver looks every half second only."""
    deadline = time.monotonic() + seconds
    while server.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection((EMBEDDED_HOST, port)).close()
        except OSError:
            time.sleep(_LOOK_S)
        else:
            return


def end(server: "subprocess.Popen[bytes]", port: int) -> None:
    """End *server* in order.

    Told to end it waits 2 s in ``accept`` for a caller: here is one.  One that goes on taking callers did not
    hear it (the signal fell between Python's look at what came and the lock it slept on) and is told again.
    """
    server.terminate()
    deadline, taken = time.monotonic() + _STOP_S, 0
    while server.poll() is None and time.monotonic() < deadline:
        with suppress(OSError):
            socket.create_connection((EMBEDDED_HOST, port), _KNOCK_S).close()
            taken += 1
            if taken % _DEAF == 0:
                server.terminate()
        with suppress(subprocess.TimeoutExpired):
            server.wait(_KNOCK_S)
    server.kill()
    server.wait()
