"""Documents made anew from a journal, wherever its parts lie, are those that were made from it at first."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from book.checkpoint import Rounds
from journal.collected import gather, journals_in
from journal.group import unpack_group
from journal.segment import pack_segment_header, segment_name, segments_in
from store import retention
from store.blocks import Blocks
from store.history import Archive
from store.rebuild import Rebuilt, by_clock, rebuild, starts
from store.verify import verify
from tests.embedded import Server, free_port
from tests.journaled import unpacked
from tests.rounds import pack_round
from tests.unit.book.play import NAME, S, Story, messages, play
from ui.cli import run
from wire.names import BUCKETS
from wire.settings import Settings, load_settings

pytestmark = pytest.mark.mongo

LINE = "binance/a"
COLLECTIONS = ("images", "changes", "trades", "gaps")
Documents = dict[str, dict[str, Any]]


def story() -> Story:
    """A minute: an update and a trade a second, a hole, another epoch, images every 20 s."""
    told = Story().begin()
    told.snapshot(0, 100)
    number = 100
    for second in range(1, 60):
        number += 3 if second == 25 else 1
        price = f"{10 - second % 3}"
        told.update(second, number, bids=[(price, str(second))], asks=[("11", str(second))])
        told.trade(second, second)
        if second == 26:
            told.snapshot(second + 0.5, number)
    return told


def segments(folder: Path, groups: Sequence[bytes], *, each: int, timed: bool = False) -> Path:
    """Write *groups* as a journal, *each* of them a segment; *timed*: their headers say when they begin."""
    folder.mkdir(parents=True)
    for begin in range(0, len(groups), each):
        group = unpack_group(groups[begin])
        first = group.first
        data = pack_segment_header(LINE, first, group.clock_ns if timed else 0) + b"".join(
            groups[begin : begin + each]
        )
        (folder / segment_name(first)).write_bytes(data)
    return folder


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    environ = {"DATA_DIR": str(tmp_path / "data"), "WINDOW_SECONDS": "10", "BASE_IMAGE_SECONDS": "20"}
    (tmp_path / "data").mkdir()
    return load_settings(environ)


@pytest.fixture
def journal(settings: Settings) -> Path:
    return segments(settings.data_dir / "journal" / "binance-a", story().groups, each=30)


Make = Callable[..., list[Rebuilt]]


@pytest.fixture
def lost() -> list[str]:
    """The lines of whose journals something could not be read."""
    return []


@pytest.fixture
def make(mongo: Database[Any], settings: Settings, tmp_path: Path, lost: list[str]) -> Make:
    """Rebuild what lies in the folders given (default: the kept ones) and return what was made."""

    def made(*folders: Path) -> list[Rebuilt]:
        into = tmp_path / "together"
        shutil.rmtree(into, ignore_errors=True)
        kept = journals_in(settings.data_dir / "journal")
        journals = gather(folders or kept, into)
        made = rebuild(mongo, settings, journals, starts(settings.data_dir / "checkpoints", journals))
        lost.extend(made.lost)
        return made.rebuilt

    return made


def documents(mongo: Database[Any]) -> Documents:
    return {f"{name} {each['_id']}": each for name in COLLECTIONS for each in mongo[name].find()}


def clear(mongo: Database[Any]) -> None:
    for name in COLLECTIONS:
        mongo[name].delete_many({})


def keep_checkpoint(settings: Settings, groups: Sequence[bytes], count: int) -> None:
    """Keep the state after the first *count* of *groups*."""
    maintainer, _ = play(groups[:count])
    states = [each.dump() for each in maintainer.securities.values()]
    data = pack_round(range(BUCKETS), maintainer.read, {}, states)
    Rounds(settings.data_dir / "checkpoints", 0, range(BUCKETS)).write(data, {})


def test_a_journal_makes_a_sound_archive_and_twice_is_once(
    make: Make, mongo: Database[Any], journal: Path, mongo_server: Server
) -> None:
    [made] = make()
    assert (made.security, made.starts_from, made.refused) == (NAME, "journal", 0)
    whole = documents(mongo)
    assert {name.partition(" ")[0] for name in whole} == set(COLLECTIONS)
    [again] = make()
    assert (again.documents, again.stored, again.mended) == (made.documents, 0, 0)
    assert documents(mongo) == whole
    with Archive(mongo_server.uri, mongo.name) as archive:
        found = verify(archive.blocks, NAME)
    assert (found.first_bad, found.proven) == (None, 57 + 59)  # (the hole swallowed two updates)


def test_kept_and_archived_segments_are_one_journal(
    make: Make, mongo: Database[Any], journal: Path, tmp_path: Path
) -> None:
    make()
    whole = documents(mongo)
    clear(mongo)
    archived = tmp_path / "archive" / "binance-a"
    archived.mkdir(parents=True)
    first, second, *_ = segments_in(journal)
    first.path.rename(archived / first.path.name)
    shutil.copy(second.path, archived)  # (a crash left it in both places)
    make(journal, *journals_in(tmp_path / "archive"))
    assert documents(mongo) == whole


def test_what_began_before_the_journal_starts_from_its_oldest_usable_checkpoint(
    make: Make, mongo: Database[Any], journal: Path, settings: Settings
) -> None:
    make()
    whole = documents(mongo)
    clear(mongo)
    groups, dropped = story().groups, 60
    for count in (dropped - 20, dropped + 10, dropped + 30):
        keep_checkpoint(settings, groups, count)
    for segment in segments_in(journal)[: dropped // 30]:
        segment.path.unlink()
    [made] = make()
    found = documents(mongo)
    assert made.starts_from == "checkpoint"
    assert made.from_ns is not None
    assert {name: whole[name] for name in found} == found
    windows = sorted(name for name in whole if name.startswith("changes"))
    left_out = [name for name in windows if name not in found]
    checkpointed = play(groups[: dropped + 10])[0].securities[NAME].book.recording.begun()["changes"]
    assert left_out == [name for name in windows if int(name.rpartition("|")[2]) * 10**9 <= checkpointed]
    assert len(left_out) < len(windows)


def test_a_lost_segment_is_what_it_was_to_the_logger(
    make: Make, mongo: Database[Any], journal: Path, lost: list[str]
) -> None:
    make()
    assert lost == []
    whole = documents(mongo)
    segments_in(journal)[3].path.unlink()
    clear(mongo)
    make()
    assert lost == [LINE]
    causes = [row["cause"] for row in mongo.gaps.find({"feed": "trades"})]
    assert causes == ["disk"]
    assert len(documents(mongo)) <= len(whole) + 1


def test_documents_that_are_wrong_are_put_right(make: Make, mongo: Database[Any], journal: Path) -> None:
    make()
    whole = documents(mongo)
    flipped, renamed, shifted = list(mongo.changes.find().sort("_id", 1))[:3]
    body = bytearray(flipped["body"])
    body[3] ^= 1
    mongo.changes.update_one({"_id": flipped["_id"]}, {"$set": {"body": bytes(body)}})
    chains = renamed["chains"]
    chains[-1][3] = bytes(16)
    mongo.changes.update_one({"_id": renamed["_id"]}, {"$set": {"chains": chains}})
    mongo.changes.update_one({"_id": shifted["_id"]}, {"$inc": {"covered": 1}})
    [image, *_] = mongo.images.find().sort("_id", 1)
    mongo.images.update_one({"_id": image["_id"]}, {"$set": {"hash": bytes(16)}})
    [row, *_] = mongo.gaps.find()
    mongo.gaps.update_one({"_id": row["_id"]}, {"$set": {"last_id": 1}})
    [made] = make()
    assert documents(mongo) == whole
    assert made.mended == 5


def test_a_journal_without_its_beginning_replaces_nothing_sound(
    make: Make, mongo: Database[Any], journal: Path
) -> None:
    make()
    [image, *_] = mongo.images.find().sort("_id", -1)
    mongo.images.update_one({"_id": image["_id"]}, {"$set": {"time": 1}})
    changed = documents(mongo)
    segments_in(journal)[0].path.unlink()
    make()
    assert documents(mongo) == changed


def test_a_journal_with_a_hole_replaces_nothing_sound(
    make: Make, mongo: Database[Any], settings: Settings
) -> None:
    told = Story().begin().snapshot(0, 100, [("10", "1"), ("3", "1")])
    for second in range(1, 60):
        told.update(second, 100 + second, bids=[("9", str(second))])
        if second == 26:
            told.snapshot(second + 0.5, 100 + second, cause="audit")  # (without the bid at 3)
    folder = segments(settings.data_dir / "journal" / "binance-a", told.groups, each=20)
    make()
    whole = documents(mongo)
    segments_in(folder)[1].path.unlink()
    [made] = make()
    assert made.mended == 0
    found = documents(mongo)
    assert {name: found[name] for name in whole} == whole
    clear(mongo)
    make()
    other = documents(mongo)
    assert [name for name in other if name.startswith("images") and other[name] != whole.get(name)] != []


def test_what_is_no_longer_kept_is_not_made_anew(
    journal: Path, make: Make, mongo: Database[Any], mongo_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "DAY_NS", 20 * S)
    [row] = make()
    whole = len(documents(mongo))
    blocks = Blocks(mongo, 10 * S, 10)
    gone = list(retention.forget(mongo, blocks, NAME, 1, list(retention.FEEDS), dry_run=False))
    left = documents(mongo)
    assert 0 < len(left) == whole - sum(each.documents for each in gone) < whole
    [again] = make()
    assert (again.documents, documents(mongo)) == (row.documents, left)
    with Archive(mongo_server.uri, mongo.name) as archive:
        assert verify(archive.blocks, NAME).first_bad is None


def test_groups_of_several_lines_are_fed_in_the_order_of_their_clocks() -> None:
    one, other = Story(), Story()
    for second in range(10):
        (one if second % 3 else other).update(second, second + 1)
    fed = list(by_clock([iter(unpacked(each.groups)) for each in (one, other)]))
    moments = [group.clock_ns for group in fed]
    assert moments == sorted(moments)
    assert len(fed) == len(one.groups) + len(other.groups)
    assert list(messages(play([])[0], fed)) == []


def test_a_lost_database_is_made_anew_and_is_sound(
    journal: Path,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("MONGODB_ENDPOINT", raising=False)
    for name, value in {
        "DATA_DIR": str(settings.data_dir),
        "MONGODB_EMBEDDED_PORT": str(free_port()),
        "WINDOW_SECONDS": "10",
    }.items():
        monkeypatch.setenv(name, value)
    assert run(["rebuild", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["security"], made["starts_from"], made["stored"]) == (NAME, "journal", made["documents"])
    assert run(["verify"]) == 0
    assert NAME in capsys.readouterr().out
    monkeypatch.setenv("WINDOW_SECONDS", "20")
    assert run(["rebuild"]) == 2
    assert "WINDOW_SECONDS=20" in capsys.readouterr().err
    assert [each for each in settings.data_dir.iterdir() if each.name.startswith("rebuild-")] == []
