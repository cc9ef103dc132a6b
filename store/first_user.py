"""The embedded server's user, made while the server lets everybody in on a port that nobody knows."""

import threading
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError
from secantus import SecantusDBServer
from wiredtiger import WiredTigerError

from store.login import EMBEDDED_HOST, EMBEDDED_USER, CannotServe, takes_callers
from store.outcome import one_line

_USER_EXISTS = 51003
_ANSWER_MS = 30_000
_KNOCK_S = 0.02


def make(folder: Path, password: str) -> None:
    """Serve *folder* in this process, make the user, and serve it no more.

    Raises:
        CannotServe: the storage engine cannot open it, or the user was not made.
    """
    try:
        server = SecantusDBServer(
            EMBEDDED_HOST,
            storage_path=str(folder),
            replica_set_name=None,
            enable_test_commands=False,
            sync_on_commit=True,
        )
        server.start()
        try:
            with MongoClient[dict[str, object]](
                EMBEDDED_HOST, server.port, directConnection=True, serverSelectionTimeoutMS=_ANSWER_MS
            ) as client:
                _grant(client, password)
        finally:
            _stop(server)
    except (PyMongoError, WiredTigerError) as error:
        raise CannotServe(f"the embedded database cannot make its user: {one_line(error)}") from error


def _stop(server: SecantusDBServer) -> None:
    """End *server*, which would wait 2 s in ``accept`` for a caller."""
    ended = threading.Event()

    def knock() -> None:
        while not ended.wait(_KNOCK_S):
            takes_callers(server.port)

    threading.Thread(target=knock, name="knock", daemon=True).start()
    server.stop()
    ended.set()


def _grant(client: MongoClient[dict[str, object]], password: str) -> None:
    rights: dict[str, Any] = {"pwd": password, "roles": [{"role": "readWriteAnyDatabase", "db": "admin"}]}
    try:
        client.admin.command("createUser", EMBEDDED_USER, **rights)
    except OperationFailure as error:
        if error.code != _USER_EXISTS:
            raise
        client.admin.command("updateUser", EMBEDDED_USER, **rights)
