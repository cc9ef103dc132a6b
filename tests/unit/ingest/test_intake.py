"""Every frame of a read is journalled in its order; the session hears of those that it follows."""

import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.actions import Ask, Dial, Say
from ingest.asking import Answer
from ingest.framing import Control, Opcode
from ingest.intake import Intake
from ingest.link import Subscription
from ingest.recorder import GROUP_BYTES, Recorder
from ingest.session import Session
from journal.group import Record
from journal.reader import Reader
from journal.writer import Writer
from venue import VENUES
from wire.loop import Loop
from wire.messages import Policy, Wanted

LINE, BTC = "binance/a", "binance:BTCUSDT"
DEPTH = (
    '{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161254000,"s":"BTCUSDT",'
    '"U":%d,"u":%d,"b":[["1.00","%s"]],"a":[]}}'
)
TRADE = (
    '{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161254000,"s":"BTCUSDT","t":%d,"p":"1.00",'
    '"q":"1.00","T":1723161254000,"m":true,"M":true}}'
)


class Line:
    def __init__(self, folder: Path, linger_ms: int = 0) -> None:
        self.folder, self.loop = folder, Loop()
        writer = Writer(folder, LINE, segment_bytes=1 << 26, now_ns=time.time_ns)
        publisher = self.loop.socket(zmq.PUB, bind="inproc://frames", linger_ms=0)
        self.recorder = Recorder(self.loop, writer, publisher, sync_ms=10, on_refused=pytest.fail)
        wanted = [Wanted(BTC, (Policy(),), 1)]
        subscription = Subscription("depth", 100, None)
        self.session = Session(
            VENUES["binance"], subscription, Random(1), 0, rotate_ns=10**18, remembered=wanted
        )
        self.session.tick(1, "1")
        self.number = next(a.connection for a in self.session.take() if isinstance(a, Dial))
        self.session.opened(self.number, 2)
        self.session.tick(3, "1")
        self.session.take()
        parts = VENUES["binance"], "depth", self.recorder, self.session
        self.intake = Intake(self.loop, *parts, linger_ms=linger_ms)

    def take(self, *payloads: bytes) -> None:
        self.intake.take(self.number, payloads, 7, 4)

    def said(self) -> list[str]:
        return [action.text for action in self.session.take() if isinstance(action, Say)]

    def reconnected(self) -> int:
        """Return the number of a connection that is to take the place of the first."""
        self.session.reset()
        self.session.tick(10**10, "1")
        number = next(a.connection for a in self.session.take() if isinstance(a, Dial))
        self.session.opened(number, 10**10)
        return number

    def groups(self) -> list[list[Record]]:
        self.recorder.close()
        reader = Reader(self.folder)
        try:
            return [group.records() for group in reader.groups(0)][1:]  # the first is the epoch's
        finally:
            reader.close()

    def records(self) -> list[tuple[str, bytes]]:
        return [(record.security, record.payload) for group in self.groups() for record in group]


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    made = Line(tmp_path / "journal")
    yield made
    made.loop.close()


def depth(first: int, last: int, size: str = "1.00") -> bytes:
    return (DEPTH % (first, last, size)).encode()


def test_frames_of_a_read_are_journalled_in_their_order_under_their_security(line: Line) -> None:
    frames = [depth(1, 2), (TRADE % 5).encode(), depth(3, 4)]
    line.take(*frames)
    assert line.records() == [(BTC, frame) for frame in frames]


def test_what_comes_within_the_linger_is_one_group_and_each_read_keeps_its_time(tmp_path: Path) -> None:
    line = Line(tmp_path / "journal", linger_ms=5)
    line.intake.take(line.number, [depth(1, 2), depth(3, 3)], 7, 4)
    line.intake.take(line.number, [depth(4, 4)], 8, 5)
    assert line.recorder.frames_taken == 0
    line.loop.once(0.1, line.loop.stop)
    line.loop.run()
    assert [[record.recv_ns for record in group] for group in line.groups()] == [[7, 7, 8]]
    line.loop.close()


def test_a_full_group_does_not_wait_for_the_linger(tmp_path: Path) -> None:
    line = Line(tmp_path / "journal", linger_ms=60_000)
    frames = [depth(n, n, "1." + "0" * 60_000) for n in range(6)]
    for frame in frames:
        line.take(frame)
    assert line.recorder.frames_taken == 5
    line.intake.settle()
    assert line.records() == [(BTC, frame) for frame in frames]
    line.loop.close()


