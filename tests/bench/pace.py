"""How fast the machine is just now: the floor of a level change, and what bars in microseconds are there.

The bars were set where decoding a level change cost ``SET_AT_US``; they are ratios to that floor, so that a
machine which has half its speed for an hour fails nobody and passes nobody.
"""

import time
from functools import cache
from statistics import fmean

from tests.bench import stages
from tests.bench.market import Market, market

SET_AT_US = 0.11
"""Of frames of 46 changes; those of the capture have 31, which costs the floor a tenth more a change."""


def floor_us(seconds: float) -> float:
    """Return what a level change costs the floor, in microseconds: the mean of runs twice a second.

    The machine doubles and halves its speed from second to second; what is measured meanwhile for so many
    *seconds* is a mean over all of them too.
    """
    feed = _depth()
    found, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(max(0.0, min(0.5, until - time.monotonic())))
        found.append(stages.floor(feed, stages.Runs(1)))
    return 1e6 * fmean(each.cpu_s for each in found) / found[0].level_changes


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
