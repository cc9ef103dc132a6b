"""What happens in a round: the same seed gives the same schedule.

An accident may come before the logger has got over the one before it (one line), or not (two lines, where
one of them must always be whole).  Each round ends in calm.
"""

import random
from typing import NamedTuple

from tests.chaos.accidents import INGESTERS, STAGES, Accident, drawn
from tests.chaos.wire import KINDS, drawn_wire, loses

CALM = Accident("calm")
LINE_A = INGESTERS[::2]
RESTARTED = ("ingest", "book", "condition", "store")
ON_PROCESSES = 0.45
"""The share of accidents that hit processes."""

AT_ONCE = 0.4
"""How often, on one line, the next accident comes before the logger has got over this one."""


class Happened(NamedTuple):
    """An accident, and from when to when it may have had consequences; UTC nanoseconds."""

    accident: Accident
    from_ns: int
    until_ns: int


def schedule(seed: int, count: int, lines: int) -> list[Accident]:
    """Return *count* accidents, and the calm between them."""
    rng = random.Random(seed)
    steps: list[Accident] = []
    wrong = set()
    for _ in range(count):
        accident = _one(rng, one_line=lines == 1)
        if accident.what == "wrong":
            # The same difference found twice would be a desync, and a resync would believe the snapshot.
            if accident.venue in wrong:
                accident = drawn_wire(rng, "duplicate", one_line=lines == 1)
            else:
                wrong.add(accident.venue)
                steps.append(CALM)
        steps.append(accident)
        if lines > 1 or accident.what == "wrong" or rng.random() > AT_ONCE:
            steps.append(CALM)
    return [step for n, step in enumerate([*steps, CALM]) if step != CALM or n == 0 or steps[n - 1] != CALM]


def _one(rng: random.Random, *, one_line: bool) -> Accident:
    if rng.random() > ON_PROCESSES:
        return drawn_wire(rng, rng.choice(KINDS), one_line=one_line)
    alone = ["crash"] if one_line else ["kill one", "restart"]
    kind = rng.choice(["kill", "kill", "stall", "outage", *alone])
    if kind == "restart":
        return Accident(kind, (rng.choice(RESTARTED),))
    if kind == "outage":
        return Accident(kind, fields={"seconds": rng.randint(2, 6)})
    hit = (*STAGES, *LINE_A) if one_line else STAGES
    if kind in ("stall", "kill one") and not one_line:
        hit = (*STAGES, *INGESTERS)
    return drawn(rng.randrange(2**32), 1, hit, [kind])[0]


def may_lose(accident: Accident, venue: str) -> bool:
    """Say whether *accident* to the only line may cost data of *venue*."""
    hits = accident.what == "crash" or any(venue in name for name in accident.processes)
    return hits or (loses(accident) and accident.venue == venue)
