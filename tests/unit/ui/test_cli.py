"""``obl`` against a real control process: JSON for programs, tables for people, one line for errors."""

import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import pytest

from tests.unit.control.running import Installation, Peer, free_port
from ui.cli import run

A = "binance:BTCUSDT"


class Ended(NamedTuple):
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)

    def json_lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


Obl = Callable[..., Ended]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    made = Installation(tmp_path_factory.mktemp("obl"))
    made.start()
    with Peer(made, "ingest-binance-a") as line, made.client() as client:
        line.beat({"securities": {A: {"state": "subscribed", "feed": "depth"}}})
        while client.call("processes")[0]["state"] == "starting":
            pass  # its beat is on the way
    yield made
    made.close()


@pytest.fixture
def obl(here: Installation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Obl:
    for name, value in here.environ.items():
        monkeypatch.setenv(name, value)

    def call(*words: str, stdin: str = "", **environ: str) -> Ended:
        with monkeypatch.context() as patch:
            for name, value in environ.items():
                patch.setenv(name, value)
            patch.setattr("sys.stdin", io.StringIO(stdin))
            capsys.readouterr()
            code = run(words)
        return Ended(code, *capsys.readouterr())

    return call


def test_status_is_one_json_object_in_the_fields_of_the_design(obl: Obl) -> None:
    ended = obl("status", "--json")
    answer = ended.json()
    assert (ended.code, ended.out.count("\n")) == (0, 1)
    assert set(answer) == {"ok", "securities", "processes", "disk", "database"}
    assert {"security", "state", "feed", "update_id", "time", "age_s", "lag_s", "lag_bytes", "gaps_24h"} | {
        "bytes_per_change",
        "audit_pct",
    } <= set(answer["securities"][0])
    assert set(answer["processes"][0]) == {"name", "pid", "state", "lag_s", "rss_bytes", "restarts"}
    assert {"free_bytes", "days_left"} <= set(answer["disk"])
    assert {"reachable", "behind_s"} <= set(answer["database"])


def test_list_is_json_lines_in_the_fields_of_the_design(obl: Obl) -> None:
    (row,) = obl("list", "--json").json_lines()
    assert (row["security"], row["policy"], row["feed"]) == (A, "update", "depth")
    assert {"security", "state", "policy", "feed", "since"} <= set(row)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", row["since"])


@pytest.mark.parametrize(
    ("command", "shows"),
    [
        ("status", A),
        ("list", "update"),
        ("processes", "ingest-binance-a"),
        ("uptime", "since"),
        ("ping", "ms"),
        ("config", "MANAGER_PORT"),
    ],
)
def test_without_json_there_is_something_to_read(obl: Obl, command: str, shows: str) -> None:
    ended = obl(command)
    assert (ended.code, ended.err) == (0, "")
    assert shows in ended.out
    assert "{" not in ended.out


@pytest.mark.parametrize("command", ["status", "list", "processes", "uptime", "ping", "config"])
def test_with_json_every_line_is_json(obl: Obl, command: str) -> None:
    ended = obl(command, "--json")
    assert ended.code == 0
    assert ended.json_lines() != []


def test_add_of_what_is_subscribed_returns_at_once(obl: Obl) -> None:
    (row,) = obl("add", "btcusdt", "--json").json_lines()
    assert (row["security"], row["ok"]) == (A, True)


def test_securities_come_from_stdin_where_a_dash_stands(obl: Obl) -> None:
    ended = obl("policy", "-", "--every", "1000ms", "--json", stdin="btcusdt\n")
    (row,) = ended.json_lines()
    assert (row["security"], row["policy"]) == (A, "1000ms")
    assert obl("policy", A, "--every", "update").code == 0


def test_one_of_several_failing_is_exit_code_1_and_all_are_told(obl: Obl) -> None:
    ended = obl("policy", A, "nosuch", "--images", "60s", "--json")
    assert ended.code == 1
    assert [row["ok"] for row in ended.json_lines()] == [True, False]
    assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["remove", "nosuch"], "binance:NOSUCH is not recorded"),
        (["add", "kraken:XBT"], "no venue 'kraken'"),
        (["add", "binance:"], "venue:SYMBOL"),
        (["add"], "SECURITY"),
        (["add", "-"], "no security named"),
        (["policy", A], "needs every, images or orders"),
        (["policy", A, "--every", "fast"], "every (update or milliseconds)"),
        (["book", A, "--depth", "0"], "depth"),
        (["book", A], "book-0 is not running"),
        (["reset", "kraken"], "no venue 'kraken'"),
        (["status", "--frobnicate"], "--frobnicate"),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_what_cannot_be_run_is_exit_code_2_and_one_line_that_says_why(
    obl: Obl, words: list[str], says: str
) -> None:
    ended = obl(*words)
    assert (ended.code, ended.out) == (2, "")
    assert len(ended.err.splitlines()) == 1
    assert says in ended.err


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"MANAGER_AUTHKEY": "wrong"}, "refuses the key"),
        ({"MANAGER_PORT": "none"}, "MANAGER_PORT='none'"),
        ({"DATA_DIR": "/nonexistent"}, "make run"),
    ],
)
def test_a_wrong_key_setting_or_folder_is_exit_code_2(obl: Obl, environ: dict[str, str], says: str) -> None:
    ended = obl("ping", **environ)
    assert (ended.code, ended.out) == (2, "")
    assert says in ended.err
    assert len(ended.err.splitlines()) == 1


