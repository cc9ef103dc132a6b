"""What the synthetic exchanges say, kept by the documented rules, is the true book at every moment."""

import json
from typing import Any

import pytest

from tests.simulator.binance_source import SyntheticBinance
from tests.simulator.coinbase_source import SyntheticCoinbase
from tests.simulator.followers import BinanceFollower, FullFollower, Level2Follower
from tests.simulator.history import Forgotten

START_NS = 1_795_000_000_123_456_789
S, MS = 1_000_000_000, 1_000_000

BINANCE = {"btcusdt@depth@100ms", "btcusdt@depth", "btcusdt@trade"}
COINBASE = {f"{channel}:BTC-USD" for channel in ("full", "matches", "level2_50", "heartbeat", "ticker")}


def binance(seed: int = 1, levels: int = 300) -> SyntheticBinance:
    return SyntheticBinance(["BTCUSDT", "DOGEUSDT"], seed, levels=[levels, 50], rate=500, start_ns=START_NS)


def coinbase(seed: int = 1, levels: int = 300) -> SyntheticCoinbase:
    return SyntheticCoinbase(["BTC-USD"], seed, levels=[levels], rate=500, start_ns=START_NS)


def frames(source: Any, wanted: set[str], *, seconds: float) -> list[tuple[str, Any]]:
    """Let *seconds* pass in uneven steps; the frames do not depend on the steps."""
    out: list[tuple[str, bytes]] = []
    for i in range(1, 101):
        out += source.advance(START_NS + int(seconds * S * i / 100), wanted)
    return [(key, json.loads(payload)) for key, payload in out]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("stream", ["btcusdt@depth@100ms", "btcusdt@depth"])
def test_binance_diffs_on_a_snapshot_are_the_book_at_every_event(seed: int, stream: str) -> None:
    source = binance(seed)
    book = BinanceFollower(json.loads(source.depth("BTCUSDT", 5000, START_NS)))
    applied = 0
    ms = "100" if stream.endswith("ms") else "1000"
    for key, event in frames(source, BINANCE, seconds=10):
        if key != stream:
            continue
        applied += book.follow(event)
        time_ns = event["E"] * MS
        for query in ({"update_id": str(book.id)}, {"time_ns": str(time_ns), "ms": ms}):
            if applied % 7 == 0:
                truth = source.truth("book", {"symbol": "BTCUSDT", **query})
                assert (truth["update_id"], (truth["bids"], truth["asks"])) == (book.id, book.rows())
        assert not book.crossed()
    assert applied >= 9


def test_an_event_holds_no_change_later_than_its_time() -> None:
    source = binance()
    for key, event in frames(source, BINANCE, seconds=2):
        if key == "btcusdt@depth@100ms":
            history = source.market("BTCUSDT").history
            assert history.time_of(event["u"]) <= event["E"] * MS
            assert history.number_at(event["E"] * MS) == event["u"]


