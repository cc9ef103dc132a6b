"""The walk says the first bad byte of a journal, whichever byte it is."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journal import payload
from journal.group import Kind, pack_group
from journal.segment import SEGMENT_HEADER_BYTES, pack_segment_header, segment_name, segments_in
from journal.verify import Verdict, verify
from tests.unit.journal.building import CLOCK_NS, LINE, UNHURRIED, flipped, frame, group_at, open_writer
from wire.names import position_at

FIRST = position_at(1, 0)
OPENING = pack_group(LINE, Kind.EPOCH, FIRST, CLOCK_NS, [(0, "", 0, payload.pack(payload.Epoch(0, "first")))])


def segment(folder: Path, first: int, *groups: bytes, line: str = LINE) -> Path:
    path = folder / segment_name(first)
    path.write_bytes(pack_segment_header(line, first, 0) + b"".join(groups))
    return path


def found(folder: Path) -> tuple[str | None, int, str]:
    verdict = verify(folder)
    return verdict.first_bad, verdict.offset, verdict.why


def test_a_whole_journal_is_counted_and_has_no_bad_byte(tmp_path: Path) -> None:
    for _ in range(2):
        writer = open_writer(tmp_path, segment_bytes=300)
        for text in "abcdef":
            writer.append(Kind.FRAME, [frame(text), frame(text)])
        writer.close()
    size = sum(s.path.stat().st_size for s in segments_in(tmp_path))
    segments = len(segments_in(tmp_path))
    assert verify(tmp_path) == Verdict(
        line=LINE, segments=segments, epochs=2, groups=14, records=26, bytes=size
    )


def test_an_empty_folder_is_clean(tmp_path: Path) -> None:
    assert verify(tmp_path) == verify(tmp_path / "absent") == Verdict()


@pytest.mark.parametrize("size", [1, 30, SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES + 10])
def test_half_a_group_at_the_very_end_is_told_and_not_bad(tmp_path: Path, size: int) -> None:
    segment(tmp_path, FIRST, OPENING)
    torn = pack_segment_header(LINE, FIRST + 1, 0) + group_at(1, ["a"])
    (tmp_path / segment_name(FIRST + 1)).write_bytes(torn[:size])
    verdict = verify(tmp_path)
    assert (verdict.first_bad, verdict.torn_bytes) == (None, size % SEGMENT_HEADER_BYTES)


def test_half_a_group_before_the_newest_segment_is_bad(tmp_path: Path) -> None:
    path = segment(tmp_path, FIRST, OPENING, group_at(1, ["a"])[:-3])
    segment(tmp_path, FIRST + 2, group_at(2, ["b"]))
    assert found(tmp_path) == (path.name, SEGMENT_HEADER_BYTES + len(OPENING), "half a group")


@UNHURRIED
@given(bit=st.integers(0, 10**9))
def test_any_flipped_bit_is_found_in_its_group(tmp_path_factory: pytest.TempPathFactory, bit: int) -> None:
    folder = tmp_path_factory.mktemp("journal")
    groups = [OPENING, group_at(1, ["a", "b"]), group_at(3, ["c"])]
    path = segment(folder, FIRST, *groups)
    segment(folder, FIRST + 4, group_at(4, ["d"]))
    whole = path.read_bytes()
    bit %= 8 * len(whole)
    path.write_bytes(flipped(whole, bit))
    starts = [0, *(SEGMENT_HEADER_BYTES + sum(map(len, groups[:n])) for n in range(3))]
    assert found(folder)[:2] == (path.name, max(start for start in starts if start <= bit // 8))


@pytest.mark.parametrize(
    ("files", "where"),
    [
        ([(1, 0, [OPENING]), (1, 2, [group_at(2, ["b"])])], (1, 2, 8, "record 2 where 1 follows")),
        ([(1, 0, [OPENING, group_at(5, ["b"])])], (1, 0, SEGMENT_HEADER_BYTES + len(OPENING), "5 where 1")),
        ([(1, 0, [OPENING]), (1, 1, [group_at(9, ["b"])])], (1, 1, SEGMENT_HEADER_BYTES, "9 where 1")),
    ],
    ids=["a segment is gone", "records are gone", "another segment's records"],
)
def test_positions_that_do_not_follow_are_bad(
    tmp_path: Path, files: list[tuple[int, int, list[bytes]]], where: tuple[int, int, int, str]
) -> None:
    for epoch, number, groups in files:
        segment(tmp_path, position_at(epoch, number), *groups)
    name, offset, why = found(tmp_path)
    assert (name, offset) == (segment_name(position_at(*where[:2])), where[2])
    assert where[3] in why


def test_a_journal_whose_beginning_was_dropped_is_clean(tmp_path: Path) -> None:
    segment(tmp_path, FIRST + 7, group_at(7, ["a"]))
    segment(tmp_path, position_at(4, 0), group_at(0, ["b"], epoch=4))
    assert verify(tmp_path).first_bad is None


def test_a_record_whose_payload_nobody_can_decode_is_bad(tmp_path: Path) -> None:
    path = segment(tmp_path, FIRST, pack_group(LINE, Kind.REST, FIRST, CLOCK_NS, [(0, "", 0, b"\xc1")]))
    assert found(tmp_path)[:2] == (path.name, SEGMENT_HEADER_BYTES)


def test_another_lines_segment_or_group_is_bad(tmp_path: Path) -> None:
    segment(tmp_path, FIRST, OPENING)
    path = segment(tmp_path, FIRST + 1, line="coinbase/a")
    assert found(tmp_path) == (path.name, 24, "the header names line coinbase/a, not binance/a")
    path = segment(
        tmp_path, FIRST + 1, pack_group("coinbase/a", Kind.FRAME, FIRST + 1, CLOCK_NS, [frame("a")])
    )
    assert found(tmp_path)[:2] == (path.name, SEGMENT_HEADER_BYTES)


def test_a_segment_under_another_name_is_bad(tmp_path: Path) -> None:
    segment(tmp_path, FIRST, OPENING).rename(tmp_path / segment_name(FIRST + 1))
    assert found(tmp_path)[:2] == (segment_name(FIRST + 1), 8)


def test_a_journal_that_is_being_written_is_clean_whenever_it_is_walked(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from journal.group import Kind; "
        "from journal.writer import Writer; "
        "w = Writer(Path(sys.argv[1]), 'binance/a', segment_bytes=50_000, now_ns=time.time_ns); "
        "print(flush=True)\n"
        "while True: w.append(Kind.FRAME, [(time.time_ns(), '', 1, b'x' * 700)]); time.sleep(0.0002)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE) as writing:
        try:
            assert writing.stdout is not None
            assert writing.stdout.readline()
            walked = [verify(tmp_path)]
            while len(walked) < 40 or walked[-1].records < walked[0].records + 40:
                assert writing.poll() is None
                walked.append(verify(tmp_path))
        finally:
            writing.kill()
    assert [each for each in walked if each.first_bad is not None] == []
    assert walked[-1].line == LINE
