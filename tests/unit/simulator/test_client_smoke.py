"""The running simulator, heard and asked by a real websocket client: what the logger will meet."""

import json
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import websocket

from tests.simulator.coinbase_rules import LOCKED_REASON, sign
from tests.simulator.followers import BinanceFollower, FullFollower, Level2Follower
from tests.simulator.process import ROOT, Simulator, running
from tests.simulator.recording import CAPTURES

SECRET = "c2VjcmV0"
STREAMS = ["btcusdt@depth@100ms", "btcusdt@trade"]
STALE_NS = 500_000_000


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    options = ["--rate", "300", "--levels", "400", "--require-key", f"key:{SECRET}:phrase"]
    quick = ["--ping-s", "0.4", "--pong-timeout-s", "0.6", "--subscribe-within-s", "1"]
    with running(*options, *quick) as process:
        yield process


opened: list[websocket.WebSocket] = []


@pytest.fixture(autouse=True)
def closing() -> Iterator[None]:
    """Close every connection of a test."""
    yield
    while opened:
        opened.pop().shutdown()


def connected(simulator: Simulator, venue: str, path: str) -> websocket.WebSocket:
    client = websocket.create_connection(simulator.ws_url(venue) + path, timeout=10)
    opened.append(client)
    return client


def say(client: websocket.WebSocket, **message: object) -> None:
    client.send(json.dumps(message))


def hear(client: websocket.WebSocket) -> Any:
    """Return the next data frame; pings are answered on the way."""
    return json.loads(client.recv())


def binance(simulator: Simulator, streams: list[str]) -> websocket.WebSocket:
    client = connected(simulator, "binance", "/stream")
    say(client, method="SUBSCRIBE", params=streams, id=1)
    assert hear(client) == {"result": None, "id": 1}
    return client


def subscribe(simulator: Simulator, *channels: str, key: bool = False) -> websocket.WebSocket:
    client = connected(simulator, "coinbase", "/")
    stamp = str(time.time())
    proof = {"key": "key", "passphrase": "phrase", "timestamp": stamp, "signature": sign(SECRET, stamp)}
    own = proof if key else {}
    say(client, type="subscribe", product_ids=["BTC-USD"], channels=list(channels), **own)
    return client


def until(client: websocket.WebSocket, wanted: Callable[[Any], bool]) -> Any:
    for _ in range(20_000):
        message = hear(client)
        if wanted(message):
            return message
    raise AssertionError("not heard")


def test_a_binance_book_kept_from_the_wire_is_the_true_book(simulator: Simulator) -> None:
    client = binance(simulator, STREAMS)
    until(client, lambda message: message["data"]["e"] == "depthUpdate")
    book = BinanceFollower(simulator.get("binance", "/api/v3/depth?symbol=BTCUSDT&limit=5000"))
    applied = 0
    while applied < 10:
        message = hear(client)
        if message["stream"] == STREAMS[0]:
            applied += book.follow(message["data"])
            at_ns = message["data"]["E"] * 1_000_000
    for query in ({"update_id": book.id}, {"time_ns": at_ns}):
        truth = simulator.truth_book("binance", "BTCUSDT", **query)
        assert (truth["update_id"], (truth["bids"], truth["asks"])) == (book.id, book.rows())


def test_binance_trades_from_the_wire_are_the_true_trades(simulator: Simulator) -> None:
    client = binance(simulator, ["btcusdt@trade"])
    heard = [hear(client)["data"] for _ in range(10)]
    true = simulator.truth_trades("binance", "BTCUSDT", from_id=heard[0]["t"], to_id=heard[-1]["t"])
    assert [(one["id"], float(one["size"])) for one in true] == [(one["t"], float(one["q"])) for one in heard]


def test_a_raw_stream_is_not_wrapped_and_a_url_can_name_streams(simulator: Simulator) -> None:
    assert hear(connected(simulator, "binance", "/ws/btcusdt@trade"))["e"] == "trade"
    combined = connected(
        simulator, "binance", "/stream?streams=btcusdt@trade/ethusdt@trade&timeUnit=MICROSECOND"
    )
    assert hear(combined)["data"]["E"] > 10**15


