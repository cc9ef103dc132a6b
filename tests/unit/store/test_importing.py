"""What was exported as the original's documents and imported comes out as the same documents again."""

import datetime
import json
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymongo.database import Database

from store.old import BadOriginal, read
from store.original import grouped
from tests.embedded import Server
from tests.unit.store.recorded import lively
from tests.unit.store.test_commands import obl
from tests.unit.store.test_exporting import Obl
from tests.unit.store.test_history import fresh, store

pytestmark = pytest.mark.mongo

__all__ = ["obl"]

_numbers = count()

DATE = datetime.datetime(2022, 7, 30, 12, 0, 0, 123000, datetime.UTC)


def old(kind: str = "update", **fields: Any) -> dict[str, Any]:
    """A document as the original wrote it."""
    return {
        "_id": f"1659182400123.457{kind}",
        "type": kind,
        "DateTime": DATE,
        "timstamp": 1659196800.123457,
        "symbol": "btcusdt",
        "trades": {"bought": {}, "sold": {}},
        "orberbook": {"asks": {}, "bids": {}},
    } | fields


def test_a_document_of_the_original_is_read_as_it_was_meant() -> None:
    found = read(
        old(
            trades={"bought": {"1234.6000000000001": 0.1 + 0.2, "40001.0": 2.0}, "sold": {}},
            orberbook={"asks": {"23800.10000000": 0.5, "23800.2": 0.0}, "bids": {"1e-05": 1e-08}},
            significantTradeEvents=["40000.25", 1.5, "7", 10000.0],
        )
    )
    assert found.moment_ns == 1_659_182_400_123_000_000
    assert (found.asks, found.bids) == ([("23800.1", "0.5"), ("23800.2", "0")], [("0.00001", "0.00000001")])
    assert found.trades[0] == (0, "40000.25", "1.5")
    assert ("1234.6", "0.3") in [trade[1:] for trade in found.trades]
    assert sum(Decimal(size) for _, price, size in found.trades if price == "40001") == Decimal("0.5")
    assert found.unplaced == 1


@pytest.mark.parametrize(
    "bad",
    [
        {"type": "other"},
        {"orberbook": {}},
        {"orberbook": [{"1": 2.0}]},
        {"orberbook": {"asks": {"x": 1.0}, "bids": {}}},
        {"orberbook": {"asks": {"1": float("nan")}, "bids": {}}},
        {"orberbook": {"asks": {"-1": 1.0}, "bids": {}}},
        {"trades": None},
        {"DateTime": "soon"},
        {"trades": {"bought": {"1": 1e30}, "sold": {}}},
        {"significantTradeEvents": ["1"]},
    ],
)
def test_what_is_no_such_document_is_named(bad: dict[str, Any]) -> None:
    with pytest.raises(BadOriginal, match=r"1659182400123\.457update"):
        read(old(**bad))


prices = st.integers(1, 10**12).map(lambda units: Decimal(units).scaleb(-8))
sizes = st.integers(1, 10**11).map(lambda units: Decimal(units).scaleb(-8))


anywhere = st.tuples(st.integers(0, 1), prices, sizes)
together = st.tuples(st.integers(0, 1), st.just(Decimal(7)), st.integers(700, 3000).map(Decimal))
"""Of which two make a sum that would be significant."""


@given(st.lists(anywhere | together, max_size=6))
def test_sums_come_apart_into_trades_that_make_the_same_document(
    trades: list[tuple[int, Decimal, Decimal]],
) -> None:
    document = summed([(side, price, size) for side, price, size in trades if price * size < 10**8])
    found = read(document)
    assert found.unplaced == 0
    again = summed([(side, Decimal(price), Decimal(size)) for side, price, size in found.trades])
    assert again == document


@given(st.lists(together, max_size=8))
def test_the_sums_stay_where_the_original_did_not_name_the_sides(
    trades: list[tuple[int, Decimal, Decimal]],
) -> None:
    document = summed(trades)
    document.pop("significantTradeSides", None)
    again = summed([(side, Decimal(price), Decimal(size)) for side, price, size in read(document).trades])
    assert again["trades"] == document["trades"]


def summed(trades: list[tuple[int, Decimal, Decimal]]) -> dict[str, Any]:
    """Return the document of *trades*, made by the plainest means."""
    sums: tuple[dict[str, Decimal], dict[str, Decimal]] = ({}, {})
    events, sides = [], []
    for side, price, size in trades:
        group = grouped(int(price.scaleb(18)), 18)
        sums[side][group] = sums[side].get(group, Decimal(0)) + size
        if price * size >= 10_000:
            events.append([price.normalize(), size.normalize()])
            sides.append(("bought", "sold")[side])
    fields: dict[str, Any] = {}
    if events:
        fields = {"significantTradeEvents": events, "significantTradeSides": sides}
    bought, sold = ({group: size.normalize() for group, size in each.items()} for each in sums)
    return old(trades={"bought": bought, "sold": sold}, **fields)


