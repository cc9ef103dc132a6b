"""``python -m tests.bench.reading``: how fast the archive is read back, from the embedded server.

way            reads                                                                  bar
floor          the bytes of the same blocks alone (condition.codec)                   20 million levels/s
changes        Archive.changes, numpy columns                                         5 million levels/s
replay         Archive.replay, folded level by level into a book                      700 thousand levels/s
books          Archive.books every second, whole books                                700 thousand levels/s
depth          Archive.depth every second, 20 levels                                  700 thousand levels/s
top            Archive.top: a book that moves update by update                        700 thousand levels/s
table          Archive.changes_table, Arrow batches                                   -
book_at        Archive.book_at at random moments of the day; of 110,000 orders        50 ms at p99; 3 s

    --hours N       of one liquid security (tests.bench.day); half of them are compacted
    --orders N      seconds of the L3 security (0: none), with --events N a second
    --moments N     random moments of the day; a hundredth of them of the L3 security
    --repeats N     of each way; --profile WAY prints where it spends its time
    --json FILE     write the same for machines

A way reads an hour of merged blocks, and beside it an hour of blocks of 10 s as they are written: CPU is user
and system of this process, the least of the repeats.  ``book_at`` is wall time, with the server.
"""

import argparse
import pstats
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from cProfile import Profile
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import msgspec
import numpy as np
from rich.console import Console

from condition.codec import decode_changes
from store.answers import Book, Changes
from store.blocks import BOOK_KINDS, LAST_NS
from store.documents import NS_PER_S
from store.history import Archive
from store.ladder import sides_of
from store.tables import arrow
from tests.bench import day
from tests.bench.figures import Figure, show
from tests.embedded import Server

DATABASE = "bench"
CACHE_SIZE = "256M"
"""As store.database has it."""

HOUR_NS = 3600 * NS_PER_S
L3_START_NS = 1_723_161_630 * NS_PER_S
MOST_L2_MS, MOST_L3_MS = 50.0, 3000.0
LEVELS = "M levels a CPU second"


class Range(NamedTuple):
    """What is read."""

    security: str
    low: int
    high: int


class Way(NamedTuple):
    """One way of reading, and how many million level changes a second it must give."""

    read: Callable[[Archive, Range], object]
    bar: float | None = None


def changes(archive: Archive, asked: Range) -> int:
    """Read all changes as columns."""
    return sum(len(each.rows.prices) for each in archive.changes(*asked) if isinstance(each, Changes))


def replay(archive: Archive, asked: Range) -> None:
    """Let a book of two dicts move with every level, as anyone would write it."""
    sides: tuple[dict[int, int], dict[int, int]] = ({}, {})
    for answer in archive.replay(*asked, gaps="include"):
        if isinstance(answer, Book):
            sides = dict(answer.bids.tolist()), dict(answer.asks.tolist())
        elif isinstance(answer, Changes):
            rows = answer.rows
            asks = sides_of(answer).tolist()
            for ask, price, size in zip(asks, rows.prices.tolist(), rows.sizes.tolist(), strict=True):
                if size:
                    sides[ask][price] = size
                else:
                    sides[ask].pop(price, None)


def books(archive: Archive, asked: Range) -> None:
    """Read whole books, one a second."""
    for _ in archive.books(*asked, "1s", "include"):
        pass


def depth(archive: Archive, asked: Range) -> None:
    """Read 20 levels, once a second."""
    for _ in archive.depth(*asked, 20, "1s", "include"):
        pass


def top(archive: Archive, asked: Range) -> None:
    """Read best bid and ask at every change."""
    for _ in archive.top(*asked, gaps="include"):
        pass


def table(archive: Archive, asked: Range) -> None:
    """Read all changes as Arrow."""
    for _ in archive.changes_table(*asked):
        pass


WAYS = {
    "changes": Way(changes, 5.0),
    "replay": Way(replay, 0.7),
    "books": Way(books, 0.7),
    "depth": Way(depth, 0.7),
    "top": Way(top, 0.7),
    "table": Way(table),
}


def ranges(archive: Archive, security: str) -> tuple[Range, Range]:
    """Return an hour of merged blocks, and one of blocks as they are written (less where there is less)."""
    blocks = [each for found in archive.blocks.between(security, BOOK_KINDS, 0, LAST_NS) for each in found]
    first_ns, last_ns = blocks[0].first_effective_ns, blocks[-1].last_effective_ns
    middle = max(each.end_ns for each in blocks if each.merged)
    merged = Range(security, max(first_ns, middle - HOUR_NS), middle)
    return merged, Range(security, middle, min(last_ns, middle + HOUR_NS))


def least(repeats: int, run: Callable[[], object]) -> float:
    """Return the CPU seconds of *run*, the least of the repeats."""
    found = []
    for _ in range(repeats):
        started = time.process_time()
        run()
        found.append(time.process_time() - started)
    return min(found)


