"""What was named before is found again by how long ago that was."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from condition.columns import BadBlock
from condition.recency import ALIVE, NONE, OTHER, OWN, again, groups_of, places_of, refer

events = st.lists(st.tuples(st.sampled_from("-abcd"), st.booleans(), st.booleans()))
"""Name of an order (-: none), whether its event names it so, and whether it ends with it."""


@given(events)
@example([("a", True, False), ("b", True, False), ("a", True, True), ("b", True, False), ("c", False, False)])
def test_orders_are_found_again_by_how_many_alive_came_after_them(told: list[tuple[str, bool, bool]]) -> None:
    names = [name for name, _, _ in told]
    own = [name if is_own else "?" for name, is_own, _ in told]
    ends = [end for _, _, end in told]
    codes, places = refer(names, own, ends, "-")
    assert places_of(codes, ends) == places
    assert [code == NONE for code in codes] == [name == "-" for name in names]


def test_an_order_that_has_ended_is_not_counted_and_may_begin_anew() -> None:
    codes, places = refer("abaab", "abab?", [False, False, True, False, True], "-")
    assert (codes, places) == ([OWN, OWN, ALIVE + 1, OTHER, ALIVE + 1], [0, 1, 0, 2, 1])


@pytest.mark.parametrize("codes", [[ALIVE], [OWN, ALIVE + 1], [OWN, ALIVE, ALIVE]])
def test_a_code_that_reaches_too_far_back_is_refused(codes: list[int]) -> None:
    with pytest.raises(BadBlock):
        places_of(codes, [False, True, False][: len(codes)])


@given(st.lists(st.integers(0, 300), max_size=700))
def test_values_are_found_again_by_how_many_others_were_met_since(values: list[int]) -> None:
    codes, groups = again(values)
    assert groups_of(codes) == groups
    assert len({(group, value) for group, value in zip(groups, values, strict=True)}) == len(set(groups))
