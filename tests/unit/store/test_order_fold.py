"""What a stored block claims of orders never reaches the compiled loops unless they can bear it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from book.scales import Refused, Scales
from condition.codec import OrderColumns
from store.order_fold import OrderFold, Orders, Told
from store.unreadable import Damaged
from venue.api import OrderKind
from wire.runs import ABSENT

NOBODY = np.empty(0, np.int64)
EMPTY = Orders(0, NOBODY, NOBODY, np.empty((0, 16), np.uint8), NOBODY, NOBODY)

some_events = st.lists(
    st.tuples(
        st.integers(-1, 6) | st.just(257),
        st.integers(-1, 2) | st.just(256),
        st.integers(-3, 3) | st.just(ABSENT),
        st.integers(-2, 5) | st.just(ABSENT),
        st.integers(0, 3),
    ),
    max_size=12,
)


def told(rows: list[tuple[int, int, int, int, int]]) -> Told:
    kinds, sides, prices, sizes, names = np.array(rows, np.int64).reshape(-1, 5).T.copy()
    ids = np.arange(1, len(rows) + 1)
    order_ids = np.repeat(names.astype(np.uint8)[:, None], 16, axis=1)
    nothing = np.full(len(rows), ABSENT)
    columns = (ids, ids, ids, ids, kinds, sides, nothing, prices, sizes, *[nothing] * 4, order_ids, order_ids)
    return Told(OrderColumns(*columns), Scales(), "block")


@given(some_events)
def test_events_that_no_venue_sends_are_damage_and_nothing_worse(
    rows: list[tuple[int, int, int, int, int]],
) -> None:
    strange = any(
        kind not in tuple(OrderKind) or side not in (0, 1) or (size < 0 and size != ABSENT)
        for kind, side, _, size, _ in rows
    )
    book, singly = (OrderFold(EMPTY, Scales(), (None, None)) for _ in range(2))
    try:
        changes = book.changes(told(rows))
    except Damaged:
        with pytest.raises(Damaged):
            list(singly.moved(told(rows)))
        return
    assert not strange
    moved = [each for _, levels in singly.moved(told(rows)) for each in levels]
    assert {(side, price) for side, price, _, _ in moved} >= {
        (int(n >= bids), price) for bids, prices in by_row(changes) for n, price in enumerate(prices)
    }
    assert book.hash() == singly.hash()
    assert [side.tolist() for side in book.levels()] == [side.tolist() for side in singly.levels()]


def by_row(changes: object) -> list[tuple[int, list[int]]]:
    bids, asks, prices = (getattr(changes, name).tolist() for name in ("bid_counts", "ask_counts", "prices"))
    ends = np.cumsum([0, *(b + a for b, a in zip(bids, asks, strict=True))]).tolist()
    return [(count, prices[ends[n] : ends[n + 1]]) for n, count in enumerate(bids)]


def test_an_image_with_less_than_nothing_is_refused() -> None:
    held = Orders(1, np.array([5]), np.array([-1]), np.zeros((1, 16), np.uint8), np.array([1]), np.array([1]))
    with pytest.raises(Refused):
        OrderFold(held, Scales(), (None, None))
