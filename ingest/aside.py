"""Space set aside beside the journal, so that how a recording ended can be written on a full disk.

A file of ``ASIDE_BYTES`` that holds nothing; it goes just before the connections' ends are journalled.
"""

import os
from contextlib import suppress
from pathlib import Path

NAME = "set-aside"

ASIDE_BYTES = 1 << 20
"""The last frames (a group is at most 256 KB), the ends of all connections and the roster fit many times."""


class Aside:
    """The file in one line's journal folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._held = False

    @property
    def missing_bytes(self) -> int:
        """Bytes of the free space that are to be set aside yet."""
        return 0 if self._held else ASIDE_BYTES

    def make(self) -> bool:
        """Set the space aside unless it is; return whether it is now."""
        if self._held:
            return True
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                os.posix_fallocate(file, 0, ASIDE_BYTES)
            finally:
                os.close(file)
        except OSError:
            self.free()  # a part of it is of no use, and others may need it
            return False
        self._held = True
        return True

    def free(self) -> bool:
        """Let the space go; return whether there was any."""
        self._held = False
        with suppress(OSError):
            self._path.unlink()
            return True
        return False
