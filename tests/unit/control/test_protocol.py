"""Whatever arrives is a valid call or one typed error; nothing else."""

from contextlib import suppress
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.protocol import BadCall, Call, answered, failed, parse

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers(0, 9), inner, max_size=4)
    ),
    max_leaves=8,
)
COMMANDS = [
    *("add", "remove", "policy", "list", "status", "uptime", "processes", "ping", "snapshot", "book"),
    *("reset", "restart", "terminate", "addSecurity", "resetWebSocket"),
]
ARGS = ["security", "securities", "every", "images", "depth", "orders", "venue", "process", "other"]


def call(command: Any, request_id: Any = 1, **args: Any) -> Call:
    return parse(msgpack.packb({"id": request_id, "command": command, "args": args}))


def refusal(data: bytes) -> tuple[str, Any]:
    with pytest.raises(BadCall) as caught:
        parse(data)
    assert len(str(caught.value).splitlines()) == 1
    return caught.value.code, caught.value.id


@given(st.binary())
def test_garbage_bytes_are_one_typed_error(data: bytes) -> None:
    assert refusal(data) in {("bad_message", None), ("unknown_command", None)}


@given(plain)
def test_any_other_message_is_one_typed_error(value: Any) -> None:
    refusal(msgpack.packb(value))


@given(st.sampled_from(COMMANDS), st.dictionaries(st.sampled_from(ARGS), plain))
def test_any_arguments_make_a_call_or_one_typed_error(command: str, args: dict[str, Any]) -> None:
    data = msgpack.packb({"id": 1, "command": command, "args": args})
    with suppress(BadCall):
        assert isinstance(parse(data), Call)
        return
    assert refusal(data) in {("bad_argument", 1), ("bad_message", None)}


@pytest.mark.parametrize(
    ("original", "ours"),
    [
        ("addSecurity", "add"),
        ("removeSecurity", "remove"),
        ("listSecurities", "list"),
        ("requestOrderbookSnapshot", "snapshot"),
        ("requestOrderbookSnapShot", "snapshot"),
        ("retrieveCurrentOrderbook", "book"),
        ("resetWebSocket", "reset"),
        ("connectionTest", "ping"),
        ("getThreadCount", "processes"),
        ("elapsedRunningTime", "uptime"),
        ("terminate", "terminate"),
    ],
)
def test_the_original_names_mean_ours(original: str, ours: str) -> None:
    takes_one = ours in ("add", "remove", "snapshot", "book")
    args = {"security": "btcusdt"} if takes_one else {}
    assert call(original, **args) == call(ours, **args)
    assert call(original, **args).command == ours


def test_securities_are_spelled_one_way_and_named_once() -> None:
    made = call("add", securities=["btcusdt", "Coinbase:btc-usd", "binance:BTCUSDT"])
    assert made.securities == ("binance:BTCUSDT", "coinbase:BTC-USD")


@pytest.mark.parametrize(("every", "every_ms"), [("update", 0), (1000, 1000), ("1000ms", 1000), (100, 100)])
def test_intervals_are_updates_or_milliseconds(every: Any, every_ms: int) -> None:
    assert call("policy", security="A", every=every).every_ms == every_ms


def test_images_are_seconds() -> None:
    assert call("policy", security="A", images="600s").images_s == 600


@pytest.mark.parametrize(("orders", "order_ids"), [("full", True), ("noids", False)])
def test_order_ids_are_kept_or_not(orders: str, order_ids: bool) -> None:
    assert call("policy", security="A", orders=orders).change == (None, None, order_ids)
    assert call("add", security="A", orders=orders).order_ids is order_ids


@pytest.mark.parametrize(
    ("command", "args"),
    [
        ("add", {}),
        ("restart", {}),
        ("restart", {"process": "book 0"}),
        ("restart", {"process": 0}),
        ("add", {"securities": []}),
        ("add", {"securities": [1]}),
        ("add", {"security": "no symbol:"}),
        ("add", {"security": "A", "depth": 1}),
        ("book", {"securities": ["A", "B"]}),
        ("book", {"security": "A", "depth": 0}),
        ("book", {"security": "A", "depth": True}),
        ("policy", {"security": "A"}),
        ("policy", {"security": "A", "every": "1s"}),
        ("policy", {"security": "A", "every": 0}),
        ("policy", {"security": "A", "orders": "none"}),
        ("reset", {"venue": 3}),
        ("status", {"x": 1}),
    ],
)
def test_wrong_arguments_are_answered_with_the_id(command: str, args: dict[str, Any]) -> None:
    data = msgpack.packb({"id": "mine", "command": command, "args": args})
    assert refusal(data) == ("bad_argument", "mine")


def test_an_unknown_command_is_answered_with_those_there_are() -> None:
    data = msgpack.packb({"id": 7, "command": "fly", "args": {}})
    with pytest.raises(BadCall, match=r"'fly'.*add remove policy") as caught:
        parse(data)
    assert (caught.value.code, caught.value.id) == ("unknown_command", 7)


def test_answers_are_the_maps_of_the_design() -> None:
    assert msgpack.unpackb(answered(5, [1])) == {"id": 5, "ok": True, "result": [1]}
    error = {"code": "refused", "message": "no"}
    assert msgpack.unpackb(failed(None, "refused", "no")) == {"id": None, "ok": False, "error": error}
