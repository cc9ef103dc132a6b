"""Checkpoints: the exact state of every security of a worker, one file a round.

    offset  bytes  field
    0       4      "OBC1"
    4       4      CRC32C of the index
    8       4      length of the index, unsigned
    12      n      index: one msgpack array (``Index``), with the version of what ``Security.dump`` returns
    12+n           the bodies, in the order of the index: each the msgpack map of ``Security.dump``

Integers are little-endian.  A file is written beside its name, synced, and renamed, so it is whole or not
there; a body is believed only with its own CRC.  Names are ``<sequence>-<worker>.checkpoint``: they
sort by age.  Of each security are kept: the two newest entries not past *done*, the oldest past it,
and the newest of all; and of each bucket the two newest rounds, which say how far the line was
searched for new securities.
"""

import os
import struct
from bisect import insort
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import google_crc32c
import msgpack
import msgspec

from book.bare import bare
from journal.segment import segments_in
from wire.folders import make_folder, sync_folder
from wire.names import bucket_of, position_at, venue_of, venue_of_line
from wire.runs import Marks

MAGIC = b"OBC1"
SUFFIX = ".checkpoint"
VERSION = 1
"""Of the bodies: to be raised when ``Security.dump``, or a dump in it, has other keys or another meaning."""

_UNFINISHED = ".new"
_HEADER = struct.Struct("<4sII")
_KEPT_ROUNDS = 2


class Unreadable(ValueError):
    """The bytes are not what a round wrote."""


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One security in a round."""

    security: str
    born: Marks
    positions: Marks
    """The state is exact after every record of each line before these."""
    offset: int
    """Of its body, from the end of the index."""
    length: int
    crc: int
    bare: bytes = b""
    """The state without its book (book.bare), as a msgpack map."""


class Index(msgspec.Struct, frozen=True, array_like=True):
    """What a round holds."""

    buckets: tuple[int, ...]
    read: dict[str, int]
    """Per line: every security named before this position is among the entries."""
    done: dict[str, Marks]
    """The newest *done* heard of each security."""
    entries: tuple[Entry, ...]
    version: int = 0
    """0: from before there was one; those bodies had no fixed form."""


class Round(msgspec.Struct, frozen=True):
    """A file of the folder."""

    name: str
    index: Index
    start: int
    """Where the bodies begin."""


_index = msgspec.msgpack.Decoder(Index)


class Packing:
    """A round in the making: the states are added one by one."""

    def __init__(self, buckets: Iterable[int], read: Mapping[str, int], done: Mapping[str, Marks]) -> None:
        self._head = tuple(buckets), dict(read), dict(done)
        self._entries: list[Entry] = []
        self._bodies: list[bytes] = []
        self._offset = 0

    def add(self, state: Mapping[str, Any]) -> None:
        """Add what a security's ``dump`` returned."""
        body: bytes = msgpack.packb(state)
        place = state["name"], state["born"], state["positions"], self._offset, len(body)
        without_book = msgpack.packb(bare(dict(state))) if "joined" in state else b""
        self._entries.append(Entry(*place, google_crc32c.value(body), without_book))
        self._bodies.append(body)
        self._offset += len(body)

    def data(self) -> bytes:
        """Return the bytes of the round."""
        index = msgspec.msgpack.encode(Index(*self._head, tuple(self._entries), VERSION))
        header = _HEADER.pack(MAGIC, google_crc32c.value(index), len(index))
        return b"".join((header, index, *self._bodies))


def unpack_index(data: bytes) -> tuple[Index, int]:
    """Return the index of a round, and where its bodies begin.

    Raises:
        Unreadable: *data* does not begin as a round does, or another version wrote it.
    """
    if len(data) < _HEADER.size:
        raise Unreadable("shorter than a round's header")
    magic, crc, length = _HEADER.unpack_from(data)
    packed = data[_HEADER.size : _HEADER.size + length]
    if magic != MAGIC or len(packed) != length or google_crc32c.value(packed) != crc:
        raise Unreadable("no round, or a damaged index")
    try:
        index = _index.decode(packed)
    except msgspec.DecodeError as error:
        raise Unreadable(f"an index of another version: {error}") from error
    if index.version != VERSION:
        raise Unreadable(f"states of version {index.version}, this program reads {VERSION}")
    return index, _HEADER.size + length


