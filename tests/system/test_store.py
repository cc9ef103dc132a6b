"""The store and its database as real processes: what was acknowledged is kept, what was not is held.

The test plays the conditioner: it hands out documents and takes the answers.
"""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import bson
import psutil
import pytest

from store.connection import connect
from store.database import busy, prepare
from tests.embedded import free_port
from tests.system.storing import DEADLINE_S, Host, eventually, keys
from wire.settings import load_settings

pytestmark = [pytest.mark.mongo, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def first_started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a DATA_DIR whose database has its user: a first start takes three times as long."""
    data = tmp_path_factory.mktemp("first") / "data"
    environ = {"DATA_DIR": str(data), "MONGODB_EMBEDDED_PORT": str(free_port())}
    prepare(load_settings(environ))
    return data


@pytest.fixture
def host(tmp_path: Path, first_started: Path) -> Iterator[Host]:
    shutil.copytree(first_started, tmp_path / "data")
    made = Host(tmp_path)
    try:
        yield made
    finally:
        made.close()


def test_what_was_handed_over_is_stored_and_answered_and_the_store_ends_in_order(host: Host) -> None:
    host.database()
    store = host.start("store.process", "0")
    documents = [host.document(number) for number in range(300)]
    host.send(*documents)
    assert host.hear("stored", 300) == keys(documents)
    host.send(*documents[:50])
    assert host.hear("had", 50) == keys(documents[:50])
    assert host.stored() == {each.id: 1 for each in documents}
    store.send_signal(signal.SIGTERM)
    assert store.wait(10) == 0
    assert "event=drained" in host.log.read_text()


def test_a_killed_database_costs_nothing_that_was_acknowledged_and_the_store_waits_for_it(host: Host) -> None:
    database = host.database()
    host.start("store.process", "0")
    first = [host.document(number) for number in range(20)]
    host.send(*first)
    host.hear("stored", 20)
    database.kill()
    database.wait(DEADLINE_S)
    second = [host.document(number) for number in range(20, 40)]
    host.send(*second)
    assert host.hear("held", 20) >= keys(second)
    eventually("it is noticed", lambda: "event=database_away" in host.log.read_text())
    host.database()
    assert host.hear("stored", 40) == keys(first + second)
    assert host.stored() == {each.id: 1 for each in first + second}
    log = host.log.read_text()
    assert log.count("event=database_away") == 1
    assert "event=database_back" in log


def test_a_store_killed_at_any_point_has_lost_nothing_that_it_answered_for(host: Host) -> None:
    host.database()
    documents = [host.document(number) for number in range(120)]
    for begin in range(0, 120, 40):
        store = host.start("store.process", "0")
        host.send(*documents[begin : begin + 40])
        host.hear("stored", begin // 40 * 10 + 10)
        store.kill()
        store.wait(DEADLINE_S)
    answered = {key for word, key in host.said if word == "stored"}
    assert answered <= set(host.stored().items())


def test_a_document_that_no_database_takes_is_kept_as_a_file_and_the_others_are_stored(host: Host) -> None:
    host.database()
    host.start("store.process", "0")
    huge, fine = host.document(1, body=bytes(17 * 1024 * 1024)), host.document(2)
    host.send(huge, fine)
    assert host.hear("stored", 1) == keys([fine])
    [(name, covered, reason)] = host.hear("refused", 1)
    assert ((name, covered), "at most" in reason) == ((huge.id, 1), True)
    kept = sorted(path.suffix for path in (host.settings.data_dir / "refused").iterdir())
    assert kept == [".msgpack", ".txt"]


def test_a_version_that_waits_is_not_overtaken_by_one_that_covers_fewer(host: Host) -> None:
    host.start("store.process", "0")
    host.send(host.document(1, covered=5, rows=5), host.document(1, covered=3, rows=3))
    host.hear("held", 2)
    host.database()
    host.hear("stored", 1)
    host.hear("had", 1)
    assert host.stored() == {host.document(1).id: 5}


def test_a_database_made_with_another_window_ends_the_store_with_one_line(host: Host) -> None:
    host.database()
    first = host.start("store.process", "0")
    host.send(host.document(1))
    host.hear("stored", 1)
    first.terminate()
    assert first.wait(10) == 0
    assert host.start("store.process", "0", WINDOW_SECONDS="60").wait(DEADLINE_S) == 2
    [line] = [line for line in host.log.read_text().splitlines() if "cannot_run" in line]
    assert "WINDOW_SECONDS=60" in line
    assert "was made with 10" in line


def test_a_busy_port_ends_the_database_with_one_line(host: Host) -> None:
    host.database()
    assert host.start("store.database").wait(DEADLINE_S) == 2
    [line] = [line for line in host.log.read_text().splitlines() if line.startswith("obl-database")]
    assert "another process listens on 127.0.0.1" in line


def test_nobody_reads_or_writes_the_database_without_its_password(host: Host) -> None:
    host.database()
    secret = host.settings.data_dir / "secrets" / "mongodb_password"
    assert secret.stat().st_mode & 0o777 == 0o600
    password = secret.read_text().strip()
    [command] = [psutil.Process(each.pid).cmdline() for each in host.processes]
    assert command[1:] == ["-m", "store.database"]
    assert password not in " ".join(command)
    assert password not in host.log.read_text()
    secret.unlink()
    with connect(host.settings) as client, pytest.raises(Exception, match="authentication failed"):
        client["x"].list_collection_names()


def test_a_database_whose_password_was_lost_takes_the_new_one(host: Host) -> None:
    database = host.database()
    database.terminate()
    database.wait(DEADLINE_S)
    (host.settings.data_dir / "secrets" / "mongodb_password").unlink()
    host.database()


def test_the_database_dies_with_its_parent(host: Host, tmp_path: Path) -> None:
    script = "import subprocess, sys; subprocess.run([sys.executable, '-m', 'store.database'])"
    parent = host.start("timeit", "-n1", "-r1", script)
    eventually("the database answers", host._answers_ping)
    parent.kill()
    parent.wait(DEADLINE_S)
    eventually("the port is free", lambda: not busy(host.settings.mongodb_embedded_port))


def test_a_refused_document_can_be_read_again(host: Host) -> None:
    host.database()
    host.start("store.process", "0")
    with connect(host.settings) as client:
        securities = client[host.settings.mongodb_database].securities
        securities.insert_one({"_id": "binance:S1", "recorder": "other"})
    host.send(host.document(1))
    [(name, _, reason)] = host.hear("refused", 1)
    assert "another recorder holds binance:S1" in reason
    [path] = (host.settings.data_dir / "refused").glob("*.bson")
    assert bson.decode(path.read_bytes())["_id"] == name
