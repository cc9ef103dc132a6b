"""Accidents of the running logger, drawn from a seed so that they can be replayed.

accident    what happens
kill        SIGKILL to one to three processes at once (kill one: to one); supervisord starts them again
crash       SIGKILL to supervisord itself: everything dies with it and is started by hand
restart     ``obl restart`` of a stage
stall       SIGSTOP to one process until the exchange has moved on, then SIGCONT
calm        nothing: the logger comes to the exchange's present before the next one
"""

import json
import os
import random
import signal
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tests.simulator.process import Simulator
from tests.system.running import Logger
from tests.system.test_end_to_end import truth

INGESTERS = ("ingest-binance-a", "ingest-binance-b", "ingest-coinbase-a", "ingest-coinbase-b")
STAGES = ("book-0", "condition-0", "store-0", "control", "database")
PATIENCE_S = 120


class Accident(NamedTuple):
    """One thing that happens to some processes."""

    what: str
    processes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join((self.what, *self.processes))


def drawn(seed: int, count: int, processes: Sequence[str], kinds: Sequence[str]) -> list[Accident]:
    """Return *count* accidents of *kinds* to *processes*, the same for the same seed."""
    rng = random.Random(seed)
    accidents = []
    for _ in range(count):
        what = rng.choice(kinds)
        most = {"kill": 3, "kill one": 1, "stall": 1}.get(what, 0)
        hit = rng.sample(list(processes), rng.randint(1, min(most, len(processes)))) if most else []
        accidents.append(Accident(what, tuple(sorted(hit))))
    return accidents


def happen(accident: Accident, logger: Logger, simulator: Simulator, securities: Sequence[str]) -> None:
    """Let *accident* happen to a running logger."""
    match accident.what:
        case "kill" | "kill one":
            _signal(logger, accident.processes, signal.SIGKILL)
        case "crash":
            crash(logger)
        case "restart":
            done = logger.obl("restart", *accident.processes)
            assert done.returncode == 0, done.stderr
        case "stall":
            [pid] = _signal(logger, accident.processes, signal.SIGSTOP)
            _exchange_moves_on(simulator, securities[0])
            os.kill(pid, signal.SIGCONT)
        case _:
            for security in securities:
                now = truth(simulator, security)["last_id"]
                reached = partial(_reached, logger, security, now)
                logger.eventually(f"{security} past {now}", reached, PATIENCE_S)


def _reached(logger: Logger, security: str, update_id: int) -> bool:
    """Say whether the live book of *security* is past *update_id*; not where nobody answers."""
    done = logger.obl("status", "--json")
    rows = json.loads(done.stdout)["securities"] if done.returncode == 0 else []
    return any(row["security"] == security and (row["update_id"] or 0) > update_id for row in rows)


def crash(logger: Logger) -> None:
    """Kill supervisord; nothing of it stays behind, and a second start succeeds."""
    pids = logger.pids()
    logger.kill()
    logger.eventually("no orphan is left", lambda: not any(map(_runs, pids.values())), PATIENCE_S)
    logger.start()
    logger.eventually("control answers", lambda: logger.obl("ping").returncode == 0, PATIENCE_S)


def _runs(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _signal(logger: Logger, processes: Sequence[str], number: signal.Signals) -> list[int]:
    """Send *number* to those of *processes* that run, once at least one of them does."""
    found: list[int] = []

    def are_there() -> bool:
        pids = logger.pids()
        found[:] = [pids[name] for name in processes if name in pids]
        return bool(found)

    logger.eventually(f"one of {processes} runs", are_there, PATIENCE_S)
    for pid in found:
        os.kill(pid, number)
    return found


def _exchange_moves_on(simulator: Simulator, security: str) -> None:
    """Return when the simulated exchange has sent a good deal more; each question is a request to it."""
    until_ns = truth(simulator, security)["last_ns"] + 2_000_000_000
    while truth(simulator, security)["last_ns"] < until_ns:
        pass
