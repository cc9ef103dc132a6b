"""A compactor killed between writing what it merged and deleting what that is of loses and doubles nothing.

The real process beside a real server, whose answer to one of its deletes never comes.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from store.history import Archive
from store.verify import verify
from tests.embedded import Server, mongo, mongo_server
from tests.unit.store.compacting import GRID_S, KINDS, blocks_of, everything, grid, put
from tests.unit.store.recorded import Market, S

__all__ = ["mongo", "mongo_server"]

pytestmark = [pytest.mark.faults, pytest.mark.mongo, pytest.mark.system, pytest.mark.timeout(180)]

SECURITY = "coinbase:BTC-USD"
DEADLINE_S = 60
HELD_MS = 90_000
"""Longer than the test: then the delete is refused, so that it is never done."""


@pytest.fixture
def market(mongo: Database[Any]) -> Market:
    """Two spans of orders and of trades, and a half, stored in windows."""
    grid(mongo)
    made = Market(SECURITY, 11, kind="l3", ids="turns")
    made.snapshot()
    for _ in range(50):
        made.update(3 * S)
        made.trade()
    put(mongo, made.documents())
    return made


@pytest.fixture
def archive(mongo_server: Server, mongo: Database[Any], market: Market) -> Iterator[Archive]:
    with Archive(mongo_server.uri, mongo.name) as opened:
        yield opened


@contextmanager
def compactor(server: Server, mongo: Database[Any], data: Path) -> Iterator[subprocess.Popen[bytes]]:
    (data / "recorder_id").write_text("recorder")
    environ = os.environ | {
        "MONGODB_ENDPOINT": f"127.0.0.1:{server.port}",
        "MONGODB_DATABASE": mongo.name,
        "DATA_DIR": str(data),
        "COMPACT_SECONDS": str(GRID_S),
        "COMPACT_AFTER": "0",
    }
    with (data / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "store.compact"], env=environ, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait(DEADLINE_S)


@contextmanager
def delete_never_done(server: Server, number: int) -> Iterator[None]:
    """Let the delete after *number* others wait, and never be done."""
    data = {
        "failCommands": ["delete"],
        "blockConnection": True,
        "blockTimeMS": HELD_MS,
        "errorCode": 91,
    }
    with server.client() as client:
        mode = {"skip": number, "times": 1}
        client.admin.command({"configureFailPoint": "failCommand", "mode": mode, "data": data})
        try:
            yield
        finally:
            client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})


def ids_of(mongo: Database[Any]) -> tuple[set[str], set[str]]:
    """Return the ids of the merged blocks and of the others."""
    ids = {
        str(each["_id"]) for kind in KINDS for each in mongo[kind].find({"security": SECURITY}, {"_id": 1})
    }
    merged = {each for each in ids if re.search(r"\|m\d+$", each)}
    return merged, ids - merged


def wait_for(what: str, seen: Any, log: Path) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not seen():
        assert time.monotonic() < deadline, f"never happened: {what}\n{log.read_text()}"
        time.sleep(0.05)


@pytest.mark.parametrize("deletes", range(4))
def test_readers_take_each_id_once_and_the_next_pass_removes_the_rest(
    mongo_server: Server, mongo: Database[Any], archive: Archive, market: Market, tmp_path: Path, deletes: int
) -> None:
    moments = [state.effective_ns for state in market.states[::9]]
    before = everything(archive, SECURITY, moments)
    proven = verify(archive.blocks, SECURITY).proven
    _, small = ids_of(mongo)

    def is_put() -> bool:
        merged, left = ids_of(mongo)
        held = [each for each in merged if spans_of(each) and inside(each, left)]
        return len(held) > 0 and spans(merged) == deletes + 1

    with delete_never_done(mongo_server, deletes), compactor(mongo_server, mongo, tmp_path) as process:
        wait_for("a span is merged and its blocks are there", is_put, tmp_path / "log")
        process.kill()
        process.wait(DEADLINE_S)
    merged, left = ids_of(mongo)
    assert left < small or (deletes == 0 and left == small)
    assert everything(archive, SECURITY, moments) == before
    found = verify(archive.blocks, SECURITY)
    assert (found.first_bad, found.proven) == (None, proven)

    with compactor(mongo_server, mongo, tmp_path):
        wait_for("all that is old is merged", lambda: not old(ids_of(mongo)[1]), tmp_path / "log")
    merged, left = ids_of(mongo)
    assert spans(merged) == 4
    assert everything(archive, SECURITY, moments) == before
    found = verify(archive.blocks, SECURITY)
    assert (found.first_bad, found.proven) == (None, proven)
    assert len(blocks_of(mongo, SECURITY)) == len(merged | left)


def spans_of(name: str) -> tuple[str, int]:
    """Return the kind and the span of the grid of the block *name*."""
    _, kind, start = name.split("|")[:3]
    return kind, int(start) // GRID_S


def spans(names: set[str]) -> int:
    return len({spans_of(each) for each in names})


def inside(merged: str, left: set[str]) -> bool:
    return spans_of(merged) in {spans_of(each) for each in left}


def old(left: set[str]) -> set[str]:
    """Return the small blocks of *left* that lie in a span which is over."""
    newest = {
        kind: max(span for k, span in map(spans_of, left) if k == kind) for kind, _ in map(spans_of, left)
    }
    return {each for each in left if spans_of(each)[1] < newest[spans_of(each)[0]]}
