"""Small frames of many securities: what one ingester takes, and what the stages cost for each frame.

The frames are the simulator's firehose: depth updates of four levels, 200 securities in turn.
"""

from tests.bench import ingesting, stages
from tests.bench.figures import Figure
from tests.bench.market import Arrival, Market
from tests.simulator.firehose import BOOK_LEVELS, Firehose

START_NS = 1_723_161_600_000_000_000
FRAMES = 60_000
STEP_NS = 50_000
"""Twenty thousand frames a second, as at saturation elsewhere."""

WANTED = 60_000.0
"""Frames a second that one ingester is to take on one core."""


def small_market(load: str = "small", frames: int = FRAMES) -> Market:
    """Return *frames* of *load*, after a snapshot of each security."""
    source = Firehose(load, 0, 1, START_NS)
    symbols = list(source.symbols)
    stream = "@trade" if load == "trades" else "@depth@100ms"
    wanted = {f"{symbol.lower()}{stream}" for symbol in symbols}
    arrivals = [Arrival(START_NS, symbol, source.depth(symbol, BOOK_LEVELS, 0), True) for symbol in symbols]
    made = 0
    while made < frames:
        for name, data in source.advance(START_NS + made * STEP_NS, wanted):
            symbol = name.partition("@")[0].upper()
            payload = b'{"stream":"%s","data":%s}' % (name.encode(), data)
            arrivals.append(Arrival(START_NS + made * STEP_NS, symbol, payload, False))
            made += 1
    return Market(f"firehose {load}", tuple(symbols), arrivals)


def measure(repeats: int, frames: int = FRAMES) -> list[Figure]:
    """Return the figures of an ingester at saturation."""
    figures, runs = [], stages.Runs(repeats)
    for load, what in (("small", "updates of 4 levels"), ("trades", "trades")):
        feed = small_market(load, frames)
        count = sum(not arrival.is_snapshot for arrival in feed.arrivals)
        floor_s = stages.floor(feed, stages.Runs(3)).cpu_s
        ingest_s = ingesting.ingest(feed, runs, heard=True)
        floor_s = min(floor_s, stages.floor(feed, stages.Runs(3)).cpu_s)
        each = Figure(
            f"one ingester, {what}",
            1e6 * ingest_s / count,
            "us CPU a frame",
            "floor",
            1e6 * floor_s / count,
        )
        rate = Figure(
            f"one ingester, {what}", count / ingest_s, "frames/s of one core", bar=WANTED, least=True
        )
        figures += [each, rate]
    return figures
