"""The engine keeps price-time priority, never crosses, and loses or makes no size."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulator.engine import Engine, Kind, Message
from tests.simulator.queues import BUY, SELL, Op, Row

A, B, C = 1, 2, 3
"""Owners."""


def resting(engine: Engine, side: int) -> list[tuple[int, int, int]]:
    return [(row.order, row.price, row.size) for row in engine.book.rows(side)]


def kinds(messages: list[Message]) -> list[str]:
    return [f"{message.kind.name.lower()} {message.reason}".strip() for message in messages]


def test_an_order_that_does_not_cross_is_received_and_rests() -> None:
    engine = Engine()
    assert kinds(engine.limit(A, BUY, 100, 5)) == ["received", "open"]
    assert resting(engine, BUY) == [(1, 100, 5)]


def test_the_best_price_is_matched_first_and_inside_it_the_oldest_order() -> None:
    engine = Engine()
    for owner, price, size in ((A, 101, 1), (A, 100, 2), (B, 100, 3)):
        engine.limit(owner, SELL, price, size)
    messages = engine.limit(C, BUY, 101, 6)
    assert kinds(messages) == [
        "received", "match", "done filled", "match", "done filled", "match", "done filled", "done filled",
    ]  # fmt: skip
    trades = [(m.order, m.price, m.size, m.trade) for m in messages if m.kind is Kind.MATCH]
    assert trades == [(2, 100, 2, 1), (3, 100, 3, 2), (1, 101, 1, 3)]
    assert resting(engine, SELL) == []


def test_the_remainder_of_a_crossing_order_rests() -> None:
    engine = Engine()
    engine.limit(A, SELL, 100, 2)
    assert kinds(engine.limit(B, BUY, 100, 5)) == ["received", "match", "done filled", "open"]
    assert resting(engine, BUY) == [(2, 100, 3)]


def test_a_market_order_by_funds_takes_what_they_pay() -> None:
    engine = Engine()
    engine.limit(A, SELL, 100, 10)
    messages = engine.market(B, BUY, funds=350)
    assert [(m.kind.name, m.size) for m in messages] == [("RECEIVED", None), ("MATCH", 3), ("DONE", None)]
    assert messages[-1].reason == "filled"
    assert resting(engine, SELL) == [(1, 100, 7)]


def test_a_market_order_on_an_empty_book_is_canceled() -> None:
    assert kinds(Engine().market(A, BUY, 5)) == ["received", "done canceled"]


@pytest.mark.parametrize(
    ("mine", "said", "left"),
    [
        (3, ["received", "change STP", "done canceled"], [(1, 100, 2)]),
        (5, ["received", "done canceled", "done canceled"], []),
        (8, ["received", "done canceled", "change STP", "open"], []),
    ],
)
def test_self_trade_prevention_cancels_the_smaller_and_decrements_the_larger(
    mine: int, said: list[str], left: list[tuple[int, int, int]]
) -> None:
    engine = Engine()
    engine.limit(A, SELL, 100, 5)
    assert kinds(engine.limit(A, BUY, 100, mine)) == said
    assert resting(engine, SELL) == left


def test_a_smaller_size_keeps_its_place_and_all_else_goes_to_the_back() -> None:
    engine = Engine()
    for _ in range(3):
        engine.limit(A, BUY, 100, 5)
    assert [m.op for m in engine.modify(1, 100, 4)] == [Op.RESIZE]
    assert resting(engine, BUY) == [(1, 100, 4), (2, 100, 5), (3, 100, 5)]
    engine.modify(1, 100, 6)
    assert resting(engine, BUY) == [(2, 100, 5), (3, 100, 5), (1, 100, 6)]
    engine.modify(3, 101, 5)
    engine.modify(3, 100, 5)
    assert resting(engine, BUY) == [(2, 100, 5), (1, 100, 6), (3, 100, 5)]


def test_a_modification_that_would_cross_does_nothing() -> None:
    engine = Engine()
    engine.limit(A, BUY, 100, 5)
    engine.limit(B, SELL, 102, 5)
    assert engine.modify(1, 102, 5) == []
    assert resting(engine, BUY) == [(1, 100, 5)]


def test_a_stop_order_is_sent_under_its_own_number_when_a_trade_reaches_it() -> None:
    engine = Engine()
    assert kinds(engine.stop(A, BUY, 100, 2)) == ["activate"]
    assert engine.release() == []
    engine.limit(B, SELL, 100, 5)
    engine.limit(C, BUY, 100, 1)
    messages = engine.release()
    assert kinds(messages) == ["received", "match", "done filled"]
    assert messages[0].order == 1
    assert engine.release() == []


orders = st.lists(
    st.tuples(
        st.sampled_from(["limit", "limit", "limit", "market", "funds", "cancel", "modify"]),
        st.integers(0, 3),
        st.sampled_from([BUY, SELL]),
        st.integers(95, 105),
        st.integers(1, 20),
    ),
    max_size=80,
)


def do(engine: Engine, what: str, owner: int, side: int, price: int, size: int) -> list[Message]:
    if what == "limit":
        return engine.limit(owner, side, price, size)
    if what == "market":
        return engine.market(owner, side, size)
    if what == "funds":
        return engine.market(owner, side, None, size * price + 3)
    standing = list(engine.book.orders)
    if not standing:
        return []
    order = standing[(price + size) % len(standing)]
    return engine.cancel(order) if what == "cancel" else engine.modify(order, price, size)


@settings(max_examples=200)
@given(orders)
def test_the_book_never_crosses_and_every_size_is_accounted_for(
    asked: list[tuple[str, int, int, int, int]],
) -> None:
    engine = Engine()
    rested: Counter[str] = Counter()
    for one in asked:
        for message in do(engine, *one):
            rested.update(_rested(message))
        bid, ask = engine.book.best(BUY), engine.book.best(SELL)
        assert bid is None or ask is None or bid < ask
        assert sum(rested.values()) == sum(row.size for row in engine.book.orders.values())
        _totals_are_sums(engine)
    assert set(engine.owners) == set(engine.book.orders)


def _rested(message: Message) -> dict[str, int]:
    """Say by how much the sizes that rest grow or shrink, from the message's own words."""
    match message.kind:
        case Kind.OPEN:
            return {"opened": message.size or 0}
        case Kind.MATCH:
            return {"matched": -(message.size or 0)}
        case Kind.DONE if message.op is Op.REMOVE:
            return {"canceled": -(message.size or 0)}
        case Kind.CHANGE if message.op is not Op.NONE:
            return {"changed": (message.size or 0) - (message.old_size or 0)}
        case _:
            return {}


def _totals_are_sums(engine: Engine) -> None:
    for side in (BUY, SELL):
        rows: list[Row] = list(engine.book.rows(side))
        sums: Counter[int] = Counter()
        for row in rows:
            sums[row.price] += row.size
        assert dict(sums) == engine.book.totals[side]
        assert sorted(sums) == engine.book.prices[side]
