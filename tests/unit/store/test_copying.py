"""A copy holds byte by byte what leads to its range and what is in it; it proves, and goes on if it broke."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bson
import pytest
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database

from store.documents import COLLECTIONS
from store.history import Archive
from tests.embedded import Server
from tests.unit.store.recorded import Market, S, lively
from tests.unit.store.test_commands import market, obl
from tests.unit.store.test_history import assert_is_true, instants, store
from wire.times import iso

pytestmark = pytest.mark.mongo

__all__ = ["market", "obl"]

Obl = Callable[..., tuple[int, list[dict[str, Any]], str]]


@pytest.fixture
def there(mongo_server: Server, mongo: Database[Any]) -> Iterator[Database[Any]]:
    """Return another database of the server."""
    name = f"{mongo.name}_copy"
    yield mongo.client[name]
    mongo.client.drop_database(name)


def raw(database: Database[Any]) -> dict[str, bytes]:
    options: Any = CodecOptions(document_class=RawBSONDocument)
    names = (*COLLECTIONS, "securities", "format")
    return {
        f"{name} {bson.decode(each.raw)['_id']}": bytes(each.raw)
        for name in names
        for each in database.get_collection(name, options).find()
    }


def seconds(of: Market, place: float) -> str:
    """Return a moment that far into what is recorded."""
    first, last = of.states[0].effective_ns, of.states[-1].effective_ns
    return iso(first + int((last - first) * place))


@pytest.mark.parametrize("kind", ["l2", "l3"])
@pytest.mark.parametrize("seed", [3, 12, 21])
def test_a_whole_copy_is_the_database_and_again_writes_nothing(
    obl: Obl, mongo: Database[Any], there: Database[Any], kind: str, seed: int
) -> None:
    made = lively("binance:BTCUSDT", seed, kind=kind)
    store(mongo, made.documents())
    words = ("copy", "btcusdt", "0", "latest", "--database", there.name, "--json")
    code, [said], _ = obl(*words)
    assert raw(there) == raw(mongo)
    assert (code, said["written"], said["documents"]) == (0, len(raw(mongo)) - 2, len(raw(mongo)) - 2)
    code, [said], _ = obl(*words)
    assert (code, said["written"], said["written_bytes"]) == (0, 0, 0)


@pytest.mark.parametrize("kind", ["l2", "l3"])
@pytest.mark.parametrize("seed", [3, 12, 21, 33])
def test_a_part_reads_and_proves_as_the_whole_does_and_a_restore_of_it_too(
    obl: Obl,
    mongo: Database[Any],
    there: Database[Any],
    mongo_server: Server,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    seed: int,
) -> None:
    made = lively("binance:BTCUSDT", seed, kind=kind, images_s=20)
    store(mongo, made.documents())
    start, end = seconds(made, 0.4), seconds(made, 0.8)
    assert obl("copy", "btcusdt", start, end, "--database", there.name)[0] == 0
    assert raw(there).items() <= raw(mongo).items()
    monkeypatch.setenv("MONGODB_DATABASE", there.name)
    assert obl("verify", "btcusdt", start, end)[0] == 0
    assert obl("verify")[0] == 0
    low, high = (each.effective_ns for each in (made.states[0], made.states[-1]))
    low, high = low + int((high - low) * 0.4), low + int((high - low) * 0.8)
    with Archive(mongo_server.uri, there.name) as archive:
        for moment in instants(made):
            if low <= moment < high and moment <= made.states[-1].effective_ns:
                assert_is_true(archive, made, moment)
    # back into an emptied database: what was copied is there again
    kept = raw(there)
    mongo.client.drop_database(mongo.name)
    assert obl("copy", "btcusdt", "0", "latest", "--to", mongo_server.uri, "--database", mongo.name)[0] == 0
    assert raw(mongo) == kept


def test_a_copy_that_was_broken_off_is_gone_on_with(
    obl: Obl, mongo: Database[Any], there: Database[Any], market: Market
) -> None:
    words = ("copy", "btcusdt", "0", "latest", "--database", there.name, "--json")
    assert obl(*words)[0] == 0
    lost = there.changes.find_one({}, {"_id": 1})
    assert lost is not None
    there.changes.delete_one(lost)
    there.trades.update_many({}, {"$set": {"covered": 0}})
    code, [said], _ = obl(*words)
    assert (code, said["written"]) == (0, 1 + there.trades.count_documents({}))
    assert raw(there) == raw(mongo)


def test_documents_of_any_id_are_copied_by_where_they_start(
    obl: Obl, mongo: Database[Any], there: Database[Any], market: Market
) -> None:
    block = mongo.changes.find_one(sort=[("start", 1)])
    assert block is not None
    mongo.changes.delete_one({"_id": block["_id"]})
    mongo.changes.insert_one(block | {"_id": f"{block['_id']}|m3600"})
    start = iso(market.states[1].effective_ns)
    assert obl("copy", "btcusdt", start, "latest", "--database", there.name)[0] == 0
    assert f"changes {block['_id']}|m3600" in raw(there)


def test_what_must_not_be_written_is_refused_in_one_line(
    obl: Obl, mongo: Database[Any], there: Database[Any], market: Market
) -> None:
    words = ("copy", "btcusdt", "0", "latest")
    assert "name where it goes" in obl(*words)[2]
    assert "itself" in obl(*words, "--database", mongo.name)[2]
    assert obl("copy", "nobody", "0", "latest", "--database", there.name)[0] == 2
    there.securities.insert_one({"_id": "binance:BTCUSDT", "recorder": "somebody else"})
    code, _, error = obl(*words, "--database", there.name)
    assert (code, "another recorder holds" in error) == (2, True)
    there.securities.delete_many({})
    there.format.update_one({}, {"$set": {"window_seconds": 60}})
    code, _, error = obl(*words, "--database", there.name)
    assert (code, "was made otherwise" in error) == (2, True)


def test_a_damaged_document_is_named_and_not_copied(
    obl: Obl, mongo: Database[Any], there: Database[Any], market: Market
) -> None:
    block = mongo.trades.find_one()
    assert block is not None
    mongo.trades.update_one({"_id": block["_id"]}, {"$set": {"receipts_crc32c": 1}})
    code, _, error = obl("copy", "btcusdt", "0", "latest", "--database", there.name)
    assert (code, f"{block['_id']} is damaged" in error) == (1, True)
    assert there.trades.find_one({"_id": block["_id"]}) is None


def test_a_backup_on_another_server_outlives_both_and_brings_a_lost_archive_back(
    obl: Obl,
    mongo: Database[Any],
    mongo_server: Server,
    market: Market,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, moments = raw(mongo), instants(market)
    backup = Server(tmp_path / "backup")
    backup.start()
    try:
        code, [said], _ = obl("copy", "btcusdt", "0", "latest", "--to", backup.uri, "--json")
        assert (code, said["written"]) == (0, len(whole) - 2)
        backup.kill()  # (what was copied was written durably)
        backup.start()
        mongo.client.drop_database(mongo.name)
        monkeypatch.setenv("MONGODB_ENDPOINT", f"127.0.0.1:{backup.port}")
        assert obl("verify")[0] == 0
        with Archive(backup.uri, mongo.name) as archive:
            for moment in moments:
                assert_is_true(archive, market, moment)
        code, [said], _ = obl("copy", "btcusdt", "0", "latest", "--to", mongo_server.uri, "--json")
        assert (code, said["written"]) == (0, len(whole) - 2)
    finally:
        backup.kill()
    assert raw(mongo) == whole


def test_to_another_server_that_is_not_there(obl: Obl, market: Market) -> None:
    code, _, error = obl(
        "copy", "btcusdt", "0", "latest", "--to", "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100"
    )
    assert (code, "no database answers at 127.0.0.1:1" in error) == (2, True)


def test_a_part_starts_where_an_image_leads_to_it(
    obl: Obl, mongo: Database[Any], there: Database[Any]
) -> None:
    made = Market("binance:BTCUSDT", 9, images_s=30)
    made.snapshot()
    for _ in range(120):
        made.update(S)
    store(mongo, made.documents())
    assert (
        obl("copy", "btcusdt", iso(made.states[100].effective_ns), "latest", "--database", there.name)[0] == 0
    )
    starts = sorted(each["start"] for each in there.changes.find())
    assert len(starts) < 5, "no more than from the image on"
