"""The whole logger on a disk that fills: it pauses, says so, goes on; the hole is one row, cause disk."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.process import Simulator, running
from tests.small_disk import MB, fill, small_disk
from tests.system.running import KEY, Logger, exchanges

pytestmark = [pytest.mark.faults, pytest.mark.system, pytest.mark.timeout(300)]

BINANCE, COINBASE = "binance:BTCUSDT", "coinbase:BTC-USD"
DISK_BYTES, RESERVE = 400 * MB, 250 * MB
SIMULATED = ("--binance-port", "0", "--coinbase-port", "0", "--rate", "40", "--require-key", KEY)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with running(*SIMULATED) as made:
        yield made


@pytest.fixture
def logger(tmp_path: Path, simulator: Simulator) -> Iterator[Logger]:
    with small_disk(tmp_path / "disk", DISK_BYTES) as disk:
        made = Logger(
            disk,
            DISK_RESERVE_BYTES=str(RESERVE),
            SECURITIES=f"{BINANCE},{COINBASE}",
            ORDERBOOK_UPDATEFREQUENCY="100",
            WINDOW_SECONDS="2",
            CHECKPOINT_SECONDS="5",
            **exchanges(simulator),
        )
        made.start()
        try:
            made.eventually("control answers", lambda: made.obl("ping").returncode == 0)
            live_and_stored(made)
            yield made
        finally:
            made.kill()


def live_and_stored(logger: Logger) -> None:
    for each in (BINANCE, COINBASE):
        logger.eventually(f"{each} is live", lambda s=each: logger.state(s) == "live")
        logger.eventually(
            f"{each} is stored", lambda s=each: logger.obl("at", s, "latest", "--depth", "1").returncode == 0
        )


def states(logger: Logger, *, ingest: bool) -> set[str]:
    rows = logger.answer("status")["processes"]
    return {row["state"] for row in rows if row["name"].startswith("ingest-") is ingest}


def gaps(logger: Logger, security: str) -> dict[str, dict[str, Any]]:
    """Return the ledger's row of each feed of *security*, which has no two."""
    found = [json.loads(line) for line in logger.obl("gaps", security, "--json").stdout.splitlines()]
    rows = {row["feed"]: row for row in found}
    assert len(rows) == len(found)
    return rows


def one_hole_of_each_feed(logger: Logger, simulator: Simulator) -> None:
    """Wait until the book's row has an end; all rows name the disk, and what the exchange really sent."""
    for each in (BINANCE, COINBASE):
        logger.eventually(
            f"an end of the hole of {each}",
            lambda s=each: gaps(logger, s).get("book", {}).get("last_id") is not None,
        )
        rows = gaps(logger, each)
        assert {row["cause"] for row in rows.values()} == {"disk"}
        venue, _, symbol = each.partition(":")
        sent = simulator.truth_range(venue, symbol)
        assert sent["first_id"] < rows["book"]["first_id"] <= rows["book"]["last_id"] < sent["last_id"]


def test_at_the_reserve_only_the_ingesters_pause_and_the_ledger_says_why(
    logger: Logger, simulator: Simulator
) -> None:
    filler = fill(logger.folder, RESERVE - 10 * MB)
    logger.eventually("both pause", lambda: states(logger, ingest=True) == {"paused"})
    assert states(logger, ingest=False) == {"live"}
    status = logger.answer("status")
    assert not status["ok"]
    assert status["disk"]["reason"].startswith("disk has less than its reserve of 250 MB free: free space")
    assert "NOT RECORDING: disk has less than its reserve" in logger.obl("status").stdout
    os.truncate(filler, 0)
    live_and_stored(logger)
    one_hole_of_each_feed(logger, simulator)
    assert logger.answer("status")["ok"]


def test_a_full_disk_ends_no_process_and_leaves_one_hole(logger: Logger, simulator: Simulator) -> None:
    before = logger.pids()
    filler = fill(logger.folder, 0)
    logger.eventually("both pause", lambda: states(logger, ingest=True) == {"paused"})
    fill(logger.folder, 0)  # what was set aside, too, is somebody else's now
    refused = logger.obl("add", "binance:ETHUSDT")
    assert "nothing was changed, the disk of DATA_DIR refuses it" in refused.stderr
    logger.eventually("a checkpoint to be refused", lambda: "event=no_checkpoint" in logger.logs())
    filler.unlink()
    live_and_stored(logger)
    one_hole_of_each_feed(logger, simulator)
    assert logger.pids() == before
    assert logger.stop() == 0
