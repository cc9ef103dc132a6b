"""Journals first, then publishes the same bytes: nothing else writes to the journal or the PUB socket.

The frames of one call are one group, or several where they are more than ``GROUP_BYTES`` or ``GROUP_ROWS``;
every other record is a group of its own.  The disk is synced in a thread, at most each ``JOURNAL_SYNC_MS``,
and each sync is published (``OBS1`` and Synced); what is needed no more is dropped or archived there too, for
it may be slow.

A disk that refuses a group ends the recording: until ``settle`` finds that it takes records again, frames,
ticks and bodies are let go, and commands and the ends of connections are owed, in order.
"""

import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path

import zmq

from journal import payload
from journal.group import Kind
from journal.payload import Payload
from journal.rows import Row, Rows
from journal.writer import ArchiveRefused, DiskRefused, Writer
from wire.log import log
from wire.loop import Loop, Socket
from wire.messages import Clock, Synced, pack
from wire.names import EVERY_SECURITY

SYNCED = b"OBS1"
"""In front of a Synced, where a group has ``OBG1``: subscribers choose by these."""

CLOCK = b"OBT1"
"""In front of a Clock."""

CLOCK_SECONDS = 0.05
"""How often a line of several says its clock while it has nothing to append: the others wait for it."""

GROUP_BYTES = 256 * 1024

GROUP_ROWS = 8192
"""Tiny frames do not make a group that one message cannot hold."""

OWED = frozenset({Kind.COMMAND, Kind.CONNECTION})
"""Without these a maintainer would not know what is recorded, or why it ended."""

MOST_OWED = 10_000
"""More changes than people make while they look for space; a restart says them all again."""


class Recorder:
    """The journal of a line and its live copy."""

    def __init__(
        self,
        loop: Loop,
        writer: Writer,
        publisher: Socket,
        *,
        sync_ms: int,
        on_refused: Callable[[str], None],
        has_twin: bool = False,
    ) -> None:
        """*on_refused* is called with the reason where the disk refuses a group that it may take later."""
        self._loop = loop
        self._writer = writer
        self._publisher = publisher
        self.frames_taken = 0
        self._sync_s = max(sync_ms, 1) / 1000
        self._drop: tuple[int, int, Path | None] | None = None
        self._is_dropping = False
        self._archive_refused = ""
        self._on_refused = on_refused
        self._refused = False
        self._owed: list[tuple[Kind, Rows]] = []
        self._dirty = threading.Event()
        self._stopped = threading.Event()
        self._publisher.send(writer.opening)
        self._thread = threading.Thread(target=self._sync_often, name="sync", daemon=True)
        self._thread.start()
        if has_twin:
            loop.every(CLOCK_SECONDS, self._say_clock)

    def frames(self, more: Sequence[Row] | Rows) -> None:
        """Append and publish frames, in as few groups as hold them.

        Raises:
            DiskRefused: the journal takes nothing any more; nothing of the group was published.
        """
        if self._refused or not more:
            return
        rows = Rows.of(more)
        self.frames_taken += len(rows)
        ends = list(accumulate(map(len, rows.payloads), initial=0))
        begin, count = 0, len(rows)
        while begin < count and not self._refused:
            full = bisect_left(ends, ends[begin] + GROUP_BYTES, begin + 1)
            end = min(full, begin + GROUP_ROWS, count)
            self._append(Kind.FRAME, rows.part(begin, end))
            begin = end

    def record(
        self, kind: Kind, security: str, connection: int, content: Payload | None, recv_ns: int
    ) -> None:
        """Append and publish one record that is no frame.

        Raises:
            DiskRefused: as ``frames``, or too much is owed.
        """
        data = payload.pack(content) if content is not None else b""
        self._append(kind, Rows([recv_ns], [security], [connection], [data]))

    def settle(self) -> bool:
        """Append what is owed and a tick, where the disk refused; return whether it takes records again.

        Raises:
            DiskRefused: as ``frames``.
        """
        if self._refused:
            tick = (Kind.TICK, Rows([time.time_ns()], [EVERY_SECURITY], [0], [b""]))
            owed, self._owed, self._refused = [*self._owed, tick], [], False
            for kind, rows in owed:
                self._append(kind, rows)
        return not self._refused

    def close(self) -> None:
        """Sync, say so, and let the folder go.

        Raises:
            DiskRefused: the last records may not survive.
        """
        self._stopped.set()
        self._dirty.set()
        self._thread.join()
        self.settle()
        self._say_synced(self._writer.sync())
        self._writer.close()

    def drop_before(self, position: int, keep_after_ns: int, archive_dir: Path | None) -> None:
        """Drop what lies before both, after the next sync; one that the archive refuses is logged."""
        self._drop = (position, keep_after_ns, archive_dir)
        self._dirty.set()

    @property
    def dropping(self) -> bool:
        """Whether what may be dropped is still on its way."""
        return self._drop is not None or self._is_dropping

    def _append(self, kind: Kind, rows: Rows) -> None:
        if self._refused or not self._took(kind, rows):
            if kind in OWED:
                self._owed.append((kind, rows))
            if len(self._owed) > MOST_OWED:
                raise DiskRefused(f"the journal took none of the last {MOST_OWED} changes")

    def _took(self, kind: Kind, rows: Rows) -> bool:
        """Append and publish a group; return whether the disk took it."""
        try:
            data = self._writer.append(kind, rows)
        except DiskRefused as error:
            if self._writer.broken:
                raise
            self._refused = True
            self._on_refused(str(error))
            return False
        self._publisher.send(data, zmq.NOBLOCK)
        self._dirty.set()
        return True

    def _sync_often(self) -> None:
        """Run in the thread: sync what was appended, not more often than stated."""
        while not self._stopped.is_set():
            self._dirty.wait()
            self._dirty.clear()
            started = time.monotonic()
            try:
                position = self._writer.sync()
            except DiskRefused as error:
                self._loop.post(raising(error))
                return
            self._loop.post(partial(self._say_synced, position))
            if self._drop is not None:
                self._is_dropping = True
                drop, self._drop = self._drop, None
                self._drop_segments(*drop)
                self._is_dropping = False
            self._stopped.wait(max(0.0, self._sync_s - (time.monotonic() - started)))

    def _drop_segments(self, position: int, keep_after_ns: int, archive_dir: Path | None) -> None:
        """Run in the thread."""
        try:
            self._writer.drop_before(position, keep_after_ns, archive_dir)
        except ArchiveRefused as error:
            if str(error) != self._archive_refused:
                self._archive_refused = str(error)
                log.error('event=archive_refused reason="%s"', error)
        else:
            self._archive_refused = ""

    def _say_clock(self) -> None:
        clock = Clock(self._writer.line, self._writer.next_position, self._writer.clock_ns())
        self._publisher.send(CLOCK + pack(clock), zmq.NOBLOCK)

    def _say_synced(self, position: int) -> None:
        self._publisher.send(SYNCED + pack(Synced(self._writer.line, position)), zmq.NOBLOCK)


def raising(error: Exception) -> Callable[[], None]:
    """Return a callback that raises *error*: how a thread ends the process by way of the loop."""

    def fail() -> None:
        raise error

    return fail
