"""The embedded server's user, made by a server that lets everybody in on a port that nobody knows."""

import subprocess
from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from store import child
from store.login import EMBEDDED_HOST, EMBEDDED_USER, CannotServe
from store.outcome import one_line
from wire.parent import follow_parent

_USER_EXISTS = 51003
_START_S = 30.0
_ANSWER_MS = 3_000


def make(words: list[str], port: int, password: str) -> None:
    """Start the server *words*, which listens on *port* and lets everybody in, make the user, and stop it.

    Raises:
        CannotServe: it did not start, or did not make the user.
    """
    server = subprocess.Popen(  # noqa: S603 our own
        words,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=follow_parent,  # noqa: PLW1509 there is no other thread yet
    )
    try:
        child.wait(server, port, _START_S)
        with MongoClient[dict[str, object]](
            EMBEDDED_HOST, port, directConnection=True, serverSelectionTimeoutMS=_ANSWER_MS
        ) as client:
            _grant(client, password)
    except PyMongoError as error:
        ended = server.poll()
        reason = f"it ended with {ended}" if ended is not None else one_line(error)
        raise CannotServe(f"the embedded database cannot make its user: {reason}") from error
    finally:
        server.kill()  # (what it acknowledged is on the disk; told to end it would wait for seconds)
        server.wait()


def _grant(client: MongoClient[dict[str, object]], password: str) -> None:
    rights: dict[str, Any] = {"pwd": password, "roles": [{"role": "readWriteAnyDatabase", "db": "admin"}]}
    try:
        client.admin.command("createUser", EMBEDDED_USER, **rights)
    except OperationFailure as error:
        if error.code != _USER_EXISTS:
            raise
        client.admin.command("updateUser", EMBEDDED_USER, **rights)
