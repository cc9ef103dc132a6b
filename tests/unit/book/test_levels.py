"""An L2 book holds what was said last of each price, and knows its best."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from book import levels as levels_module
from book.levels import Ladder, Levels
from book.scales import Refused, Scales
from tests import captures

rows = st.lists(st.tuples(st.integers(1, 12), st.integers(0, 3)), max_size=60)


@given(st.sampled_from([-1, 1]), rows)
def test_a_side_is_the_last_size_of_each_price_and_apply_returns_the_one_before(
    sign: int, said: list[tuple[int, int]]
) -> None:
    ladder, model = Ladder(sign), {}
    for price, size in said:
        assert ladder.apply([price], [size]) == [model.get(price, 0)]
        model[price] = size
    model = {price: size for price, size in model.items() if size}
    assert ladder.sizes == model
    assert ladder.best() == ((max if sign < 0 else min)(model) if model else None)
    assert ladder.sorted() == sorted(model.items(), reverse=sign < 0)


@given(rows, st.dictionaries(st.integers(1, 12), st.integers(0, 3)))
def test_undo_is_the_inverse_of_apply(said: list[tuple[int, int]], batch: dict[int, int]) -> None:
    ladder = Ladder(-1)
    for price, size in said:
        ladder.apply([price], [size])
    before, best = dict(ladder.sizes), ladder.best()
    olds = ladder.apply(list(batch), list(batch.values()))
    ladder.undo(list(batch), olds)
    assert (ladder.sizes, ladder.best()) == (before, best)


def test_the_heap_of_best_prices_does_not_grow_with_the_number_of_updates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(levels_module, "HEAP_LEAST", 8)
    ladder = Ladder(1)
    for n in range(1000):
        ladder.apply([100 + n % 7], [n % 2])
    assert len(ladder._heap) <= 4 * 8


def book(bids: list[tuple[int, int]], asks: list[tuple[int, int]], limit: int = 0) -> Levels:
    made = Levels()
    made.replace(bids, asks, Scales(2, 3), limit)
    return made


def test_a_side_that_was_cut_off_is_certified_to_its_worst_price() -> None:
    assert book([(10, 1), (9, 1)], [(11, 1)], limit=2).certified == (9, None)
    assert book([(10, 1), (9, 1)], [(11, 1)]).certified == (None, None)


@pytest.mark.parametrize(("bid", "crossed"), [(10, False), (11, True), (12, True)])
def test_a_bid_at_the_best_ask_crosses(bid: int, crossed: bool) -> None:
    assert book([(bid, 1)], [(11, 1)]).crossed() is crossed


def test_an_empty_side_crosses_nothing() -> None:
    assert not book([(10, 1)], []).crossed()


def test_columns_are_best_first_and_bids_first() -> None:
    made = book([(8, 5), (10, 1)], [(12, 2), (11, 3)])
    assert made.columns() == (2, 2, [10, 8, 11, 12], [1, 5, 3, 2])
    assert made.columns(1) == (1, 1, [10, 11], [1, 3])


def test_raised_scales_round_nothing_and_keep_the_hash() -> None:
    made = book([(10, 1)], [(11, 3)], limit=1)
    before = made.hash()
    made.rescale(Scales(4, 3))
    assert made.columns() == (1, 1, [1000, 1100], [1, 3])
    assert (made.certified, made.hash()) == ((1000, 1100), before)


def test_a_scale_at_which_the_book_would_not_fit_is_refused_and_the_book_stays() -> None:
    made = book([(10**17, 1)], [(2 * 10**17, 1)])
    with pytest.raises(Refused):
        made.rescale(Scales(4, 3))
    assert made.columns() == (1, 1, [10**17, 2 * 10**17], [1, 1])


@pytest.mark.captures
def test_the_vector_of_another_implementation_holds() -> None:
    vector = json.loads(captures.text("vectors/orderbook_ccxt.json"))
    for side, sign in (("bids", -1), ("asks", 1)):
        ladder = Ladder(sign)
        for price, size in vector["input"][side]:
            ladder.apply([round(price * 10)], [size])
        assert ladder.sorted() == [(round(price * 10), size) for price, size in vector["target"][side]]
