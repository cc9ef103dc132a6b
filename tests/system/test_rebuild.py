"""What the logger stored is what ``obl rebuild`` makes of its journal, document by document."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from store.connection import connect
from store.embedded import running as database_running
from tests.chaos.comparing import COLLECTIONS, different, documents, rebuilt
from tests.simulator.process import running
from tests.system.running import BIN, KEY, Logger, exchanges, run
from tests.system.test_end_to_end import is_stored_until_now
from wire.settings import load_settings

pytestmark = [pytest.mark.faults, pytest.mark.system, pytest.mark.timeout(300)]

SECURITIES = ("binance:BTCUSDT", "binance:ETHUSDT", "coinbase:BTC-USD")
RECORDED, ANEW = "recorded", "anew"


WINDOWS_A_SPAN = 5


@pytest.fixture(scope="module")
def logger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logger]:
    """The logger after a life with an added, a removed and a reset security, stopped in order."""
    flags = (
        "--binance-port",
        "0",
        "--coinbase-port",
        "0",
        "--seed",
        "5",
        "--rate",
        "20",
        "--require-key",
        KEY,
    )
    with running(*flags) as simulator:
        made = Logger(
            tmp_path_factory.mktemp("logger"),
            SECURITIES=f"{SECURITIES[0]},{SECURITIES[2]}",
            ORDERBOOK_UPDATEFREQUENCY="100",
            MONGODB_DATABASE=RECORDED,
            WINDOW_SECONDS="2",
            BASE_IMAGE_SECONDS="6",
            CHECKPOINT_SECONDS="5",
            JOURNAL_KEEP_SECONDS="86400",
            COMPACT_SECONDS="10",
            COMPACT_AFTER="86400",  # (the logger itself merges nothing here)
            **exchanges(simulator),
        )
        try:
            made.start()
            made.eventually("control answers", lambda: made.obl("ping").returncode == 0)
            added = made.obl("add", SECURITIES[1], "--wait")
            assert added.returncode == 0, added.stderr
            assert made.obl("remove", SECURITIES[1]).returncode == 0
            assert made.obl("snapshot", "ALL").returncode == 0
            refused = made.obl("rebuild")
            assert (refused.returncode, "the logger (pid" in refused.stderr) == (2, True), refused
            for security in (SECURITIES[0], SECURITIES[2]):
                is_stored_until_now(made, simulator, security)
            made.eventually("there are windows to merge", lambda: book_documents(made) > WINDOWS_A_SPAN + 3)
            assert made.stop() == 0
            yield made
        finally:
            made.kill()


def book_documents(logger: Logger) -> int:
    """Return how many documents of the first security's book are stored."""
    rows = logger.answers("coverage", SECURITIES[0])
    return sum(row["documents"] for row in rows if row["feed"] == "book")


@pytest.fixture(scope="module")
def client(logger: Logger) -> Iterator[MongoClient[dict[str, Any]]]:
    settings = load_settings(logger.environment)
    with database_running(settings), connect(settings) as opened:
        yield opened


def test_an_empty_database_becomes_the_one_that_was_recorded(
    logger: Logger, client: MongoClient[dict[str, Any]]
) -> None:
    whole = documents(client, RECORDED)
    assert {name.partition(" ")[0] for name in whole} >= {"images", "changes", "orders", "trades"}
    rows = rebuilt(logger, "--into", ANEW)
    assert [row["security"] for row in rows] == list(SECURITIES)
    assert {row["starts_from"] for row in rows} == {"journal"}
    assert different(whole, documents(client, ANEW)) == []
    assert [row["first_bad"] for row in logger.answers("verify")] == [None] * len(SECURITIES)


def test_what_a_database_lost_comes_back_and_the_rest_stays(
    logger: Logger, client: MongoClient[dict[str, Any]]
) -> None:
    whole = documents(client, RECORDED)
    lost = 0
    for name in COLLECTIONS:
        for place, each in enumerate(client[RECORDED][name].find({}, {"_id": 1}).sort("_id", 1)):
            if place % 3 == 0:
                lost += client[RECORDED][name].delete_one({"_id": each["_id"]}).deleted_count
    assert lost
    assert len(documents(client, RECORDED)) == len(whole) - lost
    rows = rebuilt(logger)
    assert different(whole, documents(client, RECORDED)) == []
    assert sum(row["stored"] for row in rows) >= lost


def test_a_rebuilt_database_compacts_to_the_documents_that_the_recorded_one_compacts_to(
    logger: Logger, client: MongoClient[dict[str, Any]]
) -> None:
    for security in SECURITIES:
        copied = logger.obl("copy", security, "0", "latest", "--database", "copied")
        assert copied.returncode == 0, copied.stderr
    assert rebuilt(logger, "--into", "merged")
    rows = {}
    for database in ("copied", "merged"):
        environment = logger.environment | {"MONGODB_DATABASE": database, "COMPACT_AFTER": "0"}
        done = run([BIN / "obl", "compact", "--json"], environment)
        assert done.returncode == 0, done.stderr
        rows[database] = [json.loads(line) for line in done.stdout.splitlines()]
        found = run([BIN / "obl", "verify"], environment)
        assert found.returncode == 0, found.stdout + found.stderr
    assert {row["kind"] for row in rows["merged"]} == {"changes", "orders", "trades"}
    whole = documents(client, "copied")
    assert [name for name in whole if "|m10" in name]
    assert len(whole) < len(documents(client, RECORDED))
    assert different(whole, documents(client, "merged")) == []


def test_an_archived_part_and_the_kept_one_make_the_whole(
    logger: Logger, client: MongoClient[dict[str, Any]], tmp_path: Path
) -> None:
    journals = Path(logger.environment["DATA_DIR"]) / "journal"
    assert rebuilt(logger, "--into", "given", "--journal", str(journals / "binance-a"))
    binance = [name for name in documents(client, RECORDED) if " binance:" in name]
    assert sorted(documents(client, "given")) == sorted(binance)
    none = logger.obl("rebuild", "--journal", str(tmp_path))
    assert (none.returncode, "there is no journal in" in none.stderr) == (2, True), none
