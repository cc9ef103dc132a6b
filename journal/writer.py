"""Appends to a line's journal: the only writer of its folder, while it holds the lock.

    <folder>/writer.lock              locked by the running writer; holds the newest epoch in decimal
    <folder>/<epoch>-<number>.obj     segments (journal.segment)
    <witness>                         the newest epoch too, outside the folder: positions that checkpoints and
                                      the database know are not given again when the folder was removed

Opening cuts what a crash tore from the newest segment, syncs the rest, and begins a new epoch in a
new segment, whose first record (``EPOCH``) says what was cut.  *Appended* means that the operating
system has it (it survives ``kill -9``), *synced* that the disk has it (it survives a power loss).
"""

import fcntl
import filecmp
import os
import shutil
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from journal import payload
from journal.formats import check_format
from journal.group import Corrupt, Kind, pack_group
from journal.rows import Row, Rows
from journal.segment import (
    SEGMENT_HEADER_BYTES,
    Segment,
    good_end,
    pack_segment_header,
    read_segment_header,
    segment_name,
    segments_in,
)
from wire.folders import make_folder, sync_folder
from wire.names import EVERY_SECURITY, epoch_of, position_at

LOCK_NAME = "writer.lock"

SEGMENT_AGE_NS = 300 * 1_000_000_000
"""A quiet line rolls too: it would else keep a day of frames for the sake of the newest minute."""


class FolderInUse(RuntimeError):
    """Another process writes this journal."""


class WrongLine(RuntimeError):
    """The folder holds the journal of another line."""


class DiskRefused(OSError):
    """The disk did not take what was to be recorded; nothing of it counts as appended.

    The journal is as it was before.  After a refused *sync* nobody knows what the disk has: the
    writer takes nothing more, and the next opening finds out by checksum.
    """


class ArchiveRefused(OSError):
    """A segment could not be moved to the archive; it stays in the journal, recording goes on."""


class _Closed(msgspec.Struct):
    """A segment that is no longer written."""

    first: int
    path: Path
    created_ns: int
    size: int


