"""What was appended is in the journal, what was synced stays there, and one process writes it."""

import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from journal import payload
from journal.group import Kind, unpack_group
from journal.reader import Reader
from journal.segment import SEGMENT_HEADER_BYTES, segments_in
from journal.verify import verify
from journal.writer import (
    LOCK_NAME,
    SEGMENT_AGE_NS,
    DiskRefused,
    FolderInUse,
    Writer,
    WrongLine,
)
from tests.unit.journal.building import Clock, frame, no_file_larger_than, open_writer
from wire.names import position_at

ROOT = Path(__file__).parents[3]


def texts(folder: Path, from_position: int = 0) -> list[str]:
    """Return the frames in the journal."""
    reader = Reader(folder)
    found = [
        r.payload.decode() for g in reader.groups(from_position) for r in g.records() if g.kind is Kind.FRAME
    ]
    assert not reader.skipped
    return found


def epochs(folder: Path) -> list[payload.Payload]:
    groups = [group for group in Reader(folder).groups(0) if group.kind is Kind.EPOCH]
    return [payload.unpack(Kind.EPOCH, group.records()[0].payload) for group in groups]


def newest(folder: Path) -> Path:
    return segments_in(folder)[-1].path


def append(writer: Writer, *of: str) -> bytes:
    return writer.append(Kind.FRAME, [frame(text) for text in of])


def test_what_is_appended_is_read_and_is_what_is_published(tmp_path: Path) -> None:
    writer = open_writer(tmp_path)
    published = [writer.opening, append(writer, "a", "b"), append(writer, "c")]
    assert list(Reader(tmp_path).groups(0)) == [unpack_group(data) for data in published]
    assert writer.next_position == position_at(1, 4)
    writer.close()


def test_each_opening_is_an_epoch_and_its_first_record_says_so(tmp_path: Path) -> None:
    found = []
    for _ in range(3):
        writer = open_writer(tmp_path)
        found.append((writer.epoch, unpack_group(writer.opening).first))
        writer.close()
    assert found == [(1, position_at(1, 0)), (2, position_at(2, 0)), (3, position_at(3, 0))]
    assert epochs(tmp_path) == [
        payload.Epoch(0, "first"),
        payload.Epoch(0, "restart"),
        payload.Epoch(0, "restart"),
    ]


def test_an_epoch_is_not_used_twice_though_its_segments_are_gone(tmp_path: Path) -> None:
    open_writer(tmp_path).close()
    newest(tmp_path).unlink()
    writer = open_writer(tmp_path)
    assert writer.epoch == 2
    writer.close()


def test_an_epoch_is_not_used_twice_though_the_lock_file_is_gone(tmp_path: Path) -> None:
    open_writer(tmp_path).close()
    (tmp_path / LOCK_NAME).unlink()
    writer = open_writer(tmp_path)
    assert writer.epoch == 2
    writer.close()


def test_an_epoch_is_not_used_twice_though_the_whole_folder_is_gone(tmp_path: Path) -> None:
    folder, witness = tmp_path / "journal", tmp_path / "epochs" / "binance-a"

    def opened() -> Writer:
        return Writer(folder, "binance/a", segment_bytes=1 << 20, now_ns=Clock(), witness=witness)

    opened().close()
    before = opened()
    append(before, "a", "b")
    known = before.next_position
    before.close()
    shutil.rmtree(folder)
    after = opened()
    append(after, "c")
    after.close()
    assert after.epoch == before.epoch + 1
    reader = Reader(folder)
    assert [group.first for group in reader.groups(known)] == [position_at(3, 0), position_at(3, 1)]
    (gone,) = reader.skipped
    assert (gone.first, gone.next) == (known, position_at(3, 0))
    witness.write_text("no number")
    again = opened()
    again.close()
    assert again.epoch == after.epoch + 1


def test_a_second_writer_is_refused_until_the_first_closes(tmp_path: Path) -> None:
    writer = open_writer(tmp_path)
    with pytest.raises(FolderInUse):
        open_writer(tmp_path)
    assert append(writer, "undisturbed")
    writer.close()
    open_writer(tmp_path).close()
    assert texts(tmp_path) == ["undisturbed"]


