"""How many bytes the logger's files take: its journals, database, checkpoints, logs and archive."""

import os
from collections.abc import Iterable
from pathlib import Path

_BLOCK_BYTES = 512
"""The unit of ``st_blocks``, whatever the file system's own."""


def bytes_of(data_dir: Path, archive_dir: Path | None) -> int:
    """Return the bytes that the files in both folders take on the disk of *data_dir*.

    What lies on another disk, or goes away meanwhile, does not count.

    Raises:
        OSError: there is no *data_dir*.
    """
    device = data_dir.stat().st_dev
    folders = [data_dir]
    if archive_dir is not None and not archive_dir.absolute().is_relative_to(data_dir.absolute()):
        folders.append(archive_dir)
    return sum(_blocks(Path(folder) / name, device) for folder, name in _files(folders)) * _BLOCK_BYTES


def _files(folders: Iterable[Path]) -> Iterable[tuple[str, str]]:
    for top in folders:
        for folder, _, names in os.walk(top):
            yield from ((folder, name) for name in names)


def _blocks(path: Path, device: int) -> int:
    try:
        stat = path.lstat()
    except OSError:
        return 0
    return stat.st_blocks if stat.st_dev == device else 0
