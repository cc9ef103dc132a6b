"""Every stage once, each over what the one before made."""

from typing import NamedTuple

from tests.bench import ingesting, stages
from tests.bench.market import Market, saturated


class Costs(NamedTuple):
    """CPU seconds of each stage, the floor among them."""

    stages: dict[str, float]
    level_changes: int
    depth_frames: int
    documents: int


def run_once(feed: Market) -> Costs:
    """Run every stage twice over *feed*, as it arrives at saturation."""
    runs = stages.Runs(2)
    floor = stages.floor(feed, stages.Runs(5))
    groups = stages.groups_of(saturated(feed))
    ingest_s = ingesting.ingest(feed, runs)
    book_s, batches = stages.book(groups, runs)
    condition_s, documents = stages.condition(batches, runs)
    stored = stages.store(documents, runs)
    seconds = {
        "decode floor": floor.cpu_s,
        "ingest": ingest_s,
        "book": book_s,
        "condition": condition_s,
        "store": stored.cpu_s,
        "transport": stages.transport([groups, batches, documents], runs),
        "database server": stored.server_cpu_s,
    }
    return Costs(seconds, floor.level_changes, floor.depth_frames, stored.documents)
