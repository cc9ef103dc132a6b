"""Every group is given once and in order, whatever the live groups do."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from journal.follow import RING_BYTES, SILENT_SECONDS, Follow, Joint
from journal.group import Group, Kind, unpack_group
from journal.reader import Reader, Skipped
from journal.segment import segments_in
from journal.writer import Writer
from tests.unit.journal.building import LINE, UNHURRIED, flipped, frame, group_at, open_writer
from wire.names import position_at

ALL = 1 << 30


def at(number: int, count: int = 1, epoch: int = 1) -> Group:
    return unpack_group(group_at(number, [f"{number + i}" for i in range(count)], epoch))


def live_at(position: int, *of: Group, ring_bytes: int = RING_BYTES) -> Joint:
    """Return a core that has read the files up to *position* and then got *of* live."""
    joint = Joint(LINE, ring_bytes)
    joint.start(position_at(1, position))
    for group in of:
        joint.live(group)
    return joint


# --- the table, row by row ----------------------------------------------------------------------


def test_behind_a_group_of_the_files_is_given() -> None:
    joint = live_at(0)
    assert joint.from_files(at(0, 2))
    assert (joint.position, joint.behind) == (position_at(1, 2), True)


def test_behind_a_group_that_was_given_is_dropped() -> None:
    joint = live_at(2)
    assert not joint.from_files(at(0, 2))
    assert joint.position == position_at(1, 2)


def test_behind_the_ring_takes_over_where_it_holds_what_comes_next() -> None:
    joint = live_at(0, at(2), at(3))
    assert (joint.take(ALL), joint.behind) == ([], True)
    assert joint.from_files(at(0, 2))
    assert (joint.take(ALL), joint.behind) == ([at(2), at(3)], False)


def live_core() -> Joint:
    joint = live_at(0, at(0))
    assert (joint.take(ALL), joint.behind) == ([at(0)], False)
    return joint


def test_live_the_next_group_is_given() -> None:
    joint = live_core()
    joint.live(at(1, 2))
    assert (joint.take(ALL), joint.behind, joint.oldest_ns) == ([at(1, 2)], False, None)


def test_live_a_group_that_was_given_is_dropped() -> None:
    joint = live_core()
    joint.live(at(0))
    assert (joint.take(ALL), joint.behind, joint.oldest_ns) == ([], False, None)


def test_live_a_group_that_skips_positions_is_kept_until_the_files_gave_the_rest() -> None:
    joint = live_core()
    joint.live(at(3))
    assert (joint.take(ALL), joint.behind, joint.oldest_ns) == ([], True, at(3).clock_ns)
    assert joint.from_files(at(1, 2))
    assert (joint.take(ALL), joint.behind) == ([at(3)], False)


def test_live_a_jump_behind_groups_that_were_not_taken_yet() -> None:
    joint = live_core()
    for group in (at(1), at(5)):
        joint.live(group)
    assert (joint.take(ALL), joint.behind) == ([], True)
    assert [joint.from_files(at(n)) for n in range(1, 5)] == [True] * 4
    assert joint.take(ALL) == [at(5)]


def test_live_another_epoch_waits_until_the_files_lead_into_it() -> None:
    joint = live_core()
    joint.live(at(1, epoch=2))
    assert (joint.take(ALL), joint.behind) == ([], True)
    assert [joint.from_files(group) for group in (at(1), at(0, epoch=2))] == [True, True]
    assert (joint.take(ALL), joint.behind) == ([at(1, epoch=2)], False)


def test_live_a_full_ring_drops_its_oldest_which_the_files_have() -> None:
    joint = live_at(0, at(0), ring_bytes=2 * at(0).size)
    joint.take(ALL)
    for number in (1, 2, 3):
        joint.live(at(number))
    assert (joint.take(ALL), joint.behind) == ([], True)
    assert joint.from_files(at(1))
    assert joint.take(ALL) == [at(2), at(3)]


def test_live_a_group_larger_than_the_ring_is_left_to_the_files() -> None:
    joint = live_at(0, at(0), ring_bytes=at(0).size)
    joint.take(ALL)
    joint.live(at(1, 20))
    assert (joint.take(ALL), joint.behind, joint.oldest_ns) == ([], True, None)


def test_a_live_group_that_is_held_already_disturbs_nothing() -> None:
    joint = live_at(0, at(2), at(3), at(2), at(3))
    assert joint.from_files(at(0, 2))
    assert joint.take(ALL) == [at(2), at(3)]


def test_live_silence_means_that_the_files_are_read() -> None:
    joint = live_core()
    joint.silent()
    assert joint.behind


def test_another_lines_groups_are_not_ours() -> None:
    joint = live_core()
    joint.line = "binance/b"
    joint.live(at(1))
    assert joint.oldest_ns is None


def test_a_ring_is_given_in_portions() -> None:
    joint = live_at(0, at(0), at(1), at(2))
    assert [joint.take(1) for _ in range(4)] == [[at(0)], [at(1)], [at(2)], []]


# --- with files ---------------------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Line:
    """A writer with the groups that it published and that nobody has received yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.number = 0
        self.published: list[bytes] = []
        self.writer = self._open()

    def _open(self) -> Writer:
        writer = open_writer(self.folder, segment_bytes=700)
        self.published.append(writer.opening)
        return writer

    def append(self, count: int) -> None:
        texts = [str(self.number + i) for i in range(count)]
        self.number += count
        self.published.append(self.writer.append(Kind.FRAME, [frame(text) for text in texts]))

    def reopen(self) -> None:
        self.writer.close()
        self.writer = self._open()


steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 3)),
        st.tuples(st.just("deliver"), st.integers(1, 4)),
        st.tuples(st.just("drop"), st.integers(1, 4)),
        st.tuples(st.just("repeat"), st.just(0)),
        st.tuples(st.just("read"), st.sampled_from([1, 300, ALL])),
        st.tuples(st.just("reopen"), st.just(0)),
        st.tuples(st.just("wait"), st.sampled_from([1, 4])),
    ),
    max_size=60,
)


def play(line: Line, follow: Follow, clock: Clock, step: tuple[str, int]) -> list[Group]:
    match step:
        case "append", count:
            line.append(count)
        case "deliver", count:
            for _ in range(min(count, len(line.published))):
                follow.live(line.published.pop(0))
        case "drop", count:
            del line.published[:count]
        case "repeat", _:
            for data in line.published[:1]:
                follow.live(data)
        case "read", limit:
            return follow.read(limit)
        case "reopen", _:
            line.reopen()
        case "wait", seconds:
            clock.now += seconds
    return []


@settings(UNHURRIED, max_examples=200)
@given(played=steps, begin=st.integers(0, 7))
def test_any_interleaving_gives_each_group_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, played: list[tuple[str, int]], begin: int
) -> None:
    folder, clock = tmp_path_factory.mktemp("journal"), Clock()
    line = Line(folder)
    for _ in range(3):
        line.append(2)
    follow = Follow(folder, LINE, clock=clock, ring_bytes=600)
    start = position_at(1, begin)
    follow.start(start)
    given_groups = [group for step in played for group in play(line, follow, clock, step)]
    clock.now += SILENT_SECONDS + 1
    while more := follow.read(ALL):
        given_groups += more
    line.writer.close()
    assert given_groups == list(Reader(folder).groups(start))
    assert follow.caught_up
    assert follow.position == line.writer.next_position
    follow.close()


def test_without_silence_the_live_groups_alone_are_enough(tmp_path: Path) -> None:
    line, clock = Line(tmp_path), Clock()
    follow = Follow(tmp_path, LINE, clock=clock)
    follow.start(0)
    assert follow.oldest_ns == 0
    assert (len(follow.read(ALL)), follow.caught_up, follow.oldest_ns) == (1, True, None)
    for _ in range(3):
        line.append(1)
    for data in line.published:
        follow.live(data)
    assert not follow.caught_up
    assert follow.oldest_ns == unpack_group(line.published[1]).clock_ns
    for segment in segments_in(tmp_path):
        segment.path.unlink()
    assert [group.first for group in follow.read(ALL)] == [position_at(1, n) for n in (1, 2, 3)]
    assert follow.caught_up


def test_while_nothing_is_live_the_files_are_followed(tmp_path: Path) -> None:
    line, follow = Line(tmp_path), Follow(tmp_path, LINE)
    follow.start(0)
    seen = []
    for _ in range(5):
        line.append(1)
        seen.append(len(follow.read(ALL)))
    assert seen == [2, 1, 1, 1, 1]


def test_a_live_group_that_is_damaged_is_read_from_the_files(tmp_path: Path) -> None:
    line, follow = Line(tmp_path), Follow(tmp_path, LINE)
    follow.start(0)
    follow.live(line.published.pop())
    assert len(follow.read(ALL)) == 1
    line.append(1)
    follow.live(flipped(line.published.pop(), 300))
    assert [group.first for group in follow.read(ALL)] == [position_at(1, 1)]


def test_what_the_files_lost_is_told_unless_it_came_live(tmp_path: Path) -> None:
    line = Line(tmp_path)
    for _ in range(12):
        line.append(1)
    _, lost, *_, _ = segments_in(tmp_path)
    lost.path.unlink()
    told: list[Skipped] = []
    follow = Follow(tmp_path, LINE, told.append)
    follow.start(0)
    firsts = [group.first for group in follow.read(ALL)]
    (skipped,) = told
    assert skipped.first == lost.first
    assert skipped.next in firsts
    assert not any(skipped.first <= first < skipped.next for first in firsts)
    follow.start(position_at(1, 0))
    for data in line.published:
        follow.live(data)
    assert [group.first for group in follow.read(ALL)] == [position_at(1, n) for n in range(13)]
    assert len(told) == 1
