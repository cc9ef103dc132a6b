"""Where the embedded server is and who may use it."""

import socket
from pathlib import Path

from wire.secrets import made_once
from wire.settings import Settings

EMBEDDED_HOST = "127.0.0.1"
EMBEDDED_USER = "obl"


CALL_S = 1.0
"""A server of this host takes a caller at once."""


class CannotServe(Exception):
    """The embedded server cannot start; one line says why."""


def password_file(settings: Settings) -> Path:
    """Return where the embedded server's password lies."""
    return settings.data_dir / "secrets" / "mongodb_password"


def embedded_password(settings: Settings) -> str:
    """Return the embedded server's password, made at the first call.

    Raises:
        CannotKeep: the file cannot be made or read.
    """
    return made_once(password_file(settings), 24)


def takes_callers(port: int) -> bool:
    """Call whoever listens on *port*, and hang up; say whether somebody was there."""
    try:
        socket.create_connection((EMBEDDED_HOST, port), CALL_S).close()
    except OSError:
        return False
    return True
