"""The bench measures stages that really did the work: what it made is looked at here."""

from itertools import chain
from pathlib import Path

import pytest

from ingest.recorder import GROUP_BYTES
from journal.group import Kind, unpack_group
from tests import captures
from tests.bench import ingesting, level3, stages
from tests.bench.figures import Figure
from tests.bench.market import FRAMES_PER_SECOND, market, saturated
from tests.bench.small import small_market
from venue import VENUES
from venue.api import DepthUpdate
from wire.messages import Document, unpack, unpack_all
from wire.runs import Hole, Orders

ONCE = stages.Runs(1)


@pytest.fixture(params=["recorded", "synthetic"])
def source(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "synthetic":
        monkeypatch.setattr(captures, "FOLDER", Path("/absent"))
    elif not captures.FOLDER.is_dir():
        pytest.skip(f"no recorded captures here: {captures.FOLDER} is absent")
    return str(request.param)


def test_every_level_change_of_the_windows_that_ended_becomes_part_of_a_document(source: str) -> None:
    feed = market(2, 25)
    _, changes, depth_frames = stages.floor(feed, ONCE)
    _, batches = stages.book(stages.groups_of(saturated(feed)), ONCE)
    _, turns = stages.condition(batches, ONCE)
    blocks = [
        d
        for d in map(unpack, chain.from_iterable(turns))
        if isinstance(d, Document) and d.collection == "changes"
    ]
    windows = {(block.security, block.start_ns) for block in blocks}
    assert len(windows) == len(blocks) >= 4
    levels = sum(block.fields["levels"] for block in blocks)
    assert 0.4 * changes < levels <= changes
    assert depth_frames == sum(b"@depth" in arrival.data[:40] for arrival in feed.arrivals)


def test_the_synthetic_market_has_no_gap_and_never_crosses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captures, "FOLDER", Path("/absent"))
    feed, venue = market(1, 30), VENUES["binance"]
    sides: list[dict[str, str]] = [{}, {}]
    last_id = 0
    for arrival in feed.arrivals:
        if arrival.is_snapshot:
            body = venue.snapshot(arrival.symbol, "depth", arrival.data, 1000)
            sides, last_id = [dict(body.bids), dict(body.asks)], body.last_id  # type: ignore[union-attr]
            continue
        update = venue.decode(arrival.data, "depth")
        if not isinstance(update, DepthUpdate):
            continue
        assert update.first_id == last_id + 1
        last_id = update.last_id or 0
        for side, levels in zip(sides, (update.bids, update.asks), strict=True):
            side.update(levels)
        bids, asks = ([float(p) for p, s in side.items() if float(s)] for side in sides)
        assert max(bids) < min(asks)


def test_ingest_takes_every_frame(source: str) -> None:
    assert ingesting.ingest(market(2, 3), ONCE) > 0


def test_groups_are_as_large_as_an_ingester_at_saturation_makes_them(source: str) -> None:
    feed = saturated(market(4, 40))
    groups = [unpack_group(data) for data in stages.groups_of(feed)]
    frames = [group for group in groups if group.kind is Kind.FRAME]
    sizes = [sum(len(record.payload) for record in group.records()) for group in frames]
    full = [size for size in sizes if size >= GROUP_BYTES]
    assert len(full) >= len(sizes) - 3  # a snapshot and the end cut groups short
    assert all(size < GROUP_BYTES + 32768 for size in sizes)


def test_a_tick_comes_each_second_of_saturation(source: str) -> None:
    feed = saturated(market(8, 345))
    kinds = [unpack_group(data).kind for data in stages.groups_of(feed)]
    assert kinds.count(Kind.TICK) == len(feed.arrivals) // FRAMES_PER_SECOND


def test_every_order_event_of_an_l3_book_of_full_size_is_worked_off() -> None:
    told = level3.stream(orders=2_000, events=3_000)
    _, batches = level3.book(told, ONCE)
    said = [message for batch in batches for message in unpack_all(batch)]
    events = sum(len(message.ids) // 8 for message in said if isinstance(message, Orders))
    assert events == told.events >= 3_000
    assert told.orders > 1_000
    assert not any(isinstance(message, Hole) for message in said)


def test_small_frames_are_taken_and_heard_by_a_subscriber() -> None:
    feed = small_market("small", 2000)
    assert len(feed.symbols) == 200
    _, changes, depth_frames = stages.floor(feed, ONCE)
    assert (changes, depth_frames) == (8000, 2000)
    assert ingesting.ingest(feed, ONCE, heard=True) > 0


def test_a_figure_reaches_its_bar_from_the_right_side() -> None:
    most, least = Figure("a", 2.0, "us", bar=1.0), Figure("a", 2.0, "frames/s", bar=1.0, least=True)
    assert (most.passed, least.passed, Figure("a", 2.0, "us").passed) == (False, True, True)
    assert Figure("a", 3.0, "us", "floor", 2.0).for_machines()["ratio"] == 1.5
