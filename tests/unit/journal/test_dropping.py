"""What is needed no more goes, to the archive where there is one; nothing else does."""

import os
import subprocess
from pathlib import Path

import pytest

from journal.segment import segment_name, segments_in
from journal.writer import (
    ArchiveRefused,
    Writer,
)
from tests.unit.journal.building import Clock, open_writer
from tests.unit.journal.test_writer import append, texts
from wire.names import position_at


def aged(folder: Path) -> tuple[Writer, list[int]]:
    """Return a writer with four segments made at 0, 10, 20, 30 ns, and their first positions."""
    clock = Clock(0)
    writer = open_writer(folder, segment_bytes=1, now_ns=clock)
    for number in range(3):
        clock.now_ns += 10
        append(writer, str(number))
    return writer, [segment.first for segment in segments_in(folder)]


@pytest.mark.parametrize("keep_after_ns", [5, 10, 19, 20, 30, 99])
@pytest.mark.parametrize("needed", [0, 1, 2, 3, 4])
def test_only_what_is_neither_needed_nor_young_is_dropped(
    tmp_path: Path, needed: int, keep_after_ns: int
) -> None:
    writer, firsts = aged(tmp_path)
    unneeded = sum(first <= position_at(1, needed) for first in firsts[1:])
    old = sum(made_ns <= keep_after_ns for made_ns in (10, 20, 30))
    dropped = writer.drop_before(position_at(1, needed), keep_after_ns)
    assert (dropped, [s.first for s in segments_in(tmp_path)]) == (
        min(unneeded, old),
        firsts[min(unneeded, old) :],
    )
    append(writer, "goes on")
    assert texts(tmp_path)[-1] == "goes on"
    writer.close()


def test_segments_of_earlier_epochs_are_dropped_too(tmp_path: Path) -> None:
    writer, _ = aged(tmp_path)
    writer.close()
    writer = open_writer(tmp_path, now_ns=Clock(40))
    assert writer.drop_before(position_at(1, 4), 99) == 3, (
        "its epoch goes on past the last record that is there"
    )
    assert writer.drop_before(position_at(2, 0), 99) == 1
    assert [s.first for s in segments_in(tmp_path)] == [position_at(2, 0)]
    writer.close()


def other_file_system(tmp_path: Path) -> Path:
    shared_memory = Path("/dev/shm")  # noqa: S108 - the one other file system that every Linux has
    if not shared_memory.is_dir() or shared_memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system here")
    return shared_memory


@pytest.mark.parametrize("far", [False, True], ids=["same file system", "another file system"])
def test_what_is_dropped_can_be_archived(tmp_path: Path, far: bool) -> None:
    archive = (other_file_system(tmp_path) if far else tmp_path) / f"archive-{os.getpid()}"
    folder = tmp_path / "binance-a"
    writer, firsts = aged(folder)
    before = {s.path.name: s.path.read_bytes() for s in segments_in(folder)}
    try:
        assert writer.drop_before(firsts[2], 99, archive) == 2
        assert {p.name: p.read_bytes() for p in (archive / "binance-a").iterdir()} == {
            segment_name(first): before[segment_name(first)] for first in firsts[:2]
        }
        assert [s.first for s in segments_in(folder)] == firsts[2:]
    finally:
        writer.close()
        subprocess.run(["rm", "-r", str(archive)], check=True)


def test_an_archive_keeps_another_file_of_the_same_name(tmp_path: Path) -> None:
    folder, archive = tmp_path / "binance-a", tmp_path / "archive"
    writer, firsts = aged(folder)
    (archive / "binance-a").mkdir(parents=True)
    name = segment_name(firsts[0])
    (archive / "binance-a" / name).write_bytes(b"of an earlier life of this line")
    again = segment_name(firsts[1])
    (archive / "binance-a" / again).write_bytes((folder / again).read_bytes())
    assert writer.drop_before(firsts[2], 99, archive) == 2
    assert sorted(p.name for p in (archive / "binance-a").iterdir()) == sorted(
        [name, name.replace(".obj", ".2.obj"), again]
    )
    writer.close()


def test_an_archive_that_refuses_keeps_the_segment_in_the_journal(tmp_path: Path) -> None:
    folder, archive = tmp_path / "binance-a", tmp_path / "archive"
    writer, firsts = aged(folder)
    archive.write_bytes(b"a file, not a folder")
    with pytest.raises(ArchiveRefused, match=segment_name(firsts[0])):
        writer.drop_before(firsts[2], 99, archive)
    append(writer, "recording goes on")
    assert [s.first for s in segments_in(folder)][: len(firsts)] == firsts
    writer.close()


# --- a disk that refuses ------------------------------------------------------------------------
