"""The embedded server for the length of one archive command, where it does not run already.

Several commands may share one: each holds a shared lock on DATA_DIR/database.lock while it reads, and the one
that started the server ends it only once it holds the lock alone.
"""

import fcntl
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

from pymongo.errors import PyMongoError, ServerSelectionTimeoutError

from store.connection import NoDatabase, connect, describe, where
from store.database import busy, folder_of
from store.login import takes_callers
from wire.folders import make_folder
from wire.parent import SUPERVISOR
from wire.settings import Settings

START_S = 40.0
"""Of which a large journal of the storage engine may take some to replay."""
OTHERS_S = 300.0
"""How long the one that started it waits for the other readers."""
_STOP_S = 20
_LOOK_S = 0.02
_LOOK_MS = 250


@contextmanager
def running(settings: Settings, *, make: bool = False) -> Iterator[None]:
    """Have the settings' database running inside the ``with``; with *make* an empty one where there is none.

    An external server is not asked here: whoever uses it will say what is wrong.

    Raises:
        NoDatabase: there is no archive in DATA_DIR, or its server does not start.
    """
    if not settings.embedded:
        yield
        return
    with _locked(settings, make=make) as lock, tempfile.TemporaryFile() as said:
        fcntl.flock(lock, fcntl.LOCK_SH)
        server = None if busy(settings.mongodb_embedded_port) else _start(settings, said)
        try:
            _wait_until_it_answers(settings, server, said)
            yield
        finally:
            if server is not None:
                _wait_for_the_others(lock)
                server.terminate()
                with suppress(subprocess.TimeoutExpired):
                    server.wait(_STOP_S)
                server.kill()
                server.wait()


def _locked(settings: Settings, *, make: bool) -> IO[str]:
    """Return the open lock file.

    Raises:
        NoDatabase: there is no archive in DATA_DIR, or it may not be read.
    """
    instead = "set DATA_DIR to where the logger keeps its own, or MONGODB_ENDPOINT"
    try:
        if make:
            make_folder(folder_of(settings), 0o700)
        if not busy(settings.mongodb_embedded_port) and not folder_of(settings).exists():
            raise NoDatabase(f"there is no archive in {settings.data_dir}: {instead}")
        return (settings.data_dir / "database.lock").open("a")
    except OSError as error:
        raise NoDatabase(f"{settings.data_dir} cannot be used: {error.strerror}; {instead}") from error


def _start(settings: Settings, said: IO[bytes]) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if name != SUPERVISOR} | {
        "DATA_DIR": str(settings.data_dir),
        "MONGODB_EMBEDDED_PORT": str(settings.mongodb_embedded_port),
    }
    words = [sys.executable, "-m", "store.database"]
    return subprocess.Popen(  # noqa: S603 our own
        words, env=environment, stdout=subprocess.DEVNULL, stderr=said, start_new_session=True
    )


def _wait_until_it_answers(
    settings: Settings, server: subprocess.Popen[bytes] | None, said: IO[bytes]
) -> None:
    deadline = time.monotonic() + START_S
    port = settings.mongodb_embedded_port
    while server is not None and server.poll() is None and time.monotonic() < deadline:
        if takes_callers(port):
            break
        time.sleep(_LOOK_S)  # (the driver would look every half second)
    with connect(settings, serverSelectionTimeoutMS=_LOOK_MS) as client:
        while True:
            try:
                client.admin.command("ping")
                client[settings.mongodb_database].list_collection_names()  # (a ping needs no password)
            except ServerSelectionTimeoutError as error:
                ended = server is not None and server.poll() is not None
                if ended and not busy(port):  # (another command was not first)
                    raise NoDatabase(_last_line(said) or describe(error, where(settings))) from error
                if time.monotonic() > deadline:
                    raise NoDatabase(describe(error, where(settings))) from error
            except PyMongoError as error:
                raise NoDatabase(describe(error, where(settings))) from error
            else:
                return


def _wait_for_the_others(lock: IO[str]) -> None:
    fcntl.flock(lock, fcntl.LOCK_UN)
    deadline = time.monotonic() + OTHERS_S
    while time.monotonic() < deadline:
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(0.05)


def _last_line(said: IO[bytes]) -> str:
    said.seek(0)
    lines = said.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