class Writer:
    """The writer of one line's journal; ``sync`` and ``drop_before`` may run in another thread."""

    def __init__(
        self,
        folder: Path,
        line: str,
        *,
        segment_bytes: int,
        now_ns: Callable[[], int],
        clock: Callable[[], int] | None = None,
        witness: Path | None = None,
    ) -> None:
        """Open *folder* (made if missing) and begin a new epoch, which is on disk before this returns.

        *now_ns* is the host's time, *clock* what groups are merged by (journal.clock; default: the same).

        Raises:
            FolderInUse: another process has it open.
            WrongLine: it is the journal of another line.
            OtherFormat: another version of this program wrote it; nothing of it was touched.
            DiskRefused: it cannot be written.
        """
        self.line = line
        self._folder, self._segment_bytes, self._now_ns = Path(folder), segment_bytes, now_ns
        self._clock = clock or now_ns
        self._witness = witness
        self._file = -1
        self._broken = ""
        self._guard = threading.Lock()
        self._lock = _lock(self._folder)
        try:
            self._open_epoch()
        except BaseException as error:
            self._release()
            if isinstance(error, OSError) and not isinstance(error, DiskRefused):
                raise DiskRefused(f"the journal cannot be opened: {error}") from error
            raise

    def _open_epoch(self) -> None:
        check_format(self._folder)  # what follows would take it for torn
        _check_line(self._folder, self.line)
        cut = _cut_torn(self._folder)
        self._closed = [_closed(segment) for segment in segments_in(self._folder)]
        witnesses = [_epoch_in(self._lock), _witnessed(self._witness)]
        newest = max([*witnesses, *(epoch_of(segment.first) for segment in self._closed)])
        self.epoch = newest + 1
        if self._witness is not None:
            _bear_witness(self._witness, self.epoch)
        os.pwrite(self._lock, b"%d\n" % self.epoch, 0)
        os.fsync(self._lock)
        self._next = position_at(self.epoch, 0)
        self._clock_ns = self._clock()
        self._begin_segment(self._now_ns())
        reason = "torn" if cut else "restart" if newest else "first"
        record = payload.pack(payload.Epoch(cut, reason))
        self.opening = self.append(Kind.EPOCH, [(self._now_ns(), EVERY_SECURITY, 0, record)])
        """The group of the EPOCH record, to be published like every other."""
        self.sync()

    @property
    def next_position(self) -> int:
        """Position that the next record gets."""
        return self._next

    def clock_ns(self) -> int:
        """Return the line's clock; no group that is appended from now on has an earlier one."""
        self._clock_ns = max(self._clock(), self._clock_ns)
        return self._clock_ns

    @property
    def segment(self) -> int:
        """Position of the first record of the newest segment."""
        return self._first

    @property
    def broken(self) -> str:
        """Why nothing will be taken any more, whatever the disk does; "" while that is not so."""
        return self._broken

    @property
    def size_bytes(self) -> int:
        """Bytes of all segments in the folder."""
        return self._offset + sum(segment.size for segment in self._closed)

    def append(self, kind: Kind, rows: Sequence[Row] | Rows) -> bytes:
        """Append *rows* as one group and return its bytes, which may be published now.

        Raises:
            DiskRefused: nothing of them was appended; the next call may try again.
            group.TooLarge: more than one group holds.
        """
        now_ns = self._now_ns()
        self._clock_ns = max(self._clock(), self._clock_ns)
        data = pack_group(self.line, kind, self._next, self._clock_ns, rows)
        if self._broken:
            raise DiskRefused(self._broken)
        full = self._offset + len(data) > self._segment_bytes
        if self._offset > SEGMENT_HEADER_BYTES and (full or now_ns - self._created_ns >= SEGMENT_AGE_NS):
            self._roll(now_ns)
        try:
            _write(self._file, data, self._offset)
        except OSError as error:
            self._take_back()
            raise DiskRefused(f"the journal cannot be written: {error}") from error
        self._offset += len(data)
        self._next += len(rows)
        return data

    def sync(self) -> int:
        """Return the position before which every record survives a power loss, after making it so.

        Raises:
            DiskRefused: the disk did not; the writer takes nothing more.
        """
        with self._guard:
            if self._broken:
                raise DiskRefused(self._broken)
            position = self._next
            try:
                os.fdatasync(self._file)
            except OSError as error:
                self._broken = f"the journal cannot be synced: {error}"
                raise DiskRefused(self._broken) from error
            return position

    def drop_before(self, position: int, keep_after_ns: int, archive_dir: Path | None = None) -> int:
        """Drop the segments whose every record lies before *position* and before *keep_after_ns*.

        They go to a folder of this line's in *archive_dir*, or away.  Only the oldest go, so no
        hole appears, and never the newest.  Returns how many went.

        Raises:
            ArchiveRefused: the archive did not take one; it and what follows stay.
        """
        dropped = 0
        while self._closed:
            after = self._closed[1] if len(self._closed) > 1 else None
            next_first = after.first if after else self._first
            next_created_ns = after.created_ns if after else self._created_ns
            if next_first > position or next_created_ns > keep_after_ns:
                break
            path = self._closed[0].path
            try:
                if archive_dir is None:
                    path.unlink(missing_ok=True)
                else:
                    _archive(path, Path(archive_dir) / self._folder.name)
            except OSError as error:
                raise ArchiveRefused(f"{path.name} cannot be dropped: {error}") from error
            del self._closed[0]
            dropped += 1
        return dropped

    def close(self) -> None:
        """Sync and let the folder go; a second call does nothing.

        Raises:
            DiskRefused: the last records may not survive a power loss.
        """
        if self._lock < 0:
            return
        try:
            if not self._broken:
                self.sync()
        finally:
            self._release()

    def _release(self) -> None:
        self._broken = self._broken or "the journal is closed"
        for descriptor in (self._file, self._lock):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = self._lock = -1

    def _roll(self, now_ns: int) -> None:
        """Go on in a new segment; the old one is synced first, so all but the newest are whole."""
        self.sync()
        with self._guard:
            old_file = self._file
            old = _Closed(self._first, self._path, self._created_ns, self._offset)
            try:
                self._begin_segment(now_ns)
            except OSError as error:
                raise DiskRefused(f"the journal cannot begin a segment: {error}") from error
            self._closed.append(old)
            os.close(old_file)

    def _begin_segment(self, now_ns: int) -> None:
        path = self._folder / segment_name(self._next)
        header = pack_segment_header(self.line, self._next, now_ns)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            _write(file, header, 0)
            os.fsync(file)
            sync_folder(self._folder)
        except OSError:
            os.close(file)
            with suppress(OSError):
                path.unlink()
            raise
        self._file, self._path, self._first = file, path, self._next
        self._created_ns, self._offset = now_ns, len(header)

    def _take_back(self) -> None:
        """Cut what a refused write left behind, so that the next group stands after the last whole one."""
        try:
            os.ftruncate(self._file, self._offset)
        except OSError as error:
            self._broken = f"the journal cannot be cut back to its last group: {error}"


