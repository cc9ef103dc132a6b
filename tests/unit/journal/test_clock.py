"""One clock for all lines of a host, which nobody can set."""

import time
from pathlib import Path

import pytest

from journal import clock
from journal.clock import steady_clock
from journal.group import Kind
from journal.writer import Writer
from wire.names import EVERY_SECURITY

HOUR_NS = 3_600_000_000_000


def test_it_is_utc_at_first(tmp_path: Path) -> None:
    before_ns = time.time_ns()
    assert before_ns <= steady_clock(tmp_path)() <= time.time_ns() + 1_000_000_000


@pytest.mark.parametrize("step_ns", [-HOUR_NS, HOUR_NS])
def test_it_goes_on_where_the_hosts_clock_is_set_in_all_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step_ns: int
) -> None:
    one = steady_clock(tmp_path)
    before_ns, true_ns = one(), time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: true_ns() + step_ns)
    other = steady_clock(tmp_path)
    clocks = [one(), other(), one()]
    assert clocks == sorted(clocks)
    assert before_ns < clocks[0] <= clocks[-1] < before_ns + HOUR_NS // 2


def test_after_a_boot_with_a_wrong_clock_nothing_is_earlier_than_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead_ns = time.time_ns() + HOUR_NS
    folder = tmp_path / "journal" / "binance-a"
    writer = Writer(folder, "binance/a", segment_bytes=1 << 20, now_ns=time.time_ns, clock=lambda: ahead_ns)
    writer.append(Kind.TICK, [(1, EVERY_SECURITY, 0, b"")])
    writer.close()
    steady_clock(tmp_path / "another")  # only its own journals count
    (tmp_path / "epochs").mkdir()
    (tmp_path / "epochs" / clock.NAME).write_text(f"another-boot {-HOUR_NS}\n")
    assert steady_clock(tmp_path)() > ahead_ns


@pytest.mark.parametrize("text", ["", "damaged", "a b c"])
def test_a_damaged_file_is_written_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / "epochs").mkdir()
    (tmp_path / "epochs" / clock.NAME).write_text(text)
    first = steady_clock(tmp_path)()
    assert first <= steady_clock(tmp_path)() < first + HOUR_NS
    assert len((tmp_path / "epochs" / clock.NAME).read_text().split()) == 2