def speeds(archive: Archive, security: str, repeats: int) -> list[Figure]:
    """Return how fast each way reads, merged blocks and fresh ones."""
    arrow()
    figures = []
    merged, fresh = ranges(archive, security)
    for asked, kind in ((merged, "compacted"), (fresh, "10 s blocks")):
        levels = changes(archive, asked) / 1e6
        documents = stored(archive, asked)
        held = sum(int(each["levels"]) for each in documents) / 1e6
        floor = held / least(repeats, lambda found=documents: [decode_changes(each) for each in found])
        is_judged = asked is merged
        figures.append(Figure(f"floor, {kind}", floor, LEVELS, bar=20.0 if is_judged else None, least=True))
        for name, way in WAYS.items():
            rate = levels / least(repeats, lambda way=way, asked=asked: way.read(archive, asked))
            bar = way.bar if is_judged else None
            figures.append(Figure(f"{name}, {kind}", rate, LEVELS, bar=bar, least=True))
    return figures


def stored(archive: Archive, asked: Range) -> list[dict[str, Any]]:
    """Return the blocks of the range, whole."""
    found = archive.blocks.stored(asked.security, ("changes",), asked.low, asked.high)
    return [document for together in found for _, document in together]


def cpu_ns(pid: int) -> int:
    """Return the CPU time of a process so far (proc(5), schedstat: finer than the ticks of stat)."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


def moments(archive: Archive, security: str, count: int, most_ms: float, server: int) -> list[Figure]:
    """Return how long the book at a random moment takes; the judged one is p99, or the most of a few.

    The CPU of the reader and of the *server*, a process id, is what a machine of their own would need.
    """
    [span] = [each for each in archive.coverage(security) if each.feed == "book"]
    draw, spent, cpu, both = Random(1), [], [], []
    archive.book_at(security, span.to_ns)
    for _ in range(count):
        time_ns = draw.randrange(span.from_ns + NS_PER_S, span.to_ns)
        served, started, before = cpu_ns(server), time.perf_counter(), time.process_time()
        archive.book_at(security, time_ns)
        spent.append(1e3 * (time.perf_counter() - started))
        cpu.append(1e3 * (time.process_time() - before))
        both.append(cpu[-1] + (cpu_ns(server) - served) / 1e6)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    hours = (span.to_ns - span.from_ns) / HOUR_NS
    note = f"{security}: {count} moments of {hours:.1f} h in {span.documents:,} documents; peak {peak} MB"
    p50, p99 = np.quantile(spent, [0.5, 0.99]).tolist()
    of = f"book_at, {security}"
    judged = count >= 100
    return [
        Figure(f"{of}, CPU of the reader, p99", float(np.quantile(cpu, 0.99)), "ms"),
        Figure(f"{of}, with the server's, p99", float(np.quantile(both, 0.99)), "ms"),
        Figure(f"{of}, p50", p50, "ms", note=note),
        Figure(f"{of}, p99", p99, "ms", bar=most_ms if judged else None),
        Figure(f"{of}, most", max(spent), "ms", bar=None if judged else most_ms),
    ]


def main() -> int:
    """Run and return the exit code: 1 where a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.reading")
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--orders", type=float, default=3000.0)
    parser.add_argument("--events", type=float, default=60.0)
    parser.add_argument("--moments", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--profile", choices=tuple(WAYS))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="obl-bench-") as folder:
        server = Server(Path(folder) / "db", "--cache-size", CACHE_SIZE)
        server.start()
        try:
            levels, orders = write(server, given.hours, given.orders, given.events)
            with Archive(server.uri, DATABASE) as archive:
                if given.profile:
                    return profile(archive, ranges(archive, levels)[0], WAYS[given.profile])
                figures = speeds(archive, levels, given.repeats)
                figures += moments(archive, levels, given.moments, MOST_L2_MS, server.pid)
                if orders:
                    figures += moments(archive, orders, max(5, given.moments // 100), MOST_L3_MS, server.pid)
        finally:
            server.kill()
    show("reading", figures, Console(width=120))
    if given.json:
        found = [each.for_machines() for each in figures]
        given.json.write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
    return 0 if all(each.passed for each in figures) else 1


def write(server: Server, hours: float, seconds: float, events: float) -> tuple[str, str | None]:
    """Write the days; return the L2 security and, if there is one, the L3 security."""
    with server.client() as client:
        database = client[DATABASE]
        levels = day.written(database, *day.level2(hours), int(hours * 1800)).security
        if not seconds:
            return levels, None
        groups = day.orders(seconds, events, L3_START_NS)
        return levels, day.written(database, f"coinbase:{day.PRODUCT}", groups, day.AFTER_S).security


def profile(archive: Archive, asked: Range, way: Way) -> int:
    """Print where a way spends its time."""
    profiler = Profile()
    profiler.runcall(way.read, archive, asked)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(30)
    return 0


if __name__ == "__main__":
    sys.exit(main())
