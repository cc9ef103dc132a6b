"""The embedded server as a child of ours: waited for until it listens, and ended."""

import socket
import subprocess
import time
from contextlib import suppress

from store.login import EMBEDDED_HOST

_LOOK_S = 0.02
_STOP_S = 20.0


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


def end(server: "subprocess.Popen[bytes]") -> None:
    """End *server* in order."""
    server.terminate()
    with suppress(subprocess.TimeoutExpired):
        server.wait(_STOP_S)
    server.kill()
    server.wait()
