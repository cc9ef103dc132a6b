"""How fast the machine is just now: the floor of a level change, and what bars in microseconds are there.

The bars were set where decoding a level change cost ``SET_AT_US``; they are ratios to that floor, so that a
machine which has half its speed for an hour fails nobody and passes nobody.
"""

from functools import cache
from statistics import median

from tests.bench import stages
from tests.bench.market import Market, market

SET_AT_US = 0.11
"""Of frames of 46 changes; those of the capture have 31, which costs the floor a tenth more a change."""

RUNS = 9


def floor_us() -> float:
    """Return what a level change costs the floor now, in microseconds: the median of some runs."""
    found = [stages.floor(_depth(), stages.Runs(1)) for _ in range(RUNS)]
    return 1e6 * median(each.cpu_s for each in found) / found[0].level_changes


def bar_us(bar: float, floor: float) -> float:
    """Return what *bar* is on a machine with that *floor*."""
    return bar * floor / SET_AT_US


@cache
def _depth() -> Market:
    return depth_of(market(1))


def depth_of(feed: Market) -> Market:
    """Return the snapshot and the depth frames of *feed*."""
    arrivals = [each for each in feed.arrivals if each.is_snapshot or b"@depth" in each.data[:40]]
    return feed._replace(arrivals=arrivals)
