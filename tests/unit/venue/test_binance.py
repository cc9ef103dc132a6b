"""What is sent to Binance, what its REST bodies say, and what its refusals mean."""

import json

import pytest

from venue import binance
from venue.api import BookSnapshot, Instrument, RestRequest, Side, Trade, UnknownFrame

DEPTH = (
    '{"stream":"a@depth","data":{"e":"depthUpdate","E":1700000000123,"s":"A","U":%s,"u":%s,"b":[%s],"a":[]}}'
)
TRADE = '{"stream":"a@trade","data":{"e":"trade","E":1,"s":"A","t":%s,"p":%s,"q":%s,"T":%s,"m":true}}'


def sent(frames: list[bytes]) -> list[object]:
    return [json.loads(frame) for frame in frames]


def test_one_frame_subscribes_depth_and_trades_of_all_symbols() -> None:
    frames = binance.subscribe(["BTCUSDT", "币安USDT"], feed="depth", update_ms=100, request_id=7)
    streams = ["btcusdt@depth@100ms", "btcusdt@trade", "币安usdt@depth@100ms", "币安usdt@trade"]
    assert sent(frames) == [{"method": "SUBSCRIBE", "params": streams, "id": 7}]
    assert "币安usdt".encode() in frames[0]


def test_what_was_subscribed_at_a_second_is_unsubscribed_by_the_same_names() -> None:
    frames = binance.unsubscribe(["BTCUSDT"], feed="depth", update_ms=1000, request_id=8)
    assert sent(frames) == [{"method": "UNSUBSCRIBE", "params": ["btcusdt@depth", "btcusdt@trade"], "id": 8}]


def test_no_symbols_need_no_frame() -> None:
    assert binance.subscribe([], feed="depth", update_ms=100, request_id=1) == []


@pytest.mark.parametrize(("feed", "update_ms"), [("full", 100), ("depth", 250)])
def test_a_feed_or_pace_that_the_venue_does_not_have_is_refused(feed: str, update_ms: int) -> None:
    with pytest.raises(ValueError, match="binance"):
        binance.subscribe(["BTCUSDT"], feed=feed, update_ms=update_ms, request_id=1)


@pytest.mark.parametrize(
    ("levels", "limit", "weight"),
    [
        (1, 100, 5),
        (100, 100, 5),
        (101, 500, 25),
        (501, 1000, 50),
        (1001, 5000, 250),
        (9999, 5000, 250),
        (0, 5000, 250),
    ],
)
def test_a_snapshot_takes_the_cheapest_limit_that_holds_its_levels(
    levels: int, limit: int, weight: int
) -> None:
    path = f"/api/v3/depth?symbol=BTCUSDT&limit={limit}"
    assert binance.snapshot_request("BTCUSDT", "depth", levels) == RestRequest(path, weight)
    body = b'{"lastUpdateId":5,"bids":[["0.50","1"]],"asks":[]}'
    assert binance.snapshot("BTCUSDT", "depth", body, levels) == BookSnapshot(
        "BTCUSDT", 5, None, [("0.50", "1")], [], limit
    )


def test_symbols_of_another_script_are_quoted_in_paths() -> None:
    assert "symbol=%E5%B8%81&" in binance.snapshot_request("币", "depth", 100).path
    assert binance.instruments_request(["币"])[0].path == "/api/v3/exchangeInfo?symbol=%E5%B8%81"


def test_instruments_are_asked_for_a_hundred_at_a_time() -> None:
    requests = binance.instruments_request([f"S{n}" for n in range(250)])
    assert [request.path.count("%22S") for request in requests] == [100, 100, 50]
    assert {request.weight for request in requests} == {20}


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        ("TRADING", "trading"),
        ("HALT", "halted"),
        ("BREAK", "halted"),
        ("CANCEL_ONLY", "halted"),
        ("AUCTION_MATCH", "auction"),
        ("NEW_STATUS", "halted"),
    ],
)
def test_exchange_info_gives_status_and_scales(status: str, shown: str) -> None:
    filters = [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01", "tickSize": "0.01000000"},
        {"filterType": "LOT_SIZE", "stepSize": "0.00001000"},
        {"filterType": "NOTIONAL", "minNotional": "5"},
    ]
    body = json.dumps({"symbols": [{"symbol": "ABC", "status": status, "filters": filters}]}).encode()
    assert binance.instruments(body) == {"ABC": Instrument("ABC", shown, 2, 5)}


