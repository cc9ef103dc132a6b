"""The promise of the whole: what the simulated exchanges really were is what the archive says.

One run of the real processes under supervisord serves all tests of this file: every stage and the
database are killed once, a security is added on the way, and in the end everything is stopped.
"""

import json
import os
import random
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from store.answers import Book
from store.history import Archive
from store.times import moment
from tests.simulator.process import Simulator, running
from tests.system.running import KEY, Logger, exchanges
from venue.decimals import text

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

SEED = 11
INSTANTS = 200
IMAGES_S = 10
NS_PER_S = 1_000_000_000
BINANCE, BINANCE_LATER, COINBASE = "binance:BTCUSDT", "binance:ETHUSDT", "coinbase:BTC-USD"
SECURITIES = (BINANCE, BINANCE_LATER, COINBASE)
STAGES = ("book-0", "condition-0", "store-0", "database")


@dataclass
class Recorded:
    logger: Logger
    simulator: Simulator
    stopped_with: int
    pids: dict[str, int]
    audit_pct: dict[str, Any]
    """As `obl status` shows it at the end."""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    with running(
        "--binance-port",
        "0",
        "--coinbase-port",
        "0",
        "--seed",
        str(SEED),
        "--rate",
        "40",
        "--require-key",
        KEY,
    ) as simulator:
        logger = Logger(
            tmp_path_factory.mktemp("logger"),
            SECURITIES=f"{BINANCE},{COINBASE}",
            ORDERBOOK_UPDATEFREQUENCY="100",
            WINDOW_SECONDS="2",
            BASE_IMAGE_SECONDS=str(IMAGES_S),
            CHECKPOINT_SECONDS="5",
            AUDIT_SECONDS="4",
            **exchanges(simulator),
        )
        try:
            yield record(logger, simulator)
        finally:
            logger.kill()


def record(logger: Logger, simulator: Simulator) -> Recorded:
    """Run the logger through a life with an accident at every stage, and stop it."""
    logger.start()
    logger.eventually("control answers", lambda: logger.obl("ping").returncode == 0)
    for security in (BINANCE, COINBASE):
        logger.eventually(f"{security} is live", lambda s=security: logger.state(s) == "live")
    added = logger.obl("add", BINANCE_LATER, "--wait")
    assert added.returncode == 0, added.stderr
    for stage in STAGES:
        os.kill(logger.pids()[stage], signal.SIGKILL)
        for security in SECURITIES:
            reaches_now(logger, simulator, security)
    for security in SECURITIES:
        is_stored_until_now(logger, simulator, security)
    pids = logger.pids()
    audit_pct = {security: logger.status(security)["audit_pct"] for security in SECURITIES}
    return Recorded(logger, simulator, logger.stop(), pids, audit_pct)


def truth(simulator: Simulator, security: str) -> dict[str, Any]:
    venue, _, symbol = security.partition(":")
    found: dict[str, Any] = simulator.truth_range(venue, symbol)
    return found


def reaches_now(logger: Logger, simulator: Simulator, security: str) -> None:
    """Wait until the live book is past what the simulated exchange has now."""
    now = truth(simulator, security)["last_id"]
    logger.eventually(f"{security} past {now}", lambda: (logger.status(security)["update_id"] or 0) > now)


def is_stored_until_now(logger: Logger, simulator: Simulator, security: str) -> None:
    """Wait until the archive is past what the simulated exchange has now."""
    now_ns = truth(simulator, security)["last_ns"]

    def is_past() -> bool:
        done = logger.obl("at", security, "latest", "--depth", "1", "--json")
        return done.returncode == 0 and (moment(json.loads(done.stdout)["time"]) or 0) > now_ns

    logger.eventually(f"{security} stored", is_past)


