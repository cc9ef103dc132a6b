"""Trades that never came over the wire are fetched, stored where they belong, and their row says healed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.process import Simulator, running
from tests.system.running import KEY, Logger, exchanges

pytestmark = [pytest.mark.faults, pytest.mark.system, pytest.mark.timeout(300)]

BINANCE, COINBASE = "binance:BTCUSDT", "coinbase:BTC-USD"
DROPPED = {BINANCE: ("btcusdt@trade", 7), COINBASE: ('"type":"match"', 3)}
"""What every lost frame holds, and how many are lost."""


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with running("--rate", "100", "--levels", "100", "--require-key", KEY) as made:
        yield made


def test_dropped_trades_are_healed(tmp_path: Path, simulator: Simulator) -> None:
    logger = Logger(
        tmp_path,
        SECURITIES=",".join(DROPPED),
        ORDERBOOK_UPDATEFREQUENCY="100",
        WINDOW_SECONDS="2",
        **exchanges(simulator),
    )
    logger.start()
    try:
        logger.eventually("control answers", lambda: logger.obl("ping").returncode == 0)
        for security, (holds, count) in DROPPED.items():
            logger.eventually(f"{security} is live", lambda s=security: logger.state(s) == "live")
            logger.eventually("trades are stored", lambda s=security: bool(stored(logger, s)))
            simulator.fault(security.partition(":")[0], kind="drop_frames", n=count, symbol=holds)
        for security, (_, count) in DROPPED.items():
            logger.eventually(f"{security} is healed", lambda s=security: states(logger, s) == {"healed"})
            rows = [row for row in logger.answers("gaps", security) if row["feed"] == "trades"]
            assert sum(row["last_id"] - row["first_id"] + 1 for row in rows) == count
            last = max(row["last_id"] for row in rows)
            logger.eventually("what follows is stored", lambda s=security, n=last: newest(logger, s) > n)
            check(logger, simulator, security)
        assert logger.stop() == 0
    finally:
        logger.kill()


def states(logger: Logger, security: str) -> set[str]:
    return {row["state"] for row in logger.answers("gaps", security) if row["feed"] == "trades"}


def stored(logger: Logger, security: str) -> list[dict[str, Any]]:
    done = logger.obl("trades", security, "0", "latest", "--json")
    return [json.loads(line) for line in done.stdout.splitlines()] if done.returncode == 0 else []


def newest(logger: Logger, security: str) -> int:
    return max((int(each["id"]) for each in stored(logger, security)), default=0)


def check(logger: Logger, simulator: Simulator, security: str) -> None:
    """Compare what `obl trades` says with the truth: every id once, in order, exactly."""
    found = stored(logger, security)
    venue, _, symbol = security.partition(":")
    true = simulator.truth_trades(venue, symbol, from_id=found[0]["id"], to_id=found[-1]["id"])
    assert [(t["id"], t["price"], t["size"], t["side"]) for t in found] == [
        (t["id"], t["price"], t["size"], t["side"]) for t in true
    ]
    [span] = [each for each in logger.answers("coverage", security) if each["feed"] == "trades"]
    assert span["first_id"] == found[0]["id"]
