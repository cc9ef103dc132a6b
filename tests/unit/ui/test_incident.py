"""``obl incident`` brings all there is about a hole or a failed audit together, and says what is gone."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from pymongo.database import Database

from journal.collected import gather
from store.rebuild import rebuild
from tests.embedded import Server, mongo, mongo_server
from tests.unit.book.play import NAME, Story
from tests.unit.book.test_audit import Audited
from tests.unit.store.test_rebuild import segments
from ui.cli import run
from wire.settings import load_settings

pytestmark = pytest.mark.mongo

__all__ = ["mongo", "mongo_server"]

WRONG = ("9", "77")
"""What the venue's snapshots say of a bid, wrongly."""

Bundle = dict[str, Any]
Obl = Callable[..., tuple[int, Bundle, str]]


def story() -> Story:
    """Three minutes of an update a second; at 2:00 and 2:10 bad snapshots, at 2:12 one for a new book."""
    told = Audited().begin()
    assert isinstance(told, Audited)
    told.snapshot(0, 100, [("10", "1"), ("9", "1")])
    for second in range(1, 180):
        told.update(second, 100 + second, bids=[("10", str(second))])
        body = [("10", str(second)), WRONG]
        if second in (120, 130):
            told.asked(second + 0.2).body(second + 0.5, 100 + second, body)
        if second == 132:
            told.snapshot(second + 0.5, 100 + second, body, cause="wish")
    return told


@pytest.fixture
def journal(
    tmp_path: Path, mongo: Database[Any], mongo_server: Server, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Return the journal's folder; the archive holds what it makes."""
    environ = {
        "DATA_DIR": str(tmp_path / "data"),
        "WINDOW_SECONDS": "10",
        "MONGODB_ENDPOINT": f"127.0.0.1:{mongo_server.port}",
        "MONGODB_DATABASE": mongo.name,
        "MANAGER_AUTHKEY": "very secret",
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    settings = load_settings(environ)
    folder = segments(settings.journal_folder("binance/a"), story().groups, each=40, timed=True)
    rebuild(mongo, settings, gather([folder], tmp_path / "together"), [])
    return folder


@pytest.fixture
def obl(journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Obl:
    def command(*words: str) -> tuple[int, Bundle, str]:
        file = tmp_path / "found.zip"
        code = run(["incident", *words, "-o", str(file), "--json"])
        said = capsys.readouterr()
        assert said.err.count("\n") <= 1, "one line says it"
        assert [each.name for each in tmp_path.iterdir() if each.suffix == ".part"] == []
        if not file.exists():
            return code, {}, said.err
        with ZipFile(file) as bundle:
            held = {name: bundle.read(name).decode() for name in bundle.namelist()}
        records = [json.loads(line) for line in held.pop("records.jsonl").splitlines()]
        return code, {"records": records, **{name: json.loads(text) for name, text in held.items()}}, said.err

    return command


def test_a_failed_audit_gives_frames_books_settings_and_versions(obl: Obl) -> None:
    code, bundle, _ = obl(f"{NAME.lower()}|audit|220")
    assert code == 0
    assert set(bundle) == {
        *("incident.json", "row.json", "records", "book_before.json", "book_after.json"),
        *("settings.json", "versions.json"),
    }
    assert bundle["row.json"]["differences"] == [["bid", "9", "1", "77"]]
    frames = [each for each in bundle["records"] if each["kind"] == "frame"]
    assert [json.loads(each["payload"])["data"]["u"] for each in frames] == list(range(160, 231))
    [body] = [each for each in bundle["records"] if each["kind"] == "rest"]
    assert (body["cause"], body["status"]) == ("audit", 200)
    assert json.loads(body["payload"])["bids"] == [["10", "120"], ["9", "77"]]
    before, after = bundle["book_before.json"], bundle["book_after.json"]
    assert (before["update_id"], before["bids"]) == (220, [["10", "120"], ["9", "1"]])
    assert after["update_id"] == 230
    assert bundle["settings.json"]["MANAGER_AUTHKEY"] == "***"
    assert "very secret" not in json.dumps(bundle)
    assert {"order-book-logger", "python", "numpy", "pymongo"} <= set(bundle["versions.json"])


def test_a_desync_gives_the_book_before_and_after_it(obl: Obl, mongo: Database[Any]) -> None:
    [row] = mongo.gaps.find({"cause": "desync"})
    code, bundle, _ = obl(row["_id"], "--before", "2", "--after", "1")
    assert (code, bundle["row.json"]["cause"]) == (0, "desync")
    before, after = bundle["book_before.json"], bundle["book_after.json"]
    assert before["update_id"] == row["first_id"] - 1
    assert after["update_id"] > row["first_id"]
    assert (before["bids"][1], after["bids"][1]) == (["9", "1"], ["9", "77"])
    assert bundle["incident.json"]["records"] == len(bundle["records"]) > 0


def test_where_the_journal_no_longer_has_that_time_one_line_says_so(obl: Obl, journal: Path) -> None:
    for path in sorted(journal.iterdir())[:-1]:
        path.unlink()
    code, bundle, error = obl(f"{NAME}|audit|220", "--before", "1", "--after", "1")
    assert code == 1
    assert f"the journals have no record of {NAME} from " in error
    assert "that of binance/a begins at" in error
    assert (bundle["records"], bundle["book_before.json"]["update_id"]) == ([], 220)


def test_without_any_journal_the_archive_s_part_is_there(obl: Obl, journal: Path) -> None:
    for path in journal.iterdir():
        path.unlink()
    code, bundle, error = obl(f"{NAME}|audit|220")
    assert (code, bundle["records"], "there is no journal in" in error) == (1, [], True)


@pytest.mark.parametrize(
    ("identity", "says"),
    [
        ("nonsense", "is no incident: write SECURITY|FEED|FIRST_ID"),
        (f"{NAME}|audit|221", f"the archive has no {NAME}|audit|221: obl audit {NAME} lists"),
        (f"{NAME}|book|7", f"the archive has no {NAME}|book|7: obl gaps {NAME} lists"),
        ("nobody|book|7", "nothing is stored of binance:NOBODY"),
    ],
)
def test_what_is_no_incident_ends_with_two_and_no_file(obl: Obl, identity: str, says: str) -> None:
    code, bundle, error = obl(identity)
    assert (code, bundle) == (2, {})
    assert says in error


def test_a_file_that_cannot_be_written_is_one_line(
    journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "nowhere" / "found.zip"
    assert run(["incident", f"{NAME}|audit|220", "-o", str(file)]) == 2
    assert f"{file} cannot be written: No such file or directory" in capsys.readouterr().err
