"""``python -m tests.bench.reading``: how fast the archive is read back, from the embedded server.

way            reads                                                                  bar
changes        Archive.changes, numpy columns                                         5 million levels/s
replay         Archive.replay, folded level by level into a book                      700 thousand levels/s
books          Archive.books every second, whole books                                700 thousand levels/s
depth          Archive.depth every second, 20 levels                                  700 thousand levels/s
top            Archive.top: a book that moves update by update                        700 thousand levels/s
table          Archive.changes_table, Arrow batches                                   -
bars           Archive.bars every second                                              - (trades/s)

    --securities N  that have the capture and are read one after the other (4)
    --seconds N     of the capture (345: all)
    --window N      seconds of one block: 10 as it is written, 300 as compaction leaves it
    --repeats N     of each way; --profile WAY prints where it spends its time

CPU is user and system of this process, the least of the repeats; the server's is beside it.  ``floor``
decodes the same blocks' bytes alone (condition.codec): what is above it is finding, checking, cutting.
"""

import argparse
import pstats
import sys
import tempfile
import time
from collections.abc import Callable
from cProfile import Profile
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from book.windows import Recipe
from condition.codec import decode_changes
from store.answers import Book, Changes, Trades
from store.history import Archive
from store.ladder import sides_of
from store.tables import arrow
from store.writer import Writer
from tests.bench import stages
from tests.bench.market import SECONDS, market
from tests.embedded import Server


class Way(NamedTuple):
    """One way of reading, and how many level changes (trades) a second it must give."""

    read: Callable[[Archive, str], int]
    unit: str
    bar: float | None = None


def floor(archive: Archive, security: str) -> int:
    """Decode the blocks that are in memory already."""
    return sum(len(decode_changes(fields).prices) for fields in _fetched(archive, security))


def changes(archive: Archive, security: str) -> int:
    """Read all changes as columns."""
    answers = archive.changes(security, *_range(archive, security))
    return sum(len(each.rows.prices) for each in answers if isinstance(each, Changes))


def replay(archive: Archive, security: str) -> int:
    """Let a book of two dicts move with every level, as anyone would write it."""
    sides: tuple[dict[int, int], dict[int, int]] = ({}, {})
    count = 0
    for answer in archive.replay(security, *_range(archive, security), gaps="include"):
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
            count += len(rows.prices)
    return count


def books(archive: Archive, security: str) -> int:
    """Read whole books, one a second."""
    for _ in archive.books(security, *_range(archive, security), "1s", "include"):
        pass
    return _levels(archive, security)


def depth(archive: Archive, security: str) -> int:
    """Read 20 levels, once a second."""
    for _ in archive.depth(security, *_range(archive, security), 20, "1s", "include"):
        pass
    return _levels(archive, security)


def top(archive: Archive, security: str) -> int:
    """Read best bid and ask at every change."""
    for _ in archive.top(security, *_range(archive, security), gaps="include"):
        pass
    return _levels(archive, security)


def table(archive: Archive, security: str) -> int:
    """Read all changes as Arrow."""
    return sum(len(batch) for batch in archive.changes_table(security, *_range(archive, security)))


def bars(archive: Archive, security: str) -> int:
    """Read the trades as bars of a second."""
    return sum(int(chunk.counts.sum()) for chunk in archive.bars(security, *_range(archive, security), "1s"))


def trades(archive: Archive, security: str) -> int:
    """Read the trades as columns."""
    answers = archive.trades(security, *_range(archive, security))
    return sum(len(each.rows.ids) for each in answers if isinstance(each, Trades))


WAYS = {
    "floor": Way(floor, "levels"),
    "changes": Way(changes, "levels", 5e6),
    "replay": Way(replay, "levels", 7e5),
    "books": Way(books, "levels", 7e5),
    "depth": Way(depth, "levels", 7e5),
    "top": Way(top, "levels", 7e5),
    "table": Way(table, "levels"),
    "trades": Way(trades, "trades"),
    "bars": Way(bars, "trades"),
}

_ranges: dict[str, tuple[int, int]] = {}
_counts: dict[str, int] = {}
_blocks: dict[str, list[dict[str, object]]] = {}


