"""Whether cost grows with the work only: from 10 to 1,000 securities, and from 1 to 4 workers.

Each security has the same seconds of the capture, interleaved frame by frame, so that a thousand have a
hundred times the work of ten.  Book and conditioner run in this process as in ``stages``; each of four
workers gets all groups and takes its share of the securities, one after the other: their CPU is added up.
"""

import gc
import time
from typing import NamedTuple

from book.maintainer import Maintainer
from condition.conditioner import Conditioner
from journal.group import unpack_group
from tests.bench import stages
from tests.bench.figures import Figure
from tests.bench.market import market, saturated
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

_ROUNDS = 3


class Cost(NamedTuple):
    """What the groups cost, and what was in memory in the end."""

    cpu_s: float
    held_bytes: int


def measure() -> list[Figure]:
    """Return the ratios, and what a security takes in memory."""
    few_s = min(_cost(_groups(FEW), 0, 1).cpu_s for _ in range(_ROUNDS)) / FEW
    groups = _groups(MANY)
    whole = [_cost(groups, 0, 1) for _ in range(2)]
    many_s = min(each.cpu_s for each in whole)
    apart_s = sum(_cost(groups, share, WORKERS).cpu_s for share in range(WORKERS))
    unit = "ms CPU a security"
    one, all_in_one, four = (1e3 * each for each in (few_s, many_s / MANY, apart_s / MANY))
    return [
        Figure(f"{MANY} securities", all_in_one, unit, f"{FEW}:", one, bar=MOST * one),
        Figure(f"{WORKERS} workers of each", four, unit, "1:", all_in_one, bar=MOST * all_in_one),
        Figure("memory, books and open windows", whole[0].held_bytes / MANY / 1024, "KiB a security"),
    ]


def _groups(securities: int) -> list[bytes]:
    return stages.groups_of(saturated(market(securities, SECONDS)))


def _cost(groups: list[bytes], share: int, workers: int) -> Cost:
    """Return what book and conditioner number *share* of *workers* take for *groups*."""
    gc.collect()
    gc.freeze()
    before = resident_bytes()
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
    spent = Cost(time.process_time() - started, resident_bytes() - before)
    gc.unfreeze()
    return spent
