"""The commands that print series and draw pictures, on an archive with a hole."""

import builtins
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from store.times import moment
from tests.embedded import mongo, mongo_server
from tests.unit.store.recorded import Market, S
from tests.unit.store.test_commands import Obl, obl
from tests.unit.store.test_history import store
from ui import pictures
from wire.times import iso

__all__ = ["mongo", "mongo_server", "obl"]

pytestmark = pytest.mark.mongo


@pytest.fixture
def market(mongo: Database[Any]) -> Market:
    """Ten updates, two seconds apart, each with a trade, and a hole after the fifth."""
    made = Market("binance:BTCUSDT", 7)
    made.snapshot()
    for number in range(10):
        if number == 5:
            made.snapshot(missing=3)
        made.update(2 * S)
        made.trade(skip=2 if number == 7 else 0)
    store(mongo, made.documents())
    return made


def ends(market: Market) -> tuple[str, str]:
    return iso(market.states[0].effective_ns), iso(market.states[-1].effective_ns + 1)


def text(hundredths: int) -> str:
    return f"{hundredths / 100:.2f}".rstrip("0").rstrip(".")


def test_depth_prints_the_levels_of_each_moment(obl: Obl, market: Market) -> None:
    words = ("depth", "btcusdt", *ends(market), "--every", "2s", "--levels", "2", "--gaps", "include")
    code, lines, _ = obl(*words, "--json")
    assert (code, len(lines)) == (0, 10)
    for line, state in zip(lines, market.states, strict=True):
        assert line["update_id"] == state.update_id
        for side, levels in (("bids", state.bids), ("asks", state.asks)):
            assert line[side] == [[text(price), text(size)] for price, size in levels[:2]]
    assert [n for n, line in enumerate(lines) if line["stale"]] == [4]
    code, _, shown = obl(*words)
    assert (code, shown.count("update"), "STALE" in shown) == (0, 10, True)


def test_top_prints_a_line_a_change(obl: Obl, market: Market) -> None:
    code, lines, _ = obl("top", "btcusdt", *ends(market), "--gaps", "exclude", "--json")
    seen = [(line["bid"], line["ask"]) for line in lines if not line["crosses_hole"]]
    assert code == 0
    assert seen
    assert all(before != after for before, after in pairwise(seen[:4]))
    code, _, shown = obl("top", "btcusdt", *ends(market), "--every", "4s", "--gaps", "include")
    assert (code, shown.count("bid"), shown.count("ask")) == (0, 5, 5)


def test_bars_prints_the_trades_of_each_interval(obl: Obl, market: Market) -> None:
    code, lines, _ = obl("bars", "btcusdt", *ends(market), "--every", "4s", "--gaps", "include", "--json")
    assert (code, [line["trades"] for line in lines]) == (0, [2, 2, 2, 2, 2])
    assert lines[0] | {"time": "", "security": ""} == {
        "security": "",
        "time": "",
        **dict.fromkeys(("open", "high", "low", "close"), "10.5"),
        "volume": "0.5",
        "buy_volume": "0.25",
        "sell_volume": "0.25",
        "trades": 2,
        "in_hole": False,
    }
    assert [line["in_hole"] for line in lines] == [False, False, False, True, False]
    code, _, shown = obl("bars", "btcusdt", *ends(market), "--every", "4s", "--gaps", "include")
    assert (code, shown.count("2 trades"), shown.count("HOLE")) == (0, 5, 1)


def test_a_hole_ends_with_one_and_bad_words_with_two(obl: Obl, market: Market, tmp_path: Path) -> None:
    for words in (("depth",), ("top",), ("bars",)):
        code, _, error = obl(*words, "btcusdt", *ends(market))
        assert (code, "ledger row" in error) == (1, True)
    assert obl("depth", "btcusdt", *ends(market), "--every", "soon")[0] == 2
    assert obl("depth", "btcusdt", *ends(market), "--levels", "0")[0] == 2
    code, _, error = obl("plot", "btcusdt", *ends(market), "-o", str(tmp_path / "x.gif"))
    assert (code, ".png" in error) == (2, True)
    code, _, error = obl("plot", "btcusdt", ends(market)[0], "-o", str(tmp_path / "x.png"))
    assert (code, "FROM and TO" in error) == (2, True)
    code, _, error = obl("plot", "btcusdt", "0", "1", "-o", str(tmp_path / "x.png"))
    assert (code, "is stored in this range" in error) == (1, True)


@pytest.mark.parametrize("kind", ["heatmap", "book", "volume"])
def test_plot_writes_a_picture_that_names_its_holes(
    obl: Obl, market: Market, tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "picture.svg"
    first, last = ends(market)
    moments = [iso(market.states[4].effective_ns + S)] if kind == "book" else [first, last]
    code, _, said = obl("plot", "btcusdt", *moments, "--kind", kind, "-o", str(file))
    assert (code, said) == (0, "")
    drawn = file.read_text()
    assert drawn.startswith("<?xml")
    assert ("hole" in drawn or "STALE" in drawn) is True
    assert "binance:BTCUSDT" in drawn
    code, [line], _ = obl("plot", "btcusdt", *moments, "--kind", kind, "-o", str(file), "--json")
    assert (code, line["kind"], line["file"]) == (0, kind, str(file))
    assert line["security"] == "binance:BTCUSDT"
    assert [moment(line[name]) for name in ("from", "to")] == [moment(moments[n]) for n in (0, -1)]
    assert line["holes"]
    assert {hole["state"] for hole in line["holes"]} == {"open"}


def test_without_matplotlib_a_line_says_what_to_install(
    obl: Obl, market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def absent(name: str, *rest: Any, **named: Any) -> Any:
        if name == "ui" and "pictures" in (rest[2] or ()):
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", absent)
    code, _, error = obl("plot", "btcusdt", *ends(market), "-o", str(tmp_path / "x.png"))
    assert (code, "order-book-logger[analysis]" in error) == (2, True)


def test_the_steps_of_price_are_whole_ticks_and_hold_the_best() -> None:
    edges = pictures._aligned(10.0, 11.0, 0.25, 4)
    assert edges[0] < 10.0
    assert edges[-1] > 11.0
    assert {round(step / 0.25, 9) for step in edges[1:] - edges[:-1]} == {1.0}
