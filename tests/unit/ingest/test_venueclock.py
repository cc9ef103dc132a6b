"""What is signed has the exchange's time, whatever the host's clock says."""

import pytest

from ingest.venueclock import VenueClock

S = 1_000_000_000
DATE, DATE_S = "Thu, 26 Nov 2026 03:24:05 GMT", 1_795_663_445
WRONG_NS = (DATE_S - 3600) * S


def test_the_exchanges_date_goes_on_with_the_monotonic_clock() -> None:
    clock = VenueClock()
    clock.told(DATE, 7 * S)
    assert clock.now_s(7 * S, WRONG_NS) == f"{DATE_S}.000"
    assert clock.now_s(8 * S + 250_999_999, WRONG_NS) == f"{DATE_S + 1}.250"


def test_the_newest_date_counts() -> None:
    clock = VenueClock()
    clock.told("Thu, 26 Nov 2026 02:00:00 GMT", 1 * S)
    clock.told(DATE, 7 * S)
    assert clock.now_s(7 * S, WRONG_NS) == f"{DATE_S}.000"


@pytest.mark.parametrize("date", ["", "yesterday", "26"])
def test_without_one_the_hosts_clock_has_to_do(date: str) -> None:
    clock = VenueClock()
    clock.told(date, 7 * S)
    assert clock.now_s(7 * S, WRONG_NS + 5_000_000) == f"{DATE_S - 3600}.005"
