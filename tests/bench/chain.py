"""Every stage once, each over what the one before made."""

from statistics import median
from typing import NamedTuple

from tests.bench import ingesting, stages
from tests.bench.market import Market, saturated

FLOOR = "decode floor"
NAMES = ("ingest", "book", "condition", "store", "transport")


class Costs(NamedTuple):
    """What the stages cost, the floor among them."""

    stages: dict[str, float]
    """The least CPU seconds of each, the database server's too."""
    ratios: dict[str, list[float]]
    """In times of the floor, of each run and stage."""
    floors_s: list[float]
    level_changes: int
    depth_frames: int
    documents: int


def run_once(feed: Market) -> Costs:
    """Run every stage twice over *feed*, as it arrives at saturation, the floor beside each run."""
    floors: list[stages.Floor] = []

    def decode() -> float:
        floors.append(stages.floor(feed, stages.Runs(1)))
        return floors[-1].cpu_s

    beside = {name: stages.Beside(decode) for name in NAMES}
    runs = {name: stages.Runs(2, each) for name, each in beside.items()}
    groups = stages.groups_of(saturated(feed))
    ingest_s = ingesting.ingest(feed, runs["ingest"])
    book_s, batches = stages.book(groups, runs["book"])
    condition_s, turns = stages.condition(batches, runs["condition"])
    stored = stages.store(turns, runs["store"])
    one_by_one = [[message] for message in (*groups, *batches)]
    transport_s = stages.transport([*one_by_one, *turns], runs["transport"])
    floors_s = [each.cpu_s for each in floors]
    seconds = {
        FLOOR: min(floors_s),
        "ingest": ingest_s,
        "book": book_s,
        "condition": condition_s,
        "store": stored.cpu_s,
        "transport": transport_s,
        "database server": stored.server_cpu_s,
    }
    ratios = {name: each.ratios for name, each in beside.items()}
    return Costs(seconds, ratios, floors_s, floors[0].level_changes, floors[0].depth_frames, stored.documents)


def medians(rounds: list[Costs]) -> dict[str, float]:
    """Return what each stage cost in times of the floor, the median of all its runs in *rounds*."""
    return {name: median(ratio for each in rounds for ratio in each.ratios[name]) for name in NAMES}
