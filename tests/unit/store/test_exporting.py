"""What is exported is what the archive answers, exactly; a file is whole or not there."""

import csv
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import bson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pymongo.database import Database

from store import shapes
from store.history import Archive
from tests.embedded import Server
from tests.unit.store.recorded import Market, S, lively
from tests.unit.store.test_commands import market, obl
from tests.unit.store.test_history import fresh, store
from venue.decimals import text
from wire.runs import ABSENT
from wire.times import iso

pytestmark = pytest.mark.mongo

__all__ = ["market", "obl"]

Obl = Callable[..., tuple[int, list[dict[str, Any]], str]]


@pytest.fixture
def busy(mongo: Database[Any]) -> Market:
    """A market without a hole."""
    made = Market("binance:BTCUSDT", 3)
    made.snapshot()
    for number in range(40):
        made.update(S // 3)
        if number % 3:
            made.trade()
    store(mongo, made.documents())
    return made


def parquet(file: Path) -> list[dict[str, Any]]:
    """Return the rows of *file*, times as integers."""
    table = pq.read_table(file)
    for place, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            assert (field.type.unit, field.type.tz) == ("ns", "UTC")
            table = table.set_column(place, field.name, table.column(place).cast(pa.int64()))
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def span(of: Market) -> tuple[str, str]:
    return iso(of.states[0].effective_ns), iso(of.states[-1].effective_ns)


def test_a_table_holds_every_trade_and_level_exactly(obl: Obl, busy: Market, tmp_path: Path) -> None:
    start, end = span(busy)
    trades = obl("trades", "btcusdt", start, end, "--json")[1]
    changes = obl("replay", "btcusdt", start, end, "--json")[1]
    levels = [
        (each["update_id"], side[:-1], *level)
        for each in changes
        if each["type"] == "changes"
        for side in ("bids", "asks")
        for level in each[side]
    ]
    for kind in ("csv", "parquet"):
        for feed, count in (("trades", len(trades)), ("changes", None)):
            file = tmp_path / f"{feed}.{kind}"
            words = ("--format", kind, "--feed", feed, "-o", str(file), "--json")
            code, [said], _ = obl("export", "btcusdt", start, end, *words)
            assert (code, said["holes"]) == (0, 0)
            assert count is None or said["rows"] == count
    rows = list(csv.DictReader((tmp_path / "trades.csv").read_text().splitlines()))
    assert rows == [{name: str(each[name]) for name in rows[0]} for each in trades]
    rows = parquet(tmp_path / "trades.parquet")
    assert [iso(each["time"], "binance") for each in rows] == [each["time"] for each in trades]
    assert [(each["id"], each["side"], each["price"], each["size"]) for each in rows] == [
        (each["id"], each["side"], Decimal(each["price"]), Decimal(each["size"])) for each in trades
    ]
    # (a level of the update at FROM is in the range; replay has it in the book)
    first = busy.states[0].update_id
    rows = [
        (int(each["update_id"]), each["side"], each["price"], each["size"])
        for each in csv.DictReader((tmp_path / "changes.csv").read_text().splitlines())
        if int(each["update_id"]) > first
    ]
    assert rows == levels
    assert pq.read_schema(tmp_path / "changes.parquet").metadata[b"security"] == b"binance:BTCUSDT"
    rows = [
        (each["update_id"], each["side"], each["price"], each["size"])
        for each in parquet(tmp_path / "changes.parquet")
        if each["update_id"] > first
    ]
    assert rows == [(i, side, Decimal(price), Decimal(size)) for i, side, price, size in levels]


def test_orders_and_images_of_an_order_book(
    mongo_server: Server, mongo: Database[Any], obl: Obl, tmp_path: Path
) -> None:
    made = lively(fresh(), 5, kind="l3")
    store(mongo, made.documents())
    with Archive(mongo_server.uri, mongo.name) as archive:
        batches = archive.orders(made.security, 0, "latest", "exclude")
        events = [
            (each.rows.ids[n], each.rows.order_ids[n].tobytes().hex(), each.rows.prices[n], each.price_scale)
            for each in batches
            if not hasattr(each, "until_ns")
            for n in range(len(each.rows.ids))
        ]
    for feed in ("orders", "images"):
        for kind in ("parquet", "csv", "jsonl"):
            words = (
                "--feed",
                feed,
                "--format",
                kind,
                "-o",
                str(tmp_path / f"{feed}.{kind}"),
                "--gaps",
                "exclude",
            )
            assert obl("export", made.security, "0", "latest", *words)[0] == 0
    rows = parquet(tmp_path / "orders.parquet")
    assert [(each["update_id"], each["order_id"].replace("-", ""), each["price"]) for each in rows] == [
        (i, name, None if price == ABSENT else Decimal(text(int(price), scale)))
        for i, name, price, scale in events
    ]
    lines = [json.loads(each) for each in (tmp_path / "images.jsonl").read_text().splitlines()]
    books = [each for each in lines if each["type"] == "image"]
    assert len(list(csv.DictReader((tmp_path / "images.csv").read_text().splitlines()))) == sum(
        len(each["bids"]) + len(each["asks"]) for each in books
    )


def test_a_hole_ends_it_without_a_file_or_is_said(obl: Obl, market: Market, tmp_path: Path) -> None:
    start, end = span(market)
    for kind in ("csv", "parquet", "jsonl", "original"):
        file = tmp_path / f"x.{kind}"
        words = ("export", "btcusdt", start, end, "--format", kind, "-o", str(file))
        code, _, error = obl(*words)
        assert (code, "ledger row" in error, list(tmp_path.iterdir())) == (1, True, [])
        assert obl(*words, "--gaps", "include")[0] == 0
        assert [each.name for each in tmp_path.iterdir()] == [file.name]
        if kind == "jsonl":
            assert [json.loads(each).get("type") for each in file.read_text().splitlines()].count("gap") == 1
        file.unlink()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--format", "csv"), "name a file with -o"),
        (("--format", "csv", "--to", "localhost"), "goes into a file"),
        (("--format", "csv", "-o", "/nowhere/x"), "cannot be written"),
        (("--format", "original", "--to", "mongodb://", "--database", "x"), "MONGODB_ENDPOINT"),
        (("--format", "xml", "-o", "x"), "xml"),
    ],
)
def test_what_cannot_be_done_is_one_line(obl: Obl, busy: Market, words: tuple[str, ...], says: str) -> None:
    code, _, error = obl("export", "btcusdt", *span(busy), *words)
    assert (code, says in error) == (2, True), error