def test_a_rule_that_is_off_leaves_the_assets_own_precision() -> None:
    filters = [{"filterType": "PRICE_FILTER", "tickSize": "0.00000000"}]
    info = {"symbol": "A", "status": "TRADING", "filters": filters, "quoteAssetPrecision": 6}
    assert binance.instruments(json.dumps({"symbols": [info]}).encode()) == {
        "A": Instrument("A", "trading", 6, 8)
    }


def test_old_trades_are_asked_for_by_id_and_come_in_id_order() -> None:
    request = RestRequest("/api/v3/historicalTrades?symbol=ABC&fromId=7&limit=3", 25)
    assert binance.trades_request("ABC", 7, 9) == request
    assert binance.trades_request("ABC", 7, 90_000).path.endswith("limit=1000")
    rows = [
        {"id": 8, "price": "2", "qty": "1", "time": 1700000000001, "isBuyerMaker": False},
        {"id": 7, "price": "1", "qty": "1", "time": 1700000000000, "isBuyerMaker": True},
    ]
    assert binance.trades("ABC", json.dumps(rows).encode()) == [
        Trade("ABC", 7, 1700000000000000000, "1", "1", Side.SELL),
        Trade("ABC", 8, 1700000000001000000, "2", "1", Side.BUY),
    ]


@pytest.mark.parametrize(
    ("first", "last", "level"),
    [
        ("1", "2", '["0","1"]'),
        ("1", "2", '["0.00000000","1"]'),
        ("1", "2", '["\\u0030","1"]'),
        ("1", "2", '[ "0","1"]'),
        ("1", "2", '[\t"00.0","1"]'),
        ("1", "2", '["","1"]'),
        ("1", "2", '["1"]'),
        ("1", "2", '["1","2","3"]'),
        ("1", "2", "[1.5,2]"),
        ("3", "2", '["1","1"]'),
        ("-1", "2", '["1","1"]'),
        ("1", "9223372036854775808", '["1","1"]'),
        ("1", "2.0", '["1","1"]'),
        ('"1"', "2", '["1","1"]'),
    ],
)
def test_a_depth_update_that_cannot_be_true_is_unknown(first: str, last: str, level: str) -> None:
    with pytest.raises(UnknownFrame):
        binance.decode((DEPTH % (first, last, level)).encode(), "depth")


@pytest.mark.parametrize(
    "wrong", ['"NaN"', '"-1"', '""', '"1e5"', '"Infinity"', '"+1"', '" 1"', "1.5", "null"]
)
def test_a_trade_that_cannot_be_true_is_unknown(wrong: str) -> None:
    for price, size in ((wrong, '"1"'), ('"1"', wrong), ('"0.00"', '"1"')):
        with pytest.raises(UnknownFrame):
            binance.decode((TRADE % (1, price, size, 1)).encode(), "depth")


def test_a_time_beyond_64_bits_of_nanoseconds_is_unknown() -> None:
    with pytest.raises(UnknownFrame):
        binance.decode((TRADE % (1, '"1"', '"1"', 9_223_372_036_855)).encode(), "depth")


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (
            451,
            b'{"code":0,"msg":"Service unavailable from a restricted location"}',
            "data-api.binance.vision",
        ),
        (451, b"", "HTTPS_PROXY"),
        (403, b"<html>forbidden</html>", "firewall"),
        (418, b'{"code":-1003,"msg":"banned"}', "banned"),
        (429, b'{"code":-1003,"msg":"Too much request weight used"}', "Retry-After"),
        (400, b'{"code":-1121,"msg":"Invalid symbol."}', "no such symbol"),
        (400, b'{"code":-1003,"msg":"way too many\\nrequests"}', "Retry-After"),
        (400, b'{"code":-1100,"msg":"Illegal characters"}', "Illegal characters"),
        (502, b"<html>", "again later"),
    ],
)
def test_a_refusal_is_one_line_that_says_what_to_do(status: int, body: bytes, said: str) -> None:
    line = binance.refusal(status, body)
    assert said in line
    assert f"binance: HTTP {status}: " in line
    assert line.isprintable()


def test_a_frame_that_begins_as_usual_but_cannot_be_true_has_no_route() -> None:
    assert binance.route((DEPTH % (2, 3, "")).encode(), "depth").last_id == 3
    with pytest.raises(UnknownFrame):
        binance.route((DEPTH % (3, 2, "")).encode(), "depth")