def test_the_folder_of_another_line_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    open_writer(tmp_path).close()
    with newest(tmp_path).open("ab") as file:
        file.write(b"torn")
    before = newest(tmp_path).read_bytes()
    with pytest.raises(WrongLine, match="binance/a, not of coinbase/a"):
        Writer(tmp_path, "coinbase/a", segment_bytes=1 << 20, now_ns=Clock())
    assert newest(tmp_path).read_bytes() == before


def test_a_torn_tail_is_cut_and_the_new_epoch_says_how_much(tmp_path: Path) -> None:
    writer = open_writer(tmp_path)
    append(writer, "kept")
    whole = newest(tmp_path).stat().st_size
    torn = append(writer, "torn")
    writer.close()
    path = newest(tmp_path)
    for cut in range(1, len(torn)):
        os.truncate(path, whole + len(torn) - cut)
        left = len(torn) - cut
        open_writer(tmp_path).close()
        assert (path.stat().st_size, epochs(tmp_path)[-1]) == (whole, payload.Epoch(left, "torn"))
        newest(tmp_path).unlink()
        path.write_bytes(path.read_bytes() + torn)
    assert texts(tmp_path) == ["kept", "torn"]


@pytest.mark.parametrize("left", [0, 10, SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES + 5])
def test_a_segment_that_was_only_begun_goes_and_the_one_before_it_stays(tmp_path: Path, left: int) -> None:
    writer = open_writer(tmp_path, segment_bytes=1)
    append(writer, "kept")
    append(writer, "torn")
    writer.close()
    os.truncate(newest(tmp_path), left)
    open_writer(tmp_path).close()
    assert texts(tmp_path) == ["kept"]
    assert verify(tmp_path).first_bad is None


def test_a_segment_rolls_when_it_is_full(tmp_path: Path) -> None:
    writer = open_writer(tmp_path, segment_bytes=1000)
    for number in range(30):
        append(writer, f"{number:0100d}")
    writer.close()
    sizes = [segment.path.stat().st_size for segment in segments_in(tmp_path)]
    assert len(sizes) > 5
    assert max(sizes) <= 1000
    assert texts(tmp_path) == [f"{number:0100d}" for number in range(30)]
    assert verify(tmp_path).first_bad is None


def test_a_group_larger_than_a_segment_gets_one_of_its_own(tmp_path: Path) -> None:
    writer = open_writer(tmp_path, segment_bytes=500)
    for text in ("a", "b" * 2000, "c"):
        append(writer, text)
    writer.close()
    assert texts(tmp_path) == ["a", "b" * 2000, "c"]


def test_a_segment_rolls_when_it_is_old(tmp_path: Path) -> None:
    clock = Clock(1_000)
    writer = open_writer(tmp_path, now_ns=clock)
    clock.now_ns += SEGMENT_AGE_NS - 1
    append(writer, "a")
    clock.now_ns += 1
    append(writer, "b")
    assert [s.first for s in segments_in(tmp_path)] == [position_at(1, 0), position_at(1, 2)]
    writer.close()


def test_the_bytes_on_disk_are_counted(tmp_path: Path) -> None:
    open_writer(tmp_path).close()
    writer = open_writer(tmp_path, segment_bytes=300)
    for number in range(9):
        append(writer, f"{number:0100d}")
    on_disk = sum(segment.path.stat().st_size for segment in segments_in(tmp_path))
    assert writer.size_bytes == on_disk
    writer.close()


# --- dropping -----------------------------------------------------------------------------------


def test_of_a_group_that_the_disk_refused_nothing_counts(tmp_path: Path) -> None:
    writer = open_writer(tmp_path)
    append(writer, "before")
    size, position = newest(tmp_path).stat().st_size, writer.next_position
    with no_file_larger_than(size + 50), pytest.raises(DiskRefused, match="cannot be written"):
        append(writer, "x" * 500)
    assert (newest(tmp_path).stat().st_size, writer.next_position) == (size, position)
    append(writer, "after")
    assert writer.sync() == writer.next_position
    writer.close()
    assert texts(tmp_path) == ["before", "after"]
    assert verify(tmp_path).first_bad is None


def test_a_segment_that_cannot_be_begun_leaves_the_old_one_open(tmp_path: Path) -> None:
    writer = open_writer(tmp_path, segment_bytes=1)
    before = segments_in(tmp_path)
    with no_file_larger_than(30), pytest.raises(DiskRefused, match="cannot begin a segment"):
        append(writer, "refused")
    assert segments_in(tmp_path) == before
    append(writer, "after")
    writer.close()
    assert texts(tmp_path) == ["after"]


