"""Arrow tables hold what the archive's answers hold, row by row and exactly."""

import struct
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pandas as pd
import polars as pl
import pytest
from pymongo.database import Database

from store import shapes, tables
from store.answers import Changes, OrderEvents, Trades
from store.history import Archive, InHole
from store.series import joined
from tests.embedded import Server
from tests.unit.store.recorded import Market, S, lively
from tests.unit.store.test_history import store
from tests.unit.store.test_ranges import holed

pytestmark = pytest.mark.mongo


@pytest.fixture
def archive(mongo_server: Server, mongo: Database[Any]) -> Any:
    with Archive(mongo_server.uri, mongo.name) as opened:
        yield opened


def bounds(market: Market) -> tuple[int, int]:
    return market.states[0].effective_ns, market.states[-1].effective_ns + 1


def test_a_row_of_the_table_is_a_level_of_an_update(archive: Archive, mongo: Database[Any]) -> None:
    market = holed()
    store(mongo, market.documents())
    low, high = bounds(market)
    true = [
        (line["first_id"], line["update_id"], side, Decimal(price), Decimal(size))
        for batch in archive.changes(market.security, low, high, "exclude")
        if isinstance(batch, Changes)
        for line in shapes.changes(batch)
        for side in ("bid", "ask")
        for price, size in line[f"{side}s"]
    ]
    found = archive.changes_table(market.security, low, high, "include", decimals=True).read_all()
    names = ("first_id", "update_id", "side", "price", "size")
    assert list(zip(*(found[name].to_pylist() for name in names), strict=True)) == true
    marks = found["after_hole"].to_pylist()
    marked = [first_id for first_id, after in zip(found["first_id"].to_pylist(), marks, strict=True) if after]
    assert marked == [market.holes[0][1] + 1]
    with pytest.raises(InHole):
        archive.changes_table(market.security, low, high).read_all()
    plain = archive.changes_table(market.security, low, high, "include").read_all()
    scale = int(plain.schema.metadata[b"price_scale"])
    assert [Decimal(price).scaleb(-scale) for price in plain["price"].to_pylist()] == [row[3] for row in true]


def test_batches_are_bounded(archive: Archive, mongo: Database[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    market = holed()
    store(mongo, market.documents())
    monkeypatch.setattr(tables, "BATCH_ROWS", 3)
    reader = archive.changes_table(market.security, *bounds(market), "include")
    sizes = [len(batch) for batch in reader]
    assert (max(sizes), sum(sizes) > 20) == (3, True)


def test_order_events_keep_what_the_venue_did_not_send_as_null(
    archive: Archive, mongo: Database[Any]
) -> None:
    market = holed("l3")
    store(mongo, market.documents())
    low, high = bounds(market)
    lines = [
        line
        for batch in archive.orders(market.security, low, high, "exclude")
        if isinstance(batch, OrderEvents)
        for line in shapes.order_events(batch)
    ]
    found = archive.orders_table(market.security, low, high, "exclude", decimals=True).read_all().to_pylist()
    assert len(found) == len(lines) > 0
    for row, line in zip(found, lines, strict=True):
        for name in ("update_id", "event", "side", "reason", "trade_id"):
            assert row[name] == line.get(name)
        for name in ("price", "size", "old_price", "old_size", "funds"):
            assert row[name] == (Decimal(line[name]) if name in line else None)
        assert row["order_id"].hex() == line["order_id"].replace("-", "")
        assert row["taker_order_id"] is None


def test_a_table_of_orders_says_which_of_them_have_names(archive: Archive, mongo: Database[Any]) -> None:
    market = lively("coinbase:TABLE-NAMED", 12, kind="l3", ids="turns")
    for _ in range(20):
        market.update(3 * S)
    store(mongo, market.documents())
    low, high = market.states[0].effective_ns, market.states[-1].effective_ns + 1
    found = archive.orders_table(market.security, low, high, "include").read_all().to_pylist()
    assert {row["named"] for row in found} == {True, False}
    for row in found:
        if row["named"]:
            (update_id, _) = struct.unpack("<qq", row["order_id"])
            assert update_id <= row["update_id"]


def test_pandas_and_polars_take_trades_and_series(archive: Archive, mongo: Database[Any]) -> None:
    market = holed()
    store(mongo, market.documents())
    low, high = bounds(market)
    true = [
        trade_id
        for batch in archive.trades(market.security, low, high, "exclude")
        if isinstance(batch, Trades)
        for trade_id in batch.rows.ids.tolist()
    ]
    frame: pd.DataFrame = archive.trades_table(market.security, low, high, "include").read_pandas()
    assert frame["id"].tolist() == true
    assert set(frame["side"]) == {"buy", "sell"}
    other = pl.from_arrow(archive.trades_table(market.security, low, high, "include").read_all())
    assert other["id"].to_list() == true
    depth = joined(archive.depth(market.security, low, high, 12, "4s", "include"))
    table = tables.table(depth, decimals=True)
    assert table.column_names[:4] == ["times_ns", "update_ids", "bid_prices_1", "bid_prices_2"]
    assert table["bid_prices_12"].null_count == (depth.bid_prices[:, 11] == 0).sum()
    best = Decimal(int(depth.bid_prices[0, 0])).scaleb(-depth.price_scale)
    assert table["bid_prices_1"][0].as_py() == best
    bars = joined(archive.bars(market.security, low, low + 20 * S, "4s", "include"))
    wide = bars.volumes.astype(object) * 10**15
    made = tables.table(replace(bars, volumes=wide))
    assert [int(value) for value in made["volumes"].to_pylist()] == wide.tolist()
