"""A silent socket is probed and replaced; a quiet market is not one."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.liveness import DEAD_NS, PROBE_NS, Liveness

MS = 1_000_000


def checks(liveness: Liveness, start: int, seconds: float) -> list[tuple[int, str]]:
    """Look every 50 ms; return when something happened."""
    times = range(start, start + int(seconds * 1000) * MS + 1, 50 * MS)
    return [(now - start, what) for now in times if (what := liveness.check(now))]


def test_silence_is_probed_once_after_three_seconds_and_dead_after_seven() -> None:
    found = checks(Liveness(0), 0, 7)
    assert found == [(PROBE_NS, "ping"), (DEAD_NS, "dead")]


def test_a_quiet_market_that_answers_its_probes_lives_for_ever() -> None:
    liveness, pings = Liveness(0), 0
    for now in range(0, 60_000 * MS, 50 * MS):
        what = liveness.check(now)
        assert what != "dead"
        if what == "ping":
            pings += 1
            liveness.heard(now + 20 * MS)
    assert 15 <= pings <= 20


@given(st.lists(st.integers(1, 2_900), min_size=1, max_size=50))
def test_what_is_heard_often_enough_is_never_probed(waits_ms: list[int]) -> None:
    liveness, now = Liveness(0), 0
    for wait in waits_ms:
        for _ in range(wait // 50):
            now += 50 * MS
            assert liveness.check(now) == ""
        now += wait % 50 * MS
        liveness.heard(now)


def test_our_own_pause_is_not_the_venues_silence() -> None:
    liveness = Liveness(0)
    liveness.check(0)
    assert liveness.check(30_000 * MS) == ""
    assert checks(liveness, 30_000 * MS, 7)[0][1] == "ping"