def _lock(folder: Path) -> int:
    """Return the locked descriptor of the folder's lock file."""
    try:
        make_folder(folder)
        lock = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise DiskRefused(f"the journal's folder cannot be made: {error}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise FolderInUse(f"another process writes the journal in {folder}") from error
    return lock


def _epoch_in(lock: int) -> int:
    """Return the epoch that the lock file names, 0 if none: the segments' names are the other witness."""
    text = os.pread(lock, 32, 0).strip()
    return int(text) if text.isdigit() else 0


def _witnessed(witness: Path | None) -> int:
    """Return the epoch that *witness* names, 0 if none."""
    try:
        text = witness.read_text().strip() if witness is not None else ""
    except (FileNotFoundError, UnicodeDecodeError):
        return 0
    return int(text) if text.isascii() and text.isdigit() else 0


def _bear_witness(witness: Path, epoch: int) -> None:
    """Keep *epoch* in *witness*, whole or not at all."""
    make_folder(witness.parent)
    part = witness.with_name(f"{witness.name}.part")
    with part.open("w") as file:
        file.write(f"{epoch}\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(witness)
    sync_folder(witness.parent)


def _check_line(folder: Path, line: str) -> None:
    for segment in segments_in(folder):
        with suppress(Corrupt):
            found = read_segment_header(segment.path).line
            if found != line:
                raise WrongLine(f"{segment.path} belongs to the journal of {found}, not of {line}")


def _cut_torn(folder: Path) -> int:
    """Cut the newest segment after its last right group; return the bytes cut.

    A segment without a right group goes altogether, and the one before it is looked at in its turn.
    What is left is synced: it was appended, and from now on counts as the record.
    """
    cut, segments = 0, segments_in(folder)
    while segments:
        path = segments[-1].path
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            end, size = good_end(file), os.fstat(file).st_size
            if end > SEGMENT_HEADER_BYTES:
                os.ftruncate(file, end)
                os.fsync(file)
                cut += size - end
                break
        finally:
            os.close(file)
        cut += max(0, size - SEGMENT_HEADER_BYTES)
        path.unlink()
        segments.pop()
    sync_folder(folder)
    return cut


def _closed(segment: Segment) -> _Closed:
    """Return what is known of a segment of an earlier epoch; of a bad header only the time is missed."""
    stat = segment.path.stat()
    try:
        created_ns = read_segment_header(segment.path).created_ns
    except Corrupt:
        created_ns = stat.st_mtime_ns
    return _Closed(segment.first, segment.path, created_ns, stat.st_size)


def _write(file: int, data: bytes, offset: int) -> None:
    """Write all of *data* at *offset*, or raise OSError."""
    done = os.pwrite(file, data, offset)
    while done < len(data):
        done += os.pwrite(file, memoryview(data)[done:], offset + done)


def _archive(path: Path, folder: Path) -> None:
    """Move *path* into *folder*, across file systems too, and whole or not at all.

    A crash leaves the segment in the journal, in both places, or in the archive; another file of that
    name (of an earlier life of the line) is not overwritten.
    """
    make_folder(folder)
    target, number = folder / path.name, 2
    while target.exists() and not filecmp.cmp(path, target, shallow=False):
        target, number = folder / f"{path.stem}.{number}{path.suffix}", number + 1
    if path.stat().st_dev == folder.stat().st_dev:
        path.replace(target)
    else:
        part = target.with_suffix(".part")
        with path.open("rb") as source, part.open("wb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
            copy.flush()
            os.fsync(copy.fileno())
        part.replace(target)
    sync_folder(folder)
    path.unlink(missing_ok=True)
