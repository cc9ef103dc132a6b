"""Names of orders: each order one, no two the same, whatever happens; and people can read and write them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from book.naming import Names, name_bytes, name_text
from venue.api import OrderKind

IDS = [bytes([n]) * 16 for n in range(7)]  # (the first is none)

events = st.lists(st.tuples(st.sampled_from(OrderKind), st.sampled_from(IDS), st.sampled_from(IDS)))


@given(st.lists(st.sampled_from(IDS[1:]), unique=True), events, st.integers(0, 60))
def test_an_order_has_one_name_until_it_is_done_and_no_other_order_has_it(
    resting: list[bytes], told: list[tuple[OrderKind, bytes, bytes]], stop: int
) -> None:
    names = Names()
    names.begin(b"".join(resting), 100)
    alive: dict[bytes, bytes] = {}
    seen: set[bytes] = set()

    def check(order_id: bytes, name: bytes) -> None:
        if order_id == IDS[0]:
            assert name == bytes(16)
            return
        assert alive.setdefault(order_id, name) == name
        assert len(set(alive.values())) == len(alive)

    for order_id, name in zip(resting, split(names.of_book(b"".join(resting))), strict=True):
        check(order_id, name)
    for n, (kind, order_id, other_id) in enumerate(told):
        if n == stop:
            names = copied(names)
        taker_id = IDS[0] if other_id == order_id else other_id
        order, taker = names.of_events([101 + n], bytes([kind]), order_id, taker_id)
        check(order_id, order)
        check(taker_id, taker)
        if kind == OrderKind.DONE and order_id in alive:
            seen.add(alive.pop(order_id))
        assert not seen & set(alive.values()), "a name never comes again"


def split(names: bytes) -> list[bytes]:
    return [names[at : at + 16] for at in range(0, len(names), 16)]


def copied(names: Names) -> Names:
    state: dict[str, Any] = names.dump()
    again = Names()
    again.load(state)
    return again


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_a_name_is_read_as_it_is_written(update_id: int, number: int) -> None:
    name = update_id.to_bytes(8, "little", signed=True) + number.to_bytes(8, "little", signed=True)
    assert name_bytes(name_text(name)) == name


@pytest.mark.parametrize("text", ["", "x", "1.x", "9" * 30, "1.2.3"])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        name_bytes(text)
