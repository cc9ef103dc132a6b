"""The clock that a venue's lines stamp their groups with: UTC when the host booted, and the time since.

The lines are merged by it, so it must be the same in all processes of a host, and nobody may be able to set
it: were the host's clock set back by an hour, one line's groups would wait an hour for the other's.  The
first process after a boot writes to DATA_DIR what has to be added to the time since then; the others read it.

boot_id ahead_ns    (one line of text)
"""

import fcntl
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from journal.collected import journals_in
from journal.segment import SEGMENT_HEADER_BYTES, raw_groups, segments_in
from wire.folders import make_folder

NAME = "clock"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def steady_clock(data_dir: Path) -> Callable[[], int]:
    """Return the clock of the installation in *data_dir*: UTC nanoseconds, but for later settings."""
    ahead_ns = _ahead_ns(data_dir / "epochs" / NAME, data_dir / "journal", _BOOT_ID.read_text().strip())
    return lambda: _since_boot_ns() + ahead_ns


def _since_boot_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def _ahead_ns(path: Path, journals: Path, boot_id: str) -> int:
    """Return what the first process of this boot wrote to *path*; be the first, if need be.

    No clock may be earlier than that of a group before the boot: the host's may have been set back since.
    """
    with suppress(OSError):  # a full disk: the next process tries again
        make_folder(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            known = _read(descriptor, boot_id)
            if known is None:
                known = _first_ahead_ns(journals)
                text = f"{boot_id} {known}\n".encode()
                os.pwrite(descriptor, text, 0)
                os.ftruncate(descriptor, len(text))
            return known
        finally:
            os.close(descriptor)
    return _first_ahead_ns(journals)


def _read(descriptor: int, boot_id: str) -> int | None:
    words = os.pread(descriptor, 1000, 0).decode(errors="replace").split()
    if len(words) != 2 or words[0] != boot_id:
        return None
    try:
        return int(words[1])
    except ValueError:
        return None


def _first_ahead_ns(journals: Path) -> int:
    newest_ns = max((_newest_ns(folder) for folder in journals_in(journals)), default=0)
    return max(time.time_ns(), newest_ns + 1) - _since_boot_ns()


def _newest_ns(journal: Path) -> int:
    """Return the clock of the newest group in a line's journal, 0 where there is none."""
    for segment in reversed(segments_in(journal)):
        with suppress(OSError), segment.path.open("rb") as file:
            headers = [header for _, header, _ in raw_groups(file.fileno(), SEGMENT_HEADER_BYTES)]
            if headers:
                return headers[-1].clock_ns
    return 0
