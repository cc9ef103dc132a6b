"""One test for each row of the table of book.orders, which holds for both books of orders."""

import pytest

from book import compiled_orders
from book.compiled_orders import AnyOrderBook, new_order_book
from book.orders import Desync, Event, Row
from book.scales import Scales
from venue.api import OrderKind
from wire.runs import ABSENT

A, B, C, D = (bytes([n]) * 16 for n in range(1, 5))
BUY, SELL = 0, 1

NOT_COMPILED = pytest.mark.skip(reason="the loops are not compiled here: make install says why")


@pytest.fixture(
    autouse=True,
    params=[
        pytest.param(True, id="compiled", marks=() if compiled_orders.COMPILED else NOT_COMPILED),
        pytest.param(False, id="plain"),
    ],
)
def _twin(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_orders, "COMPILED", request.param)


def event(
    kind: OrderKind, order_id: bytes, *, price: int = ABSENT, size: int = ABSENT, side: int = BUY, at: int = 9
) -> Event:
    return Event(at, kind, side, order_id, price, size)


def book() -> AnyOrderBook:
    """Two bids at 10 from a REST body, one at 9; an ask at 12."""
    made = new_order_book()
    rows = [(BUY, 10, 5, A), (BUY, 10, 3, B), (BUY, 9, 1, C), (SELL, 12, 4, D)]
    made.replace((Row(*row, 7, False) for row in rows), Scales(0, 0))
    return made


def queue(made: AnyOrderBook, price: int = 10) -> list[tuple[bytes, int, int, bool]]:
    return [(r.order_id, r.size, r.placed_id, r.certain) for r in made.rows()[1] if r.price == price]


E16 = bytes([5]) * 16


def test_the_rows_of_a_rest_body_have_their_order_but_not_for_certain() -> None:
    assert queue(book()) == [(A, 5, 7, False), (B, 3, 7, False)]


def test_an_open_goes_behind_all_others_and_its_place_is_certain() -> None:
    made = book()
    assert made.apply(event(OrderKind.OPEN, E16, price=10, size=2)) == [(BUY, 10, 10, 8)]
    assert queue(made)[-1] == (E16, 2, 9, True)


def test_an_open_of_a_known_order_places_it_anew() -> None:
    made = book()
    assert made.apply(event(OrderKind.OPEN, A, price=9, size=2)) == [(BUY, 10, 3, 8), (BUY, 9, 3, 1)]
    assert queue(made, 9) == [(C, 1, 7, False), (A, 2, 9, True)]


def test_a_match_reduces_the_maker_which_keeps_its_place() -> None:
    made = book()
    assert made.apply(event(OrderKind.MATCH, A, price=10, size=2)) == [(BUY, 10, 6, 8)]
    assert queue(made) == [(A, 3, 7, False), (B, 3, 7, False)]


def test_a_maker_matched_to_nothing_is_gone_and_its_done_is_normal() -> None:
    made = book()
    made.apply(event(OrderKind.MATCH, A, price=10, size=5))
    assert made.apply(event(OrderKind.DONE, A, price=10, size=0)) == []
    assert (queue(made), made.unknown) == ([(B, 3, 7, False)], 1)


@pytest.mark.parametrize(("order_id", "size"), [(E16, 1), (A, 6)])
def test_a_match_that_cannot_be_true_is_a_desync_and_changes_nothing(order_id: bytes, size: int) -> None:
    made = book()
    before = made.hash()
    with pytest.raises(Desync):
        made.apply(event(OrderKind.MATCH, order_id, price=10, size=size))
    assert made.hash() == before == made.hash_from_scratch()


def test_done_removes_from_the_stored_price_whatever_price_it_names() -> None:
    made = book()
    assert made.apply(event(OrderKind.DONE, C, price=8, size=1)) == [(BUY, 9, 0, 1)]
    assert queue(made, 9) == []


@pytest.mark.parametrize("kind", [OrderKind.DONE, OrderKind.CHANGE])
def test_done_and_change_of_an_unknown_order_are_counted(kind: OrderKind) -> None:
    made = book()
    assert made.apply(event(kind, E16, price=10, size=1)) == []
    assert made.unknown == 1


@pytest.mark.parametrize("kind", [OrderKind.RECEIVED, OrderKind.NOOP])
def test_received_and_noop_change_nothing(kind: OrderKind) -> None:
    made = book()
    before = made.hash()
    assert made.apply(event(kind, E16, price=11, size=1)) == []
    assert made.hash() == before


def test_a_smaller_size_keeps_its_place() -> None:
    made = book()
    assert made.apply(event(OrderKind.CHANGE, A, price=10, size=1)) == [(BUY, 10, 4, 8)]
    assert queue(made) == [(A, 1, 7, False), (B, 3, 7, False)]


def test_a_change_without_price_keeps_the_stored_one() -> None:
    made = book()
    assert made.apply(event(OrderKind.CHANGE, A, size=1)) == [(BUY, 10, 4, 8)]


def test_a_larger_size_goes_to_the_back() -> None:
    made = book()
    made.apply(event(OrderKind.CHANGE, A, price=10, size=6))
    assert queue(made) == [(B, 3, 7, False), (A, 6, 9, True)]


def test_another_price_goes_to_the_back_there() -> None:
    made = book()
    assert made.apply(event(OrderKind.CHANGE, A, price=9, size=5)) == [(BUY, 10, 3, 8), (BUY, 9, 6, 1)]
    assert queue(made, 9) == [(C, 1, 7, False), (A, 5, 9, True)]


def test_a_change_to_nothing_removes() -> None:
    made = book()
    made.apply(event(OrderKind.CHANGE, A, price=10, size=0))
    assert [row[0] for row in queue(made)] == [B]


def test_an_order_across_the_other_side_is_a_desync_but_not_in_an_auction() -> None:
    made = book()
    with pytest.raises(Desync):
        made.apply(event(OrderKind.OPEN, E16, price=12, size=1))
    with pytest.raises(Desync):
        made.apply(event(OrderKind.CHANGE, D, price=10, size=1))
    made.may_cross = True
    made.apply(event(OrderKind.OPEN, E16, price=12, size=1))
    assert made.crossed()
    assert made.fold.crossed()


def test_rows_are_best_first_and_in_queue_order() -> None:
    bids, rows = book().rows()
    assert bids == 3
    assert [(r.price, r.order_id) for r in rows] == [(10, A), (10, B), (9, C), (12, D)]
    assert [r.price for r in book().rows(1)[1]] == [10, 10, 12]


def test_orders_of_raised_scales_are_the_same_orders() -> None:
    made = book()
    before = made.hash()
    made.rescale(Scales(2, 1))
    assert made.rows()[1][0] == Row(BUY, 1000, 50, A, 7, False)
    assert made.apply(event(OrderKind.DONE, B)) == [(BUY, 1000, 50, 80)]
    made.apply(event(OrderKind.OPEN, B, price=1000, size=30, at=7))
    assert made.hash() == before
