"""What supervisord is told to start, for the settings that say how many of each."""

import subprocess
import sys
from pathlib import Path

import pytest
from supervisor.options import ServerOptions

from control.health import Workers
from control.launch import CONFIGURATIONS, exported, other_windows, running
from wire.settings import Settings, load_settings


def programs(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the command of each process that supervisord makes of its configuration."""
    for name, value in exported(settings, tmp_path).items():
        monkeypatch.setenv(name, value)
    (tmp_path / "logs").mkdir()
    options = ServerOptions()
    options.realize(["-c", str(CONFIGURATIONS[0])])
    return {
        process.name: process.command
        for group in options.process_group_configs
        for process in group.process_configs
    }


@pytest.mark.parametrize("lines", ["1", "2", "binance=2", "binance=1,coinbase=2"])
def test_a_process_is_started_for_each_that_control_waits_for(
    lines: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings({"DATA_DIR": str(tmp_path), "INGEST_LINES": lines, "BOOK_WORKERS": "3"})
    found = programs(settings, tmp_path, monkeypatch)
    workers = Workers(tuple(settings.lines()), 3, 1, 1)
    assert set(found) == {*workers.names(), "database", "control"}
    for line in settings.lines():
        assert found[f"ingest-{line.replace('/', '-')}"].endswith(f'obl-ingest" {line}')


@pytest.mark.parametrize("left", [None, "", "\0\0\0"])
def test_a_first_start_whose_note_a_power_loss_emptied_is_a_first_start(
    tmp_path: Path, left: str | None
) -> None:
    if left is not None:
        (tmp_path / "window_seconds").write_text(left)
    ten, sixty = (load_settings({"DATA_DIR": str(tmp_path), "WINDOW_SECONDS": each}) for each in ("10", "60"))
    assert other_windows(ten) == ""
    assert other_windows(ten) == ""
    assert "was begun with 10" in other_windows(sixty)


def test_a_second_start_on_the_same_folder_says_that_a_logger_runs_there(tmp_path: Path) -> None:
    settings = load_settings({"DATA_DIR": str(tmp_path)})
    assert running(settings) == ""
    for left in ("", "no pid", "\0\0", "1"):
        (tmp_path / "supervisord.pid").write_text(left)
        assert running(settings) == ""
    waits = [sys.executable, "-c", "print(flush=True); input()", "supervisord"]
    with subprocess.Popen(waits, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # (its command line is there)
        (tmp_path / "supervisord.pid").write_text(f"{process.pid}\n")
        assert f"a logger runs in {tmp_path} (pid {process.pid})" in running(settings)
    assert running(settings) == ""