def folded(documents: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the book that the original's documents come to."""
    sides: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    for each in documents:
        for side, name in zip(sides, ("bids", "asks"), strict=True):
            if each["type"] == "snapshot":
                side.clear()
            side.update(each["orberbook"][name])
            for price in [price for price, size in side.items() if not size]:
                del side[price]
    return sides


@pytest.mark.parametrize("every", ["0", "1000"])
@pytest.mark.parametrize("kind", ["l2", "l3"])
def test_the_documents_of_the_original_come_to_the_book_and_the_traded_volume(
    obl: Obl,
    mongo: Database[Any],
    mongo_server: Server,
    tmp_path: Path,
    every: str,
    kind: str,
) -> None:
    made = lively(fresh(), 11, kind=kind)
    store(mongo, made.documents())
    file, last = tmp_path / "x.bson", made.states[-1]
    words = ("export", made.security, "0", "latest", "--format", "original", "--every", every)
    words = (*words, "--gaps", "include")
    assert obl(*words, "-o", str(file))[0] == 0
    found = bson.decode_all(file.read_bytes())
    bids, asks = folded(found)
    assert bids == {text(price, 2): size / 100 for price, size in last.bids}
    assert asks == {text(price, 2): size / 100 for price, size in last.asks}
    for side, name in enumerate(("bought", "sold")):
        volume = sum(sum(each["trades"][name].values()) for each in found)
        assert volume == 0.25 * sum(each.side == side for each in made.trades)
    moments = [each["timestamp"] for each in found]
    assert moments == sorted(moments)
    assert [each["_id"] for each in found] == sorted({each["_id"] for each in found})
    # into a database: the same, also when it is done again
    there = ("--to", mongo_server.uri, "--database", mongo.name)
    assert obl(*words, *there)[0] == 0
    assert obl(*words, *there)[0] == 0
    symbol = made.security.partition(":")[2].lower()
    assert list(mongo[symbol].find().sort("_id")) == found


def test_shapes_stay_what_they_were(busy: Market, mongo_server: Server, mongo: Database[Any]) -> None:
    with Archive(mongo_server.uri, mongo.name) as archive:
        start, end = span(busy)
        lines = list(shapes.replay(archive.replay("btcusdt", start, end, trades=True)))
    assert {each["type"] for each in lines} == {"image", "changes", "trade"}
