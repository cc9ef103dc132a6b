"""A journal of another version is refused in one line and stays as it is; damage is not taken for that."""

import struct
from collections.abc import Callable
from pathlib import Path

import google_crc32c
import pytest

from ingest.setting import open_journal
from journal.collected import gather
from journal.formats import OtherFormat, check_format, format_of
from journal.group import HEADER_BYTES
from journal.reader import Reader
from journal.segment import SEGMENT_HEADER_BYTES, pack_segment_header, segment_name
from journal.verify import verify
from journal.writer import Writer
from tests.unit.journal.building import CLOCK_NS, LINE, flipped, group_at
from wire.names import position_at
from wire.service import CannotRun

FIRST = position_at(1, 0)
HEADER = pack_segment_header(LINE, FIRST, CLOCK_NS)
GROUP = group_at(0, ["a", "b"])


def clockless(group: bytes) -> bytes:
    """Return *group* as it was written before groups had a clock: eight bytes less, its checksum right."""
    checked = group[8:24] + group[HEADER_BYTES:]
    return group[:4] + struct.pack("<I", google_crc32c.value(checked)) + checked


OTHERS = {
    "a later segment": b"OBJ2" + HEADER[4:20] + b"later" + HEADER[25:] + GROUP,
    "a later group": HEADER + b"OBG2" + GROUP[4:40] + b"later" + GROUP[45:],
    "a group without a clock": HEADER + clockless(GROUP) + clockless(GROUP),
}


def journal(folder: Path, data: bytes) -> Path:
    folder.mkdir(parents=True)
    path = folder / segment_name(FIRST)
    path.write_bytes(data)
    return path


def test_a_journal_of_this_version_is_taken(tmp_path: Path) -> None:
    golden = Path(__file__).parents[2] / "golden"
    kept = [bytes.fromhex((golden / f"journal_{name}.hex").read_text()) for name in ("segment", "group")]
    path = journal(tmp_path / "j", b"".join(kept))
    assert format_of(path) == ""
    assert [group.count for group in Reader(path.parent).groups(0)] == [4]


@pytest.mark.parametrize("what", OTHERS)
def test_another_version_s_journal_is_refused_and_stays_as_it_is(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "data" / "journal" / "binance-a"
    path = journal(folder, OTHERS[what])
    starts: list[Callable[[], object]] = [
        lambda: check_format(folder),
        lambda: Writer(folder, LINE, segment_bytes=1 << 20, now_ns=lambda: CLOCK_NS),
        lambda: gather([folder], tmp_path / "together"),
    ]
    for start in starts:
        with pytest.raises(OtherFormat) as refused:
            start()
        assert str(refused.value).startswith(f"{path} has ")
        assert "\n" not in str(refused.value)
    with pytest.raises(CannotRun, match="let the version that wrote it run"):
        open_journal(folder, LINE, 1 << 20)
    assert path.read_bytes() == OTHERS[what]
    assert "another version" in verify(folder).why


@pytest.mark.parametrize(
    "data",
    [
        b"",
        HEADER[:30],
        HEADER,
        HEADER + GROUP[:20],
        HEADER + GROUP + GROUP[:40],
        HEADER + bytes(100),
        HEADER + bytes(HEADER_BYTES) + GROUP,
        flipped(HEADER, 100) + GROUP,
        HEADER + flipped(GROUP, 8 * HEADER_BYTES),
        HEADER + b"OBG\x00" + GROUP[4:],
        HEADER + b"OBG3" + GROUP[4:],
        b"OBJ3" + HEADER[4:] + GROUP,
        bytes(SEGMENT_HEADER_BYTES) + GROUP,
    ],
)
def test_what_is_torn_or_damaged_is_no_other_version(tmp_path: Path, data: bytes) -> None:
    assert format_of(journal(tmp_path / "j", data)) == ""


def test_a_segment_that_went_meanwhile_is_no_other_version(tmp_path: Path) -> None:
    assert format_of(tmp_path / "gone.obj") == ""
