"""Names have one spelling, and positions sort as (epoch, number) does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.names import (
    BUCKETS,
    BadSecurity,
    bucket_of,
    buckets_of,
    epoch_of,
    number_of,
    parse_security,
    position_at,
    symbol_of,
    venue_of,
)

epochs, numbers = st.integers(0, 2**22), st.integers(0, 2**40 - 1)


@given(st.text())
def test_any_text_is_a_security_of_one_spelling_or_refused(text: str) -> None:
    try:
        security = parse_security(text)
    except BadSecurity:
        return
    assert parse_security(security) == security
    assert f"{venue_of(security)}:{symbol_of(security)}" == security


@pytest.mark.parametrize("text", ["", ":", "binance:", ":X", "a b", "binance:A|B", "x:y:z", "$a", "a.b:C"])
def test_what_no_venue_writes_is_refused(text: str) -> None:
    with pytest.raises(BadSecurity):
        parse_security(text)


def test_buckets_never_change() -> None:
    # pinned: files, sockets and workers of two versions must agree
    assert [bucket_of(s) for s in ("binance:BTCUSDT", "coinbase:BTC-USD")] == [27, 61]


@given(st.integers(1, BUCKETS))
def test_every_bucket_has_one_worker(workers: int) -> None:
    taken = [bucket for worker in range(workers) for bucket in buckets_of(worker, workers)]
    assert sorted(taken) == list(range(BUCKETS))


@given(epochs, numbers)
def test_a_position_gives_back_epoch_and_number(epoch: int, number: int) -> None:
    position = position_at(epoch, number)
    assert (epoch_of(position), number_of(position)) == (epoch, number)
    assert position < 2**63


@given(st.tuples(epochs, numbers), st.tuples(epochs, numbers))
def test_positions_sort_as_their_parts_do(one: tuple[int, int], two: tuple[int, int]) -> None:
    assert (position_at(*one) < position_at(*two)) == (one < two)
