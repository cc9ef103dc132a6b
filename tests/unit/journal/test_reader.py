"""A reader gives every whole group once and in order, and tells of each byte it had to pass over."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journal.group import Group, Kind
from journal.reader import Reader, Skipped
from journal.segment import SEGMENT_HEADER_BYTES, segment_name, segments_in
from journal.writer import LOCK_NAME, Writer
from tests.unit.journal.building import UNHURRIED, flipped, frame, open_writer
from wire.names import position_at

EPOCH_GROUP = 1
"""Groups before the first frame of an epoch."""


def write(folder: Path, *texts: str, segment_bytes: int = 1 << 20) -> list[Path]:
    """Write an epoch with one frame a group, close it, and return the folder's segments."""
    writer = open_writer(folder, segment_bytes=segment_bytes)
    for text in texts:
        append(writer, text)
    writer.close()
    return [segment.path for segment in segments_in(folder)]


def append(writer: Writer, *texts: str) -> None:
    writer.append(Kind.FRAME, [frame(text) for text in texts])


def texts(groups: list[Group]) -> str:
    return "".join(r.payload.decode() for g in groups if g.kind is Kind.FRAME for r in g.records())


def everything(reader: Reader) -> str:
    return texts(list(reader.groups(reader.position)))


def test_a_reader_without_a_folder_waits_for_one(tmp_path: Path) -> None:
    reader = Reader(tmp_path / "later")
    assert everything(reader) == ""
    write(tmp_path / "later", "a")
    assert everything(reader) == "a"


def test_reading_goes_on_where_it_stood(tmp_path: Path) -> None:
    writer, reader, seen = open_writer(tmp_path, segment_bytes=400), Reader(tmp_path), []
    for text in "abcdefgh":
        append(writer, text)
        seen.append(everything(reader))
    writer.close()
    assert seen == list("abcdefgh")


def test_the_old_epoch_is_read_to_its_end_before_the_next(tmp_path: Path) -> None:
    writer, reader = open_writer(tmp_path), Reader(tmp_path)
    append(writer, "a")
    assert everything(reader) == "a"
    append(writer, "b")
    writer.close()
    write(tmp_path, "c")
    write(tmp_path, "d")
    assert everything(reader) == "bcd"
    assert not reader.skipped


@pytest.mark.parametrize("segment_bytes", [1, 1 << 20], ids=["a segment each", "one segment"])
def test_reading_begins_with_the_group_that_holds_the_position(tmp_path: Path, segment_bytes: int) -> None:
    writer = open_writer(tmp_path, segment_bytes=segment_bytes)
    for two in ("ab", "cd", "ef"):
        append(writer, *two)
    writer.close()
    write(tmp_path, "gh")
    begun = {n: texts(list(Reader(tmp_path).groups(position_at(1, n)))) for n in range(9)}
    expected = ["abcdefgh"] * 3 + ["cdefgh"] * 2 + ["efgh"] * 2 + ["gh"] * 2
    assert begun == dict(enumerate(expected))


def test_a_reader_can_be_sent_back_and_forth(tmp_path: Path) -> None:
    write(tmp_path, *"abcdef", segment_bytes=500)
    reader = Reader(tmp_path)
    assert [texts(list(reader.groups(position_at(1, n)))) for n in (5, 1, 3, 6, 2, 7)] == [
        "ef",
        "abcdef",
        "cdef",
        "f",
        "bcdef",
        "",
    ]
    assert not reader.skipped


def test_a_batch_is_as_large_as_was_asked(tmp_path: Path) -> None:
    write(tmp_path, *"abcdef")
    reader, batches = Reader(tmp_path), []
    while batch := reader.read(1):
        batches.append(texts(batch))
    assert batches == ["", *"abcdef"]


