"""`make chaos` in three minutes: a dense round with one line a venue, and one with two."""

import pytest

from tests.chaos.__main__ import RATE, play
from tests.chaos.tally import MOST, Tally

pytestmark = [pytest.mark.faults, pytest.mark.system, pytest.mark.timeout(600)]

ROUNDS = ((4, 1), (5, 2))
"""Seeds, and lines of a venue."""

ACCIDENTS = 16


def test_after_any_accidents_only_what_no_line_received_is_missing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tally = Tally()
    with capsys.disabled():
        for seed, lines in ROUNDS:
            play(seed, ACCIDENTS, lines, RATE, tally)
        print(tally.table())
    assert tally.clean, tally.bad()
    assert tally.rows, "one line lost nothing?"
    assert tally.ratio <= MOST
