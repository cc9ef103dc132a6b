"""A recording is said again frame by frame, to those who subscribed, with the REST body of its place."""

import json
from pathlib import Path

import pytest
import zstandard

from tests.simulator.firehose import IDS_PER_FRAME, Firehose
from tests.simulator.followers import BinanceFollower, FullFollower
from tests.simulator.recording import CAPTURES, read
from tests.simulator.replay import AT_ONCE, SETTLE_NS, START_AFTER_NS, BinanceReplay, CoinbaseReplay

S, MS = 1_000_000_000, 1_000_000
NOW_NS = 1_795_000_000 * S

needs_captures = pytest.mark.skipif(not CAPTURES.is_dir(), reason="../shared/captures is absent")


def write(folder: Path, name: str, lines: list[dict[str, object]]) -> None:
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / f"{name}.jsonl.zst").write_bytes(zstandard.compress(text.encode()))


def trade(number: int, ms: int) -> dict[str, object]:
    data = f'{{"stream":"btcusdt@trade","data":{{"e":"trade","E":{ms},"s":"BTCUSDT","t":{number}}}}}'
    return {"src": "ws", "recv_ns": None, "data": data}


def body(number: int) -> dict[str, object]:
    url = "https://x/api/v3/depth?symbol=BTCUSDT&limit=1000"
    return {"src": "http", "recv_ns": None, "url": url, "data": f'{{"lastUpdateId":{number}}}'}


@pytest.fixture
def replay(tmp_path: Path) -> BinanceReplay:
    lines = [trade(1, 1000), body(7), trade(2, 1100), trade(3, 1500), trade(4, 1900), body(8)]
    write(tmp_path, "binance_one", lines)
    return BinanceReplay(read(["binance_one"], tmp_path), speed=2.0)


def numbers(frames: list[tuple[str, bytes]]) -> list[int]:
    return [json.loads(payload)["t"] for _, payload in frames]


def test_it_waits_for_a_subscriber_and_then_keeps_the_recorded_pace(replay: BinanceReplay) -> None:
    wanted = {"btcusdt@trade"}
    assert replay.advance(NOW_NS, set()) == []
    assert replay.advance(NOW_NS + S - SETTLE_NS, wanted) == []
    assert replay.advance(NOW_NS + S - 1, wanted) == []
    assert numbers(replay.advance(NOW_NS + S, wanted)) == [1]
    assert numbers(replay.advance(NOW_NS + S + 50 * MS, wanted)) == [2]
    assert numbers(replay.advance(NOW_NS + S + 249 * MS, wanted)) == []
    assert numbers(replay.advance(NOW_NS + 9 * S, wanted)) == [3, 4]
    assert replay.truth("range", {"symbol": "BTCUSDT"})["over"]


def test_the_payload_is_verbatim(replay: BinanceReplay) -> None:
    replay.start()
    assert replay.advance(NOW_NS, {"btcusdt@trade"}) == [
        ("btcusdt@trade", b'{"e":"trade","E":1000,"s":"BTCUSDT","t":1}')
    ]


def test_who_subscribed_another_stream_starts_it_after_a_while_and_hears_nothing(
    replay: BinanceReplay,
) -> None:
    assert replay.advance(NOW_NS, {"ethusdt@trade"}) == []
    assert not replay.truth("range", {"symbol": "BTCUSDT"})["begun"]
    assert replay.advance(NOW_NS + START_AFTER_NS, {"ethusdt@trade"}) == []
    assert replay.truth("range", {"symbol": "BTCUSDT"})["place"] == 1


def test_it_can_be_told_to_start(replay: BinanceReplay) -> None:
    replay.start()
    assert numbers(replay.advance(NOW_NS, {"btcusdt@trade"})) == [1]


def test_the_body_is_the_one_nearest_to_the_place(replay: BinanceReplay) -> None:
    assert replay.depth("BTCUSDT", 5000, NOW_NS) == b'{"lastUpdateId":7}'
    replay.start()
    replay.advance(NOW_NS, {"btcusdt@trade"})
    replay.advance(NOW_NS + 9 * S, {"btcusdt@trade"})
    assert replay.depth("BTCUSDT", 5000, NOW_NS) == b'{"lastUpdateId":8}'
    assert replay.depth("ETHUSDT", 5000, NOW_NS) is None