def test_binance_pings_and_closes_who_does_not_answer(simulator: Simulator) -> None:
    client = binance(simulator, ["nosuch@trade"])
    opcode, payload = client.recv_data(control_frame=True)
    assert (opcode, payload.isdigit()) == (websocket.ABNF.OPCODE_PING, True)
    frame = client.recv_frame()
    while frame.opcode == websocket.ABNF.OPCODE_PING:
        frame = client.recv_frame()
    assert (frame.opcode, frame.data) == (websocket.ABNF.OPCODE_CLOSE, b"\x03\xf0Pong timeout")


def test_more_than_five_messages_a_second_end_a_binance_connection(simulator: Simulator) -> None:
    client = binance(simulator, ["nosuch@trade"])
    for i in range(6):
        say(client, method="LIST_SUBSCRIPTIONS", id=i)
    frames = [client.recv_frame() for _ in range(5)]
    while frames[-1].opcode != websocket.ABNF.OPCODE_CLOSE:
        frames.append(client.recv_frame())
    assert frames[-1].data == b"\x03\xf0Too many requests"


def test_binance_rest_knows_its_symbols_and_counts_weight(simulator: Simulator) -> None:
    status, body, headers = simulator.request("binance", "/api/v3/exchangeInfo?symbol=BTCUSDT")
    assert (status, body["symbols"][0]["filters"][0]["tickSize"]) == (200, "0.01000000")
    before = int(headers["X-MBX-USED-WEIGHT-1M"])
    status, body, headers = simulator.request("binance", "/api/v3/depth?symbol=NOPE&limit=1000")
    assert (status, body) == (400, {"code": -1121, "msg": "Invalid symbol."})
    assert int(headers["X-MBX-USED-WEIGHT-1M"]) in (before + 50, 50)
    symbols = '["BTCUSDT","ETHUSDT"]'.replace('"', "%22")
    body = simulator.get("binance", f"/api/v3/exchangeInfo?symbols={symbols}")
    assert [one["symbol"] for one in body["symbols"]] == ["BTCUSDT", "ETHUSDT"]
    assert len(simulator.get("binance", "/api/v3/historicalTrades?symbol=BTCUSDT&limit=5")) == 5
    assert abs(simulator.get("binance", "/api/v3/time")["serverTime"] / 1000 - time.time()) < 5


def test_a_coinbase_order_book_kept_from_the_wire_is_the_true_one(simulator: Simulator) -> None:
    client = subscribe(simulator, "full", key=True)
    assert hear(client)["channels"][0]["name"] == "full"
    first = until(client, lambda message: "sequence" in message)
    simulator.wait(lambda one: one.truth_range("coinbase", "BTC-USD")["last_id"] > first["sequence"])
    book = FullFollower(simulator.get("coinbase", "/products/BTC-USD/book?level=3"))
    applied = 0
    while applied < 300:
        applied += book.follow(hear(client))
    truth = simulator.truth_book("coinbase", "BTC-USD", update_id=book.id)
    assert (truth["orders"]["bids"], truth["orders"]["asks"]) == book.rows()


def test_full_without_a_key_is_refused_and_the_public_channels_are_not(simulator: Simulator) -> None:
    client = subscribe(simulator, "full")
    refusal = {"type": "error", "message": "Failed to subscribe", "reason": LOCKED_REASON}
    assert hear(client) == refusal
    say(
        client,
        type="subscribe",
        product_ids=["BTC-USD"],
        channels=["level2_batch", "matches", "heartbeat"],
    )
    assert [one["name"] for one in hear(client)["channels"]] == ["level2_50", "matches", "heartbeat"]
    book = Level2Follower()
    book.follow(until(client, lambda message: message["type"] == "snapshot"))
    assert hear(client)["type"] == "last_match"
    until(client, lambda message: message["type"] == "match")
    until(client, lambda message: message["type"] == "heartbeat")


def test_who_does_not_subscribe_in_time_is_disconnected(simulator: Simulator) -> None:
    client = connected(simulator, "coinbase", "/")
    assert client.recv_frame().opcode == websocket.ABNF.OPCODE_CLOSE