@pytest.mark.parametrize("every", ["0", "1000"])
@pytest.mark.parametrize("seed", [11])
@pytest.mark.parametrize("kind", ["l2", "l3"])
def test_exported_imported_and_exported_again_is_the_same(
    obl: Obl, mongo: Database[Any], mongo_server: Server, tmp_path: Path, every: str, seed: int, kind: str
) -> None:
    made = lively(fresh(), seed, kind=kind)
    store(mongo, made.documents())
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    words = ("--format", "original", "--every", every, "--gaps", "include", "--significant", "2")
    assert obl("export", made.security, "0", "latest", *words, "-o", str(first))[0] == 0
    name = f"binance:I{next(_numbers)}"
    asked = ("import", str(first), "--as", name, "--significant", "2", "--json")
    code, [said], _ = obl(*asked)
    lines = first.read_text().splitlines()
    assert (code, said["documents"], said["unplaced"]) == (0, len(lines), 0)
    assert obl("export", name, "0", "latest", *words, "-o", str(second))[0] == 0
    symbol, other = (of.partition(":")[2].lower() for of in (made.security, name))
    assert second.read_text().replace(f'"{other}"', f'"{symbol}"').splitlines() == lines
    # it proves, and says that nothing vouches for its continuity
    code, [proof], error = obl("verify", name, "--json")
    assert (code, proof["proven"]) == (0, 0), error
    assert proof["unverifiable"] > 0
    code, [book], _ = obl("at", name, "latest", "--json")
    assert (code, book["continuity"], book["update_id"]) == (0, "unverifiable", None)
    assert {each.get("imported") for each in mongo.changes.find({"security": name})} == {True}
    # again is once
    assert obl(*asked)[1][0]["stored"] == 0


def test_a_later_file_is_joined_and_an_overlapping_one_refused(
    obl: Obl, mongo: Database[Any], mongo_server: Server, tmp_path: Path
) -> None:
    def day(number: int, price: str) -> list[dict[str, Any]]:
        date = DATE + datetime.timedelta(days=number)
        book = {"asks": {"9": 1.0}, "bids": {price: 1.0}}
        bought = {"bought": {"9": 1.5}, "sold": {}}
        return [
            old("snapshot", _id=f"{number}.1snapshot", DateTime=date, orberbook=book),
            old(_id=f"{number}.2update", DateTime=date + datetime.timedelta(seconds=1), trades=bought),
            old(
                _id=f"{number}.3update",
                DateTime=date + datetime.timedelta(hours=3),
                orberbook={"asks": {"8": 2.0}, "bids": {}},
            ),
        ]

    for number, price in ((0, "5"), (1, "6")):
        file = tmp_path / f"{number}.bson"
        file.write_bytes(b"".join(map(bson.encode, day(number, price))))
        code, [said], error = obl("import", str(file), "--json")
        assert (code, said["security"], said["snapshots"]) == (0, "binance:BTCUSDT", 1), error
    assert obl("verify")[0] == 0
    code, lines, _ = obl("replay", "btcusdt", "2022-07-30T12:00:01Z", "latest", "--trades", "--json")
    assert [each["type"] for each in lines].count("image") == 2
    assert [each["size"] for each in lines if each["type"] == "trade"] == ["1.5", "1.5"]
    file.write_bytes(b"".join(map(bson.encode, day(0, "7")[:1] + day(1, "7")[1:])))
    other = [each | {"DateTime": each["DateTime"] + datetime.timedelta(hours=1)} for each in day(0, "7")]
    file.write_bytes(b"".join(map(bson.encode, other)))
    code, _, error = obl("import", str(file))
    assert (code, "is stored already" in error) == (2, True)
    # the same from a database, as another security
    there = mongo.client[f"{mongo.name}_old"]
    there.btcusdt.insert_many(day(0, "5"))
    words = ("--from", mongo_server.uri, "--database", there.name, "--symbol", "btcusdt", "--as", "x:y")
    assert obl("import", *words)[0] == 0
    mongo.client.drop_database(there.name)
    assert obl("at", "x:y", "latest", "--json")[1][0]["asks"] == [["8", "2"], ["9", "1"]]


def test_what_cannot_be_imported_is_one_line(obl: Obl, tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    assert "name a FILE" in obl("import")[2]
    assert "cannot be read" in obl("import", str(file))[2]
    file.write_text("{")
    code, _, error = obl("import", str(file))
    assert (code, "line 1 is no JSON" in error) == (1, True)
    file.write_text(json.dumps(old(DateTime={"$date": "2022-07-30T12:00:00Z"})) + "\n")
    code, _, error = obl("import", str(file))
    assert (code, "no snapshot" in error) == (2, True)
