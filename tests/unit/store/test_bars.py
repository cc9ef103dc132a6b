"""Bars are the plain sums over the trades of each interval, exactly, and say what a hole may have taken."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymongo.database import Database

from condition.codec import TradeColumns
from store import bars as made
from store.answers import Gap, Trades
from store.bars import bars
from store.history import Archive, InHole
from store.series import Bars, joined
from tests.embedded import Server
from tests.unit.store.recorded import Market, S
from tests.unit.store.test_history import fresh, store

EVERY = 10
NAME = "binance:BARS"

trade = st.tuples(
    st.integers(0, 25), st.integers(1, 10**6), st.sampled_from([1, 7, 10**9, 2**62]), st.integers(0, 1)
)
"""Time after the one before, price, size, side."""
windows = st.lists(st.lists(trade, min_size=1, max_size=8), max_size=6)


class Shelf:
    """Holds answers that were made by hand."""

    def __init__(self, answers: list[Trades | Gap]) -> None:
        self.answers = answers

    def trades(self, *asked: object) -> Iterator[Trades | Gap]:
        assert asked[0] == NAME
        return iter(self.answers)


def batch(start_ns: int, rows: list[tuple[int, int, int, int]], scale: int = 0) -> Trades:
    times, prices, sizes, sides = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    ids = np.arange(len(rows))
    return Trades(NAME, start_ns, scale, 0, TradeColumns(ids, times, times, times, sides, prices, sizes))


def of(answers: list[Any], low: int = 0, high: int = 10**6, gaps: Any = "include") -> Bars:
    return joined(bars(Shelf(answers), NAME, low, high, EVERY, gaps))  # type: ignore[arg-type]


@given(windows, st.integers(0, 30))
def test_a_bar_is_what_a_loop_over_the_trades_gives(
    drawn: list[list[tuple[int, int, int, int]]], low: int
) -> None:
    answers, true, now = [], defaultdict(list), low
    for rows in drawn:
        start_ns, timed = now, []
        for step, price, size, side in rows:
            now += step
            timed.append((now, price, size, side))
            true[(now - low) // EVERY].append((price, size, side))
        answers.append(batch(start_ns, timed))
    found = of(answers, low)
    numbers = range(min(true), max(true) + 1) if true else range(0)
    assert found.times_ns.tolist() == [low + number * EVERY for number in numbers]
    for row, number in enumerate(numbers):
        rows = true[number]
        prices = [price for price, _, _ in rows] or [0]
        shown = [int(getattr(found, name)[row]) for name in found.PRICES]
        assert shown == [prices[0], max(prices), min(prices), prices[-1]]
        bought, sold = (sum(size for _, size, side in rows if side == want) for want in (0, 1))
        assert [int(getattr(found, name)[row]) for name in found.SIZES] == [bought + sold, bought, sold]
        assert found.counts[row] == len(rows)
    assert not found.in_hole.any()


def test_trades_that_came_late_go_into_their_bars_and_pauses_are_bars_without_a_trade() -> None:
    late = [batch(0, [(25, 5, 1, 0)]), batch(0, [(3, 9, 1, 1), (24, 4, 1, 0)]), batch(60, [(61, 7, 2, 0)])]
    found = of(late)
    assert found.counts.tolist() == [1, 0, 2, 0, 0, 0, 1]
    assert (found.opens[2], found.closes[2], found.lows[2]) == (5, 4, 4)


def test_chunks_are_bounded_and_join_at_the_finest_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made, "CHUNK_ROWS", 3)
    answers = [batch(0, [(1, 5, 1, 0)]), batch(90, [(95, 50, 1, 0), (99, 51, 1, 0)], scale=1)]
    chunks = list(bars(Shelf(answers), NAME, 0, 1000, EVERY, "error"))  # type: ignore[arg-type]
    assert max(map(len, chunks)) <= 3
    whole = joined(chunks)
    assert (whole.price_scale, whole.opens.tolist()) == (1, [50, *[0] * 8, 50])
    assert whole.closes[-1] == 51


def test_what_a_hole_may_have_taken_is_marked_or_left_out() -> None:
    gap = Gap(NAME, "trades", 2, 3, 47, None)
    answers: list[Any] = [
        batch(0, [(5, 5, 1, 0), (22, 5, 1, 0)]),
        gap,
        batch(40, [(47, 6, 1, 0), (75, 6, 1, 0)]),
    ]
    found = of(answers)
    assert found.in_hole.tolist() == [False, False, True, True, True, False, False, False]
    left = of(answers, gaps="exclude")
    assert left.times_ns.tolist() == [0, 10, 50, 60, 70]


@pytest.mark.mongo
def test_the_bars_of_an_archive_are_refused_in_a_hole(mongo_server: Server, mongo: Database[Any]) -> None:
    market = Market(fresh(), 3)
    market.snapshot()
    for number in range(12):
        market.update(2 * S)
        market.trade(skip=2 if number == 6 else 0)
    store(mongo, market.documents())
    low, high = market.trades[0].time_ns, market.trades[-1].time_ns + 1
    with Archive(mongo_server.uri, mongo.name) as archive:
        with pytest.raises(InHole):
            list(archive.bars(market.security, low, high, "4s"))
        found = joined(archive.bars(market.security, low, high, "4s", "include"))
        some = joined(archive.bars(market.security, low, low + 8 * S, "4s"))
    assert found.counts.tolist() == [2] * 6
    assert found.in_hole.tolist() == [False, False, True, True, False, False]
    assert (found.opens == 105 * 10 ** (found.price_scale - 1)).all()
    assert some.counts.tolist() == [2, 2]
