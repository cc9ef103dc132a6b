"""The passes of ``obl-compact``: where nothing is old little is asked, and what is old is merged."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from store.compact import ALL_S, PASS_S, Passes
from store.compaction import Compacted
from store.due import AGAIN_S
from tests.embedded import Server
from tests.unit.store.compacting import GRID_S, blocks_of, compact, grid, put
from tests.unit.store.recorded import WINDOW_NS, Market, S
from tests.unit.store.test_compaction import fresh
from wire.messages import Document
from wire.settings import Settings, load_settings

pytestmark = pytest.mark.mongo

CONSTANT = 14
"""Commands of a pass over nothing: the format, the indexes, the securities, what holds something."""


class Commands(CommandListener):
    def __init__(self) -> None:
        self.count = 0

    def started(self, event: CommandStartedEvent) -> None:
        self.count += event.command_name != "hello"

    def succeeded(self, event: CommandSucceededEvent) -> None:
        pass

    def failed(self, event: CommandFailedEvent) -> None:
        pass


class Passing:
    """Passes over a database, on a clock of their own."""

    def __init__(self, database: Database[Any], commands: Commands, logger: Settings) -> None:
        self.merged: list[Compacted] = []
        self.now_s = 0.0
        self._commands = commands
        self._passes = Passes(database, logger, threading.Event(), self.merged.append)

    def next(self, after_s: float = PASS_S) -> int:
        """Make a pass *after_s* later; return how many commands it took."""
        self.now_s += after_s
        self._commands.count = 0
        self._passes.make(self.now_s)
        return self._commands.count


@pytest.fixture
def passing(mongo_server: Server, mongo: Database[Any], tmp_path: Path) -> Iterator[Any]:
    """Return what begins with passes, as a process does that starts."""
    (tmp_path / "recorder_id").write_text("recorder")
    commands = Commands()
    client: MongoClient[dict[str, Any]] = MongoClient(mongo_server.uri, event_listeners=[commands])

    def begin(grid_s: int = GRID_S, after_s: int = 0) -> Passing:
        environ = {"DATA_DIR": tmp_path, "COMPACT_SECONDS": grid_s, "COMPACT_AFTER": after_s}
        logger = load_settings({name: str(value) for name, value in environ.items()})
        return Passing(client[mongo.name], commands, logger)

    with client:
        yield begin


def market(kind: str = "l2", seed: int = 7, updates: int = 50) -> list[Document]:
    made = Market(fresh(), seed, kind=kind)
    made.snapshot()
    for _ in range(updates):
        made.update(3 * S)
        made.trade()
    return made.documents()


def of_another(documents: list[Document]) -> list[Document]:
    old, new = documents[0].security, fresh()
    return [replace(each, id=each.id.replace(old, new), security=new) for each in documents]


@pytest.mark.parametrize("kinds", [["l2"], ["l2", "l3"]])
def test_a_security_with_nothing_old_is_asked_for_once(
    passing: Any, mongo: Database[Any], kinds: list[str]
) -> None:
    passes = passing(grid_s=3600, after_s=7200)
    assert passes.next() <= CONSTANT
    count = 0
    for kind in kinds:
        documents = market(kind)
        for _ in range(10):
            put(mongo, documents := of_another(documents))
            count += 1
    # (one question for each collection that holds something)
    assert passes.next() <= CONSTANT + (1 + len(kinds)) * count
    for _ in range(3):
        assert passes.next() <= CONSTANT
    # (and one more where nothing came meanwhile)
    assert passes.next(AGAIN_S) <= CONSTANT + 2 * (1 + len(kinds)) * count
    assert passes.next() <= CONSTANT
    assert not passes.merged


def test_what_came_late_is_merged_with_the_next_old_span_or_within_a_day(
    passing: Any, mongo: Database[Any]
) -> None:
    grid(mongo)
    documents = market(updates=100)
    starts = sorted({each.start_ns for each in documents})
    low, middle = starts[0] + 60 * S, starts[len(starts) // 2]
    late = [each for each in documents if low <= each.start_ns < low + 3 * WINDOW_NS]
    first = [each for each in documents if each.start_ns < middle and each not in late]
    passes = passing()
    put(mongo, first)
    passes.next()
    before = len(passes.merged)
    assert before
    put(mongo, late)
    passes.next()
    assert len(passes.merged) == before
    put(mongo, [each for each in documents if each.start_ns >= middle])
    passes.next(AGAIN_S)
    assert not compact(mongo, documents[0].security)
    put(mongo, late)
    passes.next(ALL_S)
    assert not compact(mongo, documents[0].security)


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_passes_whenever_they_are_made_come_to_what_one_command_does(
    passing: Any, mongo: Database[Any], data: st.DataObject
) -> None:
    grid(mongo)
    documents = market(data.draw(st.sampled_from(["l2", "l3"])), data.draw(st.integers(0, 99)), updates=80)
    security, again = documents[0].security, of_another(documents)
    put(mongo, again)
    compact(mongo, again[0].security)
    passes = passing()
    while documents:
        count = data.draw(st.integers(1, len(documents)))
        chosen = data.draw(st.permutations(range(len(documents))))[:count]
        put(mongo, [documents[place] for place in sorted(chosen)])
        documents = [each for place, each in enumerate(documents) if place not in chosen]
        passes.next(data.draw(st.sampled_from([PASS_S, AGAIN_S, ALL_S / 2])))
        if data.draw(st.booleans()):
            passes = passing()
    passes.next(ALL_S)
    old = again[0].security
    assert [str(each["_id"]).removeprefix(old) for each in blocks_of(mongo, old)] == [
        str(each["_id"]).removeprefix(security) for each in blocks_of(mongo, security)
    ]


def test_a_header_that_says_nothing_keeps_its_feed_alone_from_being_merged(
    passing: Any, mongo: Database[Any], caplog: pytest.LogCaptureFixture
) -> None:
    grid(mongo)
    documents = market()
    put(mongo, documents)
    bad = mongo["changes"].find_one({}) or {}
    mongo["changes"].update_one({"_id": bad["_id"]}, {"$unset": {"last_time": ""}})
    passes = passing()
    passes.next()
    assert [each.kind for each in passes.merged] == ["trades"]
    assert "event=not_merged" in caplog.text
    mongo["changes"].replace_one({"_id": bad["_id"]}, bad)
    passes.next(AGAIN_S)
    assert [each.kind for each in passes.merged] == ["trades", "changes"]
    assert not compact(mongo, documents[0].security)
