"""What was received of a security between two moments is found, wherever its segments begin and end."""

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from journal.excerpt import LATE_NS, begins_ns, excerpt
from journal.group import Kind
from tests.unit.journal.building import UNHURRIED, Clock, open_writer
from wire.names import EVERY_SECURITY

S = 1_000_000_000
MINE, OTHER = "binance:BTCUSDT", "binance:ETHUSDT"


def test_records_of_the_security_and_of_the_line_are_given_and_no_ticks(tmp_path: Path) -> None:
    writer = open_writer(tmp_path, now_ns=Clock(5))
    writer.append(Kind.FRAME, [(5, MINE, 1, b"a"), (5, OTHER, 1, b"b"), (7, MINE, 1, b"late")])
    writer.append(Kind.CONNECTION, [(5, EVERY_SECURITY, 1, b"c")])
    writer.append(Kind.TICK, [(5, EVERY_SECURITY, 0, b"")])
    writer.close()
    found = [(each.kind, each.payload) for each in excerpt(tmp_path, MINE, 0, 6)]
    assert [kind for kind, _ in found] == [Kind.EPOCH, Kind.FRAME, Kind.CONNECTION]
    assert [payload for _, payload in found][1:] == [b"a", b"c"]
    assert begins_ns(tmp_path) == 5
    assert begins_ns(tmp_path / "none") is None


@UNHURRIED
@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 6))
def test_however_the_segments_lie_nothing_is_passed_over(begin: int, length: int, minutes: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        clock = Clock(0)
        writer = open_writer(Path(name), segment_bytes=1, now_ns=clock)
        for number in range(40):
            clock.now_ns = number * minutes * 60 * S
            writer.append(Kind.FRAME, [(clock.now_ns - LATE_NS * (number % 2), MINE, 1, b"%d" % number)])
        writer.close()
        span = begin * minutes * 60 * S, (begin + length) * minutes * 60 * S
        found = [each.payload for each in excerpt(Path(name), MINE, *span) if each.kind is Kind.FRAME]
        moments = {number: number * minutes * 60 * S - LATE_NS * (number % 2) for number in range(40)}
        assert found == [b"%d" % number for number, at in moments.items() if span[0] <= at <= span[1]]
