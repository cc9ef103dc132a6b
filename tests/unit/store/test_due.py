"""When a security is looked at again: never while nothing can be old, never late by more than a bound."""

from hypothesis import given
from hypothesis import strategies as st

from condition.merging import span_of
from store.due import AGAIN_S, Due, Reach
from tests.unit.store.recorded import T0, S

GRID_S = 3600
PASS_S = 300
DAY_S = 86_400
NAME = "binance:BTCUSDT"


def reach(newest_ns: int, after_s: int) -> Reach:
    return Reach(newest_ns, span_of(max(0, newest_ns - after_s * S), GRID_S).start_ns)


@given(
    begin_s=st.integers(0, GRID_S),
    after_s=st.integers(0, 3 * GRID_S),
    steps=st.lists(st.tuples(st.integers(1, 2000), st.floats(0, 1)), max_size=60),
)
def test_a_feed_that_went_on_is_left_alone_exactly_while_it_can_have_nothing_old(
    begin_s: int, after_s: int, steps: list[tuple[int, float]]
) -> None:
    due, now_s, newest_ns = Due(GRID_S, after_s), 0, T0 + begin_s * S
    known, gone_on = None, True
    for step_s, part in [(0, 0.0), *steps]:
        now_s, newest_ns = now_s + step_s, newest_ns + int(step_s * part) * S
        found = reach(newest_ns, after_s)
        if due.of([NAME], now_s):
            gone_on = known is None or found.newest_ns != known.newest_ns
            known = found
            due.looked(NAME, (found,), now_s)
            assert not due.of([NAME], now_s + AGAIN_S / 2) or gone_on
            assert due.of([NAME], now_s + AGAIN_S) == [NAME]
        elif gone_on:
            assert known is not None
            assert known.end_ns == found.end_ns


def test_a_day_takes_a_look_an_hour_and_each_span_is_seen_by_the_next_pass() -> None:
    for goes_on in (True, False):
        due, looks, seen = Due(GRID_S, 7200), 0, 0
        for now_s in range(0, DAY_S, PASS_S):
            found = reach(T0 + now_s * S * goes_on, 7200)
            if due.of([NAME], now_s):
                looks, seen = looks + 1, found.end_ns
                due.looked(NAME, (found, Reach(0, 0)), now_s)
            assert seen == found.end_ns
        assert looks <= 25 + 24 * goes_on


def test_a_security_is_new_again_once_it_was_not_there_or_all_is_forgotten() -> None:
    due = Due(GRID_S, 0)
    due.looked(NAME, (reach(T0 + S, 0),), 0)
    assert (due.of([NAME], 1), len(due.reaches(NAME))) == ([], 1)
    assert due.of([], 1) == []
    assert (due.of([NAME], 1), due.reaches(NAME)) == ([NAME], ())
    due.looked(NAME, (reach(T0 + S, 0),), 0)
    due.forget()
    assert (due.of([NAME], 1), due.reaches(NAME)) == ([NAME], ())