@UNHURRIED
@given(cut=st.integers(1, 10_000))
def test_half_a_group_at_the_end_of_the_newest_segment_means_wait(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    (path,) = write(folder, "a", "b" * 50)
    whole = path.read_bytes()
    kept = SEGMENT_HEADER_BYTES + cut % (len(whole) - SEGMENT_HEADER_BYTES)
    path.write_bytes(whole[:kept])
    reader = Reader(folder)
    first = everything(reader)
    path.write_bytes(whole)
    assert first + everything(reader) == "a" + "b" * 50
    assert not reader.skipped


def test_a_segment_whose_header_is_being_written_means_wait(tmp_path: Path) -> None:
    (path,) = write(tmp_path, "a")
    whole = path.read_bytes()
    path.write_bytes(whole[:10])
    reader = Reader(tmp_path)
    assert everything(reader) == ""
    path.write_bytes(whole)
    assert everything(reader) == "a"


def test_a_refused_group_that_was_cut_back_is_never_seen(tmp_path: Path) -> None:
    (path,) = write(tmp_path, "a", "refused", "b")
    whole, reader = path.read_bytes(), Reader(tmp_path)
    size = (len(whole) - SEGMENT_HEADER_BYTES) // 3
    after_a = whole.index(b"OBG1", whole.index(b"OBG1", SEGMENT_HEADER_BYTES + 1) + 1)
    path.write_bytes(whole[: after_a + size // 2])
    assert everything(reader) == "a"
    path.write_bytes(whole[:after_a])
    assert everything(reader) == ""
    path.write_bytes(whole)
    assert everything(reader) == "refusedb"


def starts_of(path: Path) -> list[int]:
    """Return where the groups of a segment begin, and its end."""
    data, starts = path.read_bytes(), []
    at = data.find(b"OBG1")
    while at >= 0:
        starts.append(at)
        at = data.find(b"OBG1", at + 1)
    return [*starts, len(data)]


@pytest.mark.parametrize("byte", [0, 5, 8, 13, 17, 23, 30, -1], ids=lambda b: f"byte {b}")
@pytest.mark.parametrize("newest", [True, False])
def test_a_bad_group_is_skipped_and_told(tmp_path: Path, byte: int, newest: bool) -> None:
    path = write(tmp_path, "a", "b", "c")[0]
    if not newest:
        write(tmp_path, "d")
    _, _, start, end, _ = starts_of(path)
    at = start + byte if byte >= 0 else end - 1
    path.write_bytes(flipped(path.read_bytes(), 8 * at + 1))
    reader = Reader(tmp_path)
    assert everything(reader) == ("ac" if newest else "acd")
    (told,) = reader.skipped
    assert (told.first, told.next) == (position_at(1, 2), position_at(1, 3))
    assert (told.segment, told.offset, told.size) == (path.name, start, end - start)


def test_a_length_that_reaches_past_the_end_waits_until_a_newer_segment_shows_that_it_is_bad(
    tmp_path: Path,
) -> None:
    path = write(tmp_path, "a", "b", "c")[0]
    _, _, start, _, _ = starts_of(path)
    path.write_bytes(flipped(path.read_bytes(), 8 * (start + 10)))
    reader = Reader(tmp_path)
    assert everything(reader) == "a"
    write(tmp_path, "d")
    assert everything(reader) == "cd"
    assert [(s.first, s.next) for s in reader.skipped] == [(position_at(1, 2), position_at(1, 3))]


def test_a_bad_last_group_waits_while_it_is_the_newest_and_is_skipped_after(tmp_path: Path) -> None:
    told: list[Skipped] = []
    (path,) = write(tmp_path, "a", "b")
    _, _, start, end = starts_of(path)
    whole = path.read_bytes()
    path.write_bytes(flipped(whole, 8 * end - 1))
    reader = Reader(tmp_path, told.append)
    assert (everything(reader), told) == ("a", [])
    segment = tmp_path / segment_name(position_at(2, 0))
    other = tmp_path / "other"
    (other / LOCK_NAME).parent.mkdir()
    (other / LOCK_NAME).write_text("1")
    segment.write_bytes(write(other, "c")[0].read_bytes())
    assert everything(reader) == "c"
    assert told == [
        Skipped(position_at(1, 2), position_at(2, 0), path.name, start, end - start, "bad checksum")
    ]


def test_a_bad_header_of_a_segment_hides_none_of_its_groups(tmp_path: Path) -> None:
    path = write(tmp_path, "a")[0]
    path.write_bytes(bytes(SEGMENT_HEADER_BYTES) + path.read_bytes()[SEGMENT_HEADER_BYTES:])
    assert everything(Reader(tmp_path)) == "a"


def test_a_segment_that_is_gone_is_told(tmp_path: Path) -> None:
    paths = write(tmp_path, *"abc", segment_bytes=1)
    paths[2].unlink()
    reader = Reader(tmp_path)
    assert everything(reader) == "ac"
    assert list(reader.skipped) == [
        Skipped(position_at(1, 2), position_at(1, 3), "", 0, 0, "a segment is gone")
    ]


def test_a_position_older_than_the_journal_is_told_but_not_the_beginning(tmp_path: Path) -> None:
    write(tmp_path, "a")[0].unlink()
    write(tmp_path, "b")
    reader = Reader(tmp_path)
    assert (texts(list(reader.groups(0))), list(reader.skipped)) == ("b", [])
    assert texts(list(reader.groups(position_at(1, 1)))) == "b"
    assert [(skipped.first, skipped.next) for skipped in reader.skipped] == [
        (position_at(1, 1), position_at(2, 0))
    ]


def test_a_segment_dropped_while_it_is_read_is_read_to_its_end(tmp_path: Path) -> None:
    paths = write(tmp_path, *"abcdef", segment_bytes=600)
    reader = Reader(tmp_path)
    first = texts(reader.read(1) + reader.read(1))
    paths[0].unlink()
    assert first + everything(reader) == "abcdef"


def test_a_header_that_says_its_group_was_given_before_hides_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, *"abc")[0]
    write(tmp_path, "z")
    last = starts_of(path)[-2]
    data = bytearray(path.read_bytes())
    first_at = last + struct.calcsize("<4sIII")
    assert struct.unpack_from("<q", data, first_at) == (position_at(1, 3),)
    struct.pack_into("<q", data, first_at, position_at(1, 0))
    path.write_bytes(data)
    reader = Reader(tmp_path)
    assert everything(reader) == "abz"
    assert [(each.offset, each.why) for each in reader.skipped] == [(last, "bad checksum")]


@UNHURRIED
@given(data=st.data())
def test_any_damage_costs_only_the_groups_it_touches(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    written = "abcdefgh"
    path = write(folder, *written)[0]
    write(folder, "z")
    starts = starts_of(path)
    at = data.draw(st.integers(SEGMENT_HEADER_BYTES, starts[-1] - 1))
    size = data.draw(st.integers(1, 400))
    whole = path.read_bytes()
    garbage = data.draw(st.binary(min_size=size, max_size=size))
    path.write_bytes((whole[:at] + garbage + whole[at + size :])[: len(whole)])
    damaged = path.read_bytes()
    right = [
        text
        for text, start, end in zip("." + written, starts, starts[1:], strict=False)
        if whole[start:end] == damaged[start:end]
    ]
    reader = Reader(folder)
    assert everything(reader) == "".join(right).replace(".", "") + "z"
    assert bool(reader.skipped) == (damaged != whole)


def open_files() -> list[str]:
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


def test_an_idle_poll_opens_nothing(tmp_path: Path) -> None:
    write(tmp_path, "a")
    reader = Reader(tmp_path)
    everything(reader)
    before = open_files()
    assert [reader.read(1 << 20) for _ in range(100)] == [[]] * 100
    assert open_files() == before
    reader.close()