def unpack_body(entry: Entry, body: bytes) -> dict[str, Any]:
    """Return the state that *body* holds.

    Raises:
        Unreadable: it is not what was written.
    """
    if len(body) != entry.length or google_crc32c.value(body) != entry.crc:
        raise Unreadable(f"the state of {entry.security} is damaged")
    state: dict[str, Any] = msgpack.unpackb(body, strict_map_key=False)
    return state


def not_past(positions: Marks, done: Marks) -> bool:
    """Say whether every record before *positions* is stored for good."""
    return all(position <= done.get(line, -1) for line, position in positions.items())


def later(known: Marks, marks: Marks) -> Marks:
    """Return of each line the later of what *known* and *marks* say."""
    return {line: max(known.get(line, -1), marks.get(line, -1)) for line in {**known, **marks}}


def _age(positions: Marks) -> int:
    """Return what orders the positions of one security: along its way none ever goes back."""
    return sum(positions.values())


def kept(rounds: Sequence[Round], done: Mapping[str, Marks]) -> set[str]:
    """Return the names of the files of *rounds* that are still of use."""
    names: set[str] = set()
    entries: dict[str, list[tuple[int, str, Marks]]] = {}
    buckets: dict[int, list[str]] = {}
    for each in rounds:
        for entry in each.index.entries:
            found = entries.setdefault(entry.security, [])
            found.append((_age(entry.positions), each.name, entry.positions))
        for bucket in each.index.buckets:
            buckets.setdefault(bucket, []).append(each.name)
    for security, found in entries.items():
        found.sort(key=lambda each: each[:2])
        limit = done.get(security, {})
        past = [name for _, name, positions in found if not not_past(positions, limit)]
        stored = [name for _, name, positions in found if not_past(positions, limit)]
        names.update((*stored[-2:], *past[:1], found[-1][1]))
    for found_names in buckets.values():
        names.update(sorted(found_names)[-_KEPT_ROUNDS:])
    return names


def choices(rounds: Sequence[Round], security: str, done: Marks) -> list[tuple[Round, Entry]]:
    """Return where *security* may start, the best first: the newest entries not past *done*."""
    found = [
        (each, entry)
        for each in rounds
        for entry in each.index.entries
        if entry.security == security and not_past(entry.positions, done)
    ]
    return sorted(found, key=lambda pair: (_age(pair[1].positions), pair[0].name), reverse=True)


def begins_to_read(positions: Sequence[Marks], born: Marks, done: Marks) -> Marks:
    """Return the positions before which a security will never read again.

    *positions* of its entries ascend.  That is where the older of the two newest entries not past *done*
    begins to read; without two of them, where the security was named.
    """
    stored = [each for each in positions if not_past(each, done)]
    return stored[-2] if len(stored) > 1 else born


