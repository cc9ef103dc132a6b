"""What is sent to Coinbase, what its REST bodies say, and what its refusals mean."""

import base64
import hashlib
import hmac
import json

import pytest

from venue import VENUES, coinbase
from venue.api import (
    Credentials,
    Instrument,
    OrderSnapshot,
    RestRequest,
    Side,
    Trade,
    UnknownFrame,
)

SECRET = base64.b64encode(b"not a real secret").decode()
KEY = Credentials("the key", SECRET, "the passphrase")
FIRST, SECOND = (f"00000000-0000-4000-8000-00000000000{n}" for n in (1, 2))


def event(**fields: object) -> bytes:
    usual = {"type": "open", "product_id": "A-B", "sequence": 5, "time": "2023-11-14T22:13:20Z"}
    order = {"order_id": FIRST, "side": "buy", "price": "1", "remaining_size": "2"}
    return json.dumps(usual | order | fields).encode()


def test_a_key_opens_full_and_none_level2_batch() -> None:
    assert [coinbase.feed_of(KEY), coinbase.feed_of(None)] == ["full", "level2_batch"]
    assert {name: venue.feed_of(None) in venue.FEEDS for name, venue in VENUES.items()} == {
        "binance": True,
        "coinbase": True,
    }


def test_full_is_subscribed_with_a_signature_of_the_moment() -> None:
    frames = coinbase.subscribe(
        ["A-B"], feed="full", update_ms=100, request_id=1, credentials=KEY, now_s="1700000000"
    )
    signed = hmac.new(b"not a real secret", b"1700000000GET/users/self/verify", hashlib.sha256).digest()
    assert [json.loads(frame) for frame in frames] == [
        {
            "type": "subscribe",
            "product_ids": ["A-B"],
            "channels": ["full", "heartbeat"],
            "signature": base64.b64encode(signed).decode(),
            "key": "the key",
            "passphrase": "the passphrase",
            "timestamp": "1700000000",
        }
    ]


def test_the_trades_of_level2_batch_can_be_subscribed_alone() -> None:
    part = coinbase.FEEDS["level2_batch"].trades
    [frame] = coinbase.subscribe(["A-B"], feed=part, update_ms=100, request_id=1)
    assert json.loads(frame)["channels"] == ["matches", "heartbeat"]
    [frame] = coinbase.unsubscribe(["A-B"], feed=part, update_ms=100, request_id=1)
    assert json.loads(frame)["channels"] == ["matches", "heartbeat"]


def test_level2_batch_is_subscribed_without_a_signature() -> None:
    frames = coinbase.subscribe(["A-B", "C-D"], feed="level2_batch", update_ms=100, request_id=1)
    assert [json.loads(frame) for frame in frames] == [
        {
            "type": "subscribe",
            "product_ids": ["A-B", "C-D"],
            "channels": ["level2_batch", "matches", "heartbeat"],
        }
    ]


def test_an_unsubscription_names_products_because_without_any_it_would_end_all() -> None:
    frames = coinbase.unsubscribe(["A-B"], feed="full", update_ms=100, request_id=1)
    assert [json.loads(frame) for frame in frames] == [
        {"type": "unsubscribe", "product_ids": ["A-B"], "channels": ["full", "heartbeat"]}
    ]
    assert coinbase.unsubscribe([], feed="full", update_ms=100, request_id=1) == []


def test_a_secret_that_cannot_sign_is_refused_without_showing_it() -> None:
    wrong = Credentials("the key", "§ not base64 §", "the passphrase")
    with pytest.raises(ValueError, match="COINBASE_API_SECRET") as raised:
        coinbase.subscribe(["A-B"], feed="full", update_ms=100, request_id=1, credentials=wrong)
    assert "§" not in str(raised.value)
    assert raised.value.__cause__ is None
    with pytest.raises(ValueError, match="COINBASE_API_KEY"):
        coinbase.subscribe(["A-B"], feed="full", update_ms=100, request_id=1)
    with pytest.raises(ValueError, match="no feed"):
        coinbase.subscribe(["A-B"], feed="depth", update_ms=100, request_id=1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"price": "0"},
        {"price": "NaN"},
        {"price": None},
        {"remaining_size": "-1"},
        {"remaining_size": "1e5"},
        {"sequence": -1},
        {"sequence": "5x"},
        {"sequence": "\u0661"},
        {"sequence": 2**63},
        {"sequence": 5.5},
        {"time": "yesterday"},
        {"order_id": "5"},
        {"order_id": FIRST.replace("4", " ")},
        {"side": "both"},
        {"product_id": ""},
    ],
)
def test_an_order_event_that_cannot_be_true_is_unknown(wrong: dict[str, object]) -> None:
    coinbase.decode(event(), "full")
    with pytest.raises(UnknownFrame):
        coinbase.decode(event(**wrong), "full")


@pytest.mark.parametrize("price", ["0", "0.00", "", "00"])
def test_a_level_without_a_price_is_unknown(price: str) -> None:
    update = {"type": "l2update", "product_id": "A-B", "time": "2023-11-14T22:13:20Z"}
    for side in ("buy", "sell"):
        frame = json.dumps(update | {"changes": [["buy", "1", "1"], [side, price, "1"]]}).encode()
        with pytest.raises(UnknownFrame):
            coinbase.decode(frame, "level2_batch")


