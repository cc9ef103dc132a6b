"""Hypothesis strategies for blocks: any int64 in any column, and values as markets send them."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from condition.codec import ChangeColumns, ImageColumns, OrderColumns, TradeColumns
from wire.runs import ABSENT

INT64 = st.integers(-(2**63), 2**63 - 1)
NEAR = st.integers(-300, 300)
VALUE = st.one_of(NEAR, INT64, st.sampled_from((ABSENT, 2**63 - 1, 0, 1, -1)))
SMALL = st.integers(0, 3)


def array(values: Any) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array(values, np.int64)


@st.composite
def columns(draw: st.DrawFn, count: int, values: st.SearchStrategy[int] = VALUE) -> Any:
    """A column that repeats, that is constant, or that is anything."""
    kind = draw(st.sampled_from(("any", "constant", "few")))
    if kind == "constant":
        return array([draw(values)] * count)
    pool = st.sampled_from(draw(st.lists(values, min_size=1, max_size=3))) if kind == "few" else values
    return array(draw(st.lists(pool, min_size=count, max_size=count)))


@st.composite
def ids_column(draw: st.DrawFn, count: int) -> Any:
    pool = [bytes(16), *draw(st.lists(st.binary(min_size=16, max_size=16), max_size=4))]
    drawn = draw(st.lists(st.sampled_from(pool), min_size=count, max_size=count))
    return np.frombuffer(b"".join(drawn), np.uint8).reshape(count, 16)


@st.composite
def changes(draw: st.DrawFn) -> ChangeColumns:
    """Updates whose levels are already in the order that the format keeps."""
    rows = draw(st.integers(0, 30))
    sides = [draw(st.lists(SMALL, min_size=rows, max_size=rows)) for _ in range(2)]
    prices: list[int] = []
    for bids, asks in zip(*sides, strict=True):
        for count, down in ((bids, True), (asks, False)):
            drawn = draw(st.sets(VALUE, min_size=count, max_size=count))
            prices += sorted(drawn, reverse=down)
    five = [draw(columns(rows)) for _ in range(5)]
    return ChangeColumns(*five, array(sides[0]), array(sides[1]), array(prices), draw(columns(len(prices))))


@st.composite
def trades(draw: st.DrawFn) -> TradeColumns:
    rows = draw(st.integers(0, 90))
    return TradeColumns(*(draw(columns(rows)) for _ in TradeColumns._fields))


@st.composite
def orders(draw: st.DrawFn) -> OrderColumns:
    rows = draw(st.integers(0, 20))
    drawn = {name: draw(columns(rows)) for name in OrderColumns._fields[:-2]}
    drawn |= {name: draw(ids_column(rows)) for name in OrderColumns._fields[-2:]}
    drawn["kinds"] = draw(columns(rows, st.integers(0, 5)))
    return OrderColumns(**drawn)


@st.composite
def named_orders(draw: st.DrawFn) -> OrderColumns:
    """Events of orders that come again and again, most of them named by their first event."""
    rows = draw(orders())
    kinds = draw(columns(len(rows.ids), st.sampled_from((0, 0, 1, 1, 2, 2, 3, 4, 5))))
    met = [bytes(16)]
    names: tuple[list[bytes], list[bytes]] = ([], [])
    for event_id in rows.ids.tolist():
        for found in names:
            own = event_id.to_bytes(8, "little", signed=True) + bytes(8)
            found.append(draw(st.sampled_from((own, own, *met[-4:]))))
            met.append(draw(st.sampled_from((found[-1], found[-1], b"\x07" * 16))))
    order_ids, taker_ids = (
        np.frombuffer(b"".join(found), np.uint8).reshape(len(found), 16) for found in names
    )
    return rows._replace(kinds=kinds, order_ids=order_ids, taker_ids=taker_ids)


@st.composite
def images(draw: st.DrawFn) -> tuple[str, ImageColumns]:
    rows = draw(st.integers(0, 20))
    book = draw(st.sampled_from(("l2", "l3")))
    own = rows if book == "l3" else 0
    return book, ImageColumns(
        draw(st.integers(0, rows)),
        draw(columns(rows)),
        draw(columns(rows)),
        draw(ids_column(own)),
        draw(columns(own)),
        draw(columns(own)),
    )
