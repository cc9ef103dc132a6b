"""Every command through the real client, against the whole running logger; then bad input from all sides."""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from control.client import Client
from tests.embedded import free_port
from tests.simulator.process import Simulator, running
from tests.system.running import KEY, Logger, exchanges

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

BINANCE, COINBASE = "binance:BTCUSDT", "coinbase:BTC-USD"
BOOK_FIELDS = {"security", "time", "update_id", "certified", "bids", "asks", "continuity", "stale"}


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with running("--binance-port", "0", "--coinbase-port", "0", "--rate", "30", "--require-key", KEY) as one:
        yield one


@pytest.fixture(scope="module")
def logger(tmp_path_factory: pytest.TempPathFactory, simulator: Simulator) -> Iterator[Logger]:
    one = Logger(
        tmp_path_factory.mktemp("logger"),
        SECURITIES=f"{BINANCE},{COINBASE}",
        ORDERBOOK_UPDATEFREQUENCY="100",
        WINDOW_SECONDS="1",
        MANAGER_AUTHKEY="correct",
        **exchanges(simulator),
    )
    try:
        one.start()
        one.eventually("control answers", lambda: one.obl("ping").returncode == 0)
        for security in (BINANCE, COINBASE):
            one.eventually(f"{security} is live", lambda s=security: one.state(s) == "live")
            one.eventually(
                f"{security} is stored", lambda s=security: one.obl("at", s, "latest").returncode == 0
            )
        yield one
    finally:
        one.kill()


def error_of(logger: Logger, *arguments: str) -> str:
    """Return the one line of an error that keeps a command from running."""
    done = logger.obl(*arguments)
    assert (done.returncode, done.stdout) == (2, ""), done
    [line] = done.stderr.splitlines()
    return line


def test_list_and_status_say_what_is_recorded(logger: Logger) -> None:
    rows = {row["security"]: row for row in logger.answers("list")}
    assert {name: (row["state"], row["feed"]) for name, row in rows.items()} == {
        BINANCE: ("live", "depth"),
        COINBASE: ("live", "full"),
    }
    status = logger.answer("status")
    assert set(status) >= {"ok", "securities", "processes", "disk", "database"}
    assert status["database"]["reachable"]
    assert {row["name"] for row in status["processes"]} == {
        "ingest-binance-a",
        "ingest-coinbase-a",
        "book-0",
        "condition-0",
        "store-0",
        "compact",
        "control",
        "database",
    }
    assert all(row["pid"] > 0 and row["rss_bytes"] > 1 << 20 for row in status["processes"])
    assert logger.answers("processes")[0].keys() == status["processes"][0].keys()


def test_uptime_ping_and_config_answer(logger: Logger) -> None:
    assert logger.answer("uptime")["uptime_s"] > 0
    assert logger.obl("ping").returncode == 0
    shown = logger.obl("config", "--json").stdout
    assert "correct" not in shown
    assert "demo" not in shown.replace(logger.environment["DATA_DIR"], "")


@pytest.mark.parametrize("security", [BINANCE, COINBASE])
def test_the_live_book_has_the_shape_and_the_rows_of_the_stored_one(logger: Logger, security: str) -> None:
    for command in (("book", security), ("at", security, "latest")):
        book = logger.answer(*command, "--depth", "3")
        assert set(book) >= BOOK_FIELDS
        assert book["continuity"] == "proven"
        assert [len(row) for row in book["bids"] + book["asks"]] == [2] * 6
        assert float(book["bids"][0][0]) < float(book["asks"][0][0])
    orders = logger.answer("at", COINBASE, "latest", "--orders", "--depth", "1")
    assert all(len(row) == 3 for row in orders["bids"])


def test_trades_replay_gaps_and_coverage_agree(logger: Logger) -> None:
    spans = {row["feed"]: row for row in logger.answers("coverage", BINANCE)}
    first, last = spans["book"]["from"], spans["book"]["to"]
    trades = logger.answers("trades", BINANCE, first, last)
    assert [row["id"] for row in trades] == list(range(trades[0]["id"], trades[0]["id"] + len(trades)))
    lines = logger.answers("replay", BINANCE, first, last, "--trades")
    assert lines[0]["type"] == "image"
    changes = [line for line in lines if line["type"] == "changes"]
    assert all(a["update_id"] + 1 == b["first_id"] for a, b in pairwise(changes))
    assert logger.answers("gaps", BINANCE) == []


def test_securities_come_and_go(logger: Logger) -> None:
    assert logger.obl("add", "binance:ETHUSDT", "binance:BNBUSDT", "--wait").returncode in (0, 1)
    assert logger.state("binance:ETHUSDT") == "live"
    [row] = logger.answers("policy", "ETHUSDT", "--every", "500ms")
    assert row["policy"] == "500ms"
    assert logger.obl("remove", "ETHUSDT").returncode == 0
    assert logger.state("binance:ETHUSDT") == ""
    assert logger.state(BINANCE) == "live"


