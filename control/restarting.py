"""``obl restart``: the processes of a stage, one after the other, each back before the next is asked.

current process                                   next
(none)                                            the next one is asked to end; supervisord starts it again
asked, the old one still there after 10 s         it is killed
back, and everything is as well as it was         watched for 2 s; a line that another stands in for: 5 s
not so 30 s after it was asked                    a failure; those that are left are not restarted

*Back*: another process of that name beats.  *As well as it was*: what was live is live, what the line
had subscribed is subscribed, and the database is reachable if it was.
"""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from control.effects import Ask, Effect, Now, Signal
from control.health import Board
from wire.messages import Desired, Request

BACK_S = 30.0
OBEY_S = 10.0
"""As long as supervisord waits for an orderly end (``stopwaitsecs``)."""

STEADY_S = 2.0
"""Two beats of everyone: nobody's word is from before the restart."""

OVERLAP_S = 5.0
"""Both lines of a venue have what it sends for so long before the other one may go."""

CONTROL = "control"
DATABASE = "database"
STAGES = ("ingest", "book", "condition", "store", "compact", CONTROL, DATABASE)


class Step(msgspec.Struct, frozen=True):
    """What is to be done to *process*: ask it to end, or kill it."""

    process: str
    kill: bool = False


class _Current(msgspec.Struct):
    """The process that is being restarted, and what was true before."""

    name: str
    was: tuple[int, int] | None
    carried: frozenset[str]
    well: frozenset[str]
    alone: bool
    asked_s: float
    since_s: float | None = None
    """When all was seen to be well again."""
    killed: bool = False


class Restarting:
    """One ``obl restart``; ``rows`` is its answer once it is done."""

    def __init__(self, processes: Sequence[str]) -> None:
        self.rows: list[dict[str, Any]] = []
        self._left = list(processes)
        self._current: _Current | None = None

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return self._current is None and not self._left

    def step(self, board: Board, desired: Desired, now: Now) -> list[Step]:
        """Return what is to be done now."""
        current = self._current
        if current is not None:
            if self._back(current, board, desired, now):
                current.since_s = now.s if current.since_s is None else current.since_s
                stands_in = current.carried and not current.alone
                if now.s - current.since_s < (OVERLAP_S if stands_in else STEADY_S):
                    return []
                self._succeeded(current, now.s)
            else:
                current.since_s = None
                return self._await(current, board, now)
        if self._left:
            self._current = _begun(self._left.pop(0), board, desired, now)
            return [Step(self._current.name)]
        return []

    def _await(self, current: _Current, board: Board, now: Now) -> list[Step]:
        waited_s = now.s - current.asked_s
        if waited_s >= BACK_S:
            self._failed(current)
        elif waited_s >= OBEY_S and not current.killed and not _is_another(current, board, now):
            current.killed = True
            return [Step(current.name, kill=True)]
        return []

    def _back(self, current: _Current, board: Board, desired: Desired, now: Now) -> bool:
        recorded = frozenset(wanted.security for wanted in desired.securities) | {DATABASE}
        return (
            _is_another(current, board, now)
            and board.carried(current.name) >= current.carried & recorded
            and board.well(desired, now.s) >= current.well & recorded
        )

    def _succeeded(self, current: _Current, now_s: float) -> None:
        row = {"process": current.name, "ok": True, "seconds": round(now_s - current.asked_s, 1)}
        if current.carried and current.alone:
            note = f"{current.name} had no other line beside it: what the exchange sent meanwhile"
            row["note"] = f"{note} is a row of obl gaps (own_restart)"
        self.rows.append(row)
        self._current = None

    def _failed(self, current: _Current) -> None:
        error = f"not back and well within {BACK_S:.0f} s: obl status and its log say why"
        self.rows.append({"process": current.name, "ok": False, "error": error})
        after = f"left as it was, for {current.name} did not come back"
        self.rows += [{"process": name, "ok": False, "error": after} for name in self._left]
        self._current, self._left = None, []


def _begun(name: str, board: Board, desired: Desired, now: Now) -> _Current:
    was, carried = board.incarnation(name), board.carried(name)
    return _Current(name, was, carried, board.well(desired, now.s), board.alone(name, now.s), now.s)


def _is_another(current: _Current, board: Board, now: Now) -> bool:
    """Whether another process of that name runs than the one that was asked to end."""
    if current.name == DATABASE:
        return now.database_again
    return board.alive(current.name, now.s) and board.incarnation(current.name) != current.was


def processes_of(name: str, processes: Collection[str]) -> list[str]:
    """Return those of *processes* that *name* means: a stage, a venue's lines (``ingest-binance``) or one."""
    return [each for each in processes if each == name or each.startswith(f"{name}-")]


def ending(step: Step, number: int) -> Effect:
    """Return how a process is made to end: the database knows signals only."""
    if step.kill or step.process == DATABASE:
        return Signal(step.process, "KILL" if step.kill else "TERM")
    return Ask(step.process, Request(number, "restart", {}))