def test_a_folder_that_cannot_be_written_is_refused_at_the_opening(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DiskRefused, match="cannot be made"):
        open_writer(tmp_path / "file" / "folder")
    with no_file_larger_than(0), pytest.raises(DiskRefused, match="cannot be opened"):
        open_writer(tmp_path)
    open_writer(tmp_path).close()


def test_after_a_refused_sync_nothing_more_is_taken(tmp_path: Path) -> None:
    writer = open_writer(tmp_path)
    links = Path("/proc/self/fd").iterdir()
    file = next(int(link.name) for link in links if points_to(link, newest(tmp_path)))
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, file)  # a device that can neither be written nor synced, nor cut back
    os.close(full)
    with pytest.raises(DiskRefused, match="cannot be synced"):
        writer.sync()
    with pytest.raises(DiskRefused, match="cannot be synced"):
        append(writer, "late")
    writer.close()
    assert texts(tmp_path) == []


def points_to(link: Path, target: Path) -> bool:
    try:
        return link.readlink() == target
    except FileNotFoundError:
        return False  # the listing's own


def test_a_closed_writer_takes_nothing(tmp_path: Path) -> None:
    writer = open_writer(tmp_path)
    writer.close()
    writer.close()
    for use in (lambda: append(writer, "late"), writer.sync):
        with pytest.raises(DiskRefused, match="closed"):
            use()


# --- a writer that is killed --------------------------------------------------------------------

CHILD = """
import sys, time
from pathlib import Path
from journal.group import Kind
from journal.writer import Writer

writer = Writer(Path(sys.argv[1]), "binance/a", segment_bytes=20_000, now_ns=time.time_ns)
number = 0
while True:
    for _ in range(5):
        rows = [(n, "binance:BTCUSDT", 1, b"%d" % n * 50) for n in range(number, number + 4)]
        writer.append(Kind.FRAME, rows)
        number += 4
    writer.sync()
    print(writer.epoch, number, flush=True)
"""


def kill_after(folder: Path, lines: int) -> tuple[int, int]:
    """Run a writer, kill it when it has told of *lines* syncs; return (epoch, synced) of the last told."""
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(folder)], stdout=subprocess.PIPE, cwd=ROOT)
    assert child.stdout is not None
    try:
        told = b""
        while told.count(b"\n") < lines:
            assert select.select([child.stdout], [], [], 30)[0], "the writer says nothing"
            told += os.read(child.stdout.fileno(), 4096)
        child.send_signal(signal.SIGKILL)
        told += child.stdout.read()
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    epoch, synced = told.splitlines()[-1].split() if told.endswith(b"\n") else told.splitlines()[-2].split()
    return int(epoch), int(synced)


def test_a_writer_killed_at_any_moment_loses_nothing_that_was_synced(tmp_path: Path) -> None:
    for epoch, lines in enumerate((1, 3, 10, 2, 7, 30), start=1):
        told_epoch, synced = kill_after(tmp_path, lines)
        assert told_epoch == epoch
        reader = Reader(tmp_path)
        frames = [g for g in reader.groups(position_at(epoch, 0)) if g.kind is Kind.FRAME]
        numbers = [r.recv_ns for g in frames for r in g.records()]
        assert numbers == list(range(len(numbers)))
        assert len(numbers) >= synced
        assert not reader.skipped
    writer = open_writer(tmp_path)
    assert (writer.epoch, verify(tmp_path).first_bad) == (7, None)
    writer.close()


def test_the_clock_of_a_line_never_goes_back_within_an_epoch(tmp_path: Path) -> None:
    clock = Clock(1_000)
    writer = open_writer(tmp_path, now_ns=clock)
    groups = [unpack_group(writer.opening), unpack_group(writer.append(Kind.FRAME, [frame("a")]))]
    clock.now_ns = 2_000
    promised = writer.clock_ns()
    clock.now_ns = 500
    groups.append(unpack_group(writer.append(Kind.FRAME, [frame("b")])))
    assert [group.clock_ns for group in groups] == [1_000, 1_000, 2_000]
    assert promised == 2_000
    writer.close()
    clock.now_ns = 700
    assert unpack_group(open_writer(tmp_path, now_ns=clock).opening).clock_ns == 700
