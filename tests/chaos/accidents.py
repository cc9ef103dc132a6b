"""Accidents of the running logger's processes, drawn from a seed so that they can be replayed.

accident    what happens
kill        SIGKILL to one to three processes at once (kill one: to one); supervisord starts them again
crash       SIGKILL to supervisord itself: everything dies with it and is started by hand
restart     ``obl restart`` of a stage
stall       SIGSTOP to one process until the exchange has moved on, then SIGCONT
outage      the same to the database, for longer
calm        nothing: the logger comes to the exchange's present before the next one
others      of the wire and of REST: ``wire``
"""

import json
import os
import random
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from tests.simulator.process import Simulator
from tests.system.running import Logger
from tests.system.test_end_to_end import truth

INGESTERS = ("ingest-binance-a", "ingest-binance-b", "ingest-coinbase-a", "ingest-coinbase-b")
STAGES = ("book-0", "condition-0", "store-0", "control", "database")
PATIENCE_S = 120
EXCHANGE_CLOCK = "binance:BTCUSDT"
"""A security that always moves."""


class Accident(NamedTuple):
    """One thing that happens to some processes, or to the wire of a venue."""

    what: str
    processes: tuple[str, ...] = ()
    venue: str = ""
    fields: Mapping[str, Any] = {}
    """Of the simulator's fault, or ``seconds`` of exchange time."""
    pick: int = 0
    """Which of the venue's connections, counted on; 0: all of them."""

    def __str__(self) -> str:
        fields = [f"{name}={value}" for name, value in self.fields.items()]
        return " ".join([self.what, *self.processes, *filter(None, [self.venue]), *fields])


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
            _stand_still(logger, simulator, accident.processes, 2)
        case "outage":
            _stand_still(logger, simulator, ("database",), accident.fields["seconds"])
        case _:
            for security in securities:
                now = truth(simulator, security)["last_id"]
                reached = partial(_reached, logger, security, now)
                logger.eventually(f"{security} past {now}", reached, PATIENCE_S)


def _stand_still(logger: Logger, simulator: Simulator, processes: Sequence[str], seconds: float) -> None:
    [pid] = _signal(logger, processes, signal.SIGSTOP)
    exchange_moves_on(simulator, seconds)
    _send(pid, signal.SIGCONT)


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
        _send(pid, number)
    return found


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # it has just ended by itself
        os.kill(pid, number)


def exchange_moves_on(simulator: Simulator, seconds: float) -> None:
    """Return when the simulated exchange has sent so much more; each question is a request to it."""
    now_ns = truth(simulator, EXCHANGE_CLOCK)["last_ns"]
    simulator.wait(lambda one: truth(one, EXCHANGE_CLOCK)["last_ns"] >= now_ns + seconds * 1e9, PATIENCE_S)
