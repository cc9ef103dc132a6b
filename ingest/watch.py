"""Watches the disk for one line: what is dropped, when recording pauses, how it ends, when it goes on.

The rules are ingest.disk's.  What ends a recording is the record of each connection's end, whose reason
begins with ``disk``: the ledger's rows take their cause from it.  Where even the space set aside does
not hold it, the recorder owes it, and it is appended before anything that comes later.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ingest.aside import Aside
from ingest.disk import Disk, State
from ingest.recorder import Recorder
from ingest.session import Session
from wire.log import log


class DiskWatch:
    """Of the disk that *folder*, the line's journal, lies on; *turn* has the session do what is due."""

    def __init__(
        self,
        folder: Path,
        reserve_bytes: int,
        recorder: Recorder,
        session: Session,
        turn: Callable[[], None],
    ) -> None:
        self._folder = folder
        self._disk = Disk(reserve_bytes)
        self._aside = Aside(folder)
        self._recorder = recorder
        self._session = session
        self._turn = turn
        self._ended = False
        """Whether the connections were closed for the pause that is on."""

    def refused(self, why: str) -> None:
        """Take note that the disk refuses a write: nothing is recorded until it takes it."""
        self._disk.refused(why)
        self._session.pause(self._disk.reason)

    def end(self) -> None:
        """Close the connections where recording is paused, and journal their ends."""
        if self._disk.state is not State.PAUSED or self._ended:
            return
        self._ended = True
        self._aside.free()
        log.error('event=paused reason="%s" free_bytes=%d', self._disk.reason, self._disk.free_bytes)
        self._session.pause(self._disk.reason)
        self._turn()
        self._recorder.settle()

    def second(self, now_ns: int, keep_ns: int, needed: int | None, archive_dir: Path | None) -> None:
        """Look at the disk; *needed* is the position before which nobody needs the journal, None: unknown."""
        # else what the pause itself frees would end it
        free_bytes = max(0, shutil.disk_usage(self._folder).free - self._aside.missing_bytes)
        state = self._disk.measured(free_bytes, may_drop=needed is not None, dropping=self._recorder.dropping)
        self.end()
        if needed is not None:
            keep_after_ns = now_ns - keep_ns if state is State.ROOM else now_ns
            self._recorder.drop_before(needed, keep_after_ns, archive_dir)
        if state is State.PAUSED:
            if self._recorder.settle() and self._disk.has_room and self._aside.make():
                self._go_on()
        elif state is State.ROOM:
            self._aside.make()

    def health(self) -> dict[str, Any]:
        """Return what a beat shows of the disk."""
        return {
            "free_bytes": self._disk.free_bytes,
            "reserve_bytes": self._disk.reserve_bytes,
            "reason": self._disk.reason,
        }

    def _go_on(self) -> None:
        self._disk.resume()
        self._ended = False
        log.info("event=resumed free_bytes=%d", self._disk.free_bytes)
        self._session.resume()
