"""Every recorded Binance and Coinbase frame is decoded, and the captures' README holds.

The README counts 28,440 level changes of the 2021 Binance file, 18,093 updates of the 2018 Coinbase
file, and so on: those numbers stand here.
"""

from collections import Counter
from functools import cache

import pytest

from tests.captures import body, frames
from venue import VENUES
from venue.api import BookSnapshot, Decoded, DepthUpdate, Ignored, OrderEvent, OrderKind, Side, Trade
from venue.checks import route_of
from venue.numbers import exact

pytestmark = pytest.mark.captures

BINANCE_2021 = "binance_spot_BTCUSDT_ETHUSDT_DOTUSDT_20210404"
BINANCE_2023 = "binance_spot_BTCUSDT_nobase_20230405"
BINANCE_2024 = "binance_spot_ETHUSDT_20240808"
BINANCE_2026 = "binance_spot_BTCUSDT_ETHUSDT_20260707"
FULL = "coinbase_full_BTC-USD_20160312"
LEVEL2 = "coinbase_level2_BTC-USD_20180417"
LEVEL2_BATCH = "coinbase_level2batch_BTC-USD_ETH-USD_20260707"
FEEDS = {
    BINANCE_2021: "depth",
    BINANCE_2023: "depth",
    BINANCE_2024: "depth",
    BINANCE_2026: "depth",
    FULL: "full",
    LEVEL2: "level2_batch",
    LEVEL2_BATCH: "level2_batch",
}


def websocket_frames(name: str) -> list[bytes]:
    return [frame.data for frame in frames(name) if frame.src == "ws"]


@cache
def decoded(name: str) -> list[Decoded]:
    venue = VENUES[name.partition("_")[0]]
    return [venue.decode(frame, FEEDS[name]) for frame in websocket_frames(name)]


def counted(name: str) -> dict[str, int]:
    kinds = (m.why if isinstance(m, Ignored) else type(m).__name__ for m in decoded(name))
    return dict(Counter(kinds))


def updates(name: str) -> list[DepthUpdate]:
    return [m for m in decoded(name) if isinstance(m, DepthUpdate)]


def changes(name: str) -> int:
    return sum(len(m.bids) + len(m.asks) for m in updates(name))


def trade_ids(name: str, symbol: str) -> list[int]:
    return [m.id for m in decoded(name) if isinstance(m, Trade) and m.symbol == symbol]


@pytest.mark.parametrize("name", FEEDS)
def test_route_agrees_with_decode_on_every_frame(name: str) -> None:
    venue = VENUES[name.partition("_")[0]]
    for frame, message in zip(websocket_frames(name), decoded(name), strict=True):
        assert venue.route(frame, FEEDS[name]) == route_of(message)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        (BINANCE_2021, {"DepthUpdate": 2688, "aggTrade": 1910, "kline": 118}),
        (BINANCE_2023, {"DepthUpdate": 3929, "Trade": 3144, "bookTicker": 8015}),
        (BINANCE_2024, {"DepthUpdate": 3434, "Trade": 6106, "bookTicker": 24077}),
        (BINANCE_2026, {"DepthUpdate": 900, "Trade": 1163}),
        (FULL, {"OrderEvent": 3790}),
        (
            LEVEL2,
            {
                "BookSnapshot": 1,
                "DepthUpdate": 18093,
                "Trade": 256,
                "last_match": 1,
                "subscriptions": 1,
                "error": 1,
            },
        ),
        (
            LEVEL2_BATCH,
            {
                "BookSnapshot": 2,
                "DepthUpdate": 1898,
                "Trade": 435,
                "last_match": 2,
                "subscriptions": 1,
                "heartbeat": 118,
            },
        ),
    ],
)
def test_every_frame_is_decoded_to_its_kind(name: str, kinds: dict[str, int]) -> None:
    assert counted(name) == kinds


@pytest.mark.parametrize(
    ("name", "count"), [(BINANCE_2021, 28_440), (BINANCE_2023, 32_024), (LEVEL2_BATCH, 16_796)]
)
def test_level_changes_are_all_there(name: str, count: int) -> None:
    assert changes(name) == count


