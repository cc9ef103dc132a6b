"""A week in miniature: the logger goes through rotations and reconnects, and its memory is measured."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from control.client import Client, NoAnswer
from control.restarting import DATABASE
from store.history import Archive, Unreadable
from tests.chaos.market import archive_of
from tests.chaos.wire import hearing
from tests.simulator.process import Simulator
from tests.system.running import Logger, exchanges
from tests.system.test_end_to_end import truth

SECURITIES = ("binance:BTCUSDT", "coinbase:BTC-USD")
VENUES = ("binance", "coinbase")
PATIENCE_S = 180
ASK_S = 0.2
"""Between two questions: a command of its own for each would cost more than what it watches."""

SLACK = 1.10
SLACK_BYTES = 8 << 20
"""What the last third may have more than the middle one: blocks of the allocator, not a leak."""

DATABASE_BYTES = 512 << 20
"""What the database may hold: its page cache (``store.database.CACHE_SIZE``), which takes longer than such a
life to fill, and as much again for its program and open sessions."""


class Memory(NamedTuple):
    """Resident bytes of one process: medians of the middle and the last third, and the most of all."""

    middle: float
    last: float
    most: int

    def is_bounded(self, name: str) -> bool:
        """Say whether process *name* has stopped growing, or is the database and within its bound."""
        if name == DATABASE:
            return self.most <= DATABASE_BYTES
        return self.last <= SLACK * self.middle + SLACK_BYTES


class Soak:
    """One life of the logger and what was seen of it."""

    def __init__(self, folder: Path, simulator: Simulator, rotate_s: int) -> None:
        self.simulator = simulator
        self.rotations = 0
        """Of each venue."""
        self.cuts: list[tuple[int, int]] = []
        """When both venues cut their connections, and when all was live again."""
        self.rows: list[dict[str, Any]] = []
        """Of the gap ledger, in the end."""
        self.samples: list[dict[str, int]] = []
        """Resident bytes of each process."""
        self._sample_at = 0.0
        self.logger = Logger(
            folder,
            SECURITIES=",".join(SECURITIES),
            ORDERBOOK_UPDATEFREQUENCY="100",
            WINDOW_SECONDS="2",
            BASE_IMAGE_SECONDS="6",
            CHECKPOINT_SECONDS="3",
            JOURNAL_KEEP_SECONDS="10",
            JOURNAL_SEGMENT_BYTES="1048576",
            AUDIT_SECONDS="5",
            ROTATE_SECONDS=str(rotate_s),
            **exchanges(simulator),
        )

    def live(self, rotations: int, reconnects: int) -> None:
        """Go through *rotations* of each venue's connection, and *reconnects* in all evenly between them."""
        cuts = reconnects // len(VENUES)
        logger = self.logger
        logger.start()
        logger.eventually("control answers", lambda: logger.obl("ping").returncode == 0, PATIENCE_S)
        key = (logger.folder / "data/secrets/manager_key").read_text().strip()
        self._client = Client("127.0.0.1", int(logger.environment["MANAGER_PORT"]), key)
        self._all_live()
        with archive_of(logger.environment) as archive:
            for n in range(rotations):
                self._rotated(archive)
                for _ in range(cuts * n // rotations, cuts * (n + 1) // rotations):
                    self._reconnected()
            self._stored(archive)
            self._eventually("missing trades are fetched", lambda: not _open_trades(archive))
            self.rows = archive.gaps()
        self._client.close()

    def memory(self) -> dict[str, Memory]:
        """Return what each process held."""
        names = sorted({name for sample in self.samples for name in sample})
        return {name: memory_of([s[name] for s in self.samples if name in s]) for name in names}

    def _rotated(self, archive: Archive) -> None:
        """Wait until each venue's connections have all been replaced, without any having been cut."""
        before = {venue: max(self._numbers(venue)) for venue in VENUES}
        done = lambda: all(min(self._numbers(v), default=0) > before[v] for v in VENUES)  # noqa: E731
        self._eventually("all connections are rotated", done)
        self._stored(archive)
        self.rotations += 1

    def _stored(self, archive: Archive) -> None:
        """Wait until the archive is past what the simulated exchanges have now."""
        for security in SECURITIES:
            now_ns = truth(self.simulator, security)["last_ns"]
            self._eventually(f"{security} is stored", partial(_is_past, archive, security, now_ns))

    def _reconnected(self) -> None:
        from_ns = time.time_ns()
        for venue in VENUES:
            self.simulator.fault(venue, "close")
        self._eventually("the lines are up", lambda: all(self._numbers(venue) for venue in VENUES))
        self._all_live()
        self.cuts.append((from_ns, time.time_ns()))

    def _all_live(self) -> None:
        """Wait until every book is live and past what the simulated exchange has now."""
        now = {security: truth(self.simulator, security)["last_id"] for security in SECURITIES}

        def is_live() -> bool:
            rows = {row["security"]: row for row in self._client.call("status")["securities"]}
            return all(
                rows.get(s, {}).get("state") == "live" and (rows[s]["update_id"] or 0) > last_id
                for s, last_id in now.items()
            )

        self._eventually("all are live", is_live)

    def _numbers(self, venue: str) -> list[int]:
        return [one["connection"] for one in hearing(self.simulator, venue)]

    def _eventually(self, what: str, check: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not _holds(check):
            if time.monotonic() >= deadline:
                status = self._client.call("status")["securities"]
                raise AssertionError(f"not within {PATIENCE_S} s: {what}\n{status}\n{self.logger.logs()}")
            self._sample()
            time.sleep(ASK_S)

    def _sample(self) -> None:
        """Measure, once a second at most."""
        if time.monotonic() >= self._sample_at:
            self._sample_at = time.monotonic() + 1
            with suppress(NoAnswer):
                rows = self._client.call("status")["processes"]
                self.samples.append({row["name"]: row["rss_bytes"] for row in rows if row["rss_bytes"]})


def _holds(check: Callable[[], bool]) -> bool:
    """Say whether *check* holds; on a busy host an answer may fail to come in time."""
    try:
        return check()
    except (TimeoutError, NoAnswer):
        return False


def _is_past(archive: Archive, security: str, time_ns: int) -> bool:
    try:
        return archive.newest_book(security) > time_ns
    except Unreadable:
        return False  # nothing is stored yet


def _open_trades(archive: Archive) -> list[dict[str, Any]]:
    return [row for row in archive.gaps() if row["feed"] == "trades" and row["state"] != "healed"]


def memory_of(held: Sequence[int]) -> Memory:
    """Return the medians of what a process *held*, sample by sample."""
    third = len(held) // 3
    return Memory(statistics.median(held[third : 2 * third]), statistics.median(held[2 * third :]), max(held))


def check(soak: Soak) -> None:
    """Hold the life to what it promises.

    Raises:
        AssertionError: a rotation left a hole, a row has another cause, or memory grows.
    """
    rows = soak.rows
    # (the trades of a cut that meets a rotation end on the connection that was rotated)
    assert {row["cause"] for row in rows} <= {"network", "rotation"}, rows
    assert _not_of_cuts(soak) == []
    for security in SECURITIES:
        books = [row for row in rows if row["security"] == security and row["feed"] != "trades"]
        assert len(books) <= len(soak.cuts), books
    grown = {name: memory for name, memory in soak.memory().items() if not memory.is_bounded(name)}
    assert not grown, grown


def _not_of_cuts(soak: Soak) -> list[Any]:
    return [row for row in soak.rows if not any(_overlaps(row, cut) for cut in soak.cuts)]


def _overlaps(row: Mapping[str, Any], cut: tuple[int, int]) -> bool:
    return bool((row["from"] or 0) <= cut[1] and cut[0] <= (row["to"] or cut[1]))


def table(soak: Soak) -> str:
    """Return what was seen, for people."""
    rows = soak.rows
    healed = sum(row["state"] == "healed" for row in rows)
    lines = [
        f"{soak.rotations} rotations of each venue: {len(_not_of_cuts(soak))} rows",
        f"{len(VENUES) * len(soak.cuts)} reconnects: {len(rows)} rows, {healed} of them healed",
        f"{len(soak.samples)} samples   middle third   last third        most  (median RSS, MiB)",
    ]
    for name, memory in soak.memory().items():
        middle, last, most = (each / (1 << 20) for each in memory)
        lines.append(f"{name:17} {middle:12.1f} {last:12.1f} {most:11.1f}")
    return "\n".join(lines)
