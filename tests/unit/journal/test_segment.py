"""A segment's name and header say where it stands; a torn end is found by its checksum."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journal.group import Corrupt
from journal.segment import (
    SEGMENT_HEADER_BYTES,
    Place,
    SegmentHeader,
    first_position,
    good_end,
    next_good,
    pack_segment_header,
    place_at,
    raw_groups,
    segment_name,
    segments_in,
    unpack_segment_header,
)
from tests.unit.journal.building import LINE, UNHURRIED, flipped, group_at
from wire.names import position_at

GOLDEN = Path(__file__).parents[2] / "golden" / "journal_segment.hex"
HEADER = pack_segment_header(LINE, position_at(3, 1200), 1_723_161_600_000_000_000)
GROUPS = [group_at(0, ["a", "b"]), group_at(2, ["c"]), group_at(3, ["d" * 50, "e"])]
ENDS = [
    SEGMENT_HEADER_BYTES + sum(map(len, GROUPS[:n])) for n in range(len(GROUPS) + 1)
]  # where each whole group ends


def opened(path: Path, data: bytes) -> int:
    path.write_bytes(data)
    return os.open(path, os.O_RDONLY)


@UNHURRIED
@given(st.integers(0, 9_999_999), st.integers(0, 2**40 - 1))
def test_a_name_says_the_first_position(epoch: int, number: int) -> None:
    assert first_position(segment_name(position_at(epoch, number))) == position_at(epoch, number)


@UNHURRIED
@given(st.lists(st.tuples(st.integers(0, 9_999_999), st.integers(0, 2**40 - 1)), min_size=2, max_size=2))
def test_names_sort_as_positions_do(two: list[tuple[int, int]]) -> None:
    first, second = (position_at(*one) for one in two)
    assert (segment_name(first) < segment_name(second)) == (first < second)


@pytest.mark.parametrize(
    "name", ["writer.lock", "0000001-00.obj", "0000001-0000000000000.part", "x" * 25, ""]
)
def test_other_files_in_the_folder_are_left_alone(name: str) -> None:
    assert first_position(name) is None


def test_a_folder_that_is_not_there_yet_has_no_segments(tmp_path: Path) -> None:
    assert segments_in(tmp_path / "absent") == []


@UNHURRIED
@given(st.text(max_size=10), st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_a_header_is_read_back(line: str, first: int, created_ns: int) -> None:
    line = line.replace("\0", "")
    assert unpack_segment_header(pack_segment_header(line, first, created_ns)) == SegmentHeader(
        line, first, created_ns
    )


def test_the_bytes_of_a_header_are_pinned() -> None:
    assert bytes.fromhex(GOLDEN.read_text()) == HEADER


@UNHURRIED
@given(st.integers(0, 8 * SEGMENT_HEADER_BYTES - 1))
def test_one_bit_flipped_in_a_header_is_refused(bit: int) -> None:
    with pytest.raises(Corrupt):
        unpack_segment_header(flipped(HEADER, bit))


@UNHURRIED
@given(st.integers(0, SEGMENT_HEADER_BYTES - 1))
def test_a_header_cut_anywhere_is_refused(cut: int) -> None:
    with pytest.raises(Corrupt):
        unpack_segment_header(HEADER[:cut])


def test_a_line_whose_name_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than 40 bytes"):
        pack_segment_header("v" * 41, 0, 0)


@pytest.mark.parametrize("cut", range(ENDS[0], ENDS[-1] + 1))
def test_the_good_end_is_after_the_last_whole_group(tmp_path: Path, cut: int) -> None:
    file = opened(tmp_path / "s", (HEADER + b"".join(GROUPS))[:cut])
    expected = max(end for end in ENDS if end <= cut)
    assert (good_end(file), [at for at, _, _ in raw_groups(file, ENDS[0])]) == (
        expected,
        ENDS[: ENDS.index(expected)],
    )
    os.close(file)


def test_bad_bytes_before_a_right_group_do_not_end_a_segment(tmp_path: Path) -> None:
    file = opened(tmp_path / "s", HEADER + GROUPS[0] + flipped(GROUPS[1], 300) + GROUPS[2] + GROUPS[1][:30])
    assert good_end(file) == ENDS[3]
    assert next_good(file, ENDS[1]) == ENDS[2]
    assert next_good(file, ENDS[2] + 1) is None
    places = [place_at(file, at)[0] for at in (ENDS[0], ENDS[1], ENDS[2], ENDS[3], ENDS[3] + 30)]
    assert places == [Place.GOOD, Place.BAD, Place.GOOD, Place.TORN, Place.END]
    os.close(file)


def test_a_group_larger_than_one_read_is_given_whole(tmp_path: Path) -> None:
    large, small = group_at(0, ["x" * (3 << 20)]), group_at(1, ["y"])
    file = opened(tmp_path / "s", HEADER + small + large + small)
    assert [data for _, _, data in raw_groups(file, ENDS[0])] == [small, large, small]
    assert next_good(file, ENDS[0] + 1) == ENDS[0] + len(small)
    os.close(file)


def test_a_magic_that_lies_across_two_reads_is_found(tmp_path: Path) -> None:
    for gap in range((1 << 20) - 4, (1 << 20) + 1):
        file = opened(tmp_path / "s", bytes(gap) + GROUPS[0])
        assert next_good(file, 0) == gap
        os.close(file)
