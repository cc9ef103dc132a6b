"""What the whole logger keeps up with on this machine, which the simulator and the database share.

Frames are sent at the wanted rate for a while; then the books and the database must be no further behind than
a few beats, however long it lasted, and the processes as small as before.
"""

import time
from typing import NamedTuple

from tests.bench.figures import Figure
from tests.bench.whole import behind_s, is_live, status, until, whole
from tests.simulator.firehose import LOADS
from tests.simulator.process import Simulator

SECONDS = 60.0
BEHIND_S = 3.0
"""A beat each second, and a document that waits for its window's end."""

MOST_BYTES = 400 << 20
"""Of any process of ours."""

_PATIENCE_S = 150.0


class Load(NamedTuple):
    """What is sent."""

    name: str
    rate: int
    """Frames a second."""
    bar: int
    unit: str
    each: int
    """Of that unit in a frame."""


SENT = (
    Load("small", 40_000, 40_000, "frames/s", 1),
    Load("large", 21_740, 1_000_000, "level changes/s", 46),
)


def measure(seconds: float = SECONDS) -> list[Figure]:
    """Return how much of each load came and was kept up with."""
    return [figure for load in SENT for figure in _sustained(load, seconds)]


def _sustained(load: Load, seconds: float) -> list[Figure]:
    symbols = [f"S{number:03d}USDT" for number in range(LOADS[load.name][0])]
    flags = ("--firehose", load.name, "--firehose-rate", str(load.rate), "--weight-limit", "1000000")
    names = [f"binance:{symbol}" for symbol in symbols]
    with whole(*flags, securities=names) as (logger, simulator):
        logger.start()
        until(logger, is_live, _PATIENCE_S)
        before, began = _sent(simulator, symbols[0]), time.monotonic()
        most = 0
        while time.monotonic() - began < seconds:
            time.sleep(1.0)
            seen = status(logger)
            sizes = [row["rss_bytes"] or 0 for row in seen["processes"] if row["name"] != "database"]
            most = max(most, *sizes)
        came = (_sent(simulator, symbols[0]) - before) / (time.monotonic() - began)
        behind = behind_s(status(logger))
    title = f"{load.name} frames, {seconds:.0f} s"
    return [
        Figure(f"{title}: sent and read", came * load.each, load.unit, bar=load.bar * 0.99, least=True),
        Figure(f"{title}: behind in the end", behind, "s", bar=BEHIND_S),
        Figure(f"{title}: largest process", most / (1 << 20), "MiB", bar=MOST_BYTES / (1 << 20)),
    ]


def _sent(simulator: Simulator, symbol: str) -> int:
    return int(simulator.truth_range("binance", symbol)["frames"])
