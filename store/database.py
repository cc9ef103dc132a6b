"""``obl-database``: the embedded database server, as a process of its own.

step                                                    where it fails
the port is free                                        one line, exit 2
the first time (or with another password): serve        one line, exit 2
everybody on a port nobody knows, make the user
serve, with ``--auth``                                  the server's own words

All of it in this process, which took half a second to open the storage engine: the second time is quick.  So
supervisord's child is the server, and the server dies with its parent.

Flags, and what was measured (3,000 documents of 8 kB that do not compress, 24 MB; SecantusDB 0.7.0b3):

flag                              why
--auth                            users of this host may not read or write without the password
--sync-on-commit                  without it acknowledged writes are lost at kill -9
--standalone                      no oplog at all: 51 MB on disk after the writes, 35 MB after a clean stop;
                                  with the default oplog 98 and 63, for every block is kept twice
--oplog-max-entries 1             (0 is taken too.)  Should there be an oplog: 80 and 35 MB, for it is pruned
--oplog-retention-seconds 1       to this many entries only every 1,000 writes
--cache-size 256M                 the default of 1 GB is more than the readers of recent windows need
--config                          an empty file, or the server takes any ``secantusd.toml`` that lies about
"""

import hashlib
import os
import signal
import socket
import sys
import threading
import time
from itertools import count
from pathlib import Path

from store.login import EMBEDDED_HOST, CannotServe, embedded_password, takes_callers
from wire.folders import make_folder
from wire.parent import die_with_supervisor
from wire.secrets import CannotKeep
from wire.settings import BadSetting, Settings, load_settings

CACHE_SIZE = "256M"
OPLOG_ENTRIES = 1
OPLOG_SECONDS = 1

_KNOCK_S = 0.05
_DEAF = 6
"""Callers that one which is ending would not have taken."""

_USER_MARK = "obl_user"
"""In the database's folder: a digest of the password that its user has."""


def folder_of(settings: Settings) -> Path:
    """Return the folder of the embedded server's files."""
    return settings.data_dir / "database"


def flags(settings: Settings) -> list[str]:
    """Return what the server is told."""
    words = ["--config", str(settings.data_dir / "database.toml"), "--storage-path", str(folder_of(settings))]
    words += ["--host", EMBEDDED_HOST, "--port", str(settings.mongodb_embedded_port), "--auth"]
    words += ["--sync-on-commit", "--standalone", "--cache-size", CACHE_SIZE, "--log-level", "WARNING"]
    words += ["--oplog-max-entries", str(OPLOG_ENTRIES), "--oplog-retention-seconds", str(OPLOG_SECONDS)]
    return words


def prepare(settings: Settings) -> None:
    """Make the folder and, where it has none with this password, the user.

    Raises:
        CannotServe: another database is set, the port is busy, or the server did not start.
        CannotKeep: the password cannot be made or read.
    """
    if not settings.embedded:
        raise CannotServe("MONGODB_ENDPOINT is set: that database is used, not the embedded one")
    port = settings.mongodb_embedded_port
    if busy(port):
        raise CannotServe(
            f"MONGODB_EMBEDDED_PORT={port}: another process listens on {EMBEDDED_HOST}:{port}; stop it or "
            "set another port"
        )
    password = embedded_password(settings)
    mark = hashlib.sha256(password.encode()).hexdigest()
    folder = folder_of(settings)
    try:
        make_folder(folder, 0o700)
        (settings.data_dir / "database.toml").touch()
        marked = folder / _USER_MARK
        if not marked.exists() or marked.read_text() != mark:
            from store import first_user  # (the driver, which later starts need not wait for)

            first_user.make(folder, password)
            marked.write_text(mark)
            marked.chmod(0o600)
    except OSError as error:
        raise CannotServe(f"{folder}: {error.strerror}") from error


def busy(port: int) -> bool:
    """Whether somebody listens on *port* of loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((EMBEDDED_HOST, port))
        except OSError:
            return True
    return False


def main() -> None:
    """Run ``obl-database``."""
    die_with_supervisor()
    try:
        settings = load_settings(os.environ)
        prepare(settings)
    except (BadSetting, CannotKeep, CannotServe) as error:
        sys.stderr.write(f"obl-database: {error}\n")
        sys.exit(2)
    _end_at_once(settings.mongodb_embedded_port)
    from secantus.cli import main as serve

    sys.exit(serve(flags(settings)))


def _end_at_once(port: int) -> None:
    """Have a thread call the server once this process is told to end.

    It would wait 2 s in ``accept`` for a caller.  One that goes on taking callers did not hear the signal,
    which fell between Python's look at what had come and the lock it slept on: it is told again.
    """
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell, warn_on_full_buffer=False)

    def knock() -> None:
        os.read(told, 1)
        for call in count(1):
            if takes_callers(port) and call % _DEAF == 0:
                os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(_KNOCK_S)

    threading.Thread(target=knock, name="end", daemon=True).start()


if __name__ == "__main__":
    main()
