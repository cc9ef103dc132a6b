"""Checkpoints of this version stay readable, those of another are passed over as damaged ones are."""

import os
import struct
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import google_crc32c
import msgpack
import msgspec
import pytest

from book.checkpoint import VERSION, Index, Rounds, Unreadable, unpack_body, unpack_index
from book.maintainer import Maintainer, Saved
from book.setting import check_checkpoints
from journal.segment import segment_name
from tests.journaled import Journal, unpacked
from tests.rounds import pack_round
from tests.unit.book.play import NAME, START, Story, maintainer
from tests.unit.journal.test_formats import OTHERS, journal
from wire.loop import CannotRun
from wire.names import BUCKETS, position_at
from wire.settings import load_settings

GOLDEN = Path(__file__).parents[2] / "golden" / f"checkpoint_v{VERSION}.hex"
OTHER = "coinbase:BTC-USD"


def recorded() -> Maintainer:
    """Return a worker in the middle of an l2 and an l3 security."""
    told = Story().begin().snapshot(0, 100, [("10", "1")], [("11", "2")])
    for second in range(1, 13):
        told.update(second, 100 + second, bids=[("9", str(second))]).trade(second, second)
    orders = Journal("coinbase/a")
    orders.start(START)
    orders.add(START, OTHER, "full")
    made = maintainer()
    for group in unpacked([*told.groups, *orders.groups]):
        made.feed(group)
    return made


def packed(made: Maintainer) -> bytes:
    states = [security.dump() for security in made.securities.values()]
    return pack_round(range(BUCKETS), made.read, {}, states)


def of_version(data: bytes, version: int) -> bytes:
    """Return the round *data* as if another version had written it."""
    index, start = unpack_index(data)
    other = pack_round((), {}, {}, ())
    body = msgspec.msgpack.encode(msgspec.structs.replace(index, version=version))
    return other[:4] + struct.pack("<II", google_crc32c.value(body), len(body)) + body + data[start:]


def test_a_checkpoint_of_this_version_is_read_and_goes_on_as_it_was_written() -> None:
    """Where this fails, ``Security.dump`` has changed: raise ``book.checkpoint.VERSION``, keep a new file."""
    data = bytes.fromhex(GOLDEN.read_text())
    index, start = unpack_index(data)
    restored = maintainer()
    for entry in index.entries:
        begin = start + entry.offset
        state = unpack_body(entry, data[begin : begin + entry.length])
        restored.restore([Saved(entry.security, entry.born, state)])
    assert [entry.security for entry in index.entries] == [NAME, OTHER]
    for name, security in recorded().securities.items():
        again = msgpack.unpackb(msgpack.packb(restored.securities[name].dump()), strict_map_key=False)
        assert again == msgpack.unpackb(msgpack.packb(security.dump()), strict_map_key=False)


@pytest.mark.parametrize("version", [0, VERSION + 1])
def test_a_checkpoint_of_another_version_is_passed_over_and_named(tmp_path: Path, version: int) -> None:
    mine = packed(recorded())
    rounds = Rounds(tmp_path, 0, range(BUCKETS))
    rounds.write(mine, {})
    (tmp_path / "000000000002-0.checkpoint").write_bytes(of_version(mine, version))
    again = Rounds(tmp_path, 0, range(BUCKETS))
    assert [each.name for each in again.rounds] == ["000000000001-0.checkpoint"]
    assert again.unreadable == [
        f"000000000002-0.checkpoint: states of version {version}, this program reads {VERSION}"
    ]


def test_an_index_from_before_there_were_versions_is_passed_over() -> None:
    data = packed(recorded())
    index, _ = unpack_index(data)
    earlier = msgspec.msgpack.encode(msgspec.msgpack.decode(msgspec.msgpack.encode(index))[:-1])
    assert msgspec.msgpack.decode(earlier, type=Index).version == 0
    with pytest.raises(Unreadable, match="states of version 0"):
        unpack_index(of_version(data, 0))


@pytest.mark.parametrize("command", [("ingest", "binance/a"), ("book", "0")])
@pytest.mark.parametrize("what", OTHERS)
def test_a_start_on_another_version_s_journal_ends_with_2_and_one_line(
    tmp_path: Path, what: str, command: tuple[str, str]
) -> None:
    settings = load_settings({"DATA_DIR": str(tmp_path)})
    path = journal(settings.journal_folder("binance/a"), OTHERS[what])
    environ = {**os.environ, "DATA_DIR": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-m", *command], env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stderr) == (2, "")
    [line] = ended.stdout.splitlines()
    assert f'event=cannot_run reason="{path} has ' in line
    assert path.read_bytes() == OTHERS[what]


@pytest.mark.parametrize(
    ("first", "readable", "refused"), [(0, False, False), (7, True, False), (7, False, True)]
)
def test_a_start_that_would_leave_a_hole_without_a_row_is_refused(
    tmp_path: Path, first: int, readable: bool, refused: bool
) -> None:
    mine = packed(recorded())
    folder, line = tmp_path / "checkpoints", tmp_path / "binance-a"
    rounds = Rounds(folder, 0, range(BUCKETS))
    rounds.write(mine, {})
    rounds.write(mine, {})
    for path in sorted(folder.iterdir())[readable:]:
        path.write_bytes(of_version(mine, VERSION + 1))
    line.mkdir()
    (line / segment_name(position_at(1, first))).touch()
    with pytest.raises(CannotRun, match=r"move .* away") if refused else nullcontext():
        check_checkpoints(Rounds(folder, 0, range(BUCKETS)), range(BUCKETS), [line])


def test_a_start_without_any_checkpoint_is_a_first_start(tmp_path: Path) -> None:
    check_checkpoints(Rounds(tmp_path / "c", 0, range(BUCKETS)), range(BUCKETS), [tmp_path])
