"""The archive's commands: what they print, and the exit codes that scripts rely on."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from pymongo.database import Database

from tests.embedded import Server, free_port
from tests.unit.store.recorded import T0, Market, S
from tests.unit.store.test_history import store
from ui.cli import run
from wire.messages import Document
from wire.times import iso

pytestmark = pytest.mark.mongo

Obl = Callable[..., tuple[int, list[dict[str, Any]], str]]


@pytest.fixture
def obl(
    mongo_server: Server,
    mongo: Database[Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Obl:
    monkeypatch.setenv("MONGODB_ENDPOINT", f"127.0.0.1:{mongo_server.port}")
    monkeypatch.setenv("MONGODB_DATABASE", mongo.name)

    def command(*words: str) -> tuple[int, list[dict[str, Any]], str]:
        code = run(words)
        said = capsys.readouterr()
        lines = [json.loads(line) for line in said.out.splitlines()] if "--json" in words else []
        assert said.err.count("\n") <= 1, "one line says it"
        return code, lines, said.err or said.out

    return command


@pytest.fixture
def market(mongo: Database[Any]) -> Market:
    """A recorded market with a hole after its fifth update."""
    made = Market("binance:BTCUSDT", 7)
    made.snapshot()
    for number in range(10):
        if number == 5:
            made.snapshot(missing=3)
        made.update(2 * S)
        made.trade()
    store(mongo, made.documents())
    return made


def test_at_prints_the_book_and_ends_with_zero(obl: Obl, market: Market) -> None:
    true = market.states[2]
    code, [book], _ = obl("at", "btcusdt", iso(true.effective_ns), "--json")
    assert (code, book["update_id"], len(book["bids"])) == (0, true.update_id, len(true.bids))
    code, _, text = obl("at", "BTCUSDT", "latest", "--depth", "3")
    assert (code, "binance:BTCUSDT" in text, text.count("bid")) == (0, True, 3 + 1)


def test_at_in_a_hole_ends_with_one_and_names_the_row_unless_told_otherwise(obl: Obl, market: Market) -> None:
    inside = iso(market.states[4].effective_ns + S)
    code, lines, error = obl("at", "btcusdt", inside, "--json")
    assert (code, lines) == (1, [])
    assert f"binance:BTCUSDT|book|{market.states[4].update_id + 1}" in error
    code, [book], _ = obl("at", "btcusdt", inside, "--json", "--gaps", "include")
    assert (code, book["stale"], book["update_id"]) == (0, True, market.states[4].update_id)
    assert obl("at", "btcusdt", inside, "--json", "--gaps", "exclude")[:2] == (0, [])


def test_at_past_the_end_ends_with_one_and_names_the_last_moment(obl: Obl, market: Market) -> None:
    code, _, error = obl("at", "btcusdt", iso(market.states[-1].effective_ns + S))
    assert code == 1
    assert iso(market.states[-1].effective_ns, "binance") in error


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("at", "nobody", "latest"), "nothing is stored of binance:NOBODY"),
        (("at", "a|b", "latest"), "is not a security"),
        (("at", "btcusdt", "noon"), "is no time"),
        (("at", "btcusdt"), "Missing"),
        (("at", "btcusdt", "latest", "--gaps", "maybe"), "maybe"),
        (("at", "btcusdt", "latest", "--orders"), "no orders to show"),
        (("gaps", "nobody"), "nothing is stored of binance:NOBODY"),
        (("verify", "nobody"), "nothing is stored of binance:NOBODY"),
        (("verify", "btcusdt", "noon", "latest"), "is no time"),
        (("verify", "btcusdt", "0", "1", "2"), "too many words"),
        (("verify", "--journal", "btcusdt"), "takes no security"),
    ],
)
def test_what_cannot_run_ends_with_two_and_one_line(
    obl: Obl, market: Market, words: tuple[str, ...], says: str
) -> None:
    code, _, error = obl(*words)
    assert (code, says in error) == (2, True), error


def test_no_database_ends_with_two_and_names_the_address(obl: Obl, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv(
        "MONGODB_ENDPOINT", f"mongodb://me:secret@127.0.0.1:{port}/?serverSelectionTimeoutMS=200"
    )
    code, _, error = obl("gaps")
    assert (code, f"no database answers at 127.0.0.1:{port}" in error, "secret" in error) == (2, True, False)


def test_the_lists_are_json_lines_and_empty_ones_are_no_error(obl: Obl, market: Market) -> None:
    code, [gap], _ = obl("gaps", "--json")
    assert (code, gap["feed"], gap["cause"]) == (0, "book", "network")
    code, spans, _ = obl("coverage", "btcusdt", "--json")
    assert (code, [span["feed"] for span in spans]) == (0, ["book", "book", "trades"])
    first, last = iso(market.states[0].effective_ns), iso(market.states[4].effective_ns)
    code, trades, _ = obl("trades", "btcusdt", first, last, "--json")
    assert (code, [trade["id"] for trade in trades]) == (0, [1, 2, 3, 4])
    assert obl("trades", "btcusdt", last, last, "--json")[:2] == (0, [])
    assert obl("gaps")[0] == obl("coverage")[0] == obl("trades", "btcusdt", first, last)[0] == 0


def test_a_range_wholly_outside_what_is_stored_ends_with_one_and_names_the_nearest_moment(
    obl: Obl, market: Market
) -> None:
    newest = market.states[-1].effective_ns
    after = iso(newest + 100 * S), iso(newest + 200 * S)
    for command in ("trades", "replay"):
        code, lines, error = obl(
            command, "btcusdt", "2001-01-01", "2001-01-02", "--json", "--gaps", "include"
        )
        assert (code, lines, "the first stored" in error) == (1, [], True), error
        code, lines, error = obl(command, "btcusdt", *after, "--json", "--gaps", "include")
        assert (code, lines, "the last stored" in error) == (1, [], True), error


def test_trades_over_a_hole_are_refused_or_have_a_line_for_it_or_leave_it_out(
    obl: Obl, mongo: Database[Any]
) -> None:
    market = Market("binance:BTCUSDT", 7)
    market.snapshot()
    for skip in (0, 0, 3, 0):
        market.update(2 * S)
        market.trade(skip=skip)
    store(mongo, market.documents())
    asked = ("trades", "btcusdt", iso(market.states[0].effective_ns), "latest")
    code, _, error = obl(*asked)
    assert (code, "ids 3 to 5 are missing" in error) == (1, True)
    code, lines, _ = obl(*asked, "--json", "--gaps", "include")
    assert (code, [line.get("id") or line["type"] for line in lines]) == (0, [1, 2, "gap", 6, 7])
    assert (lines[2]["first_id"], lines[2]["last_id"], lines[2]["state"]) == (3, 5, "open")
    code, _, text = obl(*asked, "--gaps", "include")
    assert (code, text.count("\n"), text.count("trades ids 3 to 5")) == (0, 5, 1)
    code, lines, _ = obl(*asked, "--json", "--gaps", "exclude")
    assert (code, [line["id"] for line in lines]) == (0, [1, 2, 6, 7])


def test_replay_is_one_line_for_each_thing_that_happened(obl: Obl, market: Market) -> None:
    first, last = iso(market.states[0].effective_ns), iso(market.states[-1].effective_ns)
    code, lines, _ = obl("replay", "btcusdt", first, last, "--json", "--trades", "--gaps", "include")
    types = [line["type"] for line in lines]
    assert (code, types[0], types.count("gap"), types.count("image")) == (0, "image", 1, 2)
    assert types.count("trade") == 9
    code, _, error = obl("replay", "btcusdt", first, last, "--json")
    assert (code, "ledger row" in error) == (1, True)
    code, _, text = obl("replay", "btcusdt", first, last, "--trades", "--gaps", "include")
    assert (code, text.count("\n")) == (0, len(lines))


def test_verify_is_a_line_for_each_security_and_ends_with_one_where_something_is_bad(
    obl: Obl, market: Market, mongo: Database[Any]
) -> None:
    code, [whole], _ = obl("verify", "--json")
    assert (code, whole["security"], whole["first_bad"], whole["reason"]) == (0, market.security, None, None)
    assert (whole["to"], whole["unverifiable"]) == (iso(market.states[-1].effective_ns, "binance"), 0)
    assert obl("verify", "btcusdt")[0] == 0
    start = iso(market.states[6].effective_ns)
    code, [part], _ = obl("verify", "btcusdt", start, "latest", "--json")
    assert (code, 0 < part["proven"] < whole["proven"]) == (0, True)
    assert obl("verify", start, "latest", "--json")[:2] == (0, [part])
    block = mongo.changes.find_one({"security": market.security})
    assert block is not None
    mongo.changes.update_one({"_id": block["_id"]}, {"$set": {"crc32c": 1}})
    code, [bad], error = obl("verify", "--json")
    assert (code, bad["first_bad"], bad["bad"]) == (1, block["_id"], 1)
    assert "checksum" in bad["reason"]
    assert f"1 of 1 not clean; {market.security}: {block['_id']}" in error


def test_the_embedded_server_is_started_for_a_command_and_ends_with_it(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from store.database import busy

    monkeypatch.delenv("MONGODB_ENDPOINT", raising=False)
    port = free_port()
    monkeypatch.setenv("MONGODB_EMBEDDED_PORT", str(port))
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    assert run(["gaps"]) == 2
    assert "there is no archive in" in capsys.readouterr().err
    (tmp_path / "data" / "database").mkdir(parents=True)
    assert run(["gaps"]) == 0
    assert "nothing is missing" in capsys.readouterr().out
    assert not busy(port)


def test_a_missing_folder_beside_a_foreign_server_is_one_line(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], mongo_server: Server
) -> None:
    monkeypatch.delenv("MONGODB_ENDPOINT", raising=False)
    monkeypatch.setenv("MONGODB_EMBEDDED_PORT", str(mongo_server.port))
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "absent"))
    assert run(["gaps"]) == 2
    error = capsys.readouterr().err
    assert (error.count("\n"), "absent cannot be used" in error) == (1, True), error


def test_audit_lists_what_was_found_and_ends_with_one_where_the_newest_differs(
    obl: Obl, market: Market, mongo: Database[Any]
) -> None:
    assert obl("audit", "btcusdt", "--json") == (0, [], "")
    assert "nothing was audited" in obl("audit")[2]
    differs = Document(
        "audits",
        "binance:BTCUSDT|audit|1002",
        "binance:BTCUSDT",
        T0,
        3,
        {
            "update_id": 1002,
            "time": T0 + S,
            "book": "l2",
            "levels": 3,
            "equal": 2,
            "pct": 66.6666,
            "misplaced": 0,
            "found": 1,
            "differences": [["bid", 1050, 30, 0]],
            "certified": {"bid_low": None, "ask_high": 1200},
            "price_scale": 2,
            "size_scale": 1,
        },
        "",
    )
    store(mongo, [differs])
    code, [line], error = obl("audit", "--json")
    assert code == 1
    assert "1 of 3" in error
    assert line == {
        "incident": differs.id,
        "security": "binance:BTCUSDT",
        "time": iso(T0 + S, "binance"),
        "update_id": 1002,
        "levels": 3,
        "equal": 2,
        "pct": 66.6666,
        "misplaced": 0,
        "found": 1,
        "differences": [["bid", "10.5", "3", "0"]],
    }
    fields = differs.fields | {"update_id": 1009, "equal": 3, "pct": 100.0, "found": 0, "differences": []}
    whole = msgspec.structs.replace(differs, id="binance:BTCUSDT|audit|1009", fields=fields)
    store(mongo, [whole])
    code, lines, _ = obl("audit", "btcusdt", "--json")
    assert (code, [line["pct"] for line in lines]) == (0, [66.6666, 100.0])
    assert obl("audit", "nosuch")[0] == 2