def test_no_logger_is_exit_code_2(obl: Obl) -> None:
    ended = obl("status", MANAGER_PORT=str(free_port()))
    assert ended.code == 2
    assert "nobody answers" in ended.err


def test_config_shows_every_setting_and_no_secret(obl: Obl) -> None:
    shown = obl("config", "--json", MANAGER_AUTHKEY="hidden", MONGODB_ENDPOINT="mongodb://u:hidden@h").json()
    assert shown["MANAGER_AUTHKEY"] == "***"
    assert shown["MONGODB_ENDPOINT"] == "mongodb://***@h"
    assert "hidden" not in json.dumps(shown)
    assert "as this shell gives them" in obl("config").out


def test_orders_of_a_book_that_is_recorded_by_levels_cannot_be_shown(obl: Obl, here: Installation) -> None:
    with Peer(here, "book-0") as book, here.client() as client:
        book.beat({"securities": {A: {"state": "live"}}})
        while next(row for row in client.call("processes") if row["name"] == "book-0")["state"] != "live":
            pass  # its beat is on the way
        levels = {"bids": [["1", "2"]], "asks": []}
        answering = Thread(target=lambda: book.reply(book.request(), levels))
        answering.start()
        ended = obl("book", A, "--orders", "--json")
        answering.join()
    assert (ended.code, ended.out, "recorded by levels" in ended.err) == (2, "", True)


def test_add_with_wait_returns_when_all_are_live(obl: Obl, here: Installation) -> None:
    new = "binance:ETHUSDT"
    with Peer(here, "ingest-binance-a") as line, Peer(here, "book-0") as book, here.client() as client:
        line.beat({"securities": {new: {"state": "subscribed"}}})
        book.beat({"securities": {new: {"state": "live"}}})
        while client.call("processes")[2]["state"] == "starting":
            pass  # its beat is on the way
        assert obl("add", new, "--wait", "--json").json() == {"security": new, "ok": True, "state": "live"}
    assert obl("remove", new, "--json").json() == {"security": new, "ok": True, "state": "removed"}


def test_help_names_every_command(obl: Obl) -> None:
    ended = obl("--help")
    assert ended.code == 0
    for command in ("add", "status", "terminate", "at", "replay", "coverage"):
        assert re.search(rf"^\s+{command}\s", ended.out, re.MULTILINE)


def test_the_installed_command_ends_the_same_way(here: Installation, tmp_path: Path) -> None:
    assert here.obl("ping", "--json").returncode == 0
    ended = here.obl("remove", "nosuch")
    assert (ended.returncode, ended.stdout, len(ended.stderr.splitlines())) == (2, "", 1)