def test_orders_go_on_without_their_ids_and_with_them_again(logger: Logger, simulator: Simulator) -> None:
    def shown() -> Any:
        return logger.answer("at", COINBASE, "latest", "--orders")

    for orders, kept in (("noids", "not kept"), ("full", "kept")):
        [row] = logger.answers("policy", COINBASE, "--orders", orders)
        assert (row["policy"], row["orders"]) == ("update", orders)
        logger.eventually(f"order ids are {kept}", lambda kept=kept: shown()["order_ids"] == kept)
        book = shown()
        true = simulator.truth_book("coinbase", "BTC-USD", update_id=book["update_id"])["orders"]
        for side in ("bids", "asks"):
            names = [name for *_, name in book[side]]
            assert [row[:2] for row in book[side]] == [row[:2] for row in true[side]]
            assert len(set(names)) == len(names)
            assert all((len(name) == 36) is (kept == "kept") for name in names)
        live = logger.answer("book", COINBASE, "--orders", "--depth", "1")
        assert live["order_ids"] == kept
    text = logger.obl("at", COINBASE, row["from"], "--orders", "--depth", "1").stdout
    assert "order ids were not kept" in text
    assert logger.answers("gaps", COINBASE) == []
    found = {row["security"]: row["first_bad"] for row in logger.answers("verify", COINBASE)}
    assert found == {COINBASE: None}


def test_snapshot_makes_an_image_and_reset_new_connections(logger: Logger, simulator: Simulator) -> None:
    assert logger.obl("snapshot", "ALL").returncode == 0
    before = {one["connection"] for one in simulator.connections("binance")}
    assert logger.obl("reset", "binance").returncode == 0
    logger.eventually(
        "the connection is another",
        lambda: before.isdisjoint(one["connection"] for one in simulator.connections("binance")),
    )
    logger.eventually("it is live again", lambda: logger.state(BINANCE) == "live")
    assert logger.answers("gaps", BINANCE) == []


def test_the_original_names_are_understood_on_the_wire(logger: Logger) -> None:
    with Client("127.0.0.1", int(logger.environment["MANAGER_PORT"]), "correct") as client:
        assert client.call("connectionTest")["pong"] is True
        assert [row["security"] for row in client.call("listSecurities")][:1] == [BINANCE]
        assert client.call("retrieveCurrentOrderbook", {"security": "btcusdt"})["security"] == BINANCE


def test_bad_input_of_a_person_gets_one_line(logger: Logger, tmp_path: Path) -> None:
    assert "NOSUCH" in error_of(logger, "add", "binance:NOSUCH")
    assert "nowhere" in error_of(logger, "add", "nowhere:BTC")
    assert "not-a-time" in error_of(logger, "at", BINANCE, "not-a-time")
    assert "XYZ" in error_of(logger, "at", "binance:XYZ", "latest")
    done = logger.obl("at", BINANCE, "2001-01-01")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    stranger = Logger(tmp_path, MANAGER_AUTHKEY="wrong", MANAGER_PORT=logger.environment["MANAGER_PORT"])
    assert "key" in error_of(stranger, "status")
    nobody = Logger(tmp_path, MANAGER_AUTHKEY="wrong", MANAGER_PORT=str(free_port()))
    assert "obl-run" in error_of(nobody, "status") or "running" in error_of(nobody, "status")


NOT_JSON = ("\x00\x01 not JSON at all", '{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpd')


def test_frames_that_cannot_be_read_disturb_nothing(logger: Logger, simulator: Simulator) -> None:
    for text in NOT_JSON:
        simulator.fault("binance", "garbage", text=text)
    assert_right_from_now_on(logger, simulator)
    assert logger.answers("gaps", BINANCE) == []


def test_an_update_that_cannot_be_true_keeps_nothing_away_that_follows(
    logger: Logger, simulator: Simulator
) -> None:
    last_id = simulator.truth_range("binance", "BTCUSDT")["last_id"] + 1000  # (the market goes on meanwhile)
    levels = '"b":[["NaN","1"]],"a":[["1","-1"]]'
    update = f'{{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":1,"u":{last_id},{levels}}}'
    simulator.fault("binance", "garbage", text=f'{{"stream":"btcusdt@depth@100ms","data":{update}}}')
    assert_right_from_now_on(logger, simulator)
    assert logger.answers("gaps", BINANCE) == []
    assert "event=unusable_frames security=binance:BTCUSDT" in logger.logs()


def assert_right_from_now_on(logger: Logger, simulator: Simulator) -> None:
    now = simulator.truth_range("binance", "BTCUSDT")["last_id"]

    def is_right() -> bool:
        stored: Any = json.loads(logger.obl("at", BINANCE, "latest", "--depth", "5", "--json").stdout)
        true = simulator.truth_book("binance", "BTCUSDT", update_id=stored["update_id"])
        assert (stored["bids"], stored["asks"]) == (true["bids"][:5], true["asks"][:5])
        return bool(stored["update_id"] > now + 10)

    logger.eventually("what comes now is stored", is_right)
    assert logger.state(BINANCE) == "live"


def test_terminate_ends_everything_in_order(logger: Logger) -> None:
    pids = logger.pids()
    assert logger.obl("terminate").returncode == 0
    assert logger.process is not None
    assert logger.process.wait(40) == 0
    assert [name for name, pid in pids.items() if Path(f"/proc/{pid}").exists()] == []
