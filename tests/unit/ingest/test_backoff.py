"""Tries come ever more seldom, never too seldom, and not at the same moment everywhere."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from ingest.backoff import Backoff


@given(st.integers(), st.integers(1, 40))
def test_each_delay_lies_between_half_of_it_and_the_whole(seed: int, failures: int) -> None:
    backoff = Backoff(500, 30_000, Random(seed))
    for number in range(failures):
        whole = min(500 * 2**number, 30_000)
        assert whole // 2 <= backoff.failed(1_000) - 1_000 <= whole


def test_success_begins_again() -> None:
    backoff = Backoff(500, 30_000, Random(1))
    for _ in range(10):
        backoff.failed(0)
    backoff.succeeded()
    assert backoff.failed(0) <= 500


def test_two_clients_do_not_come_back_at_the_same_moment() -> None:
    assert {Backoff(10**9, 10**10, Random(seed)).failed(0) for seed in range(20)}.__len__() == 20
