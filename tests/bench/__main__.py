"""``python -m tests.bench``: what each stage costs per level change, beside the decode floor of this run.

    --securities N  the capture under N names at once (otherwise two tables: as it is, and 8)
    --json FILE     write the same for machines
    --only TABLE    one of the tables: stages, ingester, peer, level3, growth; with real loggers, some minutes
                    each: rates, starting, sustained
    --quick         less of everything: a look, not a measurement
    --profile STAGE print the functions in which a stage spends its time

Ends with 1 where a figure does not reach its bar.  Identical runs differ by up to 1.7 times on a
shared machine: a stage is measured beside the floor, decoded just before and just after each run of it,
and the median of these ratios is shown (``stages.Beside``).
"""

import argparse
import pstats
import sys
from collections.abc import Callable
from cProfile import Profile
from pathlib import Path
from statistics import median

import msgspec
from rich.console import Console
from rich.table import Table

from ingest.recorder import GROUP_BYTES
from tests.bench import figures, growth, ingesting, level3, peer, rates, small, stages, starting, sustained
from tests.bench.chain import medians, run_once
from tests.bench.market import FRAMES_PER_SECOND, SECONDS, Market, market, saturated

BAR = 6.0
"""Times the decode floor that the whole may cost now; the database's own CPU is beside it."""

ROUNDS = 4
"""Each runs a stage twice."""

STAGE_RUNS = 24
"""Of one security, and as many of several together: the median of fewer moves by a tenth."""

TABLES = ("stages", "ingester", "peer", "level3", "growth", "rates", "starting", "sustained")

SECURITIES = (1, 8)
"""The capture as it is, and a line where each group has a part for each of several securities."""

CAPTION = " ".join(
    (
        "Floor: msgspec's typed decoding of the same frames, depth and trades, and nothing else.",
        "Stages run one after the other on what the one before made; CPU is user and system of all threads,",
        "the median in times of the floor just before and after it. The capture is fed at saturation:",
        f"groups of up to {GROUP_BYTES // 1024} KB of frames,",
        f"receive times of {FRAMES_PER_SECOND:,} frames/s",
        "with a tick for each second of them, exchange times as recorded.",
        "BSON sizes are those with the receive times as recorded.",
    )
)
"""What the figures mean."""


class Row(msgspec.Struct):
    """One line of the table."""

    stage: str
    cpu_s: float
    us_per_change: float
    us_per_frame: float
    times_floor: float


class Result(msgspec.Struct):
    """One table."""

    source: str
    securities: int
    frames: int
    depth_frames: int
    level_changes: int
    group_bytes: int
    frames_per_second: int
    floor: Row
    stages: list[Row]
    total: Row
    database: Row
    bar: float
    passed: bool
    documents: int
    changes_stored: int
    bson_bytes: dict[str, int]
    bson_bytes_per_change: float
    """Of the change blocks alone."""
    all_bson_bytes_per_change: float
    """Trades, images and gap rows too."""


class Results(msgspec.Struct):
    """One run of the bench."""

    caption: str
    tables: list[Result]
    figures: list[dict[str, object]]
    passed: bool


