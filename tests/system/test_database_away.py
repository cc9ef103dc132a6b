"""Whatever a database does instead of writing: all is held, said in one line, bounded, and stored once."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import zmq

from store.waiting import MOST_BYTES
from tests.embedded import Server, mongo_server
from tests.system.storing import Host, eventually, keys
from wire.messages import pack
from wire.names import bucket_of

__all__ = ["mongo_server"]

pytestmark = [pytest.mark.faults, pytest.mark.mongo, pytest.mark.system, pytest.mark.timeout(180)]

MIB = 1 << 20


@pytest.fixture
def host(tmp_path: Path, mongo_server: Server) -> Iterator[Host]:
    name = f"away_{uuid.uuid4().hex[:12]}"
    made = Host(tmp_path, MONGODB_ENDPOINT=mongo_server.uri, MONGODB_DATABASE=name)
    try:
        yield made
    finally:
        made.close()
        with mongo_server.client() as client:
            client.drop_database(name)


@contextmanager
def failing(server: Server, **how: Any) -> Iterator[None]:
    """Let every write fail while the ``with`` lasts."""
    with server.client() as client:
        data = {"failCommands": ["update", "createIndexes", "insert"], **how}
        client.admin.command({"configureFailPoint": "failCommand", "mode": "alwaysOn", "data": data})
        try:
            yield
        finally:
            client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})


@pytest.mark.parametrize(
    ("how", "says", "written"),
    [
        ({"errorCode": 10107}, "has no primary now", False),
        ({"errorCode": 13}, "refuses this user: check MONGODB_USERNAME", False),
        ({"errorCode": 14031}, "is out of disk space", False),
        ({"errorCode": 91}, "has no primary now", False),
        ({"closeConnection": True}, "no database answers at", False),
        ({"writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}}, "not met", True),
    ],
    ids=["not primary", "unauthorised", "out of space", "shutting down", "cut connections", "no majority"],
)
def test_it_is_held_said_in_one_line_shown_and_stored_once_when_it_passes(
    host: Host, mongo_server: Server, how: dict[str, Any], says: str, written: bool
) -> None:
    host.start("store.process", "0")
    before = [host.document(number) for number in range(10)]
    host.send(*before)
    host.hear("stored", 10)
    during = [host.document(number) for number in range(10, 60)]
    newer = [host.document(number, covered=2) for number in range(10, 20)]
    with failing(mongo_server, **how):
        host.send(*during, *newer)
        assert host.hear("held", 60) >= keys(during + newer)
        health = host.health(
            lambda each: each["database"]["behind_s"] > 2 and not each["database"]["reachable"]
        )
        assert (health["state"], health["database"]["waiting"]) == ("error", 60)
        assert says in health["database"]["error"]
        assert bool(host.stored().keys() - {each.id for each in before}) == written
    assert host.settled(before + during + newer) == keys(before + during + newer)
    assert host.stored() == {each.id: each.covered for each in before + during + newer}
    [line] = host.logged("database_away")
    assert says in line
    eventually("it says that the database is back", lambda: len(host.logged("database_back")) == 1)
    host.health(lambda each: each["state"] == "live" and each["database"]["behind_s"] == 0)


def test_a_database_that_is_down_at_the_start_is_waited_for(tmp_path: Path) -> None:
    server = Server(tmp_path / "db")
    host = Host(tmp_path, MONGODB_ENDPOINT=server.uri)
    try:
        host.start("store.process", "0")
        documents = [host.document(number) for number in range(20)]
        host.send(*documents)
        assert host.hear("held", 20) == keys(documents)
        eventually("it is said", lambda: host.logged("database_away"))
        server.start()
        host.settled(documents)
        assert host.stored() == dict(keys(documents))
        assert len(host.logged("database_away")) == 1
    finally:
        host.close()
        server.kill()


def test_a_slow_database_is_behind_and_not_away(host: Host, mongo_server: Server) -> None:
    host.start("store.process", "0")
    documents = [host.document(number) for number in range(50)]
    host.send(documents[0])
    host.hear("stored", 1)
    with failing(mongo_server, blockConnection=True, blockTimeMS=600):
        host.send(*documents[1:])
        health = host.health(lambda each: each["database"]["behind_s"] > 0.5)
        assert (health["database"]["reachable"], health["database"]["error"]) == (True, "")
        host.settled(documents)
    assert host.stored() == dict(keys(documents))
    assert host.logged("database_away") == []


def test_what_waits_is_bounded_however_much_comes(host: Host, mongo_server: Server) -> None:
    """What a writer does not take stays with the senders: here the test, in life the journal."""
    store = psutil.Process(host.start("store.process", "0").pid)
    body, sent = bytes(MIB // 4), 0
    host.send(host.document(0))
    host.hear("stored", 1)
    before = store.memory_info().rss
    with failing(mongo_server, errorCode=14031):
        refused_in_a_row = 0
        while refused_in_a_row < 5:
            document = host.document(sent + 1, body=body)
            try:
                host.push[bucket_of(document.security)].send(pack(document), zmq.NOBLOCK)
            except zmq.Again:
                refused_in_a_row += 1
                host.health(lambda _: True)  # a second of its time
            else:
                sent, refused_in_a_row = sent + 1, 0
        health = host.health(lambda each: each["database"]["waiting"] > 0)
        held = health["database"]["waiting"] * len(body)
        assert held == pytest.approx(MOST_BYTES, rel=0.1)
        assert store.memory_info().rss - before < 2 * MOST_BYTES
    assert MOST_BYTES < sent * len(body) < 1.5 * MOST_BYTES
    assert len(host.hear("held", health["database"]["waiting"])) <= sent