def test_what_two_connections_brought_stays_in_its_order(tmp_path: Path) -> None:
    line = Line(tmp_path / "journal", linger_ms=60_000)
    other = line.reconnected()
    for number, frame in ((line.number, depth(1, 2)), (other, depth(1, 2)), (line.number, depth(3, 3))):
        line.intake.take(number, [frame], 7, 4)
    line.intake.settle()
    assert [record.connection for group in line.groups() for record in group] == [
        line.number,
        other,
        line.number,
    ]
    line.loop.close()


def test_a_read_of_more_than_a_group_loses_nothing(line: Line) -> None:
    frames = [depth(n, n, "1." + "0" * 60_000) for n in range(3 * GROUP_BYTES // 60_000)]
    line.take(*frames)
    assert line.records() == [(BTC, frame) for frame in frames]


def test_garbage_is_journalled_under_no_security_and_disturbs_nothing(line: Line) -> None:
    line.take(depth(1, 2), b'{"what":', depth(3, 4))
    assert line.intake.garbage == 1
    assert not [text for text in line.said() if "gap" in text]
    # a group is sorted by bucket: what concerns no security comes last
    assert line.records() == [(BTC, depth(1, 2)), (BTC, depth(3, 4)), ("", b'{"what":')]


def test_a_trade_between_updates_is_no_gap_and_a_missing_update_is_one(line: Line) -> None:
    line.take(depth(1, 2))
    line.session.tick(5, "1")
    ask = next(each for each in line.session.take() if isinstance(each, Ask) and each.what == "depth")
    line.session.answered(ask, Answer(200, b"{}", snapshot_id=2), 6)
    line.take((TRADE % 900).encode(), depth(3, 4))
    assert not [text for text in line.said() if "gap" in text]
    line.take(depth(9, 9))
    assert [text for text in line.said() if "gap" in text]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ids=st.lists(st.tuples(st.integers(1, 14) | st.integers(0, 2**40), st.integers(0, 3)), max_size=12),
    cuts=st.lists(st.integers(0, 12)),
    has_begun=st.booleans(),
)
def test_the_session_hears_of_a_read_what_it_hears_of_its_frames(
    tmp_path_factory: pytest.TempPathFactory, ids: list[tuple[int, int]], cuts: list[int], *, has_begun: bool
) -> None:
    frames = [depth(1, 2), *(depth(first, first + more) for first, more in ids)]
    ends = sorted({*(min(cut, len(frames)) for cut in cuts), len(frames)})
    heard = []
    for pieces in (
        [[frame] for frame in frames],
        [frames[a:b] for a, b in zip([0, *ends], ends, strict=False)],
    ):
        line = Line(tmp_path_factory.mktemp("line") / "journal")
        if has_begun:
            line.take(depth(1, 1))
            line.session.tick(5, "1")
            ask = next(each for each in line.session.take() if isinstance(each, Ask) and each.what == "depth")
            line.session.answered(ask, Answer(200, b"{}", snapshot_id=1), 6)
        for piece in pieces:
            line.take(*piece)
        heard.append((line.said(), line.session.health(), line.records()))
        line.loop.close()
    assert heard[0] == heard[1]


def test_of_what_begins_the_session_looks_at_one_frame(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at, frame = [], line.session.frame
    monkeypatch.setattr(line.session, "frame", lambda *told: (looked_at.append(told[2]), frame(*told)))
    line.take(*(depth(n, n) for n in range(1, 9)), depth(20, 20), *(depth(n, n) for n in range(21, 29)))
    assert looked_at[0] == depth(1, 1)
    looked_at.clear()
    other = line.reconnected()
    line.intake.take(other, [depth(n, n) for n in range(25, 40)], 7, 4)
    assert looked_at == [depth(25, 25)]


def test_a_ping_is_answered_and_not_journalled(line: Line) -> None:
    line.intake.take(line.number, [Control(Opcode.PING, b"beat"), depth(1, 2)], 7, 4)
    sent = []
    for now in range(10**9, 4 * 10**9, 10**8):
        line.session.heard(line.number, now)
        line.session.tick(now, "1")
        sent += [action for action in line.session.take() if getattr(action, "kind", "") == "pong"]
    assert [action.payload for action in sent] == [b"beat"]
    assert line.records() == [(BTC, depth(1, 2))]
