"""Where the processes meet: one ZeroMQ endpoint for each pair of roles.

endpoint            socket that binds          sockets that connect
frames(line)        PUB, the line's ingester   SUB, every maintainer
run(bucket)         PULL, the maintainer       PUSH, the conditioner (asks for a run)
batches(worker)     PULL, the conditioner      PUSH, every maintainer
documents(bucket)   PUSH, the conditioner      PULL, every writer
answers(worker)     PULL, the conditioner      PUSH, every writer
done(bucket)        PUB, the conditioner       SUB, maintainers and ingesters
needed(bucket)      PUB, the maintainer        SUB, every ingester
tap(bucket)         PUB, the maintainer        SUB, whoever watches
desired()           PUB, control               SUB, every process
beats()             ROUTER, control            DEALER, every process

``ipc``: Unix sockets in a folder of our own, ``<runtime folder>/obl-<uid>-<hash of DATA_DIR>``, so that
two installations of one user never meet.  ``tcp``: ports counted from PIPELINE_PORT, as in ``_PORTS``.
"""

import hashlib
import os
import stat
import tempfile
from pathlib import Path

from wire.names import MOST_LINES, VENUES, venue_of_line
from wire.settings import BadSetting, Settings

MAX_PATH_BYTES = 107
"""What Linux leaves of sockaddr_un.sun_path after its closing zero."""

_LONGEST_NAME = "frames-00000000000000000000-a"
_PORTS = {
    "desired": 0,
    "beats": 1,
    "frames": 2,
    "run": 64,
    "done": 128,
    "needed": 192,
    "documents": 256,
    "tap": 320,
    "batches": 384,
    "answers": 448,
}


class Endpoints:
    """Endpoints of one installation; ``runtime_dir`` is its private folder (supervisord's socket too)."""

    def __init__(self, settings: Settings) -> None:
        self._base = settings.pipeline_port
        self._host = settings.pipeline_host
        self.runtime_dir = runtime_folder(settings.data_dir)
        self._folder = self.runtime_dir if settings.pipeline_transport == "ipc" else None

    def frames(self, line: str) -> str:
        """Return where the ingester of *line* publishes groups and Synced."""
        venue, letter = venue_of_line(line), line.partition("/")[2]
        if self._folder is not None:
            return self._at("frames", f"{venue}-{letter}", 0)
        if venue not in VENUES:
            raise BadSetting(f"PIPELINE_TRANSPORT=tcp: there is no port for the venue {venue!r}")
        return self._at("frames", "", VENUES.index(venue) * MOST_LINES + ord(letter) - ord("a"))

    def run(self, bucket: int) -> str:
        """Return where the maintainer of *bucket* takes Subscribe."""
        return self._at("run", str(bucket), bucket)

    def batches(self, worker: int) -> str:
        """Return where conditioner *worker* takes batches of run messages."""
        return self._at("batches", str(worker), worker)

    def documents(self, bucket: int) -> str:
        """Return where the conditioner of *bucket* hands out documents."""
        return self._at("documents", str(bucket), bucket)

    def answers(self, worker: int) -> str:
        """Return where conditioner *worker* takes the store's answers."""
        return self._at("answers", str(worker), worker)

    def done(self, bucket: int) -> str:
        """Return where the conditioner of *bucket* publishes Done."""
        return self._at("done", str(bucket), bucket)

    def needed(self, bucket: int) -> str:
        """Return where the maintainer of *bucket* publishes Needed."""
        return self._at("needed", str(bucket), bucket)

    def tap(self, bucket: int) -> str:
        """Return where the maintainer of *bucket* publishes the live book's updates."""
        return self._at("tap", str(bucket), bucket)

    def desired(self) -> str:
        """Return where control publishes Desired."""
        return self._at("desired", "", 0)

    def beats(self) -> str:
        """Return where control meets every process."""
        return self._at("beats", "", 0)

    def _at(self, role: str, name: str, slot: int) -> str:
        if self._folder is not None:
            return f"ipc://{self._folder}/{role}-{name}" if name else f"ipc://{self._folder}/{role}"
        return f"tcp://{self._host}:{self._base + _PORTS[role] + slot}"


def runtime_folder(data_dir: Path) -> Path:
    """Return the private folder of the Unix sockets of the installation at *data_dir*, making it.

    Raises:
        BadSetting: nowhere is a path short enough, or the folder is not ours alone.
    """
    mark = hashlib.sha256(os.fsencode(data_dir.absolute())).hexdigest()[:12]
    name = f"obl-{os.getuid()}-{mark}"
    for parent in (os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp"):  # noqa: S108 the folder in it is checked
        folder = Path(parent) / name
        if not parent or len(os.fsencode(folder)) + 1 + len(_LONGEST_NAME) > MAX_PATH_BYTES:
            continue
        if Path(parent).is_dir() and os.access(parent, os.W_OK | os.X_OK):
            return _private(folder)
    raise BadSetting(
        f"XDG_RUNTIME_DIR={os.environ.get('XDG_RUNTIME_DIR', '')!r}: no writable folder with a path short "
        "enough for Unix sockets: set TMPDIR to a short one, or PIPELINE_TRANSPORT=tcp"
    )


def _private(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        pass  # made by another process of ours, or by somebody else: seen below
    except OSError as error:
        raise BadSetting(f"{folder}: cannot be made ({error.strerror}): set TMPDIR to another") from error
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise BadSetting(f"{folder}: not a folder that is ours alone: remove it, or set TMPDIR to another")
    return folder