def test_coinbase_rest_errors_are_its_own(simulator: Simulator) -> None:
    found = [
        simulator.request("coinbase", path)[:2]
        for path in ("/products/NO-USD", "/nothing", "/products/BTC-USD/book?level=4", "/")
    ]
    missing = (404, {"message": "NotFound"})
    assert found == [missing, missing, (400, {"message": "unexpected level: 4"}), missing]


def test_a_dropped_frame_is_a_hole_and_a_doubled_one_is_not(simulator: Simulator) -> None:
    client = binance(simulator, ["btcusdt@depth@100ms"])
    ids: list[int] = []

    def next_event() -> Any:
        event = hear(client)["data"]
        ids.extend([event["U"], event["u"]])
        return event

    next_event()
    simulator.fault("binance", "duplicate", n=1)
    while ids[-1] not in ids[:-2]:
        next_event()
    simulator.fault("binance", "drop_frames", n=1, symbol="BTCUSDT")
    last = ids[-1]
    event = next_event()
    while event["U"] == last + 1:
        last = event["u"]
        event = next_event()
    assert event["U"] > last + 1


def test_garbage_arrives_as_given_in_a_frame(simulator: Simulator) -> None:
    client = binance(simulator, ["nosuch@trade"])
    simulator.fault("binance", "garbage", text='{"e":"depthUp')
    assert client.recv() == '{"e":"depthUp'


def test_a_connection_can_be_cut_and_another_goes_on(simulator: Simulator) -> None:
    one, other = binance(simulator, STREAMS), binance(simulator, STREAMS)
    number = simulator.connections("binance")[-2]["connection"]
    simulator.fault("binance", "close", connection=number)
    with pytest.raises((ConnectionError, websocket.WebSocketConnectionClosedException)):
        until(one, lambda _: False)
    assert hear(other)


def test_a_half_open_connection_says_and_answers_nothing_but_stays(simulator: Simulator) -> None:
    client = binance(simulator, STREAMS)
    number = simulator.connections("binance")[-1]["connection"]
    simulator.fault("binance", "half_open", connection=number)
    client.settimeout(0.4)
    with pytest.raises(websocket.WebSocketTimeoutException):
        until(client, lambda _: False)
    client.ping("anyone?")
    with pytest.raises(websocket.WebSocketTimeoutException):
        hear(client)
    assert number in [one["connection"] for one in simulator.connections("binance")]


def test_the_venues_say_that_they_will_end_connections(simulator: Simulator) -> None:
    streams = binance(simulator, STREAMS)
    simulator.fault("binance", "shutdown_notice")
    notice = until(streams, lambda message: message["stream"] == "!serverShutdown")
    assert notice["data"]["e"] == "serverShutdown"
    feed = subscribe(simulator, "heartbeat")
    assert hear(feed)["type"] == "subscriptions"
    simulator.fault("coinbase", "shutdown_notice")
    assert until(feed, lambda message: message["type"] == "error")
    assert feed.recv_frame().opcode == websocket.ABNF.OPCODE_CLOSE


