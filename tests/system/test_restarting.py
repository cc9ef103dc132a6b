"""`obl restart` under a real supervisord: every stage comes back, and only a lone line misses something."""

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.simulator.process import Simulator, running
from tests.system.running import KEY, Logger, exchanges

pytestmark = [pytest.mark.faults, pytest.mark.system, pytest.mark.timeout(240)]

SECURITY = "binance:BTCUSDT"


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with running("--binance-port", "0", "--coinbase-port", "0", "--rate", "20", "--require-key", KEY) as one:
        yield one


@pytest.fixture(scope="module")
def logger(tmp_path_factory: pytest.TempPathFactory, simulator: Simulator) -> Iterator[Logger]:
    one = Logger(
        tmp_path_factory.mktemp("logger"),
        SECURITIES=SECURITY,
        ORDERBOOK_UPDATEFREQUENCY="100",
        WINDOW_SECONDS="1",
        STORE_WRITERS="2",
        **exchanges(simulator),
    )
    try:
        one.start()
        one.eventually("control answers", lambda: one.obl("ping").returncode == 0)
        one.eventually(f"{SECURITY} is live", lambda: one.state(SECURITY) == "live")
        one.eventually("it is stored", lambda: one.obl("at", SECURITY, "latest").returncode == 0)
        yield one
    finally:
        one.kill()


def restarted(logger: Logger, stage: str) -> list[dict[str, Any]]:
    """Restart *stage*, and see that its processes and no others are new."""
    before = logger.pids()
    rows = logger.answers("restart", stage)
    # (supervisord calls a process running only after its first second, control answers before that)
    logger.eventually("all of them run", lambda: logger.pids().keys() == before.keys())
    after = logger.pids()
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {row["process"] for row in rows}, rows
    return rows


@pytest.mark.parametrize("stage", ["store", "book", "condition", "compact", "database", "control"])
def test_a_stage_is_restarted_without_a_hole(logger: Logger, simulator: Simulator, stage: str) -> None:
    rows = restarted(logger, stage)
    assert len(rows) == (2 if stage == "store" else 1)
    assert logger.state(SECURITY) == "live"
    now = simulator.truth_range("binance", "BTCUSDT")["last_id"]

    def is_stored() -> bool:
        done = logger.obl("at", SECURITY, "latest", "--depth", "1", "--json")
        return done.returncode == 0 and bool(json.loads(done.stdout)["update_id"] > now)

    logger.eventually("what came later is stored", is_stored)
    assert logger.answers("gaps", SECURITY) == []


def test_a_process_that_hangs_is_killed_and_comes_back(logger: Logger) -> None:
    os.kill(logger.pids()["condition-0"], signal.SIGSTOP)
    restarted(logger, "condition")
    assert logger.state(SECURITY) == "live"


def test_a_name_that_nobody_has_is_refused_in_one_line(logger: Logger) -> None:
    done = logger.obl("restart", "kitchen")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert "ingest book condition store compact control database" in done.stderr


def test_a_lone_line_is_back_with_a_row_in_the_ledger_and_says_so(logger: Logger) -> None:
    [row] = restarted(logger, "ingest-binance")
    assert "own_restart" in row["note"]
    assert logger.state(SECURITY) == "live"
    logger.eventually("the row is there", lambda: logger.answers("gaps", SECURITY) != [])
    assert {row["cause"] for row in logger.answers("gaps", SECURITY)} == {"own_restart"}
