"""Makes a line's journal survive a power loss in the place of its writer, which is away.

What a reader was given was appended, so the operating system has it; a writer that was killed before its
next ``fsync`` leaves it there, and nobody says *synced* of it until the line's next start.  Any process that
can read the files can make them durable.  All but the newest segment were synced when they were left.
"""

import os
from pathlib import Path

from journal.segment import segments_in
from wire.folders import sync_folder


def make_durable(folder: Path) -> None:
    """Return once every record that was appended to the journal in *folder* before the call is synced.

    Raises:
        OSError: the disk did not; nothing is known of the newest records.
    """
    for segment in segments_in(folder)[-1:]:
        _sync(segment.path)
    sync_folder(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
