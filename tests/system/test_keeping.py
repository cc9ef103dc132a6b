"""``obl keep`` killed anywhere: what is kept is whole, the next one deletes the rest, and nothing comes back.

The real command beside a real server, which never does one of its deletes.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from store.history import Archive
from store.unreadable import NotStored
from store.verify import verify
from tests.embedded import Server, mongo, mongo_server
from tests.system.test_compacting import DEADLINE_S, delete_never_done, wait_for
from tests.unit.store.compacting import GRID_S, compact, grid, put
from tests.unit.store.recorded import Market
from tests.unit.store.test_history import assert_is_true
from tests.unit.store.test_retention import recorded
from ui.cli import run

__all__ = ["mongo", "mongo_server"]

pytestmark = [pytest.mark.faults, pytest.mark.mongo, pytest.mark.system, pytest.mark.timeout(180)]

KINDS = ("changes", "orders", "images", "trades", "audits", "gaps")
DELETES = ("changes", "orders", "images", "gaps", "trades", "gaps", "audits")
"""In the order in which the command does them; the first four are the book's."""


@pytest.fixture
def market(mongo: Database[Any]) -> Market:
    grid(mongo)
    made = recorded(kind="l3", ids="turns")
    put(mongo, made.documents())
    compact(mongo, made.security)
    return made


@pytest.fixture
def archive(mongo_server: Server, mongo: Database[Any], market: Market) -> Iterator[Archive]:
    with Archive(mongo_server.uri, mongo.name) as opened:
        yield opened


@pytest.fixture
def environ(
    mongo_server: Server, mongo: Database[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    (tmp_path / "recorder_id").write_text("recorder")
    settings = {
        "MONGODB_ENDPOINT": f"127.0.0.1:{mongo_server.port}",
        "MONGODB_DATABASE": mongo.name,
        "DATA_DIR": str(tmp_path),
        "COMPACT_SECONDS": str(GRID_S),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return os.environ | settings


def below(mongo: Database[Any], security: str) -> dict[str, int]:
    """Return how many documents of each kind lie before the floor of their feed."""
    row: dict[str, Any] = mongo["securities"].find_one({"_id": security}) or {}
    floors = {feed: kept["floor"] for feed, kept in row.get("kept_from", {}).items()}
    found = {}
    for kind, feed in (("changes", "book"), ("orders", "book"), ("trades", "trades"), ("audits", "audits")):
        asked = {"security": security, "start": {"$lt": floors[feed]}} if feed in floors else {"_id": ""}
        found[kind] = mongo[kind].count_documents(asked)
    return found


def counts(mongo: Database[Any], security: str) -> dict[str, int]:
    return {kind: mongo[kind].count_documents({"security": security}) for kind in KINDS}


@pytest.mark.parametrize("deletes", [0, 1, 2, 3, 4])
def test_a_keep_that_was_killed_goes_on_and_what_is_kept_is_whole(
    mongo_server: Server,
    mongo: Database[Any],
    archive: Archive,
    market: Market,
    environ: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    deletes: int,
) -> None:
    def keep(*words: str) -> list[dict[str, Any]]:
        assert run(["keep", market.security, "--days", "1", "--json", *words]) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    before = counts(mongo, market.security)
    would = keep("--dry-run")
    assert counts(mongo, market.security) == before
    feed = "book" if deletes < DELETES.index("trades") else "trades"

    def is_held() -> bool:
        row: dict[str, Any] = mongo["securities"].find_one({"_id": market.security}) or {}
        gone = {kind: before[kind] for kind in before} | counts(mongo, market.security)
        done = all(gone[kind] < before[kind] for kind in set(DELETES[:deletes]) - {"changes"})
        return feed in row.get("kept_from", {}) and done

    with delete_never_done(mongo_server, deletes), (tmp_path / "log").open("wb") as log:
        words = [sys.executable, "-m", "ui.cli", "keep", market.security, "--days", "1"]
        process = subprocess.Popen(words, env=environ, stdout=log, stderr=log)
        try:
            wait_for("what is kept is remembered", is_held, tmp_path / "log")
        finally:
            process.kill()
            process.wait(DEADLINE_S)
    kept_ns, _ = archive.blocks.kept(market.security, "book")
    is_whole(archive, market, kept_ns)

    assert keep()
    after = counts(mongo, market.security)
    gone = dict.fromkeys(KINDS, 0)
    for row in would:
        gone[row["kind"]] += row["documents"]
    assert after == {kind: before[kind] - gone[kind] for kind in KINDS}
    assert min(gone[kind] for kind in ("orders", "images", "trades", "gaps")) > 0
    is_whole(archive, market, kept_ns)
    put(mongo, market.documents())
    compact(mongo, market.security)
    assert set(below(mongo, market.security).values()) == {0}
    assert [row["documents"] for row in keep()] == [0] * len(DELETES)
    is_whole(archive, market, kept_ns)


def is_whole(archive: Archive, market: Market, kept_ns: int) -> None:
    with pytest.raises(NotStored, match="kept from"):
        archive.book_at(market.security, kept_ns - 1)
    later = [state for state in market.states if state.effective_ns >= kept_ns]
    for state in (later[0], later[len(later) // 2], later[-1]):
        assert_is_true(archive, market, state.effective_ns)
    assert_is_true(archive, market, kept_ns)
    assert verify(archive.blocks, market.security).first_bad is None
