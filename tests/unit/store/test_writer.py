"""Putting twice is putting once, what covers fewer never replaces, and no failure is called stored."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from store.documents import READING, from_bson, to_bson
from store.outcome import Verdict
from store.waiting import Entry
from store.writer import Writer, WrongWindow
from tests.embedded import Server, free_port
from wire.messages import Desired, Document, Policy, Wanted

pytestmark = pytest.mark.mongo

S = 1_000_000_000


def version(covered: int, name: str = "10", security: str = "v:S", **fields: Any) -> Entry:
    document = Document("changes", f"{security}|changes|{name}", security, int(name) * S, covered, fields, "")
    return Entry(document, to_bson(document))


def put(writer: Writer, *entries: Entry) -> list[Verdict]:
    return [each.verdict for each in writer.put(entries)]


def covered(database: Database[Any]) -> dict[str, int]:
    return {each["_id"]: each["covered"] for each in database.changes.find()}


@pytest.fixture
def writer(mongo: Database[Any]) -> Writer:
    made = Writer(mongo, "recorder-1", 10)
    made.prepare()
    return made


def test_what_was_put_is_there_as_it_was_given(writer: Writer, mongo: Database[Any]) -> None:
    entry = version(3, end_ns=20 * S, body=b"\0\1", chains=[[1, 3, None, b""]])
    assert put(writer, entry) == [Verdict.STORED]
    stored = mongo.changes.with_options(READING).find_one()
    assert stored is not None
    assert from_bson("changes", stored) == entry.document


def test_putting_twice_is_putting_once(writer: Writer, mongo: Database[Any]) -> None:
    batch = [version(3), version(2, "20")]
    assert put(writer, *batch) == [Verdict.STORED] * 2
    assert put(writer, *batch, version(1, "30")) == [Verdict.HAD, Verdict.HAD, Verdict.STORED]
    assert covered(mongo) == {"v:S|changes|10": 3, "v:S|changes|20": 2, "v:S|changes|30": 1}


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1), (2, 2, 3), (3, 1, 3)])
def test_versions_may_come_in_any_order_and_the_one_that_covers_most_stays(
    writer: Writer,
    mongo: Database[Any],
    order: tuple[int, ...],
) -> None:
    for each in order:
        put(writer, version(each, rows=each))
    assert [(each["covered"], each["rows"]) for each in mongo.changes.find()] == [(3, 3)]


def test_two_writers_that_race_with_two_versions_leave_the_one_that_covers_more(
    mongo: Database[Any],
) -> None:
    def race(name: int) -> list[Verdict]:
        start = threading.Barrier(2, timeout=30)
        said: list[Verdict] = []

        def one(covers: int) -> None:
            mine = Writer(mongo, "recorder-1", 10)
            mine.put([version(1, "0")])  # the claim is made before the race
            start.wait()
            said.extend(put(mine, version(covers, str(name))))

        threads = [threading.Thread(target=one, args=(covers,)) for covers in (1, 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        return said

    for name in range(10, 30):
        assert set(race(name)) <= {Verdict.STORED, Verdict.HAD}
    found = covered(mongo)
    assert [found[f"v:S|changes|{name}"] for name in range(10, 30)] == [2] * 20


class Overtaken:
    """A database in which a smaller version gets in between our search and our insert, once."""

    def __init__(self, database: Database[Any], smaller: Entry) -> None:
        self._database, self._smaller = database, smaller
        self.name = database.name
        self.bulks = 0

    def get_collection(self, name: str, **options: Any) -> Any:
        collection = self._database.get_collection(name, **options)
        return self if name == "changes" else collection

    def bulk_write(self, operations: Any, ordered: bool) -> None:
        self.bulks += 1
        if self.bulks == 1:
            self._database.changes.insert_one(RawBSONDocument(self._smaller.data))
            raise BulkWriteError({"writeErrors": [{"index": 0, "code": 11000, "errmsg": "E11000"}]})
        self._database.changes.bulk_write(operations, ordered=ordered)


def test_a_key_that_a_smaller_version_took_first_is_replaced_at_the_second_try(mongo: Database[Any]) -> None:
    overtaken: Any = Overtaken(mongo, version(1))
    assert put(Writer(overtaken, "recorder-1", 10), version(2)) == [Verdict.STORED]
    assert (covered(mongo), overtaken.bulks) == ({"v:S|changes|10": 2}, 2)


def test_the_lookups_of_readers_have_their_index(writer: Writer, mongo: Database[Any]) -> None:
    for name in ("images", "changes", "orders", "trades", "gaps", "audits"):
        keys = [list(index["key"].items()) for index in mongo[name].list_indexes()]
        assert [("security", 1), ("start", 1)] in keys


@pytest.mark.parametrize("stored", [{"version": 2}, {}])
def test_a_database_of_another_version_is_not_written_to_and_one_line_says_so(
    writer: Writer, mongo: Database[Any], stored: dict[str, Any]
) -> None:
    writer.prepare()
    mongo.format.replace_one({}, {"window_seconds": 10, **stored})
    with pytest.raises(WrongWindow, match=r"^.* has format .*; name another MONGODB_DATABASE$"):
        Writer(mongo, "me", 10).prepare()


def test_a_database_made_with_another_window_is_not_written_to(writer: Writer, mongo: Database[Any]) -> None:
    Writer(mongo, "recorder-1", 10).prepare()
    with pytest.raises(WrongWindow, match=r"WINDOW_SECONDS=60: .* was made with 10"):
        Writer(mongo, "recorder-1", 60).prepare()


def test_a_security_of_another_recorder_is_refused_and_the_others_are_not(
    writer: Writer,
    mongo: Database[Any],
) -> None:
    assert put(writer, version(1)) == [Verdict.STORED]
    other = Writer(mongo, "recorder-2", 10)
    outcomes = other.put([version(9), version(1, security="v:T")])
    assert [each.verdict for each in outcomes] == [Verdict.REFUSED, Verdict.STORED]
    assert "another recorder holds v:S" in outcomes[0].reason
    assert covered(mongo) == {"v:S|changes|10": 1, "v:T|changes|10": 1}
    assert put(Writer(mongo, "recorder-1", 10), version(2)) == [Verdict.STORED]


def test_the_desired_state_is_stored_and_what_left_it_is_no_longer_wanted(
    writer: Writer,
    mongo: Database[Any],
) -> None:
    Writer(mongo, "recorder-2", 10).put([version(1, security="v:X")])
    policy = Policy(every_ms=1000, images_s=600, from_ns=7 * S, order_ids=False)
    first = Desired(1, tuple(Wanted(name, (policy,), 5 * S) for name in ("v:S", "v:T", "v:X")))
    assert writer.write_securities(first) == ["v:X"]
    assert writer.write_securities(Desired(2, (Wanted("v:T", (policy,), 5 * S),))) == []
    found = {each["_id"]: each for each in mongo.securities.find()}
    assert {name: each.get("wanted") for name, each in found.items()} == {
        "v:S": False,
        "v:T": True,
        "v:X": None,
    }
    assert found["v:T"]["policies"] == [
        {"every_ms": 1000, "images_s": 600, "order_ids": False, "from": 7 * S}
    ]
    assert found["v:X"]["recorder"] == "recorder-2"


@contextmanager
def failing(server: Server, times: int, **how: Any) -> Iterator[None]:
    """Let the server's next updates fail."""
    with server.client() as client:
        point = {"configureFailPoint": "failCommand", "mode": {"times": times}}
        client.admin.command(point | {"data": {"failCommands": ["update"], **how}})
        yield
        client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"errorCode": 10107}, ""),
        ({"errorCode": 13}, "13|fail"),
        ({"errorCode": 14031}, "fail"),
        ({"errorCode": 91}, ""),
        ({"closeConnection": True}, ""),
        ({"writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}}, "write concern"),
    ],
    ids=["not primary", "unauthorised", "out of space", "shutting down", "connection lost", "no majority"],
)
def test_what_passes_is_held_and_tried_again_and_then_stored(
    mongo_server: Server,
    mongo: Database[Any],
    writer: Writer,
    how: dict[str, Any],
    reason: str,
) -> None:
    put(writer, version(1, "0"))
    with failing(mongo_server, 3, **how):
        outcomes = writer.put([version(1), version(2, "20")])
    assert [each.verdict for each in outcomes] == [Verdict.RETRY] * 2
    assert reason.partition("|")[2] in outcomes[0].reason
    later = put(writer, version(1), version(2, "20"))
    assert set(later) <= {Verdict.STORED, Verdict.HAD}
    assert covered(mongo) == {"v:S|changes|0": 1, "v:S|changes|10": 1, "v:S|changes|20": 2}


