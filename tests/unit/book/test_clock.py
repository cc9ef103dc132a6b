"""One test for each row of the table of book.clock."""

from hypothesis import given
from hypothesis import strategies as st

from book.clock import AHEAD_NS, EffectiveTime

H = AHEAD_NS


def test_times_that_rise_are_effective_as_they_are() -> None:
    assert EffectiveTime(5).settle([6, 6, 9], None) == [6, 6, 9]


def test_a_time_before_the_one_before_takes_its_effective_time() -> None:
    assert EffectiveTime(5).settle([3, 7, 6], None) == [5, 7, 7]


def test_a_time_an_hour_ahead_of_both_neighbours_is_replaced_and_counted() -> None:
    clock = EffectiveTime(5)
    assert clock.settle([6, H + 100, 8], None) == [6, 6, 8]
    assert clock.replaced == 1


def test_after_a_pause_of_more_than_an_hour_the_time_stands() -> None:
    assert EffectiveTime(5).settle([H + 6, H + 7], None) == [H + 6, H + 7]


def test_the_last_time_an_hour_ahead_waits_unless_the_next_is_known() -> None:
    assert EffectiveTime(5).settle([7, H + 8], None) == [7]
    assert EffectiveTime(5).settle([7, H + 8], 9) == [7, H + 8]
    assert EffectiveTime(5).settle([7, H + 10], 9) == [7, 7]


def test_a_time_that_has_waited_long_enough_stands() -> None:
    assert EffectiveTime(5).settle([H + 6], None, waited=True) == [H + 6]


def test_the_very_first_time_is_taken_as_it_is() -> None:
    assert EffectiveTime().settle([H * 5], None) == [H * 5]


def test_a_floor_holds_and_never_falls() -> None:
    clock = EffectiveTime(5)
    clock.raise_to(10)
    clock.raise_to(7)
    assert clock.settle([8, 11], None) == [10, 11]


@given(st.lists(st.integers(0, 4 * H), min_size=1), st.integers(0, H))
def test_effective_times_never_fall_and_only_the_last_waits(times: list[int], last: int) -> None:
    settled = EffectiveTime(last).settle(times, None)
    assert settled == sorted(settled)
    assert len(settled) in (len(times), len(times) - 1)
    assert all(effective >= last for effective in settled)
