"""Makes names survive a power loss: a synced file is lost with its name, or with that of its folder."""

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make the names in *folder* survive a power loss.

    Raises:
        OSError: the disk did not, or there is no such folder.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Make *folder* and those it lies in, where they are missing, and their names survive a power loss.

    Raises:
        OSError: the disk did not.
    """
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(mode=mode, parents=True, exist_ok=True)
    for made in reversed(missing):
        sync_folder(made.parent)