@pytest.fixture(scope="module")
def archive(recorded: Recorded) -> Iterator[Archive]:
    """The archive as a person opens it when the logger has stopped."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in recorded.logger.environment.items():
            patch.setenv(name, value)
        with Archive() as opened:
            yield opened


def test_every_process_ends_with_zero_and_leaves_no_orphan(recorded: Recorded) -> None:
    assert recorded.stopped_with == 0
    assert [name for name, pid in recorded.pids.items() if Path(f"/proc/{pid}").exists()] == []
    ended = recorded.logger.output()
    assert [name for name in recorded.pids if f"stopped: {name} (exit status 0)" not in ended] == []


@pytest.mark.parametrize("security", SECURITIES)
def test_the_book_at_random_instants_is_the_true_one(
    recorded: Recorded, archive: Archive, security: str
) -> None:
    venue, _, symbol = security.partition(":")
    [span] = [span for span in archive.coverage(security) if span.feed != "trades"]
    drawn = random.Random(SEED)
    for _ in range(INSTANTS):
        time_ns = drawn.randrange(span.from_ns, span.to_ns)
        book = archive.book_at(security, time_ns)
        assert book is not None
        true = recorded.simulator.truth_book(venue, symbol, time_ns=time_ns, ms=100)
        assert book.update_id == true["update_id"]
        assert sides(book) == certified_sides(book, true)
        if book.orders is not None:
            assert orders(book) == [tuple(row) for side in ("bids", "asks") for row in true["orders"][side]]


def sides(book: Book) -> list[list[list[str]]]:
    """Return bids and asks as the truth spells them, inside the certified range."""
    low, high = book.certified
    bids = [row for row in book.bids.tolist() if low is None or row[0] >= low]
    asks = [row for row in book.asks.tolist() if high is None or row[0] <= high]
    return [
        [[text(price, book.price_scale), text(size, book.size_scale)] for price, size in rows]
        for rows in (bids, asks)
    ]


def certified_sides(book: Book, true: dict[str, Any]) -> list[list[list[str]]]:
    low, high = book.certified

    def price(row: list[str]) -> int:
        whole, _, decimals = row[0].partition(".")
        return int(whole + decimals.ljust(book.price_scale, "0"))

    return [
        [row for row in true["bids"] if low is None or price(row) >= low],
        [row for row in true["asks"] if high is None or price(row) <= high],
    ]


def without_ids(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [(price, size, "") for price, size, _ in rows]


def orders(book: Book) -> list[tuple[Any, ...]]:
    """Return price, size and id of each order; the id is empty where the book has names."""
    found = book.orders
    assert found is not None
    rows = [
        (
            text(int(price), book.price_scale),
            text(int(size), book.size_scale),
            str(UUID(bytes=bytes(order_id))),
        )
        for price, size, order_id in zip(found.prices, found.sizes, found.order_ids, strict=True)
    ]
    assert len({name for *_, name in rows}) == len(rows)
    return without_ids(rows) if book.named else rows


@pytest.mark.parametrize("security", SECURITIES)
def test_every_trade_is_stored_once_and_exactly(recorded: Recorded, archive: Archive, security: str) -> None:
    venue, _, symbol = security.partition(":")
    stored = [
        {
            "id": int(rows.ids[i]),
            "time_ns": int(rows.times_ns[i]),
            "price": text(int(rows.prices[i]), batch.price_scale),
            "size": text(int(rows.sizes[i]), batch.size_scale),
            "side": ("buy", "sell")[rows.sides[i]],
        }
        for batch in archive.trades(security, 0, "latest")
        for rows in [batch.rows]
        for i in range(len(rows.ids))
    ]
    assert stored
    assert stored == recorded.simulator.truth_trades(
        venue, symbol, from_id=stored[0]["id"], to_id=stored[-1]["id"]
    )


@pytest.mark.parametrize("security", SECURITIES)
def test_the_hash_is_right_at_every_chain_entry_s_end(archive: Archive, security: str) -> None:
    """Each book is made from the image before it, and every hash on the way is compared."""
    [span] = [span for span in archive.coverage(security) if span.feed != "trades"]
    images = range(span.to_ns, span.from_ns, -IMAGES_S * NS_PER_S)
    assert all(archive.book_at(security, time_ns, verify=True) for time_ns in images)


@pytest.mark.parametrize("security", SECURITIES)
def test_every_audit_found_the_book_equal(recorded: Recorded, archive: Archive, security: str) -> None:
    audits = archive.audits(security)
    assert len(audits) >= 3
    assert [(row["pct"], row["levels"] - row["equal"], row["differences"]) for row in audits] == [
        (100.0, 0, [])
    ] * len(audits)
    assert recorded.audit_pct[security] == 100.0
    assert recorded.logger.answers("audit", security)[-1]["update_id"] == audits[-1]["update_id"]


def test_verify_proves_all_of_it(recorded: Recorded, archive: Archive) -> None:
    """(With *archive* open: the database runs already.)"""
    rows = recorded.logger.answers("verify")
    assert [row["first_bad"] for row in rows] == [None] * len(SECURITIES)
    assert all(row["proven"] > 0 == row["unverifiable"] for row in rows)
    lines = recorded.logger.answers("verify", "--journal")
    assert [line["line"] for line in lines if not line["first_bad"]] == ["binance/a", "coinbase/a"]


def test_no_accident_left_a_hole(archive: Archive) -> None:
    assert [row for row in archive.gaps() if row["security"] in SECURITIES] == []
