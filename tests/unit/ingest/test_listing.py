"""Symbols are confirmed in few requests, and a bad one among them is found."""

import json
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from ingest.listing import HOUR_NS, Listing, Question
from tests.unit.ingest.world import _info
from venue import binance, coinbase

S = 1_000_000_000


def listing(*symbols: str) -> Listing:
    made = Listing(binance, Random(1), 0)
    for symbol in symbols:
        made.want(symbol)
    return made


def answer(made: Listing, question: Question, known: set[str], now: int = 0) -> dict[str, str]:
    """Answer as Binance does; return what is unknown."""
    if known.issuperset(question.symbols):
        body = json.dumps({"symbols": [_info(s) for s in question.symbols]}).encode()
        return made.answered(question, 200, body, now).unknown
    return made.answered(question, 400, b'{"code":-1121,"msg":"Invalid symbol."}', now).unknown


@given(st.sets(st.integers(0, 199), max_size=120), st.sets(st.integers(0, 199), max_size=3))
def test_every_listed_symbol_is_known_and_every_other_is_found(wanted: set[int], bad: set[int]) -> None:
    names = {f"S{i}" for i in wanted}
    known = {f"S{i}" for i in wanted - bad}
    made, unknown, asked = listing(*sorted(names)), dict[str, str](), 0
    while (question := made.due(0)) is not None:
        asked += 1
        unknown |= answer(made, question, known)
    assert set(made.instruments) == known
    assert set(unknown) == names - known
    assert asked <= len(names) // 50 + 1 + 14 * len(names - known)


def test_a_venue_with_a_request_for_each_symbol_is_asked_for_each() -> None:
    made = Listing(coinbase, Random(1), 0)
    for symbol in ("BTC-USD", "ETH-USD"):
        made.want(symbol)
    paths = []
    while (question := made.due(0)) is not None:
        paths.append((question.symbols, question.request.path))
    assert paths == [(("BTC-USD",), "/products/BTC-USD"), (("ETH-USD",), "/products/ETH-USD")]


def test_a_failure_is_tried_again_later_and_an_hour_later_all_are_asked_anew() -> None:
    made = listing("A", "B")
    question = made.due(0)
    assert question is not None
    assert made.answered(question, 503, b"", 0).problem
    assert made.due(0) is None
    again = made.due(2 * S)
    assert again == question
    answer(made, again, {"A", "B"})
    assert made.due(HOUR_NS - 1) is None
    hourly = made.due(HOUR_NS)
    assert hourly is not None
    assert (hourly.symbols, hourly.cause) == (("A", "B"), "hourly")


def test_a_symbol_that_is_forgotten_is_not_asked_for() -> None:
    made = listing("A", "B")
    made.forget("A")
    question = made.due(0)
    assert question is not None
    assert question.symbols == ("B",)
