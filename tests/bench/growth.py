"""Whether cost grows with the work only: from 10 to 1,000 securities, and from 1 to 4 workers.

Each security has the same seconds of the capture, interleaved frame by frame, and as many ticks as these have
seconds, so that a thousand have a hundred times the work of ten.  Book and conditioner run in this process as
in ``stages``; each of four workers gets all groups and takes its share of the securities, one after the
other: their CPU is added up.  All of it is measured between two runs of the floor over the frames of ten.
"""

import ctypes
import gc
import time
from statistics import median
from typing import NamedTuple

from book.maintainer import Maintainer
from condition.conditioner import Conditioner
from journal.group import unpack_group
from tests.bench import stages
from tests.bench.figures import Figure
from tests.bench.market import market
from tests.bench.stages import Beside
from venue import VENUES
from wire.messages import pack, pack_all, unpack_all
from wire.names import BUCKETS
from wire.service import resident_bytes

FEW, MANY = 10, 1_000
SECONDS = 12.0
"""Of the market: a window and its end."""

WORKERS = 4
MOST = 1.2
"""Times the CPU of the smaller one."""

_ROUNDS, _ROUNDS_OF_FEW = 3, 15
_FLOORS = 5
"""Runs of the floor at a time: ten securities are decoded in some milliseconds."""

_LIBC = ctypes.CDLL(None)


class Cost(NamedTuple):
    """What the groups cost, and what was in memory in the end."""

    cpu_s: float
    held_bytes: int


def measure() -> list[Figure]:
    """Return the ratios, and what a security takes in memory."""
    feed = market(FEW, SECONDS)
    few, many = stages.groups_of(feed), stages.groups_of(market(MANY, SECONDS))
    in_few, in_many, apart = (
        Beside(lambda: stages.floor(feed, stages.Runs(_FLOORS)).cpu_s) for _ in range(3)
    )
    held: list[int] = []
    for _ in range(_ROUNDS_OF_FEW):
        _beside(in_few, few, 1)
    for _ in range(_ROUNDS):
        held += _beside(in_many, many, 1)
        _beside(apart, many, WORKERS)
    one = median(in_few.ratios)
    all_in_one, four = (median(each.ratios) * FEW / MANY for each in (in_many, apart))
    unit = "times the floor"
    return [
        Figure(f"{MANY} securities", all_in_one, unit, f"{FEW}:", one, bar=MOST * one),
        Figure(f"{WORKERS} workers of each", four, unit, "1:", all_in_one, bar=MOST * all_in_one),
        Figure("memory, books and open windows", held[0] / MANY / 1024, "KiB a security"),
    ]


def _beside(beside: Beside, groups: list[bytes], workers: int) -> list[int]:
    """Note what *groups* cost so many *workers*; return what each held in the end."""
    beside.begin()
    costs = [_cost(groups, share, workers) for share in range(workers)]
    beside.note(sum(each.cpu_s for each in costs))
    return [each.held_bytes for each in costs]


def _cost(groups: list[bytes], share: int, workers: int) -> Cost:
    """Return what book and conditioner number *share* of *workers* take for *groups*."""
    gc.collect()
    gc.freeze()
    before = _held_bytes()
    maintainer = Maintainer(VENUES, stages.RECIPE, range(share, BUCKETS, workers))
    for bucket in range(share, BUCKETS, workers):
        maintainer.begin(bucket, 1)
    core = Conditioner(
        window_ns=stages.RECIPE.window_ns, reply_to="ipc://answers", token=1, lines=frozenset()
    )
    started = time.process_time()
    for number, data in enumerate(groups):
        messages = [m for output in maintainer.feed(unpack_group(data)) for m in output.messages]
        if messages:
            taken = stages.taken(core, unpack_all(pack_all(messages)), number)  # type: ignore[arg-type]
            for document in taken:
                pack(document)
    cpu_s = time.process_time() - started
    spent = Cost(cpu_s, _held_bytes() - before)
    gc.unfreeze()
    return spent


def _held_bytes() -> int:
    """Return what this process holds, without what was let go and could be taken again."""
    _LIBC.malloc_trim(0)
    return resident_bytes()