def test_a_server_that_does_not_answer_means_all_is_held() -> None:
    with MongoClient("127.0.0.1", free_port(), serverSelectionTimeoutMS=50, directConnection=True) as nobody:
        outcomes = Writer(nobody["x"], "r", 10).put([version(1), version(2, "20")])
    assert [each.verdict for each in outcomes] == [Verdict.RETRY] * 2


@pytest.mark.parametrize("after", [1, 7, 20])
def test_a_server_killed_between_writes_keeps_what_it_acknowledged(tmp_path: Path, after: int) -> None:
    server = Server(tmp_path / "db")
    server.start()
    acknowledged: list[str] = []
    try:
        with server.client(serverSelectionTimeoutMS=500) as client:
            mine = Writer(client["kept"], "recorder-1", 10)
            mine.prepare()
            for name in range(after):
                entry = version(1, str(10 * name), body=bytes(5000))
                assert put(mine, entry) == [Verdict.STORED]
                acknowledged.append(entry.document.id)
            server.kill()
            assert put(mine, version(1, "900")) == [Verdict.RETRY]
            server.start()
            assert sorted(covered(client["kept"])) == sorted(acknowledged)
            assert put(mine, version(1, "900")) == [Verdict.STORED]
    finally:
        server.kill()


def test_a_database_made_anew_under_a_running_writer_is_prepared_and_claimed_again(tmp_path: Path) -> None:
    server = Server(tmp_path / "db")
    server.start()
    try:
        with server.client(serverSelectionTimeoutMS=500) as client:
            mine = Writer(client["anew"], "recorder-1", 10)
            mine.prepare()
            assert put(mine, version(1)) == [Verdict.STORED]
            server.kill()
            assert put(mine, version(1, "20")) == [Verdict.RETRY]
            shutil.rmtree(tmp_path / "db")
            server.start()
            mine.prepare()
            assert put(mine, version(1, "20")) == [Verdict.STORED]
            assert client["anew"]["format"].find_one() is not None
            assert client["anew"]["securities"].find_one({"_id": "v:S"}) is not None
    finally:
        server.kill()
