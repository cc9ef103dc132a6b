"""A file system of a few megabytes, to be filled."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MB = 1_000_000
_PAGE_BYTES = 4096


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[Path]:
    """Mount a file system of its own in *folder*; skip the test where that is not permitted."""
    folder.mkdir()
    size = f"size={size_bytes // _PAGE_BYTES * _PAGE_BYTES}"
    command = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount command here")
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, leave_bytes: int) -> Path:
    """Leave at most *leave_bytes* free: 0 takes even what is freed while it is written."""
    filler = folder / "filler"
    with filler.open("ab", buffering=0) as file:
        while (free := shutil.disk_usage(folder).free) > leave_bytes:
            try:
                file.write(bytes(min(free - leave_bytes, MB)))
            except OSError:
                break
    return filler
