"""``obl verify --journal``: a line for each journal, without any database."""

import json
from pathlib import Path

import pytest

from journal.group import Kind
from journal.segment import segments_in
from tests.unit.journal.building import frame, open_writer
from ui.cli import run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("MONGODB_ENDPOINT", "127.0.0.1:1")
    return tmp_path / "journal"


def test_a_whole_journal_ends_with_zero_and_a_bad_byte_with_one(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = open_writer(folder / "binance-a")
    writer.append(Kind.FRAME, [frame("a"), frame("b")])
    writer.close()
    assert run(["verify", "--journal", "--json"]) == 0
    line = json.loads(capsys.readouterr().out)
    assert (line["line"], line["segments"], line["groups"], line["records"]) == ("binance/a", 1, 2, 3)
    assert (line["torn_bytes"], line["first_bad"]) == (0, None)
    [segment] = segments_in(folder / "binance-a")
    data = bytearray(segment.path.read_bytes())
    data[100] ^= 1
    segment.path.write_bytes(data)
    assert run(["verify", "--journal"]) == 1
    said = capsys.readouterr()
    assert segment.path.name in said.out
    assert said.err.count("\n") == 1
    assert f"binance/a: {segment.path.name}" in said.err


def test_no_journal_ends_with_two_and_says_what_to_do(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["verify", "--journal"]) == 2
    assert f"there is no journal in {folder}: set DATA_DIR" in capsys.readouterr().err
