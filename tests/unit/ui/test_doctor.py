"""``obl doctor`` on a sound host and on broken ones: each fault is named with its mend; nothing is made."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.embedded import free_port
from ui.cli import run
from ui.doctor import clock_finding, disk_finding

Answered = dict[str, dict[str, Any]]


@contextmanager
def exchange(*, ahead_s: float = 0, status: int = 200) -> Iterator[str]:
    """Answer every request as an exchange whose clock is *ahead_s* before this one's."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response_only(status)
            self.send_header("Date", formatdate(time.time() + ahead_s, usegmt=True))
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the library's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def doctor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., tuple[int, Answered, str]]]:
    with exchange() as url:
        sound = {
            "DATA_DIR": str(tmp_path / "data"),
            "DISK_RESERVE_BYTES": "1000",
            "MANAGER_PORT": str(free_port()),
            "MONGODB_EMBEDDED_PORT": str(free_port()),
            "BINANCE_REST_URL": url,
            "COINBASE_REST_URL": url,
        }

        def asked(**settings: str) -> tuple[int, Answered, str]:
            for name, value in {**sound, **settings}.items():
                monkeypatch.setenv(name, value)
            code = run(["doctor", "--json"])
            said = capsys.readouterr()
            return code, {row["check"]: row for row in map(json.loads, said.out.splitlines())}, said.err

        yield asked


def test_a_sound_host_is_well_and_nothing_is_made_on_it(doctor: Any, tmp_path: Path) -> None:
    code, found, error = doctor()
    assert (code, error, [row for row in found.values() if not row["ok"]]) == (0, "", [])
    checks = ["settings", "folder", "disk", "files", "logger", "database"]
    assert list(found) == [*checks, "clock binance", "clock coinbase", "loops"]
    assert list(tmp_path.iterdir()) == []


def test_each_fault_is_named_with_what_mends_it(doctor: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        exchange(ahead_s=40) as fast,
        exchange(status=451) as elsewhere,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        taken = str(other.getsockname()[1])
        code, found, error = doctor(
            DATA_DIR=str(tmp_path / "file" / "data"),
            DISK_RESERVE_BYTES=str(1 << 60),
            MONGODB_EMBEDDED_PORT=taken,
            MANAGER_PORT=taken,
            MANAGER_AUTHKEY="secret",
            BINANCE_REST_URL=elsewhere,
            COINBASE_REST_URL=fast,
        )
    bad = {name: row["mend"] for name, row in found.items() if not row["ok"]}
    assert code == 1
    assert error.startswith(f"obl: {len(bad)} of {len(found)} not well; settings: ")
    assert "well-known `secret`" in bad["settings"]
    assert "set DATA_DIR" in bad["folder"]
    assert "DISK_RESERVE_BYTES" in bad["disk"]
    assert "MANAGER_" in bad["logger"]
    assert "MONGODB_EMBEDDED_PORT" in bad["database"]
    assert "REST_URL" in bad["clock binance"]
    assert "set-ntp" in bad["clock coinbase"]
    assert " s behind" in found["clock coinbase"]["found"]


def test_a_setting_that_cannot_be_used_is_all_there_is_to_say(doctor: Any) -> None:
    code, found, _ = doctor(WINDOW_SECONDS="7")
    assert (code, list(found)) == (1, ["settings"])
    assert "WINDOW_SECONDS" in found["settings"]["mend"]


def test_an_exchange_that_is_not_there_is_said(doctor: Any) -> None:
    code, found, _ = doctor(BINANCE_REST_URL=f"http://127.0.0.1:{free_port()}")
    assert (code, found["clock binance"]["ok"], found["clock coinbase"]["ok"]) == (1, False, True)
    assert "BINANCE_REST_URL" in found["clock binance"]["mend"]


@pytest.mark.parametrize(("free", "ok"), [(1099, False), (1100, True)])
def test_a_tenth_more_than_the_reserve_is_enough(free: int, ok: bool) -> None:
    assert disk_finding(free, 1000).ok is ok


@pytest.mark.parametrize(("off_s", "ok"), [(-6, False), (-4, True), (0, True), (5, True), (6, False)])
def test_a_clock_is_well_within_five_seconds_of_the_exchange_s(off_s: float, ok: bool) -> None:
    found = clock_finding("clock", "http://x", 404, "Thu, 26 Nov 2026 08:00:00 GMT", 1795680000 + off_s)
    assert found.ok is ok


@pytest.mark.parametrize("date", [None, "", "yesterday"])
def test_an_answer_without_a_time_is_an_answer(date: str | None) -> None:
    assert clock_finding("clock", "http://x", 200, date, 0.0).ok