def test_binance_trades_have_contiguous_ids_and_are_the_true_ones() -> None:
    source = binance()
    trades = [event for key, event in frames(source, BINANCE, seconds=5) if key.endswith("@trade")]
    ids = [trade["t"] for trade in trades]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    truth = source.truth("trades", {"symbol": "BTCUSDT", "from_id": str(ids[0]), "to_id": str(ids[-1])})
    assert [
        (row["id"], row["time_ns"] // MS, float(row["price"]), row["side"] == "sell")
        for row in truth["trades"]
    ] == [(trade["t"], trade["T"], float(trade["p"]), trade["m"]) for trade in trades]
    rest = source.rest_trades("BTCUSDT", ids[3], 4)
    assert [row["id"] for row in rest] == ids[3:7]
    assert [row["price"] for row in rest] == [trade["p"] for trade in trades[3:7]]


def test_microsecond_streams_say_the_same_with_finer_times() -> None:
    source = binance()
    wanted = {"btcusdt@trade", "btcusdt@trade!us", "btcusdt@depth@100ms", "btcusdt@depth@100ms!us"}
    said = frames(source, wanted, seconds=2)
    coarse = [event for key, event in said if not key.endswith("!us")]
    fine = [event for key, event in said if key.endswith("!us")]
    for event in fine:
        for name in {"E", "T"} & set(event):
            event[name] //= 1000
    assert fine == coarse


def test_a_binance_snapshot_may_lie_inside_an_event_and_is_cut_off_at_its_limit() -> None:
    source = binance()
    source.advance(START_NS + S, ())
    body = json.loads(source.depth("BTCUSDT", 20, START_NS + S))
    truth = source.truth("book", {"symbol": "BTCUSDT", "update_id": str(body["lastUpdateId"])})
    assert [[float(cell) for cell in row] for row in body["bids"]] == [
        [float(cell) for cell in row] for row in truth["bids"][:20]
    ]
    old = json.loads(source.depth("BTCUSDT", 20, START_NS + S // 2))
    assert old["lastUpdateId"] == source.market("BTCUSDT").history.number_at(START_NS + S // 2)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_full_channel_on_a_snapshot_is_every_order_at_every_sequence(seed: int) -> None:
    source = coinbase(seed)
    book = FullFollower(json.loads(source.book("BTC-USD", 3, START_NS)))
    seen = set()
    for key, message in frames(source, COINBASE, seconds=10):
        if not key.startswith("full:"):
            continue
        seen.add((message["type"], message.get("reason")))
        if book.follow(message) and message["sequence"] % 997 == 0:
            truth = source.truth("book", {"symbol": "BTC-USD", "update_id": str(book.id)})
            assert (truth["orders"]["bids"], truth["orders"]["asks"]) == book.rows()
    truth = source.truth("book", {"symbol": "BTC-USD", "time_ns": str(START_NS + 10 * S)})
    assert (truth["update_id"], (truth["orders"]["bids"], truth["orders"]["asks"])) == (book.id, book.rows())
    assert seen == {
        ("received", None), ("open", None), ("match", None), ("activate", None), ("done", "filled"),
        ("done", "canceled"), ("change", "STP"), ("change", "modify_order"),
    }  # fmt: skip


def test_level2_batches_on_their_snapshot_are_the_book_at_every_batch() -> None:
    source = coinbase()
    source.advance(START_NS + 3 * S + 20 * MS, ())
    snapshot = source.greeting("level2_50", "BTC-USD")
    assert snapshot is not None
    book = Level2Follower()
    book.follow(json.loads(snapshot))
    applied = 0
    for i in range(1, 60):
        for _, payload in source.advance(START_NS + 3 * S + 50 * MS * i, {"level2_50:BTC-USD"}):
            book.follow(json.loads(payload))
            applied += 1
            query = {
                "symbol": "BTC-USD",
                "feed": "level2_batch",
                "time_ns": str(START_NS + 3 * S + 50 * MS * i),
            }
            truth = source.truth("book", query)
            assert (truth["bids"], truth["asks"]) == book.rows()
    assert applied > 50


def test_matches_tickers_and_heartbeats_tell_of_the_same_trades() -> None:
    said = frames(coinbase(), COINBASE, seconds=5)
    by_channel: dict[str, list[Any]] = {}
    for key, message in said:
        by_channel.setdefault(key.partition(":")[0], []).append(message)
    full = [message for message in by_channel["full"] if message["type"] == "match"]
    assert by_channel["matches"] == full
    assert [message["trade_id"] for message in by_channel["ticker"]] == [one["trade_id"] for one in full]
    assert {one["side"] for one in by_channel["ticker"]} == {"buy", "sell"}
    assert len(by_channel["heartbeat"]) == 5
    last = by_channel["heartbeat"][-1]
    earlier = [one for one in full if one["time"] <= last["time"]]
    assert last["last_trade_id"] == earlier[-1]["trade_id"]
    assert last["sequence"] >= earlier[-1]["sequence"]


def test_coinbase_trade_pages_are_the_newest_that_fit() -> None:
    source = coinbase()
    source.advance(START_NS + 5 * S, ())
    kept = source.market("BTC-USD").trades

    def ids(before: int | None, after: int | None, limit: int) -> list[int]:
        return [row["trade_id"] for row in source.rest_trades("BTC-USD", before, after, limit)]

    last = kept.last
    assert ids(None, None, 3) == [last, last - 1, last - 2]
    assert ids(None, last - 5, 3) == [last - 6, last - 7, last - 8]
    assert ids(last - 2, None, 3) == [last, last - 1]
    assert ids(last - 50, None, 3) == [last, last - 1, last - 2]


def test_the_flow_depends_on_the_seed_alone_and_not_on_how_time_passes() -> None:
    once = frames(binance(7), BINANCE, seconds=3)
    source = binance(7)
    again = [(key, json.loads(payload)) for key, payload in source.advance(START_NS + 3 * S, BINANCE)]
    assert again == once
    assert frames(binance(8), BINANCE, seconds=3) != once


def test_prices_move_and_the_book_keeps_its_size() -> None:
    source = coinbase()
    market = source.market("BTC-USD")
    before, best = len(market.book.orders), market.book.best(0)
    source.advance(START_NS + 60 * S, ())
    assert 0.7 < len(market.book.orders) / before < 1.5
    assert best is not None
    assert abs((market.book.best(0) or 0) - best) > 10


def test_a_halted_symbol_stands_still_and_goes_on() -> None:
    source = binance()
    source.advance(START_NS + S, ())
    source.halt("BTCUSDT", True, START_NS + S)
    number = source.market("BTCUSDT").number
    assert [k for k, _ in source.advance(START_NS + 5 * S, {"btcusdt@trade", "btcusdt@depth"})][1:] == []
    assert source.info("BTCUSDT")["status"] == "HALT"
    source.halt("BTCUSDT", False, START_NS + 5 * S)
    source.advance(START_NS + 6 * S, ())
    history = source.market("BTCUSDT").history
    assert history.time_of(number + 1) > START_NS + 5 * S


def test_every_past_moment_can_be_rebuilt_across_images_until_it_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.simulator.history.IMAGE_EVERY", 500)
    monkeypatch.setattr("tests.simulator.history.MAX_ENTRIES", 4000)
    source = coinbase(levels=100)
    book = FullFollower(json.loads(source.book("BTC-USD", 3, START_NS)))
    remembered = {}
    for key, message in frames(source, COINBASE, seconds=12):
        if key.startswith("full:") and book.follow(message) and book.id % 331 == 0:
            remembered[book.id] = book.rows()
    history = source.market("BTC-USD").history
    assert history.last - history.first < 5000
    kept = [number for number in remembered if number >= history.first]
    assert len(kept) > 8
    for number in kept:
        truth = source.truth("book", {"symbol": "BTC-USD", "update_id": str(number)})
        assert (truth["orders"]["bids"], truth["orders"]["asks"]) == remembered[number]
    with pytest.raises(Forgotten):
        history.book_at(history.first - 1)
    with pytest.raises(Forgotten):
        history.number_at(START_NS)