@pytest.mark.parametrize("name", [BINANCE_2021, BINANCE_2023, BINANCE_2024, BINANCE_2026])
def test_update_ids_follow_one_another_without_a_gap(name: str) -> None:
    last: dict[str, int] = {}
    for update in updates(name):
        assert update.first_id is not None
        assert update.last_id is not None
        assert last.get(update.symbol, update.first_id - 1) + 1 == update.first_id
        last[update.symbol] = update.last_id


@pytest.mark.parametrize(
    ("name", "symbol"),
    [(BINANCE_2024, "ETHUSDT"), (LEVEL2_BATCH, "BTC-USD"), (LEVEL2_BATCH, "ETH-USD"), (LEVEL2, "BTC-USD")],
)
def test_trade_ids_are_contiguous(name: str, symbol: str) -> None:
    ids = trade_ids(name, symbol)
    assert ids == list(range(ids[0], ids[0] + len(ids)))


@pytest.mark.parametrize("name", FEEDS)
def test_every_number_is_exact_at_eight_decimals(name: str) -> None:
    for message in decoded(name):
        match message:
            case DepthUpdate() | BookSnapshot():
                levels = [*message.bids, *message.asks]
                assert (exact([price for price, _ in levels], 8) > 0).all()
                assert (exact([size for _, size in levels], 8) >= 0).all()
            case Trade():
                assert exact([message.price, message.size], 8).all()
            case _:
                pass


def test_stale_diffs_of_2021_are_those_before_the_snapshots() -> None:
    bases = {}
    for frame in frames(BINANCE_2021):
        if frame.src == "http" and frame.url is not None:
            symbol = frame.url.partition("symbol=")[2].partition("&")[0]
            bases[symbol] = VENUES["binance"].snapshot(symbol, "depth", frame.data, 1000)
    assert {len(base.bids) for base in bases.values()} == {1000}
    last = {symbol: base.last_id or 0 for symbol, base in bases.items()}
    assert sum((update.last_id or 0) <= last[update.symbol] for update in updates(BINANCE_2021)) == 32


def test_snapshots_of_the_level2_batch_feed_are_whole() -> None:
    sizes = {
        m.symbol: len(m.bids) + len(m.asks) for m in decoded(LEVEL2_BATCH) if isinstance(m, BookSnapshot)
    }
    assert sizes == {"BTC-USD": 42_390, "ETH-USD": 22_768}


def test_sequences_of_full_go_on_from_the_level3_base() -> None:
    base = next(frame for frame in frames(FULL) if frame.src == "http")
    book = VENUES["coinbase"].snapshot("BTC-USD", "full", base.data, 0)
    assert (book.last_id, len(book.bids) + len(book.asks)) == (760636963, 7109)
    events = [m for m in decoded(FULL) if isinstance(m, OrderEvent)]
    assert [event.id for event in events] == list(range(760636964, 760640754))
    assert {event.time_ns // 10**9 for event in events} <= set(range(1457759316, 1457759600))
    assert Counter(event.kind for event in events) == {
        OrderKind.RECEIVED: 1266,
        OrderKind.OPEN: 1265,
        OrderKind.DONE: 1258,
        OrderKind.MATCH: 1,
    }


def test_the_side_of_a_coinbase_trade_is_the_takers() -> None:
    """A maker who sells is hit by a buyer: the trade's price is then the ask."""
    trades = [m for m in decoded(LEVEL2_BATCH) if isinstance(m, Trade)]
    makers = [b'"side":"sell"' in f for f in websocket_frames(LEVEL2_BATCH) if b'"type":"match"' in f]
    assert [trade.side is Side.BUY for trade in trades] == makers


def test_rest_bodies_are_decoded() -> None:
    depth = VENUES["binance"].snapshot("BTCUSDT", "depth", body("binance_rest-depth-btc"), 100)
    assert (depth.last_id, len(depth.bids), len(depth.asks)) == (97109906740, 100, 100)
    orders = VENUES["coinbase"].snapshot("BTC-USD", "full", body("coinbase_rest_level3_BTC-USD_2017"), 0)
    assert (orders.last_id, len(orders.bids) + len(orders.asks)) == (1974823009, 4929)
