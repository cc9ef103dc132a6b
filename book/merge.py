"""Merges the groups of a venue's lines into one order that does not depend on how they arrived.

Each line's groups stay in order; of the groups that come next, the one with the earlier clock goes first
(journal.group; of equal ones the first line's).  So what follows is a function of the journals: it may be
computed again from any place that it has passed.

a line                                    the others' groups
has a group that comes next               are compared with it
has none, but has promised a clock        go as far as that clock
is away (its journal read to the end,     do not wait for it
nothing heard of it)

The clock is journal.clock's, one for all lines of a host.  A line that comes back from being away
stamps what it appends with the clock of that moment, so nothing of it belongs before what went on without it.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from journal.group import Group, Kind
from wire.names import venue_of_line

MOST_FRAMES = 4096
"""That are taken together: two megabytes of small ones."""


class _Line:
    __slots__ = ("away", "clock_ns", "given", "groups", "promise")

    def __init__(self) -> None:
        self.groups: deque[Group] = deque()
        self.clock_ns = -1
        """No group to come is earlier."""
        self.given = 0
        """Position after the last group that was put."""
        self.promise = (0, -1)
        """A position and the clock that no group from there on is earlier than."""
        self.away = False


class Merge:
    """The lines of one venue."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = {line: _Line() for line in sorted(lines)}
        self._only = next(iter(self._lines.values())) if len(self._lines) == 1 else None

    @property
    def is_several(self) -> bool:
        """Whether there is anything to merge."""
        return self._only is None

    def restart(self, line: str, position: int) -> None:
        """Forget the groups of *line*: those from *position* on come again."""
        one = self._lines[line]
        one.groups.clear()
        one.clock_ns, one.given, one.away = -1, position, False

    @property
    def hungry(self) -> list[str]:
        """The lines of which nothing waits: those to be read next."""
        return [name for name, one in self._lines.items() if not one.groups]

    @property
    def oldest_ns(self) -> int | None:
        """Clock of the oldest group that waits here; None: none does."""
        return min((one.groups[0].clock_ns for one in self._lines.values() if one.groups), default=None)

    def put(self, line: str, groups: Sequence[Group], *, away: bool) -> None:
        """Take the next groups of *line*; *away* says of a line without any that none is on its way."""
        one = self._lines[line]
        one.groups.extend(groups)
        one.away = away and not one.groups
        if groups:
            one.given = groups[-1].next_position

    def promise(self, line: str, position: int, clock_ns: int) -> None:
        """Take the word of *line* that no group from *position* on has a clock before *clock_ns*."""
        self._lines[line].promise = (position, clock_ns)

    def take(self) -> list[Group]:
        """Return what comes next, as far as it is known."""
        if self._only is not None:
            groups = list(self._only.groups)
            self._only.groups.clear()
            return groups
        taken: list[Group] = []
        while (one := self._first()) is not None:
            group = one.groups.popleft()
            one.clock_ns = group.clock_ns
            taken.append(group)
        return taken

    def _first(self) -> _Line | None:
        """Return the line whose group comes next; None: that is not known yet."""
        first: _Line | None = None
        for one in self._lines.values():
            if one.groups and (first is None or one.groups[0].clock_ns < first.groups[0].clock_ns):
                first = one
        if first is None:
            return None
        clock_ns, is_before = first.groups[0].clock_ns, True
        for one in self._lines.values():
            if one is first:
                is_before = False
            elif not one.groups and not one.away:
                earliest_ns = self._earliest(one)
                if earliest_ns < clock_ns or (is_before and earliest_ns == clock_ns):
                    return None
        return first

    def _earliest(self, one: _Line) -> int:
        position, clock_ns = one.promise
        return max(one.clock_ns, clock_ns) if one.given >= position else one.clock_ns


def neighbours(groups: Iterable[Group]) -> Iterator[list[Group]]:
    """Yield *groups*, those of frames of one line that follow one another together.

    What waits is so taken in fewer, larger batches: the further a stage is behind, the less a frame costs.
    """
    together: list[Group] = []
    frames = 0
    for group in groups:
        last = together[-1] if together else None
        follows = (
            last is not None
            and group.kind is last.kind is Kind.FRAME
            and (group.line, group.first) == (last.line, last.next_position)
            and frames + group.count <= MOST_FRAMES
        )
        if together and not follows:
            yield together
            together, frames = [], 0
        together.append(group)
        frames += group.count
    if together:
        yield together


def merges_of(lines: Sequence[str]) -> dict[str, Merge]:
    """Return the merge of each venue of *lines*."""
    venues = dict.fromkeys(map(venue_of_line, lines))
    return {venue: Merge([line for line in lines if venue_of_line(line) == venue]) for venue in venues}
