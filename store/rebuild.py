"""Makes the documents of journals anew (``obl rebuild``): what the stages do, in one process without sockets.

journal.reader -> book.maintainer -> condition.conditioner -> store.writer

What goes in is what went in then, so what comes out is what came out: the final versions, and at the end of
the journal the open windows as an orderly stop cuts them.  A document that the database has already, covering
as much or more, stays.  Where the journal does not reach back to a security's beginning, the security starts
from its oldest checkpoint that the journal can carry on from: the window after that one is the first that is
made.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from heapq import merge
from pathlib import Path
from typing import Any, NamedTuple

from pymongo.database import Database

from book.checkpoint import Rounds
from book.maintainer import Maintainer, Output, Saved
from book.windows import Recipe
from condition.conditioner import Conditioner
from journal.group import Group
from journal.reader import BEGINNING, Reader, Skipped
from journal.segment import segments_in
from store.documents import Unstorable, to_bson
from store.mending import Mender
from store.outcome import Outcome, Verdict
from store.waiting import BATCH_BYTES, BATCH_DOCUMENTS, BackOff, Entry
from store.writer import Writer
from venue import VENUES
from wire.messages import Answer, Document
from wire.names import BUCKETS, position_at, venue_of, venue_of_line
from wire.runs import Marks
from wire.settings import Settings

NS_PER_S = 1_000_000_000
RUN = 1
"""Nobody else listens to it."""

PATIENCE_S = 60.0
"""How long a database may be away in the middle of it."""

_READS_ONLY = -1
"""No worker of this number leaves unfinished checkpoints behind that would be cleared away."""

_BLOCKS = frozenset(("changes", "orders", "trades"))


class CannotRebuild(Exception):
    """The text is one line that says what to do."""


@dataclass(slots=True)
class Rebuilt:
    """What was made of one security."""

    security: str
    starts_from: str
    """``journal``, or ``checkpoint``: the journal begins later than the security."""
    from_ns: int | None = None
    to_ns: int | None = None
    """Exchange times of the first and the last row in its blocks."""
    documents: int = 0
    """Versions that were given to the database."""
    stored: int = 0
    """Of them those that it did not have."""
    mended: int = 0
    """Of these the ones of which it had a wrong one (store.mending)."""
    refused: int = 0
    reason: str = ""
    """Why the first of these was refused."""

    def made(self, document: Document, outcome: Outcome) -> None:
        """Count *document*."""
        self.documents += 1
        self.stored += outcome.verdict is Verdict.STORED
        if outcome.verdict is Verdict.REFUSED:
            self.refused += 1
            self.reason = self.reason or f"{document.id}: {outcome.reason}"
        if document.collection in _BLOCKS:
            first, last = int(document.fields["first_time"]), int(document.fields["last_time"])
            self.from_ns = first if self.from_ns is None else min(first, self.from_ns)
            self.to_ns = last if self.to_ns is None else max(last, self.to_ns)


class Result(NamedTuple):
    """What a rebuild came to."""

    rebuilt: list[Rebuilt]
    """By security."""
    lost: list[str]
    """Lines in whose journals records could not be read: what they held is missing, with a ledger row."""


def by_clock(lines: Iterable[Iterator[Group]]) -> Iterator[Group]:
    """Yield the groups of several lines in the order of book.merge, each having all it will ever have."""
    return merge(*lines, key=lambda group: (group.clock_ns, group.line))


def starts(checkpoints: Path, journals: Mapping[str, Path]) -> list[Saved]:
    """Return where the securities start whose beginning the *journals* (by line) do not hold any more.

    Those with no checkpoint that the journal carries on from start where it next names them.
    """
    if not checkpoints.is_dir():
        return []
    rounds = Rounds(checkpoints, _READS_ONLY, range(BUCKETS))
    firsts = {line: segments[0].first for line, at in journals.items() if (segments := segments_in(at))}
    saved = []
    for name, entry in rounds.securities().items():
        its_firsts = {line: at for line, at in firsts.items() if venue_of_line(line) == venue_of(name)}
        if not its_firsts or _reaches(entry.born, its_firsts):
            continue
        entries = [each for found in rounds.rounds for each in found.index.entries if each.security == name]
        usable = [each.positions for each in entries if _reaches(each.positions, its_firsts)]
        for positions in sorted(usable, key=lambda each: sum(each.values())):
            state = rounds.state(name, positions)
            if state is not None and state["positions"] == positions:
                saved.append(Saved(name, entry.born, state))
                break
    return saved


def _reaches(positions: Marks, firsts: Marks) -> bool:
    """Say whether journals that begin at *firsts* hold all that follows *positions*."""
    beginning = position_at(1, 0)
    return all(max(positions.get(line, 0), beginning) >= first for line, first in firsts.items())


def rebuild(
    database: Database[Any],
    settings: Settings,
    journals: Mapping[str, Path],
    saved: Sequence[Saved],
    told: Callable[[Group], None] | None = None,
) -> Result:
    """Put the documents of *journals* (by line) into *database*; return what was made.

    Raises:
        CannotRebuild: the database stays away, or a journal is of a venue that nobody knows.
        PyMongoError, WrongWindow: as ``Writer.prepare``.
    """
    for line in journals:
        if line.partition("/")[0] not in VENUES:
            raise CannotRebuild(f"there is a journal of {line}, a venue that this program does not know")
    made = _Rebuild(database, settings, saved)
    made.whole_lines = frozenset(line for line, folder in journals.items() if _is_whole(folder))
    lost: dict[str, deque[Skipped]] = {line: deque() for line in journals}
    with closing(_Readers(journals, lost)) as readers:
        for group in by_clock(readers.groups()):
            made.feed(group, lost[group.line])
            if told is not None:
                told(group)
    made.finish()
    return Result(sorted(made.rebuilt.values(), key=lambda each: each.security), sorted(made.lost_lines))


class _Readers:
    """A reader of each line; what it skips is kept in *lost* until the group that follows is fed."""

    def __init__(self, journals: Mapping[str, Path], lost: Mapping[str, deque[Skipped]]) -> None:
        self._readers = [Reader(folder, partial(_skipped, lost[line])) for line, folder in journals.items()]

    def groups(self) -> list[Iterator[Group]]:
        return [reader.groups(BEGINNING) for reader in self._readers]

    def close(self) -> None:
        for reader in self._readers:
            reader.close()


def _is_whole(folder: Path) -> bool:
    """Say whether the journal in *folder* reaches back to the first record of its line."""
    return [segment.first for segment in segments_in(folder)][:1] == [position_at(1, 0)]


def _skipped(lost: deque[Skipped], skipped: Skipped) -> None:
    if skipped.next > skipped.first:
        lost.append(skipped)


class _Rebuild:
    def __init__(self, database: Database[Any], settings: Settings, saved: Sequence[Saved]) -> None:
        recipe = Recipe.of(settings)
        self.rebuilt: dict[str, Rebuilt] = {}
        self.whole_lines: frozenset[str] = frozenset()
        """Lines whose journal reaches back to its first record, none being lost on the way."""
        self.lost_lines: set[str] = set()
        grid_s = settings.compact_seconds
        self._writer = Writer(database, settings.recorder_id(), settings.window_seconds, grid_seconds=grid_s)
        self._writer.prepare()
        self._mender = Mender(database, settings.window_seconds)
        self._maintainer = Maintainer(VENUES, recipe, range(BUCKETS))
        # without a line to wait for everything counts as synced: it is read from the disk
        self._conditioner = Conditioner(window_ns=recipe.window_ns, reply_to="", token=RUN, lines=frozenset())
        self._maintainer.restore(saved)
        for each in saved:
            self.rebuilt[each.security] = Rebuilt(each.security, "checkpoint")
        for bucket in range(BUCKETS):
            self._take(self._maintainer.begin(bucket, RUN))

    def feed(self, group: Group, lost: deque[Skipped]) -> None:
        """Take the next group, after what it means that records before it are *lost*."""
        while lost and lost[0].next <= group.first:
            self.whole_lines -= {group.line}
            self.lost_lines.add(group.line)
            self._take(self._maintainer.lost(group.line, lost.popleft().next))
        self._take(self._maintainer.feed(group))

    def finish(self) -> None:
        """Cut the open windows as they stand, and put what is left."""
        self._take(self._maintainer.cut_open())
        while len(self._conditioner.outbox):
            self._put()

    def _take(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            for security, reason in self._conditioner.take(output.messages, 0):
                raise CannotRebuild(f"{security}: its messages contradict themselves ({reason}): report this")
        outbox = self._conditioner.outbox
        while len(outbox) >= BATCH_DOCUMENTS or outbox.bytes >= BATCH_BYTES:
            self._put()

    def _put(self) -> None:
        """Put the oldest documents that wait, one batch of them, until each is settled."""
        entries: list[Entry] = []
        size = 0
        for document in self._conditioner.outbox.due():
            if len(entries) >= BATCH_DOCUMENTS or size >= BATCH_BYTES:
                break
            try:
                entries.append(Entry(document, to_bson(document)))
            except Unstorable as error:
                self._settle(document, Outcome(Verdict.REFUSED, str(error)))
            else:
                size += len(entries[-1].data)
        self._write(entries)

    def _write(self, entries: list[Entry]) -> None:
        """Write *entries* until each is settled.

        Raises:
            CannotRebuild: the database stays away.
        """
        back_off, deadline = BackOff(), time.monotonic() + PATIENCE_S
        while entries:
            outcomes = list(zip(entries, self._writer.put(entries), strict=True))
            had = [entry.document for entry, outcome in outcomes if outcome.verdict is Verdict.HAD]
            wrong = {document.name for document in self._mender.give_way(had, self._whole(had))}
            entries = []
            for entry, outcome in outcomes:
                if entry.document.name in wrong:
                    self._of(entry.document.security).mended += 1
                    entries.append(entry)
                elif outcome.verdict not in (Verdict.RETRY, Verdict.AGAIN):
                    self._settle(entry.document, outcome)
                elif time.monotonic() < deadline:
                    entries.append(entry)
                else:
                    raise CannotRebuild(f"the database does not take {entry.document.id}: {outcome.reason}")
            if len(entries) > len(wrong):
                time.sleep(back_off.failed())

    def _whole(self, documents: Iterable[Document]) -> frozenset[str]:
        """Return which securities of *documents* are made from their beginning, nothing being lost."""
        return frozenset(
            name
            for name in {document.security for document in documents}
            if self._of(name).starts_from == "journal" and self._lines_of(name) <= self.whole_lines
        )

    def _lines_of(self, security: str) -> set[str]:
        return {line for line in self._maintainer.read if venue_of_line(line) == venue_of(security)}

    def _of(self, security: str) -> Rebuilt:
        return self.rebuilt.setdefault(security, Rebuilt(security, "journal"))

    def _settle(self, document: Document, outcome: Outcome) -> None:
        key = document.key
        self._of(document.security).made(document, outcome)
        refused = outcome.verdict is Verdict.REFUSED
        answer = Answer(refused=((*key, outcome.reason),)) if refused else Answer(stored=(key,))
        self._conditioner.answer(answer, 0)
