"""ISO times become exact nanoseconds, or are refused."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from venue.times import BadTime, nanoseconds

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
moments = st.integers(0, (datetime(2260, 1, 1, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1) - 1).map(
    lambda us: EPOCH + timedelta(microseconds=us)
)


@given(moments, st.integers(0, 9), st.integers(0, 10**9 - 1))
def test_times_are_exact_with_any_number_of_digits(moment: datetime, digits: int, fraction: int) -> None:
    shown = f"{fraction:09}"[:digits]
    text = f"{moment:%Y-%m-%dT%H:%M:%S}".rjust(19, "0") + (f".{shown}" if shown else "") + "Z"
    whole = (moment.replace(microsecond=0) - EPOCH) // timedelta(seconds=1)
    assert nanoseconds(text) == whole * 10**9 + int(shown.ljust(9, "0"))


@given(moments)
def test_times_agree_with_datetime(moment: datetime) -> None:
    text = moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
    assert nanoseconds(text) == (moment - EPOCH) // timedelta(microseconds=1) * 1000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Z",
        "2026-08-25",
        "2026-08-25T03:35:57",
        "2026-08-25T03:35:57+00:00",
        "2026-08-25 03:35:57Z",
        "2026-08-25T03:35:57.Z",
        "2026-08-25T03:35:57.1234567890Z",
        "2026-08-25T03:35:57,5Z",
        "2026-08-25T03:35:60Z",
        "2026-08-25T03:60:57Z",
        "2026-02-30T03:35:57Z",
        "2026-13-01T03:35:57Z",
        "1969-12-31T23:59:59Z",
        "2260-01-01T00:00:00Z",
        "2026-08-25T03:35:5 Z",
        "2026-08-25T03:35:57.1 Z",
        "٢٠٢٦-08-25T03:35:57Z",
        "2026-08-25T03:35:57.1²Z",
        "2026-W35-2T03:35:57Z",
    ],
)
def test_another_form_or_no_such_moment_is_refused(text: str) -> None:
    with pytest.raises(BadTime):
        nanoseconds(text)


@given(st.text(max_size=40))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(BadTime):
        nanoseconds(text)
