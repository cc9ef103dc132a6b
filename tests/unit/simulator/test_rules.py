"""Control messages, authentication and limits are answered as the exchanges document them."""

import json

import pytest

from tests.simulator.binance_rules import Streams
from tests.simulator.coinbase_rules import LOCKED_REASON, Account, Refused, Subscriptions, sign
from tests.simulator.limits import RecentCount, TokenBucket, WeightWindow

S = 1_000_000_000
NOW_S = 1_795_000_000.0
ACCOUNT = Account("key", "c2VjcmV0", "phrase")


def told(streams: Streams, message: object) -> object:
    text = message if isinstance(message, str) else json.dumps(message)
    return json.loads(streams.answer(text))


def test_streams_are_subscribed_listed_and_dropped() -> None:
    streams = Streams(["ethusdt@trade"], combined=True)
    params = ["btcusdt@depth@100ms", "nosuch@trade"]
    assert told(streams, {"method": "SUBSCRIBE", "params": params, "id": 1}) == {"result": None, "id": 1}
    assert told(streams, {"method": "LIST_SUBSCRIPTIONS", "id": "a1"}) == {
        "result": ["ethusdt@trade", *params],
        "id": "a1",
    }
    gone = {"method": "UNSUBSCRIBE", "params": ["ethusdt@trade"], "id": None}
    assert told(streams, gone) == {"result": None, "id": None}
    assert list(streams.names) == params


def test_the_property_combined_can_be_read_and_set() -> None:
    streams = Streams([], combined=True)
    assert told(streams, {"method": "GET_PROPERTY", "params": ["combined"], "id": 2}) == {
        "result": True,
        "id": 2,
    }
    told(streams, {"method": "SET_PROPERTY", "params": ["combined", False], "id": 3})
    assert not streams.combined


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        ("{", {"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"}),
        ("[]", {"code": 2, "msg": "Invalid request: invalid type, expected a map"}),
        ({"id": 1}, {"code": 2, "msg": "Invalid request: missing field `method`", "id": 1}),
        (
            {"method": "SUBSCRIBE", "params": ["a"], "id": 1.5},
            {"code": 2, "msg": "Invalid request: request ID must be an unsigned integer"},
        ),
        (
            {"method": "GET_PROPERTY", "params": ["x"], "id": 1},
            {"code": 0, "msg": "Unknown property", "id": 1},
        ),
        (
            {"method": "SET_PROPERTY", "params": ["combined", 1], "id": 1},
            {"code": 1, "msg": "Invalid value type: expected Boolean", "id": 1},
        ),
    ],
)
def test_what_binance_cannot_read_is_answered_with_its_code(message: object, answer: object) -> None:
    assert told(Streams([], combined=True), message) == answer


def test_an_unknown_method_names_what_is_expected() -> None:
    answer = told(Streams([], combined=True), {"method": "HELLO", "id": 1})
    assert str(answer).startswith(
        "{'code': 2, 'msg': 'Invalid request: unknown variant `HELLO`, expected one"
    )


def test_a_connection_holds_1024_streams() -> None:
    streams = Streams([f"s{i}@trade" for i in range(1024)], combined=True)
    answer = told(streams, {"method": "SUBSCRIBE", "params": ["one@more"], "id": 1})
    assert isinstance(answer, dict)
    assert answer["code"] == 2
    assert len(streams.names) == 1024


def subscriptions() -> Subscriptions:
    return Subscriptions(["BTC-USD", "ETH-USD"], ACCOUNT)


def request(**fields: object) -> str:
    return json.dumps({"type": "subscribe", "product_ids": ["BTC-USD"], "channels": ["full"]} | fields)


def signed(**fields: object) -> str:
    stamp = str(NOW_S)
    own = {
        "key": "key",
        "passphrase": "phrase",
        "timestamp": stamp,
        "signature": sign(ACCOUNT.secret, stamp),
    }
    return request(**(own | fields))