def test_rest_replies_can_be_refused_with_retry_after_and_books_can_be_stale(simulator: Simulator) -> None:
    simulator.fault(
        "binance", "status", code=429, n=1, retry_after=3, path="/api/v3/depth", body='{"code":-1003}'
    )
    path = "/api/v3/depth?symbol=BTCUSDT&limit=5"
    status, body, headers = simulator.request("binance", path)
    assert (status, body, headers["Retry-After"]) == (429, {"code": -1003}, "3")
    assert simulator.get("binance", path)
    simulator.wait(lambda one: time.time_ns() - one.truth_range("binance", "BTCUSDT")["first_ns"] > STALE_NS)
    simulator.fault("binance", "stale_snapshot", ms=STALE_NS // 1_000_000)
    asked_ns = time.time_ns()
    old = simulator.get("binance", path)["lastUpdateId"]
    answered_ns = time.time_ns()
    assert simulator.truth_moment("binance", "BTCUSDT", update_id=old) <= answered_ns - STALE_NS
    simulator.wait(lambda one: one.truth_range("binance", "BTCUSDT")["last_id"] > old)
    assert simulator.truth_moment("binance", "BTCUSDT", update_id=old + 1) > asked_ns - STALE_NS
    assert simulator.get("binance", path)["lastUpdateId"] > old


def test_a_halted_symbol_says_so_and_is_silent(simulator: Simulator) -> None:
    simulator.fault("binance", "halt", symbol="ETHUSDT")
    body = simulator.get("binance", "/api/v3/exchangeInfo?symbol=ETHUSDT")
    assert body["symbols"][0]["status"] == "HALT"
    still = simulator.truth_range("binance", "ETHUSDT")["last_id"]
    assert simulator.truth_range("binance", "ETHUSDT")["last_id"] == still
    simulator.fault("binance", "resume", symbol="ETHUSDT")
    simulator.wait(lambda one: one.truth_range("binance", "ETHUSDT")["last_id"] > still)


def test_frames_can_be_late_in_their_order(simulator: Simulator) -> None:
    client = binance(simulator, ["btcusdt@depth@100ms"])
    simulator.fault("binance", "delay_ms", ms=300)
    try:
        event = hear(client)["data"]
        while time.time() * 1000 - event["E"] < 300:
            last, event = event, hear(client)["data"]
            assert event["U"] == last["u"] + 1
    finally:
        simulator.fault("binance", "clear")


def test_an_unknown_fault_is_refused_with_the_kinds_there_are(simulator: Simulator) -> None:
    status, body, _ = simulator.request("binance", "/sim/fault", b'{"kind":"meteor"}')
    assert (status, "half_open" in body["error"]) == (400, True)
    assert simulator.request("binance", "/sim/truth/book?symbol=BTCUSDT&update_id=1")[0] == 404


def pipelined(simulator: Simulator, venue: str, path: str, count: int) -> bytes:
    """Ask *count* times at once on one connection and return all that comes back."""
    ask = f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n" * (count - 1)
    last = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", simulator.ports[venue]), timeout=10) as client:
        client.sendall((ask + last).encode())
        return b"".join(iter(lambda: client.recv(1 << 16), b""))


def test_too_many_requests_are_refused_as_each_venue_does() -> None:
    with running("--levels", "20", "--weight-limit", "300") as simulator:
        heard = pipelined(simulator, "coinbase", "/time", 100)
        assert heard.count(b" 200 OK") >= 15
        assert heard.count(b'{"message":"Public rate limit exceeded"}') > 50
        assert b"Retry-After" not in heard
        heard = pipelined(simulator, "binance", "/api/v3/depth?symbol=BTCUSDT&limit=5000", 30)
        assert heard.count(b" 200 OK") in (1, 2)
        assert heard.count(b" 429 Too Many Requests") >= 10
        assert b"Retry-After: " in heard
        assert b'{"code":-1003,' in heard
        assert b"HTTP/1.1 418 " in heard


@pytest.mark.captures
@pytest.mark.skipif(not CAPTURES.is_dir(), reason="../shared/captures is absent")
def test_a_recorded_order_book_is_followed_from_the_wire() -> None:
    with running("--capture", "coinbase_full_BTC-USD_20160312", "--speed", "0") as replay:
        client = subscribe(replay, "full", key=True)
        assert hear(client)["type"] == "subscriptions"
        book = FullFollower(replay.get("coinbase", "/products/BTC-USD/book?level=3"))
        while book.id < 760640753:
            book.follow(hear(client))
        assert replay.truth_range("coinbase", "BTC-USD")["over"]


def test_a_busy_port_and_a_bad_option_end_the_program_with_one_line(simulator: Simulator) -> None:
    port = str(simulator.ports["binance"])
    for options in (["--binance-port", port, "--levels", "5"], ["--require-key", "a:b"], ["--capture", "no"]):
        command = [sys.executable, "-m", "tests.simulator", *options]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
        assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)


def test_with_parent_it_ends_when_the_parent_is_killed() -> None:
    script = (
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-m', 'tests.simulator', '--with-parent', '--levels', '10'])\n"
        "time.sleep(600)"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        port = json.loads(parent.stdout.readline())["binance_port"]
        parent.kill()
        ended, _, _ = select.select([parent.stdout], [], [], 10)
        assert ended, "the pipe ends when the last that holds it does"
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=5):
        pass
