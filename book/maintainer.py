"""The core of one book worker: groups of the journals in, messages of its securities out.

Every security has its own position in each line: records before it are skipped, so that one bucket can be
taken back to its checkpoints (``rewind``) while the others go on.  The worker reads each line from the lowest
position of its venue's securities (``cursor``), and feeds the groups of a venue's lines merged (book.merge).

A tick concerns every security, which takes a while where there are hundreds: those that have yet to see it
are *late* until the worker comes to them, a few at a time between groups, or something else concerns them.
What each security sees, and in which order, is the same.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, islice
from typing import Any, NamedTuple

from book import following, reading
from book.security import Security
from book.windows import Recipe
from journal.frames import Frames, by_security
from journal.group import Corrupt, Group, Kind, Record
from journal.payload import Command, Connection, Rest, unpack
from venue.api import Venue
from venue.columns import Columns
from wire.names import EVERY_SECURITY, bucket_of, venue_of, venue_of_line
from wire.runs import Marks, RunMessage

MANY_FRAMES, FEW_FRAMES = 64, 8
"""Of one security in one group: from so many on it is worth to look at the first few by themselves."""


class Output(NamedTuple):
    """What one security makes of one group."""

    security: str
    bucket: int
    line: str
    position: int
    """Every record of the line before it is worked off."""
    messages: list[RunMessage]


class Saved(NamedTuple):
    """A security as a checkpoint has it; ``state`` is None where it has to start from where it was born."""

    security: str
    born: Marks
    state: dict[str, Any] | None


class Maintainer:
    """The securities of *buckets*."""

    def __init__(self, venues: Mapping[str, Venue], recipe: Recipe, buckets: Iterable[int]) -> None:
        self.securities: dict[str, Security] = {}
        self.buckets = frozenset(buckets)
        self.read: dict[str, int] = {}
        """Position after the last record taken, for each line."""
        self.watched: set[str] = set()
        """Securities of which somebody wants to hear after each group."""
        self.corrupt = 0
        """Records whose payload is not what the journal writes."""
        self._venues = venues
        self._recipe = recipe
        self._runs: dict[int, int] = {}
        self._late: dict[str, Record] = {}
        """Securities that have yet to see a tick, and this tick; one at most, for the next waits for all."""
        self._known: dict[str, dict[str, following.Follower | None]] = {}
        """The followers of each line's securities, as they were when they were last asked for."""

    def feed(self, *groups: Group) -> list[Output]:
        """Take the next group of a line, or several of frames; return what their records came to."""
        return [*self.outputs(*groups), *self.late()]

    def outputs(self, *groups: Group) -> Iterator[Output]:
        """Do the same, one by one, to be taken to the end: nobody has to wait for the last of them.

        After a tick the securities are ``late``.
        """
        group = groups[-1]
        if self._late:
            is_frames = group.kind is Kind.FRAME
            concerned = {name for each in groups for name in each.names} if is_frames else self._late
            yield from self._ticked([name for name in self._late if name in concerned])
        if group.kind is Kind.TICK:
            yield from self._tick(group)
            return
        touched = (
            self._frames(groups)
            if group.kind is Kind.FRAME
            else self._one_by_one(group.line, group.records(self.buckets))
        )
        self.read[group.line] = max(group.next_position, self.read.get(group.line, 0))
        for name, position in touched.items():
            yield from self._said(name, group.line, position)

    @property
    def is_late(self) -> bool:
        """Whether a security has yet to see a tick."""
        return bool(self._late)

    def late(self, most: int | None = None) -> Iterator[Output]:
        """Let the next *most* of the late securities (None: all) see their tick."""
        yield from self._ticked(list(islice(self._late, most)))

    def _tick(self, group: Group) -> Iterator[Output]:
        for record in group.records(self.buckets):
            yield from self.late()
            self._late = {security.name: record for security in self._of(group.line)}
        self.read[group.line] = max(group.next_position, self.read.get(group.line, 0))

    def _ticked(self, names: Iterable[str]) -> Iterator[Output]:
        for name in names:
            record, security = self._late.pop(name), self.securities[name]
            line, position = record.line, record.position + 1
            if record.position < security.positions.get(line, 0):
                continue
            security.read(line, position)
            security.tick(record)
            yield from self._said(name, line, position)

    def _said(self, name: str, line: str, position: int) -> Iterator[Output]:
        """Yield what the records of *line* before *position* came to."""
        yield Output(name, bucket_of(name), line, position, self.securities[name].take(line, position))

    def lost(self, line: str, next_position: int) -> list[Output]:
        """Take note that no record of *line* that is still to come before *next_position* can be read."""
        outputs = list(self.late())
        self.read[line] = max(next_position, self.read.get(line, 0))
        for security in self._of(line):
            if security.positions.get(line, 0) >= next_position:
                continue
            security.read(line, next_position)
            security.lost()
            outputs += self._said(security.name, line, next_position)
        return outputs

    def begin(self, bucket: int, run: int) -> list[Output]:
        """Start *run* of every security of *bucket* from where each is."""
        self._runs[bucket] = run
        outputs = []
        for name, security in self.securities.items():
            if bucket_of(name) == bucket:
                security.begin(run)
                outputs.append(Output(name, bucket, "", 0, security.flush()))
        return outputs

    def cut_open(self) -> list[Output]:
        """Cut every open window as it stands, for a worker that ends and does nothing after it."""
        outputs = list(self.late())
        for name, security in self.securities.items():
            security.cut_open()
            messages = security.flush()
            if messages:
                outputs.append(Output(name, bucket_of(name), "", 0, messages))
        return outputs

    def restore(self, saved: Iterable[Saved]) -> None:
        """Make each security what its checkpoint says; ``begin`` starts its run.

        The late ones see their tick when it is read again, from ``cursor`` on.
        """
        self._late = {}
        for each in saved:
            security = self._make(each.security, each.born)
            if each.state is not None:
                security.load(each.state)

    def cursor(self, line: str, otherwise: int) -> int:
        """Return the position that *line* has to be read from; *otherwise* where nothing lives there."""
        positions = [security.positions.get(line, 0) for security in self._of(line)]
        return min(positions, default=otherwise)

    def _of(self, line: str) -> list[Security]:
        """Return the securities of the line's venue."""
        venue = venue_of_line(line)
        return [each for name, each in self.securities.items() if venue_of(name) == venue]

    def _make(self, name: str, born: Marks) -> Security:
        security = Security(name, self._venues[venue_of(name)], self._recipe, born)
        security.outlet.start(self._runs.get(bucket_of(name), 0))
        self.securities[name] = security
        for known in self._known.values():
            known.pop(name, None)
        return security

    def _frames(self, groups: Sequence[Group]) -> dict[str, int]:
        line, left, begun = groups[-1].line, dict[str, Frames](), set[str]()
        for group in groups:
            found = by_security(group, self._follow(group, group.rows(self.buckets), left))
            for name, frames in self._begun_anew(group, found, left, begun).items():
                before = left.setdefault(name, frames)
                if before is not frames:
                    before.extend(frames)
        touched = self._work_off(line, left)
        named = {name for group in groups for name in group.names} if self.watched else set()
        for name in (begun | self.watched & named) - touched.keys():
            touched[name] = self.securities[name].positions.get(line, 0)
        return touched

    def _begun_anew(
        self, group: Group, found: dict[str, Frames], left: Collection[str], begun: set[str]
    ) -> dict[str, Frames]:
        """Work off the first of many frames of one security, *found* not to follow: then the next ones may.

        So it is where an image is due, and after a snapshot.  Return those that do not, and add to *begun*
        whose first ones were worked off.
        """
        line = group.line
        many = [name for name, its in found.items() if len(its) >= MANY_FRAMES and name not in left]
        if not many or not following.COMPILED:
            return found
        # (where each is now is noted with what comes after them, of which there is some)
        begun |= self._work_off(line, {name: found[name][:FEW_FRAMES] for name in many}).keys()
        rest = sorted(place - group.first for name in many for place in found[name].positions[FEW_FRAMES:])
        others = {name: its for name, its in found.items() if name not in many}
        return others | by_security(group, self._follow(group, rest, left))

    def _work_off(self, line: str, frames: Mapping[str, Frames]) -> dict[str, int]:
        """Work off frames one way for all, by security; return up to where."""
        batches = {
            name: batch
            for name, its in frames.items()
            if name in self.securities and (batch := its.since(self.securities[name].positions.get(line, 0)))
        }
        columns = self._read_together(line, batches)
        for name, batch in batches.items():
            self.securities[name].read(line, batch.next_position)
            self.securities[name].frames(batch, columns.get(name))
        return {name: batch.next_position for name, batch in batches.items()}

    def _follow(self, group: Group, rows: list[int], left: Collection[str]) -> list[int]:
        """Let what simply follows of *rows* go where it goes; return the rest, and all of those *left*."""
        if not rows or not following.COMPILED:
            return rows
        followers = self._followers(group, left)
        feeds = {follower.feed for follower in followers if follower is not None}
        if len(feeds) != 1:
            return rows
        columns = self._venues[venue_of_line(group.line)].columns(group.payloads(rows), feeds.pop())
        return rows if columns is None else following.take(group, rows, followers, columns)

    def _followers(self, group: Group, left: Collection[str]) -> "list[following.Follower | None]":
        """Return the followers of the group's names, None where there is none or the name is *left*."""
        line, names, known = group.line, group.names, self._known.setdefault(group.line, {})
        followers = list(map(known.get, names))
        for n in [n for n, one in enumerate(followers) if one is None or one.has_ended]:
            if (security := self.securities.get(names[n])) is not None:
                followers[n] = known[names[n]] = security.follower(line)
        if not left:
            return followers
        return [None if name in left else one for name, one in zip(names, followers, strict=True)]

    def _read_together(self, line: str, batches: dict[str, Frames]) -> dict[str, Columns]:
        """Read the frames of several securities of one feed together; return what they say.

        One that is not as usual leaves all of them to be read security by security.
        """
        names = [name for name in batches if self.securities[name].state != "removed"]
        feeds = {self.securities[name].feed for name in names}
        if len(names) < 2 or len(feeds) != 1:
            return {}
        frames = [frame for name in names for frame in batches[name].payloads]
        found = reading.columns_of(frames, self._venues[venue_of_line(line)], feeds.pop())
        if found is None:
            return {}
        ends = accumulate(len(batches[name]) for name in names)
        return dict(zip(names, found.parts(list(ends)), strict=True))

    def _one_by_one(self, line: str, records: list[Record]) -> dict[str, int]:
        touched: dict[str, int] = {}
        for record in records:
            try:
                payload = unpack(record.kind, record.payload)
            except Corrupt:
                self.corrupt += 1
                continue
            for security in self._concerned(line, record, payload):
                security.read(line, record.position + 1)
                _dispatch(security, record, payload)
                touched[security.name] = record.position + 1
        return touched

    def _concerned(self, line: str, record: Record, payload: object) -> list[Security]:
        """Return the securities that have yet to see *record*; an ``add`` makes the one it names."""
        if record.security == EVERY_SECURITY:
            return [each for each in self._of(line) if record.position >= each.positions.get(line, 0)]
        security = self.securities.get(record.security)
        if security is None and isinstance(payload, Command) and payload.what == "add":
            security = self._make(record.security, self._born(line, record.position))
        is_new = security is not None and record.position >= security.positions.get(line, 0)
        return [security] if security is not None and is_new else []

    def _born(self, line: str, position: int) -> Marks:
        """Return where each line of the venue stands at the record of *line* at *position*."""
        venue = venue_of_line(line)
        read = {each: mark for each, mark in self.read.items() if venue_of_line(each) == venue}
        return {**read, line: position}


def _dispatch(security: Security, record: Record, payload: object) -> None:
    match payload:
        case Rest():
            security.rest(record, payload)
        case Command():
            security.command(record, payload)
        case Connection():
            security.connection(record, payload)
        case _:
            security.epoch(record)