def test_the_ack_is_the_whole_state_under_the_channels_other_names() -> None:
    held = subscriptions()
    held.do(request(channels=["level2_batch", "matches"]), NOW_S)
    done = held.do(request(product_ids=["ETH-USD"], channels=[{"name": "matches"}]), NOW_S)
    assert json.loads(done.answer) == {
        "type": "subscriptions",
        "channels": [
            {"name": "level2_50", "product_ids": ["BTC-USD"], "account_ids": None},
            {"name": "matches", "product_ids": ["BTC-USD", "ETH-USD"], "account_ids": None},
        ],
    }
    assert done.new == [("matches", "ETH-USD")]


def test_unsubscribing_without_products_drops_the_channel() -> None:
    held = subscriptions()
    held.do(request(channels=["heartbeat", "matches"]), NOW_S)
    done = held.do(json.dumps({"type": "unsubscribe", "channels": ["matches"]}), NOW_S)
    assert [channel["name"] for channel in json.loads(done.answer)["channels"]] == ["heartbeat"]


def test_a_signed_subscription_of_full_is_taken() -> None:
    assert subscriptions().do(signed(), NOW_S).new == [("full", "BTC-USD")]


@pytest.mark.parametrize(
    ("text", "message", "reason"),
    [
        (request(), "Failed to subscribe", LOCKED_REASON),
        (request(channels=["matches", "full"]), "Failed to subscribe", LOCKED_REASON),
        (signed(signature="AAAA"), "Sorry, you could not be authenticated: Bad Request", "invalid signature"),
        (signed(key="other"), "Sorry, you could not be authenticated: Bad Request", "invalid api key"),
        (
            signed(passphrase="other"),
            "Sorry, you could not be authenticated: Bad Request",
            "invalid passphrase",
        ),
        (
            signed(timestamp=str(NOW_S - 31)),
            "Sorry, you could not be authenticated: Bad Request",
            "request timestamp expired",
        ),
        (
            request(product_ids=["XXX-USD"], channels=["matches"]),
            "Failed to subscribe",
            "XXX-USD is not a valid product",
        ),
        (request(channels=["nothing"]), "Failed to subscribe", "nothing is not a valid channel"),
        (
            request(product_ids=[], channels=["heartbeat"]),
            "Failed to subscribe",
            "You need to specify at least one product ID for channel heartbeat",
        ),
        ("{", "Malformed JSON", ""),
    ],
)
def test_a_refused_request_gets_one_error_and_changes_nothing(text: str, message: str, reason: str) -> None:
    held = subscriptions()
    with pytest.raises(Refused) as refused:
        held.do(text, NOW_S)
    assert (refused.value.message, str(refused.value)) == (message, reason)
    assert json.loads(refused.value.frame())["type"] == "error"
    assert held.channels == {}


def test_the_account_is_not_shown() -> None:
    assert repr(ACCOUNT) == "Account(***)"


def test_weight_is_refused_over_the_limit_banned_when_that_is_ignored_and_new_each_minute() -> None:
    window = WeightWindow(300)
    start_ns = 1_795_000_020 * S
    assert window.use(250, start_ns) == (200, 250, 0)
    assert window.use(250, start_ns + 10 * S) == (429, 500, 50)
    verdicts = [window.use(1, start_ns + 11 * S).status for _ in range(12)]
    assert verdicts == [429] * 9 + [418] * 3
    assert window.use(1, start_ns + 60 * S).status == 418
    assert window.use(250, start_ns + 140 * S) == (200, 250, 0)


def test_five_messages_a_second_are_taken() -> None:
    count = RecentCount(5)
    assert [count.add(i * S // 10) for i in range(6)] == [True] * 5 + [False]
    assert count.add(10 * S)


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(10, 3, 0)
    assert [bucket.take(0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(S // 10), bucket.take(S // 10)] == [True, False]