def rounds_of(securities: int) -> int:
    """Return how many rounds a table of so many *securities* takes."""
    return max(ROUNDS, STAGE_RUNS // (2 * securities))


def measure(feed: Market, rounds: int) -> Result:
    """Return what each stage cost in *rounds*: the median of its ratios, times the median of all floors."""
    frames = sum(not arrival.is_snapshot for arrival in feed.arrivals)
    found = [run_once(feed) for _ in range(rounds)]
    floor_s = median(each for costs in found for each in costs.floors_s)
    server_s = min(each.stages["database server"] for each in found)
    changes = found[0].level_changes

    def row(stage: str, cpu_s: float) -> Row:
        return Row(stage, cpu_s, 1e6 * cpu_s / changes, 1e6 * cpu_s / frames, cpu_s / floor_s)

    once = stages.Runs(1)
    sizes = stages.sizes(stages.condition(stages.book(stages.groups_of(feed), once)[1], once)[1])
    floor, database = row("decode floor", floor_s), row("database server", server_s)
    rows = [row(stage, ratio * floor_s) for stage, ratio in medians(found).items()]
    total = row("total", sum(each.cpu_s for each in rows))
    return Result(
        source=feed.source,
        securities=len(feed.symbols),
        frames=frames,
        depth_frames=found[0].depth_frames,
        level_changes=changes,
        group_bytes=GROUP_BYTES,
        frames_per_second=FRAMES_PER_SECOND,
        floor=floor,
        stages=rows,
        total=total,
        database=database,
        bar=BAR,
        passed=total.times_floor <= BAR,
        documents=found[0].documents,
        changes_stored=sizes.levels,
        bson_bytes=sizes.bson_bytes,
        bson_bytes_per_change=sizes.bson_bytes.get("changes", 0) / max(1, sizes.levels),
        all_bson_bytes_per_change=sum(sizes.bson_bytes.values()) / max(1, sizes.levels),
    )


def show(result: Result, console: Console) -> None:
    """Print the table."""
    table = Table(
        title=f"{result.source} x {result.securities}: {result.frames:,} frames, "
        f"{result.level_changes:,} level changes"
    )
    table.add_column("stage")
    for name in ("CPU s", "us per change", "us per frame", "times the floor"):
        table.add_column(name, justify="right")

    def add(row: Row, style: str = "") -> None:
        table.add_row(
            row.stage,
            f"{row.cpu_s:.3f}",
            f"{row.us_per_change:.3f}",
            f"{row.us_per_frame:.1f}",
            f"{row.times_floor:.2f}",
            style=style,
        )

    add(result.floor, "dim")
    table.add_section()
    for row in result.stages:
        add(row)
    table.add_section()
    add(result.total, "bold")
    add(result.database, "dim")
    console.print(table)
    console.print(
        f"{result.documents} documents; BSON bytes per level change: {result.bson_bytes_per_change:.2f} "
        f"(change blocks), {result.all_bson_bytes_per_change:.2f} (with trades, images, gap rows)"
    )
    verdict = "pass" if result.passed else "FAIL"
    console.print(f"{verdict}: {result.total.times_floor:.1f} times the floor, the bar is {result.bar:g}")


def profile(feed: Market, stage: str) -> None:
    """Print where *stage* spends its time."""
    once, watched = stages.Runs(1), stages.Runs(1, profiler=Profile())
    groups = stages.groups_of(saturated(feed))
    match stage:
        case "ingest":
            ingesting.ingest(feed, watched)
        case "book":
            stages.book(groups, watched)
        case "condition":
            stages.condition(stages.book(groups, once)[1], watched)
        case _:
            batches = stages.book(groups, once)[1]
            stages.store(stages.condition(batches, once)[1], watched)
    pstats.Stats(watched.profiler).sort_stats("tottime").print_stats(35)


def other_tables(only: str | None, console: Console, *, quick: bool) -> list[figures.Figure]:
    """Measure and print the tables of figures, or the *only* one."""
    found: list[figures.Figure] = []

    def add(name: str, title: str, made: Callable[[], list[figures.Figure]]) -> None:
        if only in (None, name):
            new = made()
            found.extend(new)
            if new:
                figures.show(title, new, console)

    def ingester() -> list[figures.Figure]:
        return small.measure(1 if quick else ROUNDS, 10_000 if quick else small.FRAMES)

    def beside_peer() -> list[figures.Figure]:
        return peer.measure(market(1, 31 if quick else SECONDS), 1 if quick else rounds_of(1), console.print)

    add("ingester", "One ingester at saturation, 200 securities", ingester)
    add("peer", "A peer on the same frames", beside_peer)
    add("level3", "L3: every order event of a book of full size", lambda: level3.measure(quick=quick))
    if not quick:
        add("growth", "Cost grows with the work: book and conditioner", growth.measure)
        add("rates", f"The whole logger at {rates.RATE:,} small frames/s", rates.measure)
        add("starting", "From obl-run until it records, and what it left", starting.measure)
        add("sustained", "What the whole logger keeps up with, on the machine it shares", sustained.measure)
    return found


def main() -> int:
    """Run the bench and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.split("\n")[0])
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--securities", type=int)
    parser.add_argument("--profile", choices=("ingest", "book", "condition", "store"))
    parser.add_argument("--only", choices=TABLES)
    given = parser.parse_args()
    numbers = (given.securities,) if given.securities else SECURITIES
    seconds = 31 if given.quick else SECONDS
    if given.profile:
        profile(market(numbers[0], seconds), given.profile)
        return 0
    console, tables = Console(), []
    for securities in numbers if given.only in (None, "stages") else ():
        tables.append(measure(market(securities, seconds), 1 if given.quick else rounds_of(securities)))
        show(tables[-1], console)
    if tables:
        console.print(CAPTION, style="dim")
    others = other_tables(given.only, console, quick=given.quick)
    passed = all(table.passed for table in tables) and all(each.passed for each in others)
    results = Results(CAPTION, tables, [each.for_machines() for each in others], passed)
    if given.json:
        given.json.write_bytes(msgspec.json.format(msgspec.json.encode(results)) + b"\n")
    return 0 if results.passed else 1


if __name__ == "__main__":
    sys.exit(main())