def test_a_match_is_an_event_of_the_maker_in_full_and_a_trade_of_the_taker_in_level2_batch() -> None:
    frame = event(
        type="match", trade_id=9, maker_order_id=FIRST, taker_order_id=SECOND, size="1", side="sell"
    )
    maker, trade = coinbase.decode(frame, "full"), coinbase.decode(frame, "level2_batch")
    assert getattr(maker, "side", None) is Side.SELL
    assert getattr(trade, "side", None) is Side.BUY
    assert (coinbase.route(frame, "full").kind, coinbase.route(frame, "full").last_id) == ("book", 5)
    assert coinbase.route(frame, "level2_batch").kind == "trade"
    assert coinbase.route(frame, "level2_batch").last_id == 9


def test_a_type_that_stands_inside_another_object_is_not_the_messages() -> None:
    frame = b'{"detail":{"type":"match","trade_id":1,"sequence":2},"type":"news","product_id":"A-B"}'
    for feed in coinbase.FEEDS:
        assert coinbase.route(frame, feed).kind == "control"


@pytest.mark.parametrize("sequence", ["13051505638", "13051505638.0", "1.3051505638E10", '"13051505638"'])
def test_a_book_has_an_exact_sequence_however_it_is_written(sequence: str) -> None:
    body = '{"bids":[["10.5","2","%s"]],"asks":[["11","0.5","%s"]],"sequence":%s,"auction_mode":true}'
    assert coinbase.snapshot("A-B", "full", (body % (FIRST, SECOND, sequence)).encode(), 0) == OrderSnapshot(
        "A-B",
        13051505638,
        [("10.5", "2", bytes.fromhex(FIRST.replace("-", "")))],
        [("11", "0.5", bytes.fromhex(SECOND.replace("-", "")))],
        auction=True,
    )


@pytest.mark.parametrize(
    "sequence", ["1.5", "-1", "1e999999999", "null", '"x"', "9223372036854775808", "9" * 50]
)
def test_a_book_without_a_true_sequence_is_unknown(sequence: str) -> None:
    with pytest.raises(UnknownFrame):
        coinbase.snapshot("A-B", "full", f'{{"bids":[],"asks":[],"sequence":{sequence}}}'.encode(), 0)


def test_the_largest_sequence_is_exact() -> None:
    body = b'{"bids":[],"asks":[],"sequence":9223372036854775807}'
    assert coinbase.snapshot("A-B", "full", body, 0).last_id == 2**63 - 1


def test_orders_come_over_rest_and_the_level2_batch_feed_brings_its_own_base() -> None:
    assert coinbase.snapshot_request("A-B", "full", 5000) == RestRequest("/products/A-B/book?level=3", 1)
    with pytest.raises(ValueError, match="snapshot of its own"):
        coinbase.snapshot_request("A-B", "level2_batch", 0)
    rest = {(name, feed): it.rest_base for name, venue in VENUES.items() for feed, it in venue.FEEDS.items()}
    assert rest == {
        ("binance", "depth"): True,
        ("coinbase", "full"): True,
        ("coinbase", "level2_batch"): False,
    }


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({}, "trading"),
        ({"status": "offline"}, "halted"),
        ({"status": "internal"}, "halted"),
        ({"status": "delisted"}, "delisted"),
        ({"trading_disabled": True}, "halted"),
        ({"cancel_only": True}, "halted"),
        ({"auction_mode": True}, "auction"),
        ({"post_only": True}, "trading"),
    ],
)
def test_products_give_status_and_scales(fields: dict[str, object], shown: str) -> None:
    product = {"id": "A-B", "quote_increment": "0.01", "base_increment": "0.00000001", "status": "online"}
    expected = {"A-B": Instrument("A-B", shown, 2, 8)}
    assert coinbase.instruments(json.dumps(product | fields).encode()) == expected
    assert coinbase.instruments(json.dumps([product | fields]).encode()) == expected


def test_each_product_is_asked_for_by_itself() -> None:
    assert coinbase.instruments_request(["A-B", "C-D"]) == [
        RestRequest("/products/A-B", 1),
        RestRequest("/products/C-D", 1),
    ]


def test_old_trades_are_a_page_that_ends_with_the_last_and_come_in_id_order() -> None:
    assert coinbase.trades_request("A-B", 7, 9) == RestRequest("/products/A-B/trades?limit=3&after=10", 1)
    rows = [
        {"trade_id": 8, "side": "buy", "size": "1", "price": "2", "time": "2023-11-14T22:13:20.5Z"},
        {"trade_id": 7, "side": "sell", "size": "1", "price": "2", "time": "2023-11-14T22:13:20Z"},
    ]
    assert coinbase.trades("A-B", json.dumps(rows).encode()) == [
        Trade("A-B", 7, 1700000000000000000, "2", "1", Side.BUY),
        Trade("A-B", 8, 1700000000500000000, "2", "1", Side.SELL),
    ]


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (404, b'{"message":"NotFound"}', "no such product"),
        (400, b'{"message":"unexpected level: _"}', "unexpected level: _"),
        (401, b'{"message":"invalid\\nsignature"}', "COINBASE_API_KEY"),
        (429, b'{"message":"Public rate limit exceeded"}', "10 requests a second"),
        (451, b"<html>", "HTTPS_PROXY"),
        (503, b"", "again later"),
    ],
)
def test_a_refusal_is_one_line_that_says_what_to_do(status: int, body: bytes, said: str) -> None:
    line = coinbase.refusal(status, body)
    assert said in line
    assert f"coinbase: HTTP {status}: " in line
    assert line.isprintable()


def test_an_escaped_symbol_is_routed_as_it_is_decoded() -> None:
    frame = event(product_id="C").replace(b'"C"', b'"A\\u002dB"').replace(b": ", b":")
    assert b'"product_id":"A\\u002dB"' in frame
    assert coinbase.route(frame, "full").symbol == "A-B"