class Rounds:
    """The folder of checkpoints: all rounds of all workers that are readable, kept in memory by index."""

    def __init__(
        self, folder: Path, worker: int, buckets: Container[int], journals: Mapping[str, Path] | None = None
    ) -> None:
        self.folder = folder
        self._worker = worker
        self._buckets = buckets
        self._journals = journals or {}
        """The folder of each line's journal: a security that they hold from its beginning needs no state."""
        self.rounds: list[Round] = []
        self.unreadable: list[str] = []
        """Files that are no rounds, or another version's, and why; they are left alone."""
        self._known: dict[str, tuple[Marks, list[Marks]]] | None = None
        make_folder(folder)
        for path in folder.glob(f"*-{worker}{SUFFIX}{_UNFINISHED}"):
            path.unlink()  # a crash left it behind: it never was a round
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            try:
                index, start = _read_index(path)
            except (OSError, Unreadable) as error:
                self.unreadable.append(f"{path.name}: {error}")
            else:
                if any(bucket in buckets for bucket in index.buckets):
                    self.rounds.append(Round(path.name, index, start))

    def done(self) -> dict[str, Marks]:
        """Return the newest *done* of each security that any round has kept."""
        done: dict[str, Marks] = {}
        for each in self.rounds:
            for security, marks in each.index.done.items():
                done[security] = later(done.get(security, {}), marks)
        return done

    def securities(self) -> dict[str, Entry]:
        """Return the newest entry of each security of our buckets."""
        found: dict[str, Entry] = {}
        for each in self.rounds:
            for entry in each.index.entries:
                if bucket_of(entry.security) in self._buckets:
                    known = found.get(entry.security)
                    if known is None or _age(entry.positions) >= _age(known.positions):
                        found[entry.security] = entry
        return found

    def searched(self, line: str, buckets: Iterable[int]) -> int:
        """Return the position before which no security of *buckets* is named that no round holds."""
        searched = []
        for bucket in buckets:
            ours = [each for each in self.rounds if bucket in each.index.buckets]
            searched.append(max((each.index.read.get(line, 0) for each in ours), default=0))
        return min(searched, default=0)

    def needed(self, line: str, buckets: Iterable[int], done: Mapping[str, Marks]) -> dict[int, int]:
        """Return for each of *buckets* the position of *line* before which it will never read again.

        New securities are searched for from the older of a bucket's two newest rounds.
        """
        low: dict[int, int] = {}
        for bucket in buckets:
            read = [each.index.read.get(line, 0) for each in self.rounds if bucket in each.index.buckets]
            low[bucket] = read[-_KEPT_ROUNDS] if len(read) >= _KEPT_ROUNDS else 0
        for security, (born, positions) in self._positions().items():
            bucket = bucket_of(security)
            if venue_of(security) == venue_of_line(line) and bucket in low:
                marks = begins_to_read(positions, born, done.get(security, {}))
                low[bucket] = min(low[bucket], marks.get(line, 0))
        return low

    def _positions(self) -> dict[str, tuple[Marks, list[Marks]]]:
        """Return of each security where it was born and the positions of its entries, ascending."""
        if self._known is None:
            self._known = {}
            for each in self.rounds:
                for entry in each.index.entries:
                    _, positions = self._known.setdefault(entry.security, (entry.born, []))
                    insort(positions, entry.positions, key=_age)
        return self._known

    def state(self, security: str, done: Marks) -> dict[str, Any] | None:
        """Return the newest readable state of *security* not past *done*, or None.

        Where none is readable and the journals no longer reach back to its beginning, it has no book.
        """
        for found, entry in choices(self.rounds, security, done):
            try:
                with (self.folder / found.name).open("rb") as file:
                    file.seek(found.start + entry.offset)
                    return unpack_body(entry, file.read(entry.length))
            except (OSError, Unreadable) as error:
                self.unreadable.append(f"{found.name}: {error}")
        for _, entry in choices(self.rounds, security, done):
            if entry.bare and not self._reach_back(entry.born):
                state: dict[str, Any] = msgpack.unpackb(entry.bare, strict_map_key=False)
                return state
        return None

    def _reach_back(self, born: Marks) -> bool:
        """Say whether the journals still hold every record from *born* on."""
        for line, position in born.items():
            segments = segments_in(self._journals[line]) if line in self._journals else []
            if segments and segments[0].first > max(position, position_at(1, 0)):
                return False
        return True

    def write(self, data: bytes, done: Mapping[str, Marks]) -> None:
        """Add a round; drop the files that are of no use any more.

        Raises:
            OSError: the disk refuses; the rounds before are as they were.
        """
        index, start = unpack_index(data)
        make_folder(self.folder)
        # what somebody removed, or a worker with other buckets, no longer speaks for what may be dropped
        self.rounds = [each for each in self.rounds if (self.folder / each.name).exists()]
        newest = max((int(path.name.partition("-")[0]) for path in self.folder.glob(f"*{SUFFIX}")), default=0)
        name = f"{newest + 1:012d}-{self._worker}{SUFFIX}"
        beside = self.folder / f"{name}{_UNFINISHED}"
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.rename(self.folder / name)
        sync_folder(self.folder)
        self.rounds.append(Round(name, index, start))
        names = kept(self.rounds, done)
        for each in self.rounds:
            if each.name not in names:
                (self.folder / each.name).unlink(missing_ok=True)
        self.rounds = [each for each in self.rounds if each.name in names]
        self._known = None


def _read_index(path: Path) -> tuple[Index, int]:
    with path.open("rb") as file:
        head = file.read(_HEADER.size)
        length = _HEADER.unpack(head)[2] if len(head) == _HEADER.size else 0
        return unpack_index(head + file.read(length))