def _range(archive: Archive, security: str) -> tuple[int, int]:
    """Return from when to when the book of *security* is stored."""
    if security not in _ranges:
        [span] = [each for each in archive.coverage(security) if each.feed == "book"]
        _ranges[security] = span.from_ns, span.to_ns + 1
    return _ranges[security]


def _levels(archive: Archive, security: str) -> int:
    if security not in _counts:
        _counts[security] = changes(archive, security)
    return _counts[security]


def _fetched(archive: Archive, security: str) -> list[dict[str, object]]:
    if security not in _blocks:
        found = archive.blocks.stored(security, ("changes",), 0, 2**63 - 1, receipts=True)
        _blocks[security] = [document for together in found for _, (_, document) in together]
    return _blocks[security]


class Cost(NamedTuple):
    """What one way cost."""

    count: int
    cpu_s: float
    wall_s: float
    server_s: float


def measure(archive: Archive, names: list[str], way: Way, repeats: int, pid: int) -> Cost:
    """Return the least that reading all of *names* cost."""
    found = []
    arrow()
    for name in names:  # (what is counted beside the way is counted before it)
        _levels(archive, name), _fetched(archive, name)
    for _ in range(repeats):
        server, cpu, wall = stages.cpu_of(pid), time.process_time(), time.perf_counter()
        count = sum(way.read(archive, name) for name in names)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        found.append(Cost(count, cpu, wall, stages.cpu_of(pid) - server))
    return Cost(found[0].count, *(min(each[n] for each in found) for n in (1, 2, 3)))


def stored(server: Server, copies: int, seconds: float, window_s: int) -> list[str]:
    """Store the market; return its securities."""
    feed = market(copies, seconds)
    once = stages.Runs(1)
    recipe = Recipe(window_s * 1_000_000_000, 600, 3600)
    documents = stages.condition(stages.book(stages.groups_of(feed), once, recipe)[1], once, recipe)[1]
    with server.client() as client:
        writer = Writer(client["bench"], "bench", window_s)
        writer.prepare()
        stages.store_all(writer, documents)
        for symbol in feed.symbols:  # (as control leaves it: a name that is recorded is known at once)
            row = {"$set": {"wanted": True}}
            client["bench"]["securities"].update_one({"_id": f"binance:{symbol}"}, row, upsert=True)
    return [f"binance:{symbol}" for symbol in feed.symbols]


def main() -> int:
    """Run and return the exit code: 1 where a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.reading")
    parser.add_argument("--securities", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--window", type=int, default=stages.WINDOW_SECONDS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--profile", choices=tuple(WAYS))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="obl-bench-") as folder:
        server = Server(Path(folder) / "db")
        server.start()
        try:
            names = stored(server, given.securities, given.seconds, given.window)
            with Archive(server.uri, "bench") as archive:
                if given.profile:
                    return profile(archive, names, WAYS[given.profile])
                costs = {
                    name: measure(archive, names, way, given.repeats, server.pid)
                    for name, way in WAYS.items()
                }
        finally:
            server.kill()
    return show(costs)


def profile(archive: Archive, names: list[str], way: Way) -> int:
    """Print where a way spends its time."""
    profiler = Profile()
    for name in names:
        _levels(archive, name), _fetched(archive, name)
        profiler.runcall(way.read, archive, name)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(30)
    return 0


def show(costs: dict[str, Cost]) -> int:
    """Print the table; return 1 where a bar is missed."""
    drawn = Table(title=f"reading {costs['changes'].count:,} level changes, {costs['trades'].count:,} trades")
    drawn.add_column("way")
    for name in ("CPU s", "server CPU s", "wall s", "a CPU second", "bar", ""):
        drawn.add_column(name, justify="right")
    missed = []
    for name, cost in costs.items():
        way, rate = WAYS[name], cost.count / max(1e-9, cost.cpu_s)
        verdict = "" if way.bar is None else "pass" if rate >= way.bar else "FAIL"
        missed += [name] if verdict == "FAIL" else []
        drawn.add_row(
            name,
            f"{cost.cpu_s:.3f}",
            f"{cost.server_s:.3f}",
            f"{cost.wall_s:.3f}",
            f"{rate / 1e6:.2f} M {way.unit}",
            "-" if way.bar is None else f"{way.bar / 1e6:.1f} M",
            verdict,
        )
    Console(width=110).print(drawn)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
