"""Recording stops before the disk is full, after what is not needed has gone, and goes on by itself."""

from pathlib import Path

from ingest.aside import ASIDE_BYTES, NAME, Aside
from ingest.disk import LEAST_REFUSED, LONGEST_SHORT, Disk, State


def states(disk: Disk, *free: int, may_drop: bool = False, dropping: bool = False) -> list[State]:
    return [disk.measured(each, may_drop=may_drop, dropping=dropping) for each in free]


def test_below_the_reserve_with_nothing_to_drop_recording_pauses_at_once() -> None:
    assert states(Disk(1000), 1000, 999) == [State.ROOM, State.PAUSED]


def test_what_nobody_needs_goes_first_and_recording_goes_on_if_that_helped() -> None:
    assert states(Disk(1000), 999, 1000, 999, may_drop=True) == [State.SHORT, State.ROOM, State.SHORT]


def test_where_that_did_not_help_recording_pauses() -> None:
    assert states(Disk(1000), 999, 999, may_drop=True) == [State.SHORT, State.PAUSED]


def test_an_archive_that_is_slow_is_waited_for_but_not_for_ever() -> None:
    found = states(Disk(1000), *[999] * (LONGEST_SHORT + 1), may_drop=True, dropping=True)
    assert found == [State.SHORT] * LONGEST_SHORT + [State.PAUSED]


def test_recording_goes_on_a_tenth_above_the_reserve() -> None:
    disk = Disk(1000)
    states(disk, 999)
    room = []
    for free in (1000, 1099, 1100):
        disk.measured(free, may_drop=True, dropping=False)
        room.append((disk.state, disk.has_room))
    assert room == [(State.PAUSED, False), (State.PAUSED, False), (State.PAUSED, True)]
    disk.resume()
    assert (disk.state, disk.reason) == (State.ROOM, "")


def test_a_disk_that_refuses_pauses_whatever_it_says_is_free_and_not_for_a_moment_only() -> None:
    disk = Disk(1000)
    disk.measured(10**9, may_drop=True, dropping=False)
    disk.refused("no space left")
    room = []
    for _ in range(LEAST_REFUSED):
        disk.measured(10**9, may_drop=True, dropping=False)
        room.append(disk.has_room)
    assert (disk.state, room) == (State.PAUSED, [False] * (LEAST_REFUSED - 1) + [True])


def test_the_reason_is_the_ledgers_cause_and_says_what_to_do() -> None:
    disk = Disk(2_000_000_000)
    states(disk, 5)
    assert disk.reason == (
        "disk has less than its reserve of 2000 MB free: free space where DATA_DIR is, recording resumes by "
        "itself at 2200 MB free"
    )
    other = Disk(0)
    other.refused("no space left")
    assert other.reason.startswith("disk refuses a write (no space left): free space")


def test_space_is_set_aside_and_goes_and_is_set_aside_again(tmp_path: Path) -> None:
    aside = Aside(tmp_path)
    for _ in range(2):
        assert aside.make()
        assert (tmp_path / NAME).stat().st_blocks * 512 >= ASIDE_BYTES
        assert aside.free()
        assert not (tmp_path / NAME).exists()
    assert not aside.free()
