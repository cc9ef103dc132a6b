"""Whoever joins the running logger's tap has the exchange's book, and on history the same client the same."""

import json
import subprocess
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.embedded import free_port
from tests.simulator.process import Simulator, running
from tests.system.running import BIN, KEY, ROOT, Logger, exchanges
from tests.unit.book.test_tapbook import follows
from ui.tap import Tap

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

BINANCE, COINBASE = "binance:BTCUSDT", "coinbase:BTC-USD"
MESSAGES = 60
SHOWN = 10
DEADLINE_S = 30.0


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Logger, Simulator]]:
    ports = ("--binance-port", "0", "--coinbase-port", "0")
    with running(*ports, "--seed", "3", "--rate", "40", "--require-key", KEY) as simulator:
        logger = Logger(
            tmp_path_factory.mktemp("logger"),
            SECURITIES=f"{BINANCE},{COINBASE}",
            ORDERBOOK_UPDATEFREQUENCY="100",
            WINDOW_SECONDS="2",
            **exchanges(simulator),
        )
        try:
            logger.start()
            logger.eventually("control answers", lambda: logger.obl("ping").returncode == 0)
            for security in (BINANCE, COINBASE):
                logger.eventually(f"{security} is live", lambda s=security: logger.state(s) == "live")
            yield logger, simulator
        finally:
            logger.stop()
            logger.kill()


def best(rows: list[list[str]]) -> list[list[Any]]:
    """Return the best levels of rows of levels or orders, sizes as sums."""
    found: dict[str, Decimal] = {}
    for price, size, *_ in rows:
        found[price] = found.get(price, Decimal(0)) + Decimal(size)
    return [[price, size] for price, size in list(found.items())[:SHOWN]]


def is_true(tap: Tap, simulator: Simulator) -> None:
    """Compare the book of *tap* with the exchange's at the same update."""
    venue, _, symbol = tap.security.partition(":")
    true = simulator.truth_book(venue, symbol, update_id=tap.book.update_id)
    bids, asks = tap.book.rows()
    assert (best(bids), best(asks)) == (best(true["bids"]), best(true["asks"]))


def followed(tap: Tap, simulator: Simulator, count: int) -> list[dict[str, Any]]:
    """Return *count* messages; now and then the book is compared."""
    messages: list[dict[str, Any]] = []
    until_s = time.monotonic() + DEADLINE_S
    while len(messages) < count:
        message = tap.next(1.0)
        assert time.monotonic() < until_s, f"{len(messages)} messages of {tap.security}"
        if message is not None:
            messages.append(message)
            if tap.book.is_live and len(messages) % 7 == 1:
                is_true(tap, simulator)
    return messages


@pytest.mark.parametrize("security", [BINANCE, COINBASE])
def test_one_that_joins_the_running_logger_has_the_exchanges_book(
    world: tuple[Logger, Simulator], monkeypatch: pytest.MonkeyPatch, security: str
) -> None:
    logger, simulator = world
    for name, value in logger.environment.items():
        monkeypatch.setenv(name, value)
    for _ in range(2):  # the second comes when the tap is on already
        with Tap(security) as tap:
            messages = followed(tap, simulator, MESSAGES)
        booked = [each["type"] for each in messages if each["type"] != "trade"]
        assert booked[0] == "image"
        assert {"changes", "order"} & set(booked)
        follows(messages)


@pytest.mark.parametrize("security", [BINANCE, COINBASE])
def test_the_same_client_runs_on_history(world: tuple[Logger, Simulator], security: str) -> None:
    logger, simulator = world
    logger.eventually("something is stored", lambda: logger.obl("at", security, "latest").returncode == 0)
    [first, *_] = [each for each in logger.answers("coverage", security) if each["feed"] == "book"]
    at = f"tcp://127.0.0.1:{free_port()}"
    command = [BIN / "obl", "replay", security, first["from"], first["to"], "--speed", "0", "--serve", at]
    with subprocess.Popen(
        [*command, "--json"], cwd=ROOT, env=logger.environment, stdout=subprocess.PIPE, text=True
    ) as serving:
        try:
            messages = []
            with Tap(security, endpoint=at) as tap:
                wait_s = DEADLINE_S
                while (message := tap.next(wait_s)) is not None:
                    messages.append(message)
                    wait_s = 3.0
                is_true(tap, simulator)
            said, _ = serving.communicate(timeout=DEADLINE_S)
        finally:
            serving.kill()
    assert json.loads(said)["messages"] == len(messages) > 1
    follows(messages)
