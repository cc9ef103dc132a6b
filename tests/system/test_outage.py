"""A database that is away, and stages that stand still at ten times the recorded rate: the journal keeps all.

One life of the whole logger serves all tests: each stage is stopped for a while (SIGSTOP) and goes on; then
the database is killed and, while it is away, the ingester of one venue too; then it comes back.  Binance
sends at ten times the rate of the recording of 2021; Coinbase knows the truth.

With ``OUTAGE_SECONDS=7200 OUTAGE_FRAMES=30`` that is two hours; ``pytest -s`` shows what it took.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from store.history import Archive
from tests.embedded import Server
from tests.simulator.process import Simulator, running
from tests.system.running import KEY, Logger, exchanges
from venue.decimals import text

FRAMES_A_SECOND = int(os.environ.get("OUTAGE_FRAMES", "300"))
"""Of 46 level changes each: in 2021 three symbols sent 29 depth updates with 309 changes a second."""

RATE = 100
"""Of Coinbase: events a second."""

STALL_S = 6
AWAY_S = float(os.environ.get("OUTAGE_SECONDS", "8"))
RESYNC_S = 5
"""A connection, a subscription and one snapshot."""

CAUGHT_UP_S = max(60, AWAY_S / 10)
LOOKS = 40
"""Times that status is asked for while a stage stands still, or half of an outage lasts, at most."""

pytestmark = [pytest.mark.faults, pytest.mark.system, pytest.mark.timeout(300 + 2 * AWAY_S)]

BINANCE = ("binance:S000USDT", "binance:S001USDT", "binance:S002USDT")
COINBASE = "coinbase:BTC-USD"
SECURITIES = (*BINANCE, COINBASE)
STAGES = ("book-0", "condition-0", "store-0")
NS_PER_S = 1_000_000_000

MOST_BYTES = 400 << 20
"""Of any process: 70 MiB of code and its buffers (README, "What it costs"), with room."""


@dataclass
class Life:
    """What was seen while it ran."""

    logger: Logger
    simulator: Simulator
    most_bytes: dict[str, int] = field(default_factory=dict)
    stalled: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Per stage the answers of status while it stood still."""
    away: list[dict[str, Any]] = field(default_factory=list)
    """The answers of status while the database was away, oldest first."""
    journal_bytes: list[int] = field(default_factory=list)
    """When the database went, and before it came back."""
    killed_ns: int = 0
    """When the ingester was killed."""
    live_ns: int = 0
    """When its security must have been live again: the books may be full by then, and say nothing of it."""
    caught_up_s: float = 0
    """From the database's return until nothing waited."""

    def status(self) -> dict[str, Any]:
        """Return the answer of status, and note the memory of each process."""
        status: dict[str, Any] = self.logger.answer("status")
        for process in status["processes"]:
            size = process["rss_bytes"] or 0
            self.most_bytes[process["name"]] = max(size, self.most_bytes.get(process["name"], 0))
        return status

    def watch(self, seconds: float) -> list[dict[str, Any]]:
        """Return what status says during *seconds*, and when they are over."""
        until, seen = time.monotonic() + seconds, []
        while time.monotonic() < until:
            seen.append(self.status())
            time.sleep(seconds / LOOKS)
        return [*seen, self.status()]

    def until(self, what: str, holds: Callable[[dict[str, Any]], bool], seconds: float = 60) -> None:
        """Ask status until *holds*."""
        self.logger.eventually(what, lambda: holds(self.status()), seconds)

    def past_now(self, seconds: float = 60) -> None:
        """Wait until the books are past what the exchanges have now, and what there is is stored."""
        now = {name: self.truth(name)["last_id"] for name in SECURITIES}
        self.until("the books move on", lambda it: all(
            (row["update_id"] or 0) > now[row["security"]] and row["state"] == "live"
            for row in it["securities"]
        ), seconds)  # fmt: skip

    def truth(self, security: str) -> dict[str, Any]:
        """Return the range of the truth."""
        venue, _, symbol = security.partition(":")
        found: dict[str, Any] = self.simulator.truth_range(venue, symbol)
        return found

    def journal(self) -> int:
        """Return the bytes of all journals."""
        folder = self.logger.folder / "data" / "journal"
        return sum(path.stat().st_size for path in folder.rglob("*.obj"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("server") / "database")
    made.start()
    yield made
    made.kill()


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Iterator[Life]:
    options = ["--binance-port", "0", "--coinbase-port", "0", "--rate", str(RATE), "--require-key", KEY]
    options += ["--products", "BTC-USD", "--firehose", "large", "--firehose-rate", str(FRAMES_A_SECOND)]
    with running(*options) as simulator:
        logger = Logger(
            tmp_path_factory.mktemp("logger"),
            SECURITIES=",".join(SECURITIES),
            ORDERBOOK_UPDATEFREQUENCY="100",
            WINDOW_SECONDS="2",
            BASE_IMAGE_SECONDS="10",
            CHECKPOINT_SECONDS="5",
            AUDIT_SECONDS="0",  # (the firehose keeps no truth: its snapshots agree with no book)
            MONGODB_ENDPOINT=server.uri,
            **exchanges(simulator),
        )
        try:
            yield lived(Life(logger, simulator), server)
        finally:
            logger.kill()


def lived(life: Life, server: Server) -> Life:
    """Run the logger through its accidents, and stop it."""
    logger = life.logger
    logger.start()
    logger.eventually("control answers", lambda: logger.obl("ping").returncode == 0)
    life.until("all is well", lambda it: bool(it["ok"]))
    for stage in STAGES:
        pid = logger.pids()[stage]
        os.kill(pid, signal.SIGSTOP)
        life.stalled[stage] = life.watch(STALL_S)
        os.kill(pid, signal.SIGCONT)
    life.past_now()
    outage(life, server)
    life.past_now()
    assert logger.stop() == 0, logger.logs()[-6000:]
    return life


def outage(life: Life, server: Server) -> None:
    """Kill the database, the ingester in the middle, and start the database again."""
    server.kill()
    life.journal_bytes.append(life.journal())
    life.until("it is seen to be away", lambda it: not it["database"]["reachable"])
    life.away += life.watch(AWAY_S / 2)
    life.killed_ns = time.time_ns()
    os.kill(life.logger.pids()["ingest-coinbase-a"], signal.SIGKILL)
    life.until("the ingester is back", lambda it: it["processes"][1]["restarts"] > 0)
    life.live_ns = time.time_ns() + RESYNC_S * NS_PER_S
    life.away += life.watch(AWAY_S / 2)
    life.journal_bytes.append(life.journal())
    server.start()
    began = time.monotonic()
    for _ in range(2):  # (what the books still held back, too)
        life.until(
            "nothing waits",
            lambda it: it["database"]["reachable"] and it["database"]["behind_s"] < 1,
            CAUGHT_UP_S,
        )
        life.past_now(CAUGHT_UP_S)
    life.caught_up_s = time.monotonic() - began


@pytest.fixture(scope="module")
def archive(life: Life) -> Iterator[Archive]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in life.logger.environment.items():
            patch.setenv(name, value)
        with Archive() as opened:
            yield opened


def test_status_says_that_the_database_is_away_and_by_how_much(life: Life) -> None:
    assert not any(status["ok"] or status["database"]["reachable"] for status in life.away)
    assert all("no database answers at" in status["database"]["error"] for status in life.away)
    behind = [status["database"]["behind_s"] for status in life.away]
    assert behind == sorted(behind)
    assert behind[-1] > AWAY_S * (1 - 1 / LOOKS)  # (the last look is that long before the end)
    lines = (life.logger.folder / "data" / "logs" / "store-0.log").read_text().splitlines()
    assert len([line for line in lines if "event=database_away" in line]) == 1
    assert len([line for line in lines if "event=database_back" in line]) == 1


def test_status_says_which_stage_stands_still(life: Life) -> None:
    for stage, seen in life.stalled.items():
        states = {row["name"]: row["state"] for row in seen[-1]["processes"]}
        assert states.pop(stage) == "lost", seen[-1]
        assert "lost" not in states.values()
        assert not seen[-1]["ok"]
    assert min(row["lag_s"] for row in life.stalled["book-0"][-1]["securities"]) > STALL_S


def test_the_journal_grows_and_no_process_does(life: Life) -> None:
    before, after = life.journal_bytes
    assert after > before
    print(
        f"away for {AWAY_S} s, {(after - before) >> 20} MiB of journal, caught up in {life.caught_up_s:.1f} s"
    )
    print({name: f"{size >> 20} MiB" for name, size in life.most_bytes.items()})
    assert {name: size for name, size in life.most_bytes.items() if size > MOST_BYTES} == {}


def test_nothing_is_missing_of_the_line_that_ran_through(archive: Archive) -> None:
    for security in BINANCE:
        [span] = archive.coverage(security)
        assert span.rows > FRAMES_A_SECOND / len(BINANCE) * (AWAY_S + STALL_S * len(STAGES))
        assert archive.gaps(security) == []


def test_the_only_hole_is_the_killed_ingester_s_and_as_long_as_its_absence(
    life: Life, archive: Archive
) -> None:
    rows = {row["feed"]: row for row in archive.gaps(COINBASE)}
    assert {row["cause"] for row in rows.values()} == {"own_restart"}
    assert len(archive.gaps(COINBASE)) == len(rows) == 2
    for feed, row in rows.items():
        if feed == "trades" and row["state"] == "healed":  # the exchange was asked for them by id
            [whole] = (span for span in archive.coverage(COINBASE) if span.feed == feed)
            assert (whole.first_id or 0) < row["first_id"] <= row["last_id"] < (whole.last_id or 0)
            continue
        first, second = (span for span in archive.coverage(COINBASE) if span.feed == feed)
        assert (row["first_id"], row["last_id"]) == ((first.last_id or 0) + 1, (second.first_id or 0) - 1)
        assert life.killed_ns - NS_PER_S < first.to_ns < life.killed_ns + NS_PER_S
        assert second.from_ns < life.live_ns, "not only after the database came back"


def test_every_trade_that_was_received_is_stored_once_and_in_order(life: Life, archive: Archive) -> None:
    venue, _, symbol = COINBASE.partition(":")
    stored = [
        (int(rows.ids[i]), text(int(rows.prices[i]), batch.price_scale))
        for batch in archive.trades(COINBASE, 0, "latest", gaps="include")
        if hasattr(batch, "rows")
        for rows in [batch.rows]
        for i in range(len(rows.ids))
    ]
    true = life.simulator.truth_trades(venue, symbol, from_id=stored[0][0], to_id=stored[-1][0])
    held = {row["id"]: row["price"] for row in true}
    missing = [
        trade
        for row in archive.gaps()
        if (row["security"], row["feed"]) == (COINBASE, "trades") and row["state"] != "healed"
        for trade in range(row["first_id"], row["last_id"] + 1)
    ]
    assert stored == [(trade, price) for trade, price in sorted(held.items()) if trade not in set(missing)]


@pytest.mark.parametrize("security", SECURITIES)
def test_the_hash_is_right_at_the_end(archive: Archive, security: str) -> None:
    assert archive.book_at(security, "latest", verify=True)
