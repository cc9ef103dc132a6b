"""A process beats, obeys, and ends in one line with the exit code that supervisord understands."""

import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from wire.endpoints import Endpoints
from wire.messages import Beat, Desired, Message, Policy, Reply, Request, Wanted, pack, unpack
from wire.service import Beats, Loop, Refusal, process_name
from wire.settings import load_settings

ROOT = Path(__file__).parents[3]
DEADLINE_S = 20


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="obl") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield folder


@pytest.fixture
def endpoints(runtime: str) -> Endpoints:
    return Endpoints(load_settings({}))


def exchange(endpoints: Endpoints, to_send: list[Message], replies: int, **more: Any) -> list[Message]:
    """Run Beats against a bare ROUTER: after the first beat it sends; return what comes until *replies*."""
    loop = Loop()
    router = loop.socket(zmq.ROUTER, bind=endpoints.beats())
    heard: list[Message] = []

    def hear() -> None:
        sender, data = router.recv_multipart()
        heard.append(unpack(data))
        if len(heard) == 1:
            for message in to_send:
                router.send_multipart([sender, pack(message)])
        if sum(isinstance(message, Reply) for message in heard) == replies:
            loop.stop()

    loop.on_readable(router, hear)
    loop.once(DEADLINE_S, loop.stop)
    Beats(loop, endpoints, "book-0", lambda: {"state": "live"}, more.get("commands"))
    loop.run()
    loop.close()
    return heard


def test_the_first_beat_comes_at_once_and_says_who_it_is(endpoints: Endpoints) -> None:
    (beat,) = exchange(endpoints, [], replies=0)
    assert isinstance(beat, Beat)
    assert (beat.process, beat.pid, beat.health["state"]) == ("book-0", os.getpid(), "live")
    assert beat.health["rss_bytes"] > 1 << 20


def test_commands_are_answered_refused_or_not_known(endpoints: Endpoints) -> None:
    def refuse(_: dict[str, Any]) -> None:
        raise Refusal("not now")

    asked = [
        Request(1, "ping", {}),
        Request(2, "twice", {"of": 4}),
        Request(3, "no", {}),
        Request(4, "x", {}),
    ]
    commands = {"twice": lambda args: args["of"] * 2, "no": refuse}
    heard = exchange(endpoints, list(asked), replies=4, commands=commands)
    assert [message for message in heard if isinstance(message, Reply)] == [
        Reply(1, "book-0", True, "pong"),
        Reply(2, "book-0", True, 8),
        Reply(3, "book-0", False, None, "not now"),
        Reply(4, "book-0", False, None, "book-0 does not know 'x'"),
    ]


def test_the_desired_state_is_told_once_for_each_difference(endpoints: Endpoints) -> None:
    loop = Loop()
    publisher = loop.socket(zmq.XPUB, bind=endpoints.desired())
    one, two = Desired(1, ()), Desired(2, (Wanted("binance:A", (Policy(),), 1),))
    told: list[Desired] = []

    def publish() -> None:
        publisher.recv()
        for desired in (one, one, two, two):
            publisher.send(pack(desired))

    def take(desired: Desired) -> None:
        told.append(desired)
        if desired == two:
            loop.once(0.05, loop.stop)

    loop.on_readable(publisher, publish)
    loop.once(DEADLINE_S, loop.stop)
    Beats(loop, endpoints, "book-0", dict, on_desired=take)
    loop.run()
    loop.close()
    assert told == [one, two]


def test_names_are_those_of_supervisord() -> None:
    assert process_name("book", 0) == "book-0"
    assert process_name("ingest", "binance/a") == "ingest-binance-a"
    assert process_name("control", "") == "control"


SERVICE = """
import sys
from wire.service import CannotRun, run_process
class Service:
    def close(self): print("closed", flush=True)
def build(loop, settings, endpoints, instance):
    print("instance", repr(instance), flush=True)
    {body}
    return Service()
run_process({kind!r}, build)
"""


def run(runtime: str, kind: str, body: str, *args: str, **environ: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", SERVICE.format(kind=kind, body=body), *args],
        env={"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": runtime, **environ},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize(
    ("kind", "args", "body", "environ", "code", "says"),
    [
        ("book", ["3"], "loop.stop()", {}, 0, "event=stopped"),
        ("ingest", ["coinbase-a"], "loop.stop()", {}, 0, "instance 'coinbase/a'"),
        ("book", ["3"], "loop.stop()", {"BOOK_WORKERS": "none"}, 2, "BOOK_WORKERS='none'"),
        ("book", [], "", {}, 2, "worker's number"),
        ("ingest", ["kraken/a"], "", {}, 2, "binance/a coinbase/a"),
        ("book", ["0"], "raise CannotRun('the folder is in use')", {}, 2, "the folder is in use"),
        ("book", ["0"], "loop.once(0, lambda: [][1])", {}, 1, "error=IndexError"),
    ],
)
def test_a_process_ends_with_the_code_of_its_reason_and_one_last_line(
    runtime: str, kind: str, args: list[str], body: str, environ: dict[str, str], code: int, says: str
) -> None:
    process = run(runtime, kind, body, *args, **environ)
    out, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == code, out
    assert says in out
    assert "Traceback" not in out


def test_for_journald_a_line_begins_with_its_priority(runtime: str) -> None:
    process = run(runtime, "book", "loop.stop()", "0", AS_SERVICE="True")
    out, _ = process.communicate(timeout=DEADLINE_S)
    assert "<6>process=book-0 event=stopped" in out.splitlines()


def test_sigterm_closes_the_service_and_ends_with_0(runtime: str) -> None:
    process = run(runtime, "book", "", "0")
    assert process.stdout is not None
    while "event=started" not in process.stdout.readline():
        pass
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    assert [line.partition("event=")[2] or line for line in out.splitlines()] == ["closed", "stopped"]


def test_a_process_dies_with_its_parent(runtime: str) -> None:
    child = SERVICE.format(kind="book", body="import os; print('pid', os.getpid(), flush=True)")
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}, '0'])",
        ],
        env={"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": runtime},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    line = parent.stdout.readline()
    while not line.startswith("pid"):
        line = parent.stdout.readline()
    watched = os.pidfd_open(int(line.split()[1]))
    parent.kill()
    parent.communicate()
    ended, _, _ = select.select([watched], [], [], DEADLINE_S)
    os.close(watched)
    assert ended
