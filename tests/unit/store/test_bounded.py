"""Whoever reads, exports or copies a long range holds a few windows of it at once, however long it is.

What is held is counted, not weighed: the times of an answer are an array that is gone when nobody holds it.
"""

import weakref
from collections.abc import Iterable, Iterator
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from pymongo.database import Database

from store import copying, exporting
from store.answers import Answer, Book, Gap
from store.blocks import BODIES_AT_ONCE, BOOK_KINDS
from store.history import Archive
from tests.embedded import Server
from tests.unit.store.recorded import WINDOW_NS, Market
from tests.unit.store.test_history import store

pytestmark = pytest.mark.mongo

S0 = "binance:BTCUSDT"
WINDOWS = 150
FEW = 3
"""What is given, what came before it (a hole may lie between), and what the generator is at."""


class Held:
    """Counts what was given and is still held."""

    def __init__(self) -> None:
        self.most = self.given = self._alive = 0

    def passed(self, answers: Iterable[Answer]) -> Iterator[Answer]:
        """Yield *answers*, counting them."""
        for answer in answers:
            if isinstance(answer, Book | Gap):
                yield answer
                continue
            times: Any = answer.rows.times_ns
            owner = times if times.base is None else times.base
            weakref.finalize(owner, self._gone)
            self.given, self._alive = self.given + 1, self._alive + 1
            self.most = max(self.most, self._alive)
            del times, owner
            yield answer

    def _gone(self) -> None:
        self._alive -= 1


@pytest.fixture(params=["l2", "l3"])
def made(request: pytest.FixtureRequest, mongo: Database[Any]) -> Market:
    market = Market(S0, 4, kind=request.param, images_s=600)
    market.snapshot()
    for _ in range(WINDOWS):
        market.update(WINDOW_NS)
        market.trade()
    store(mongo, market.documents())
    mongo.securities.update_one({"_id": S0}, {"$set": {"wanted": True}}, upsert=True)
    return market


@pytest.fixture
def archive(mongo_server: Server, mongo: Database[Any]) -> Iterator[Archive]:
    with Archive(mongo_server.uri, mongo.name) as opened:
        yield opened


def ends(market: Market) -> tuple[int, int]:
    return market.states[0].effective_ns, market.states[-1].effective_ns + 1


def test_a_reader_is_given_one_window_after_the_other(made: Market, archive: Archive) -> None:
    asked = (S0, *ends(made))
    names = ["changes", "trades", *(["orders"] if made.kind == "l3" else [])]
    for answers in (*(getattr(archive, name)(*asked) for name in names), archive.replay(*asked, trades=True)):
        held = Held()
        for answer in held.passed(answers):
            del answer
        assert held.given >= WINDOWS - 1
        assert held.most <= 2 * FEW  # (a replay reads two feeds)


def test_documents_are_asked_for_some_windows_at_a_time(made: Market, archive: Archive) -> None:
    found = [len(each) for _, each in archive.blocks.batches(S0, BOOK_KINDS, *ends(made))]
    assert sum(found) >= WINDOWS
    assert max(found) <= BODIES_AT_ONCE


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_an_export_writes_what_it_is_given_before_it_asks_for_more(
    made: Market, archive: Archive, kind: str
) -> None:
    sink = exporting.CsvSink(StringIO(), "changes") if kind == "csv" else exporting.JsonSink(BytesIO())
    held = Held()
    exporting.write(held.passed(archive.changes(S0, *ends(made))), sink)
    assert held.given >= WINDOWS - 1
    assert held.most <= FEW


def test_a_parquet_file_is_written_group_by_group(
    made: Market, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "ROW_GROUP", 20)
    file, held = tmp_path / "x.parquet", Held()
    rows, _ = exporting.write(
        held.passed(archive.trades(S0, *ends(made))), exporting.ParquetSink(file, "trades", S0)
    )
    found = pq.read_metadata(file)
    groups = [found.row_group(n).num_rows for n in range(found.num_row_groups)]
    assert (sum(groups), max(groups)) == (rows, 20)
    assert held.most <= 20 + FEW


def test_a_copy_goes_step_by_step(made: Market, mongo: Database[Any]) -> None:
    there, seen = mongo.client[f"{mongo.name}_copy"], [0]
    try:
        copied = copying.copy(mongo, there, S0, *ends(made), lambda looked_at, _: seen.append(looked_at))
    finally:
        mongo.client.drop_database(there.name)
    steps = np.diff(seen)
    assert copied.written >= sum(steps) >= 2 * WINDOWS - 1
    assert max(steps) <= copying.STEP_NS // WINDOW_NS + 2  # (its blocks, and images)