def test_an_unknown_recording_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="binance_two"):
        read(["binance_two"], tmp_path)


@pytest.mark.captures
@needs_captures
def test_the_recorded_full_channel_follows_its_recorded_book() -> None:
    source = CoinbaseReplay(read(["coinbase_full_BTC-USD_20160312"]), speed=0)
    source.start()
    snapshot = source.book("BTC-USD", 3, NOW_NS)
    assert snapshot is not None
    book = FullFollower(json.loads(snapshot))
    while not source.truth("range", {"symbol": "BTC-USD"})["over"]:
        for _, payload in source.advance(NOW_NS, {"full:BTC-USD"}):
            book.follow(json.loads(payload))
    assert book.id == 760640753


@pytest.mark.captures
@needs_captures
def test_the_recorded_diffs_follow_their_recorded_book() -> None:
    source = BinanceReplay(read(["binance_spot_ETHUSDT_20240808"]), speed=0)
    source.start()
    snapshot = source.depth("ETHUSDT", 1000, NOW_NS)
    assert snapshot is not None
    book = BinanceFollower(json.loads(snapshot))
    applied = 0
    while not source.truth("range", {"symbol": "ETHUSDT"})["over"]:
        frames = source.advance(NOW_NS, {"ethusdt@depth@100ms"})
        assert len(frames) <= AT_ONCE
        applied += sum(book.follow(json.loads(payload)) for _, payload in frames)
    assert applied > 3000


@pytest.mark.captures
@needs_captures
@pytest.mark.parametrize(
    ("names", "frames", "symbols"),
    [
        (["binance_spot_BTCUSDT_ETHUSDT_DOTUSDT_20210404"], 4716, {"BTCUSDT", "ETHUSDT", "DOTUSDT"}),
        (["binance_spot_BTCUSDT_ETHUSDT_20260707", "binance_rest-depth-btc"], 2063, {"BTCUSDT", "ETHUSDT"}),
        (["coinbase_level2_BTC-USD_20180417"], 18_352, {"BTC-USD"}),
        (["coinbase_level2batch_BTC-USD_ETH-USD_20260707"], 2455, {"BTC-USD", "ETH-USD"}),
    ],
)
def test_every_frame_of_the_captures_has_its_stream(names: list[str], frames: int, symbols: set[str]) -> None:
    recording = read(names)
    assert (len(recording.frames), set(recording.symbols)) == (frames, symbols)
    offsets = [frame.offset_ns for frame in recording.frames]
    assert offsets == sorted(offsets)


@pytest.mark.parametrize(("load", "levels"), [("small", 4), ("large", 46)])
def test_the_firehose_sends_ids_without_a_hole_at_the_rate_asked(load: str, levels: int) -> None:
    source = Firehose(load, 10_000, 1, NOW_NS, ["AUSDT", "BUSDT"])
    wanted = {"ausdt@depth@100ms", "busdt@depth@100ms"}
    books = {symbol: BinanceFollower(json.loads(source.depth(symbol, 1000, 0))) for symbol in source.symbols}
    lengths = set()
    events = 0
    for i in range(1, 11):
        for _, payload in source.advance(NOW_NS + i * 10 * MS, wanted):
            event = json.loads(payload)
            assert books[event["s"]].follow(event)
            assert event["u"] - event["U"] == IDS_PER_FRAME - 1
            assert len(event["b"]) + len(event["a"]) == levels
            assert not books[event["s"]].crossed()
            lengths.add(len(payload))
            events += 1
    assert events == 1000
    assert len(lengths) == 1


def test_the_firehose_waits_for_listeners() -> None:
    source = Firehose("trades", 0, 1, NOW_NS, ["AUSDT"])
    assert source.advance(NOW_NS + S, set()) == []
    ids = [json.loads(payload)["t"] for _, payload in source.advance(NOW_NS + 2 * S, {"ausdt@trade"})]
    assert ids == list(range(ids[0], ids[0] + 1000))
