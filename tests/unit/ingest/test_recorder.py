"""What is published is what was appended, the same bytes in the same order, and nothing else."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from ingest.recorder import GROUP_ROWS, MOST_OWED, SYNCED, Recorder
from journal.group import Kind, unpack_group
from journal.payload import Connection
from journal.reader import Reader
from journal.segment import segments_in
from journal.writer import DiskRefused, Writer
from tests.unit.journal.building import no_file_larger_than
from wire.loop import Loop, Socket
from wire.messages import Synced, unpack

LINE = "binance/a"
BTC = "binance:BTCUSDT"
DEADLINE_MS = 10_000


class Recording:
    def __init__(self, folder: Path) -> None:
        self.loop = Loop()
        self.folder = folder
        self.writer = Writer(folder, LINE, segment_bytes=1 << 20, now_ns=time.time_ns)
        self.heard: Socket = self.loop.context.socket(zmq.SUB)
        self.heard.rcvtimeo = DEADLINE_MS
        publisher = self.loop.context.socket(zmq.XPUB)
        publisher.bind("inproc://frames")
        self.heard.subscribe(b"")
        self.heard.connect("inproc://frames")
        assert publisher.poll(DEADLINE_MS)  # the subscription has arrived: nothing will be missed
        publisher.recv()
        self.refusals: list[str] = []
        self.recorder = Recorder(
            self.loop, self.writer, publisher, sync_ms=10, on_refused=self.refusals.append
        )

    def run(self, seconds: float) -> None:
        self.loop.once(seconds, self.loop.stop)
        self.loop.run()
        self.loop._stopping = False

    def groups(self) -> list[bytes]:
        """Return the groups that were published so far."""
        found = []
        while self.heard.poll(0):
            data = self.heard.recv()
            if not data.startswith(SYNCED):
                found.append(data)
        return found


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Recording]:
    made = Recording(tmp_path / "journal")
    yield made
    made.recorder._stopped.set()
    made.recorder._dirty.set()
    made.writer.close()
    made.heard.close(0)
    made.loop.close()


def newest_size(folder: Path) -> int:
    return segments_in(folder)[-1].path.stat().st_size


def journalled(folder: Path) -> list[tuple[Kind, int, list[bytes]]]:
    reader = Reader(folder)
    try:
        return [(g.kind, g.first, [r.payload for r in g.records()]) for g in reader.groups(0)]
    finally:
        reader.close()


def test_frames_of_a_call_are_one_group_and_any_other_record_is_one(recording: Recording) -> None:
    recorder = recording.recorder
    recorder.frames([(number, BTC, 1, b"%d" % number) for number in range(3)])
    recorder.record(Kind.CONNECTION, "", 1, Connection("closed", "cut"), 3)
    recorder.frames([(4, BTC, 1, b"4")])
    published = [unpack_group(data) for data in recording.groups()]
    assert [(g.kind, g.count) for g in published] == [
        (Kind.EPOCH, 1),
        (Kind.FRAME, 3),
        (Kind.CONNECTION, 1),
        (Kind.FRAME, 1),
    ]
    as_journalled = [(g.kind, g.first, [r.payload for r in g.records()]) for g in published]
    assert as_journalled == journalled(recording.folder)
    assert [g.first for g in published[1:]] == [g.next_position for g in published[:-1]]


def test_a_group_is_bounded_by_bytes_and_by_rows(recording: Recording) -> None:
    recording.recorder.frames([(1, BTC, 1, bytes(100_000))] * 4)
    recording.recorder.frames([(1, BTC, 1, b"")] * (GROUP_ROWS + 1))
    assert [unpack_group(data).count for data in recording.groups()] == [1, 3, 1, GROUP_ROWS, 1]


def test_what_the_journal_did_not_take_is_not_published(recording: Recording) -> None:
    recording.groups()
    recording.writer.close()
    with pytest.raises(DiskRefused):
        recording.recorder.frames([(1, BTC, 1, b"lost")])
    assert recording.groups() == []


def test_each_sync_is_said_with_the_position_before_which_all_is_on_disk(recording: Recording) -> None:
    recording.recorder.frames([(1, BTC, 1, b"one")])
    position = recording.writer.next_position
    said = 0
    while said < position:
        recording.run(0.02)
        while recording.heard.poll(0):
            data = recording.heard.recv()
            if data.startswith(SYNCED):
                synced = unpack(data[len(SYNCED) :])
                assert isinstance(synced, Synced)
                assert said <= synced.position <= position
                said = synced.position
    assert said == position


def test_closing_syncs_and_says_so(recording: Recording) -> None:
    recording.recorder.frames([(1, BTC, 1, b"last")])
    recording.recorder.close()
    heard = []
    while recording.heard.poll(0):
        heard.append(recording.heard.recv())
    last = unpack(heard[-1][len(SYNCED) :])
    assert last == Synced(LINE, recording.writer.next_position)
    assert journalled(recording.folder)[-1][2] == [b"last"]


# --- a disk that refuses ---------------------------------------------------------------------------


def end_of(number: int) -> Connection:
    return Connection("closed", f"disk {number}")


def test_after_a_refusal_nothing_is_recorded_before_the_ends_and_changes_that_are_owed(
    recording: Recording,
) -> None:
    recorder, folder = recording.recorder, recording.folder
    recorder.frames([(1, BTC, 1, b"before")])
    with no_file_larger_than(newest_size(folder) + 50):
        recorder.frames([(2, BTC, 1, b"x" * 100)])
        assert len(recording.refusals) == 1
        recorder.frames([(3, BTC, 1, b"a small one would fit")])
        recorder.record(Kind.CONNECTION, "", 1, end_of(1), 4)
        recorder.record(Kind.TICK, "", 0, None, 5)
        assert not recorder.settle()
    recorder.record(Kind.CONNECTION, "", 2, end_of(2), 6)  # there is room again; it comes last
    assert recorder.settle()
    recorder.frames([(7, BTC, 3, b"after")])
    published = [unpack_group(data) for data in recording.groups()]
    assert [(g.kind, g.first, [r.payload for r in g.records()]) for g in published] == journalled(folder)
    assert [g.kind for g in published[1:]] == [
        Kind.FRAME,
        Kind.CONNECTION,
        Kind.CONNECTION,
        Kind.TICK,
        Kind.FRAME,
    ]
    assert [g.records()[0].payload for g in published if g.kind is Kind.FRAME] == [b"before", b"after"]
    assert [g.records()[0].connection for g in published if g.kind is Kind.CONNECTION] == [1, 2]
    assert [g.first for g in published[1:]] == [g.next_position for g in published[:-1]]


def test_frames_after_a_refused_group_of_the_same_read_are_let_go_too(recording: Recording) -> None:
    rows = [(n, BTC, 1, b"") for n in range(GROUP_ROWS + 3)]
    with no_file_larger_than(newest_size(recording.folder) + 50):
        recording.recorder.frames(rows)
    assert recording.recorder.settle()
    assert [kind for kind, *_ in journalled(recording.folder)] == [Kind.EPOCH, Kind.TICK]


def test_what_is_owed_is_bounded(recording: Recording) -> None:
    with no_file_larger_than(newest_size(recording.folder)):
        for number in range(MOST_OWED):
            recording.recorder.record(Kind.CONNECTION, "", number, end_of(number), 1)
        with pytest.raises(DiskRefused, match="changes"):
            recording.recorder.record(Kind.CONNECTION, "", MOST_OWED, end_of(MOST_OWED), 1)
