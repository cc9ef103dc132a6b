"""What happens in a round: the same seed gives the same schedule.

Accidents come in bursts, each when the journal of a line has so many records more than at the one before it.
After a burst there is calm, in which the logger gets over it.  Where there is one line anything may be hit.
Where there are two, one of them is whole at any time: a burst hits either the wire, but for one connection of
each venue, or processes, among them the ingesters of one line.
"""

import random
from collections.abc import Sequence
from typing import NamedTuple

from tests.chaos.accidents import CALM, INGESTERS, STAGES, Accident
from tests.chaos.wire import KINDS, drawn_wire, loses

BURST = (4, 9)
"""Accidents of a burst, at least and at most."""

RECORDS = (3, 90)
"""Between two accidents of a burst."""

LINES = {"a": INGESTERS[::2], "b": INGESTERS[1::2]}
RESTARTED = ("ingest", "book", "condition", "store")
PROCESSES = ("kill", "kill", "kill", "stall", "outage", "step")
HARMLESS = ("duplicate", "delay", "noise", "stale", "late", "refused", "shutdown")
"""Of the wire: costs nothing where each venue has a line that no other accident hits."""

STEPS_S = (1, 7, 61, 900, 3600, 7200)
FURTHEST_S = 4 * 3600
"""How far the clock is from the true time at most."""


class Happened(NamedTuple):
    """An accident, and from when to when it may have had consequences; UTC nanoseconds of the exchange."""

    accident: Accident
    from_ns: int
    until_ns: int


class _Draw:
    """Draws a round's accidents."""

    def __init__(self, seed: int, lines: int) -> None:
        self._rng, self._one_line = random.Random(seed), lines == 1
        self._wrong: set[str] = set()
        self._off_s = 0

    def burst(self, most: int) -> list[Accident]:
        """Return up to *most* accidents; after them there has to be calm."""
        rng = self._rng
        alone = rng.random()
        if alone < 0.06 and (wrong := self._wrong_book()):
            return [wrong]
        if not self._one_line and alone > 0.92:
            return [Accident("restart", (rng.choice(RESTARTED),), after=1)]
        count = min(most, rng.randint(*BURST))
        on_wire, line = rng.random() < 0.5, rng.choice(sorted(LINES))
        return [self._one(line, on_wire)._replace(after=rng.randint(*RECORDS)) for _ in range(count)]

    def _one(self, line: str, on_wire: bool) -> Accident:
        rng = self._rng
        if self._one_line:
            if rng.random() < 0.5:
                return drawn_wire(rng, rng.choice(KINDS))
            return self._process((*STAGES, *LINES["a"]), (*PROCESSES, *PROCESSES, "crash"))
        if on_wire:
            if rng.random() < 0.65:
                return drawn_wire(rng, rng.choice([kind for kind in KINDS if kind != "shutdown"]))
            return self._process(STAGES, PROCESSES)
        if rng.random() < 0.25:
            wire = drawn_wire(rng, rng.choice(HARMLESS))
            # Coinbase closes all connections at once: that is a hole of the exchange's.
            return wire if wire.what != "shutdown" else wire._replace(venue="binance")
        return self._process((*STAGES, *LINES[line]), PROCESSES)

    def _process(self, hit: Sequence[str], kinds: Sequence[str]) -> Accident:
        rng = self._rng
        match kind := rng.choice(kinds):
            case "kill":
                return Accident(kind, tuple(sorted(rng.sample(hit, rng.choice((1, 1, 2, 3))))))
            case "stall":
                return Accident(kind, (rng.choice(hit),), fields={"seconds": rng.randint(1, 3)})
            case "outage":
                return Accident(kind, ("database",), fields={"seconds": rng.randint(2, 5)})
            case "step":
                return Accident(kind, fields={"seconds": self._step_s()})
            case _:
                return Accident(kind)

    def _step_s(self) -> int:
        step_s = self._rng.choice(STEPS_S) * self._rng.choice((-1, 1))
        if abs(self._off_s + step_s) > FURTHEST_S:
            step_s = -step_s
        self._off_s += step_s
        return step_s

    def _wrong_book(self) -> Accident | None:
        """Return a wrong audit, once a venue: found twice it is a desync, and a resync would believe it."""
        accident = drawn_wire(self._rng, "wrong")
        if accident.venue in self._wrong:
            return None
        self._wrong.add(accident.venue)
        return accident._replace(after=1)


def schedule(seed: int, count: int, lines: int) -> list[Accident]:
    """Return *count* accidents, and the calm between their bursts and at the end."""
    draw = _Draw(seed, lines)
    steps: list[Accident] = []
    while count > 0:
        burst = draw.burst(count)
        steps += [*burst, CALM]
        count -= len(burst)
    return steps


def is_on_wire(burst: Sequence[Accident]) -> bool:
    """Say whether *burst* may cut connections, so that one of each venue has to be spared."""
    return any(each.venue and each.what not in HARMLESS for each in burst)


def may_lose(accident: Accident, venue: str) -> bool:
    """Say whether *accident* to the only line may cost data of *venue*."""
    hits = accident.what == "crash" or any(venue in name for name in accident.processes)
    return hits or (loses(accident) and accident.venue == venue)
