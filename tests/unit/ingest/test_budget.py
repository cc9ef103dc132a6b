"""No more REST weight is used than the venue allows, and its own word rules."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.budget import SHARE, Bucket
from venue.api import Budget

S = 1_000_000_000
BINANCE = Budget(capacity=6000, per_second=100.0)


@given(st.lists(st.tuples(st.integers(0, 20 * S), st.sampled_from([5, 50, 250])), max_size=100))
def test_in_any_minute_no_more_is_taken_than_the_bucket_and_its_filling(steps: list[tuple[int, int]]) -> None:
    bucket, now, taken = Bucket(BINANCE, 0), 0, []
    for wait, weight in steps:
        now += wait
        if bucket.take(weight, now):
            taken.append((now, weight))
    for start, _ in taken:
        window = sum(weight for at, weight in taken if start <= at < start + 60 * S)
        assert window <= SHARE * (6000 + 60 * 100)


def test_a_full_bucket_of_binance_gives_21_wide_snapshots_at_once() -> None:
    bucket = Bucket(BINANCE, 0)
    assert sum(bucket.take(250, 0) for _ in range(30)) == 21


def test_retry_after_closes_it_for_that_long_even_when_it_would_have_filled() -> None:
    bucket = Bucket(BINANCE, 0)
    assert bucket.refused(429, 60.0, 0) == 60 * S
    assert not bucket.take(1, 59 * S)
    assert bucket.take(1, 60 * S)


def test_a_ban_without_a_time_closes_it_for_two_minutes() -> None:
    bucket = Bucket(BINANCE, 0)
    bucket.refused(418, None, 0)
    assert not bucket.take(1, 119 * S)
    assert bucket.take(1, 120 * S)


def test_the_venues_own_count_rules_because_others_share_the_address() -> None:
    bucket = Bucket(BINANCE, 0)
    bucket.used(5300, 0)
    assert not bucket.take(250, 0)
    assert bucket.take(50, 0)


def test_two_lines_of_an_address_take_together_no_more_than_one() -> None:
    first, second = Bucket(BINANCE, 0, 2), Bucket(BINANCE, 0, 2)
    assert [sum(bucket.take(250, 0) for _ in range(30)) for bucket in (first, second)] == [10, 10]
    assert [sum(bucket.take(50, 30 * S) for _ in range(60)) for bucket in (first, second)] == [31, 31]


def test_what_the_other_line_used_does_not_close_the_part_of_this_one() -> None:
    bucket = Bucket(BINANCE, 0, 2)
    bucket.used(2700, 0)
    assert bucket.available(0) == 2700
    bucket.used(5300, 0)
    assert not bucket.take(250, 0)


def test_what_weighs_more_than_the_whole_bucket_goes_when_it_is_full() -> None:
    bucket = Bucket(Budget(capacity=10, per_second=1.0), 0)
    assert bucket.take(50, 0)
    assert not bucket.take(1, 1 * S)
