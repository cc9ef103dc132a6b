"""What is printed can be read: by a program line by line, by a person without a legend."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ui import show

BOOK = {
    "security": "binance:BTCUSDT",
    "time": "2024-08-09T00:00:00.250Z",
    "update_id": 7,
    "certified": {"bid_low": "1", "ask_high": None},
    "bids": [["10", "1"], ["9", "2"]],
    "asks": [["11", "3"], ["12", "4"]],
    "continuity": "proven",
    "stale": True,
}


def test_a_book_is_printed_with_the_spread_in_its_middle(capsys: pytest.CaptureFixture[str]) -> None:
    show.book(BOOK, depth=2)
    out = capsys.readouterr().out
    assert re.findall(r"^(?:ask|bid) +(\d+)", out, re.MULTILINE) == ["12", "11", "10", "9"]
    assert "STALE" in out
    assert "from 1 to the highest" in out


def test_depth_cuts_the_far_levels(capsys: pytest.CaptureFixture[str]) -> None:
    show.book(BOOK, depth=1)
    assert re.findall(r"^(?:ask|bid) +(\d+)", capsys.readouterr().out, re.MULTILINE) == ["11", "10"]


def test_an_empty_list_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    show.table([], ["a"], "nothing: do this")
    assert capsys.readouterr().out == "nothing: do this\n"


def test_nothing_is_cut_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 150
    show.table([{"a": long}], ["a"], "")
    assert long in capsys.readouterr().out


@pytest.mark.parametrize(
    ("size_bytes", "text"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1 << 50, "1024.0 TiB")]
)
def test_sizes_have_the_unit_that_makes_them_short(size_bytes: int, text: str) -> None:
    assert show.size_text(size_bytes) == text


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_any_value_is_one_line_of_json(value: object) -> None:
    with pytest.MonkeyPatch.context() as patch:
        written: list[str] = []
        patch.setattr("sys.stdout.write", written.append)
        show.json_line(value)
    (line,) = written
    assert json.loads(line) == value
    assert line.count("\n") == 1
