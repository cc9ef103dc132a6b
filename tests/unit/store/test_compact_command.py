"""``obl compact``: what it prints, what it leaves to others, and one at a time."""

import json
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from store.compact import alone
from tests.embedded import Server
from tests.unit.store.compacting import GRID_S, grid, put
from tests.unit.store.recorded import Market, S
from ui.cli import run
from wire.settings import load_settings

pytestmark = pytest.mark.mongo

SECURITY = "binance:BTCUSDT"


@pytest.fixture
def obl(
    mongo_server: Server,
    mongo: Database[Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Any:
    """Run a command beside a stored market that is as long as two spans and a half."""
    for name, value in {
        "MONGODB_ENDPOINT": f"127.0.0.1:{mongo_server.port}",
        "MONGODB_DATABASE": mongo.name,
        "DATA_DIR": str(tmp_path),
        "COMPACT_SECONDS": str(GRID_S),
        "COMPACT_AFTER": "0",
    }.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "recorder_id").write_text("recorder")
    grid(mongo)
    market = Market(SECURITY, 7)
    market.snapshot()
    for _ in range(50):
        market.update(3 * S)
        market.trade()
    put(mongo, market.documents())

    def command(*words: str) -> tuple[int, list[dict[str, Any]], str]:
        code = run(words)
        said = capsys.readouterr()
        lines = [json.loads(line) for line in said.out.splitlines()] if "--json" in words else []
        return code, lines, said.err or said.out

    return command


def test_it_prints_what_it_merged_and_then_that_there_is_nothing(obl: Any, mongo: Database[Any]) -> None:
    _, [before], _ = obl("verify", SECURITY, "--json")
    code, would, _ = obl("compact", "--dry-run", "--json")
    assert (code, mongo["changes"].count_documents({"_id": {"$regex": "m60$"}})) == (0, 0)
    code, rows, _ = obl("compact", "btcusdt", "--json")
    assert (code, rows) == (0, would)
    assert [(row["security"], row["kind"], row["spans"], row["documents_after"]) for row in rows] == [
        (SECURITY, "changes", 2, 2),
        (SECURITY, "trades", 2, 2),
    ]
    assert all(row["bytes_before"] > row["bytes_after"] > 0 for row in rows)
    assert mongo["changes"].count_documents({"_id": {"$regex": "m60$"}}) == 2
    assert obl("compact") == (0, [], "there is nothing to merge\n")
    code, [after], _ = obl("verify", SECURITY, "--json")
    assert (code, after["proven"]) == (0, before["proven"])


def test_a_block_that_is_damaged_is_left_and_named(obl: Any, mongo: Database[Any]) -> None:
    bad = mongo["changes"].find_one({}, sort=[("start", 1)]) or {}
    mongo["changes"].update_one({"_id": bad["_id"]}, {"$set": {"crc32c": 1}})
    code, rows, error = obl("compact", "--json")
    assert (code, [row["documents_after"] for row in rows]) == (1, [1, 2])
    assert bad["_id"] in error
    assert mongo["changes"].find_one({"_id": bad["_id"]})


def test_what_it_cannot_do_is_one_line(obl: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert obl("compact", "ethusdt")[0::2] == (
        2,
        "obl: binance:ETHUSDT is not recorded from this DATA_DIR: compact it where it is\n",
    )
    with alone(load_settings(os.environ)):
        code, _, error = obl("compact")
        assert (code, "another compaction is at work" in error) == (2, True)
    monkeypatch.setenv("COMPACT_SECONDS", "120")
    code, _, error = obl("compact")
    assert (code, "COMPACT_SECONDS=120" in error, "made with 60" in error) == (2, True, True)
    monkeypatch.setenv("COMPACT_SECONDS", "0")
    assert obl("compact")[0] == 2


def test_the_process_merges_by_itself_and_ends_when_asked(obl: Any, mongo: Database[Any]) -> None:
    assert obl("compact", "--dry-run", "--json")[1]
    words = [sys.executable, "-m", "store.compact"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        try:
            merged = list(islice((line for line in process.stdout if "event=merged" in line), 2))
        finally:
            process.terminate()
        rest = process.stdout.read()
        assert process.wait() == 0, rest
    kinds = [line.partition("kind=")[2].split()[0] for line in merged]
    assert kinds == ["changes", "trades"]
    assert mongo["changes"].count_documents({"_id": {"$regex": "m60$"}}) == 2
    assert obl("compact")[2] == "there is nothing to merge\n"
