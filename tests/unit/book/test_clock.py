"""One test for each row of the table of book.clock."""

from collections.abc import Sequence

from hypothesis import assume, given
from hypothesis import strategies as st

from book.clock import AHEAD_NS, EffectiveTime

H = AHEAD_NS
DAY = 24 * H
NOW = 500_000 * H + H // 2
ABSURD = 2_000_000 * H
"""The year 2198."""


def settled(clock: EffectiveTime, times_ns: Sequence[int], next_ns: int | None = None) -> list[int]:
    """Return the effective times of updates that were received when they were made."""
    return clock.settle(times_ns, times_ns, next_ns)


def waited(clock: EffectiveTime, time_ns: int, recv_ns: int) -> int:
    """Return the effective time of an update after which nothing came."""
    assert clock.settle([time_ns], [recv_ns], None) == []
    (effective_ns,) = clock.settle([time_ns], [recv_ns], None, waited=True)
    clock.reached(effective_ns)
    return effective_ns


def test_times_that_rise_are_effective_as_they_are() -> None:
    assert settled(EffectiveTime(5), [6, 6, 9]) == [6, 6, 9]


def test_a_time_before_the_one_before_takes_its_effective_time() -> None:
    assert settled(EffectiveTime(5), [3, 7, 6]) == [5, 7, 7]
    assert settled(EffectiveTime(5), [H + 6, H + 4, H + 7]) == [H + 6, H + 6, H + 7]


def test_a_time_an_hour_ahead_of_both_neighbours_is_replaced_and_counted() -> None:
    clock = EffectiveTime(5)
    assert settled(clock, [6, H + 100, 8]) == [6, 6, 8]
    assert clock.replaced == 1


def test_after_a_pause_of_more_than_an_hour_the_time_stands() -> None:
    assert settled(EffectiveTime(5), [H + 6, H + 7]) == [H + 6, H + 7]


def test_the_last_time_an_hour_ahead_waits_unless_the_next_is_known() -> None:
    assert settled(EffectiveTime(5), [7, H + 8]) == [7]
    assert settled(EffectiveTime(5), [7, H + 8], 9) == [7, H + 8]
    assert settled(EffectiveTime(5), [7, H + 10], 9) == [7, 7]


def test_a_time_that_has_waited_long_enough_stands() -> None:
    assert waited(EffectiveTime(5), H + 6, H + 6) == H + 6


def test_unless_it_is_an_hour_ahead_of_its_receive_time_too() -> None:
    clock = EffectiveTime(NOW)
    assert waited(clock, ABSURD, NOW + 10) == NOW
    assert clock.replaced == 1
    assert settled(clock, [NOW + 20]) == [NOW + 20]


def test_the_very_first_time_is_taken_as_it_is() -> None:
    assert settled(EffectiveTime(), [H * 5]) == [H * 5]


def test_unless_it_is_ahead_of_the_hour_it_was_received_in_and_nothing_confirms_it() -> None:
    hour = NOW - NOW % H
    assert waited(EffectiveTime(), ABSURD, NOW) == hour
    assert EffectiveTime().settle([ABSURD, NOW + 1], [NOW, NOW + 1], None) == [hour, NOW + 1]
    assert EffectiveTime().settle([NOW + DAY, NOW + DAY], [NOW, NOW], None)[0] == NOW + DAY


def test_a_hosts_clock_that_is_behind_is_found_out_by_the_second_such_time() -> None:
    clock = EffectiveTime()
    assert waited(clock, NOW, NOW - 3 * DAY) < NOW - 2 * DAY
    assert waited(clock, NOW + 2 * H, NOW + 2 * H - 3 * DAY) == NOW + 2 * H


def test_a_floor_holds_and_never_falls() -> None:
    clock = EffectiveTime(5)
    clock.raise_to(10)
    clock.raise_to(7)
    assert settled(clock, [8, 11]) == [10, 11]


@given(st.lists(st.integers(0, 4 * H), min_size=1), st.integers(0, H))
def test_effective_times_never_fall_and_only_the_last_waits(times: list[int], last: int) -> None:
    effective = settled(EffectiveTime(last), times)
    assert effective == sorted(effective)
    assert len(effective) in (len(times), len(times) - 1)
    assert all(each >= last for each in effective)


steps = st.lists(st.sampled_from([0, H // 7, 3 * H, 2 * DAY]), min_size=1, max_size=8)
wrong = st.sets(st.integers(0, 7))


def _told(clock: EffectiveTime, times: Sequence[int], received: Sequence[int]) -> list[int]:
    """Return the effective times of updates each of which is followed by a silence of 900 ticks."""
    effective = []
    for time_ns, recv_ns in zip(times, received, strict=True):
        now = clock.settle([time_ns], [recv_ns], None, waited=True)
        clock.reached(now[-1])
        effective += now
    return effective


@given(steps, wrong, st.booleans())
def test_a_time_that_nobody_contradicts_never_leads_away_from_when_it_was_received(
    pauses: list[int], absurd: set[int], together: bool
) -> None:
    received = [NOW + sum(pauses[:n]) for n in range(1, len(pauses) + 1)]
    # (two absurd ones beside each other confirm each other: nobody can tell whose clock is wrong)
    assume(not any(n + 1 in absurd for n in absurd))
    times = [t + (n + 1) * ABSURD if n in absurd else t for n, t in enumerate(received)]
    clock = EffectiveTime()
    if together:
        effective = clock.settle(times, received, None, waited=True)
    else:
        effective = _told(clock, times, received)
    assert all(each <= recv_ns for each, recv_ns in zip(effective, received, strict=True))
    right = [(e, t) for n, (e, t) in enumerate(zip(effective, received, strict=True)) if n not in absurd]
    assert all(e == t for e, t in right)


@given(steps, wrong, st.lists(st.integers(0, H // 100), min_size=8, max_size=8), st.booleans())
def test_which_line_delivered_makes_no_difference(
    pauses: list[int], absurd: set[int], late: list[int], together: bool
) -> None:
    times = [NOW + sum(pauses[:n]) + (ABSURD if n in absurd else 0) for n in range(1, len(pauses) + 1)]
    first = [NOW + sum(pauses[:n]) for n in range(1, len(pauses) + 1)]
    second = [recv_ns + lag for recv_ns, lag in zip(first, late, strict=False)]
    told = [
        EffectiveTime().settle(times, received, None, waited=True)
        if together
        else _told(EffectiveTime(), times, received)
        for received in (first, second)
    ]
    assert told[0] == told[1]


@given(steps, st.integers(-40 * DAY, 40 * DAY))
def test_a_wrong_clock_of_the_host_changes_nothing_where_a_next_update_comes(
    pauses: list[int], off_ns: int
) -> None:
    times = [NOW + sum(pauses[:n]) for n in range(1, len(pauses) + 1)]
    # (markets that pause by more than an hour go on with more than one update)
    times = sorted([*times, *times])
    received = [time_ns + off_ns for time_ns in times]
    assert EffectiveTime().settle(times, received, None) == times
