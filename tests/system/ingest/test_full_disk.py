"""A line on a disk that fills: it ends what it records, says so, and goes on by itself when there is room."""

import os
import signal
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from ingest.aside import NAME
from journal.group import Kind
from journal.payload import Connection, Epoch
from journal.verify import verify
from tests.simulator.process import Simulator, running
from tests.small_disk import MB, fill, small_disk
from tests.system.ingest.line import Line, wanted

pytestmark = [pytest.mark.faults, pytest.mark.system]

BTC, ETH = "binance:BTCUSDT", "binance:ETHUSDT"
DISK_BYTES = 24 * MB
RESERVE = 8 * MB


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with running("--levels", "50", "--rate", "100") as made:
        yield made


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", DISK_BYTES) as folder:
        yield folder


@pytest.fixture
def line(disk: Path, simulator: Simulator, tmp_path: Path) -> Iterator[Line]:
    made = Line(disk / "data", simulator, DISK_RESERVE_BYTES=str(RESERVE), JOURNAL_SEGMENT_BYTES="65536")
    made.log = tmp_path / "ingest.log"
    made.start()
    made.desire(wanted(BTC))
    made.until("updates", lambda: len(made.frames(BTC)) >= 20)
    yield made
    made.close()


def closings(line: Line) -> list[str]:
    events = line.payloads(Kind.CONNECTION)
    return [each.reason for each in events if isinstance(each, Connection) and each.what == "closed"]


def count(line: Line, kind: Kind) -> int:
    return sum(record.kind is kind for record in line.records)


def connections_whole(line: Line) -> bool:
    """Whether nothing is missing inside a connection, and nothing of one follows its end."""
    ended: set[int] = set()
    for record in line.records:
        if record.kind is Kind.FRAME and record.connection in ended:
            return False
        if record.kind is Kind.CONNECTION and b"closed" in record.payload:
            ended.add(record.connection)
    positions = [record.position for record in line.records]
    return all(second == first + 1 for first, second in pairwise(positions))


def test_at_the_reserve_it_ends_what_it_records_and_resumes_when_a_tenth_more_is_free(
    line: Line, disk: Path
) -> None:
    line.until("space set aside", (line.folder / NAME).exists)
    filler = fill(disk, RESERVE - MB // 2)
    line.until("the pause", lambda: line.health.get("state") == "paused")
    line.until("the end in the journal", lambda: len(closings(line)) == 1)
    assert closings(line)[0].startswith("disk has less than its reserve of 8 MB free: free space")
    assert "free space" in line.health["disk"]["reason"]
    assert line.text().count("event=paused") == 1
    assert not (line.folder / NAME).exists()
    frames, ticks = len(line.frames(BTC)), count(line, Kind.TICK)
    line.until("time passes", lambda: count(line, Kind.TICK) >= ticks + 3)
    assert len(line.frames(BTC)) == frames
    os.truncate(filler, filler.stat().st_size - MB // 2 - RESERVE // 20)  # more than the reserve only
    line.until("time passes", lambda: count(line, Kind.TICK) >= ticks + 6)
    assert line.health["state"] == "paused"
    filler.unlink()
    line.until("more updates", lambda: len(line.frames(BTC, connection=2)) >= 20)
    assert line.text().count("event=resumed") == 1
    line.until("space set aside again", (line.folder / NAME).exists)
    assert connections_whole(line)
    assert line.stop() == 0
    assert verify(line.folder).first_bad is None


def test_old_segments_that_nobody_needs_go_before_it_pauses(line: Line, disk: Path) -> None:
    line.until("segments", lambda: len(list(line.folder.glob("*.obj"))) >= 4)

    oldest = min(line.folder.glob("*.obj"))
    line.needs(line.records[-1].position)
    ticks = count(line, Kind.TICK)
    line.until("the word to be heard", lambda: count(line, Kind.TICK) >= ticks + 2)
    assert oldest.exists()  # it is younger than JOURNAL_KEEP_SECONDS
    fill(disk, RESERVE - 20_000)
    line.until("the oldest to go", lambda: not oldest.exists())
    ticks = count(line, Kind.TICK)
    line.until("time passes", lambda: count(line, Kind.TICK) >= ticks + 2)
    assert "event=paused" not in line.text()


def test_a_disk_without_a_free_byte_records_nothing_wrong_and_is_recovered_from(
    line: Line, disk: Path
) -> None:
    filler = fill(disk, 0)
    line.until("the pause", lambda: line.health.get("state") == "paused")
    another = fill(disk / "data", 0)  # what was set aside, too, is somebody else's now
    line.desire(wanted(BTC, ETH))  # a change that cannot be journalled yet
    line.until("the change to be heard", lambda: line.state(ETH) == "pending")
    for file in (filler, another):
        file.unlink()
    line.until("more updates", lambda: len(line.frames(BTC, connection=2)) >= 20)
    line.until("the other security", lambda: line.frames(ETH))
    assert [reason[:5] for reason in closings(line)] == ["disk "]
    assert line.text().count("event=paused") == 1
    assert connections_whole(line)
    assert count(line, Kind.EPOCH) == 1
    assert line.stop() == 0
    assert verify(line.folder).first_bad is None


def test_without_a_reserve_a_refused_write_ends_the_recording_too(
    disk: Path, simulator: Simulator, tmp_path: Path
) -> None:
    line = Line(disk / "data", simulator, DISK_RESERVE_BYTES="0")
    line.log = tmp_path / "ingest.log"
    line.start()
    try:
        line.desire(wanted(BTC))
        line.until("updates", lambda: len(line.frames(BTC)) >= 20)
        line.until("space set aside", (line.folder / NAME).exists)
        filler = fill(disk, 0)
        line.until("the pause", lambda: line.health.get("state") == "paused")
        line.until("the end in the journal", lambda: len(closings(line)) == 1)
        assert closings(line)[0].startswith("disk refuses a write (")
        filler.unlink()
        line.until("more updates", lambda: len(line.frames(BTC, connection=2)) >= 20)
        assert connections_whole(line)
        assert line.stop() == 0
    finally:
        line.close()


def test_killed_on_a_full_disk_and_started_again_it_waits_and_recovers(line: Line, disk: Path) -> None:
    filler = fill(disk, 0)
    line.until("the pause", lambda: line.health.get("state") == "paused")
    assert line.stop(signal.SIGKILL) == -signal.SIGKILL
    fill(disk / "data", 0)
    line.start()
    assert line.process is not None
    assert line.process.wait(20) == 2
    assert "No space left on device: free space" in line.text().splitlines()[-1]
    filler.unlink()
    line.start()
    line.until("more updates", lambda: count(line, Kind.EPOCH) == 2 and len(line.frames(BTC, 1)) >= 40)
    assert [type(each) for each in line.payloads(Kind.EPOCH)] == [Epoch, Epoch]
