"""Moments are read exactly, in every form that the commands promise."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.times import BadTime, moment
from wire.times import iso

NOON = 1_723_204_800_000_000_000


@pytest.mark.parametrize(
    ("given_time", "expected"),
    [
        ("2024-08-09T12:00:00Z", NOON),
        ("2024-08-09T12:00", NOON),
        ("2024-08-09 12:00:00", NOON),
        ("2024-08-09T14:00:00+02:00", NOON),
        ("2024-08-09T07:00:00-0500", NOON),
        ("2024-08-09T12:00:00.000000001Z", NOON + 1),
        ("2024-08-09T12:00:00,25Z", NOON + 250_000_000),
        ("2024-08-09", NOON - 12 * 3600 * 10**9),
        ("1723204800", NOON),
        ("1723204800.1", NOON + 100_000_000),
        ("1723204800123", NOON + 123_000_000),
        ("1723204800123456", NOON + 123_456_000),
        ("1723204800123456789", NOON + 123_456_789),
        (1_723_204_800, NOON),
        (datetime(2024, 8, 9, 12, tzinfo=UTC), NOON),
        (datetime(2024, 8, 9, 12), NOON),  # noqa: DTZ001 unmarked is UTC
        ("latest", None),
        ("LATEST", None),
    ],
)
def test_each_form_means_one_moment(given_time: str, expected: int | None) -> None:
    assert moment(given_time) == expected


@pytest.mark.parametrize(("below", "unit"), [(10**11, 10**9), (10**14, 10**6), (10**17, 10**3)])
def test_a_number_changes_its_unit_exactly_at_the_stated_sizes(below: int, unit: int) -> None:
    if (below - 1) * unit < 2**63:
        assert moment(below - 1) == (below - 1) * unit
    assert moment(below) == below * (unit // 1000)


@given(st.integers(10**17, 2**63 - 1), st.sampled_from(["", "binance", "coinbase"]))
def test_what_is_printed_is_read_back(time_ns: int, venue: str) -> None:
    assert moment(iso(time_ns, venue)) == time_ns
    assert moment(str(time_ns)) == time_ns


@pytest.mark.parametrize(
    "text",
    [
        "",
        "noon",
        "2024-13-01",
        "2024-08-09T25:00",
        "nan",
        "1e9",
        "inf",
        "--5",
        "2024-08-09T12:00:00.1234567890Z",
    ],
)
def test_anything_else_is_no_time(text: str) -> None:
    with pytest.raises(BadTime):
        moment(text)


def test_a_moment_that_does_not_fit_64_bits_is_said_to_be_too_late() -> None:
    with pytest.raises(BadTime, match="2262"):
        moment(99_999_999_999)


@given(st.text(max_size=20))
def test_garbage_gives_one_error_and_nothing_else(text: str) -> None:
    try:
        moment(text)
    except BadTime as error:
        assert "\n" not in str(error)  # noqa: PT017
