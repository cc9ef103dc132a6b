"""Accidents of the running logger's processes, drawn from a seed so that they can be replayed.

accident    what happens
kill        SIGKILL to one to three processes at once; supervisord starts them again
crash       SIGKILL to supervisord itself: everything dies with it and is started by hand
restart     ``obl restart`` of a stage
stall       SIGSTOP to one process until the exchange has moved on, then SIGCONT
outage      the same to the database, for longer
step        the host's clock is set forward or back
calm        nothing: all that goes on ends, and the logger comes to the exchange's present
others      of the wire and of REST: ``wire``

None but crash and restart waits for its end: the next one comes when a journal has so many records more.
"""

import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from tests.chaos.scene import Scene, answers

INGESTERS = ("ingest-binance-a", "ingest-binance-b", "ingest-coinbase-a", "ingest-coinbase-b")
STAGES = ("book-0", "condition-0", "store-0", "control", "database")


class Accident(NamedTuple):
    """One thing that happens to some processes, or to the wire of a venue."""

    what: str
    processes: tuple[str, ...] = ()
    venue: str = ""
    fields: Mapping[str, Any] = {}
    """Of the simulator's fault, or ``seconds``: how long, or how far the clock is set."""
    after: int = 0
    """It happens when the journal of a line has so many records more than at the one before."""

    def __str__(self) -> str:
        fields = [f"{name}={value}" for name, value in self.fields.items()]
        return " ".join([f"+{self.after}", self.what, *self.processes, *filter(None, [self.venue]), *fields])


CALM = Accident("calm")


def happen(accident: Accident, scene: Scene) -> None:
    """Let *accident* happen to processes of a running logger."""
    match accident.what:
        case "kill":
            _signal(scene, accident.processes, signal.SIGKILL)
        case "crash":
            crash(scene)
        case "restart":
            done = scene.logger.obl("restart", *accident.processes)
            assert done.returncode == 0, done.stderr
        case "step":
            scene.clock.step(accident.fields["seconds"])
        case "stall" | "outage":
            for pid in _signal(scene, accident.processes, signal.SIGSTOP):
                scene.after(accident.fields["seconds"], partial(_send, pid, signal.SIGCONT))
        case _:
            raise ValueError(accident.what)


def crash(scene: Scene) -> None:
    """Kill supervisord; nothing of it stays behind, and a second start succeeds."""
    logger = scene.logger
    pids = logger.pids()
    logger.kill()
    scene.eventually("no orphan is left", lambda: not any(map(_runs, pids.values())))
    logger.start()
    scene.eventually("control answers", lambda: answers(logger))


def _runs(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _signal(scene: Scene, processes: Sequence[str], number: signal.Signals) -> list[int]:
    """Send *number* to those of *processes* that run, once at least one of them does."""
    found: list[int] = []

    def are_there() -> bool:
        pids = scene.logger.pids()
        found[:] = [pids[name] for name in processes if name in pids]
        return bool(found)

    scene.eventually(f"one of {processes} runs", are_there)
    for pid in found:
        _send(pid, number)
    return found


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # it has just ended by itself
        os.kill(pid, number)
