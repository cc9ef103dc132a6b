"""A start either goes well or says in one line why not, and one that is killed leaves nothing behind."""

import socket
import time
from pathlib import Path

import psutil
import pytest

from tests.system.running import Logger

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

LOOPBACK = {
    f"{venue}_{kind}_URL": f"{scheme}://127.0.0.1:9"
    for venue in ("BINANCE", "COINBASE")
    for kind, scheme in (("WS", "ws"), ("REST", "http"))
}
"""Nobody listens there: no exchange is needed."""


def processes_of(logger: Logger) -> list[psutil.Process]:
    """Return every process that has the logger's DATA_DIR in its environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("DATA_DIR") == logger.environment["DATA_DIR"]:
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.mark.parametrize("processes", [1, 4, 8])
def test_a_supervisord_killed_while_it_starts_leaves_no_orphan(tmp_path: Path, processes: int) -> None:
    logger = Logger(tmp_path, **LOOPBACK)
    logger.start()
    deadline = time.monotonic() + 30
    while len(processes_of(logger)) < processes:
        assert time.monotonic() < deadline, logger.output()
    logger.kill()
    while left := processes_of(logger):
        assert time.monotonic() < deadline, [process.cmdline() for process in left]
        psutil.wait_procs(left, timeout=1)


@pytest.mark.parametrize("name", ["MANAGER_PORT", "MONGODB_EMBEDDED_PORT"])
def test_a_busy_port_ends_the_start_with_one_line(tmp_path: Path, name: str) -> None:
    logger = Logger(tmp_path, **LOOPBACK)
    with socket.socket() as other:
        other.bind(("127.0.0.1", int(logger.environment[name])))
        other.listen()
        logger.start()
        assert logger.process is not None
        assert logger.process.wait(30) == 2
    [line] = logger.output().splitlines()
    assert f"{name}={logger.environment[name]}" in line
    assert processes_of(logger) == []


def test_a_bad_setting_ends_the_start_with_one_line(tmp_path: Path) -> None:
    logger = Logger(tmp_path, WINDOW_SECONDS="7")
    logger.start()
    assert logger.process is not None
    assert logger.process.wait(30) == 2
    [line] = logger.output().splitlines()
    assert "WINDOW_SECONDS=" in line


def test_another_window_than_the_data_were_begun_with_is_refused(tmp_path: Path) -> None:
    first = Logger(tmp_path, **LOOPBACK)
    first.start()
    first.eventually("control answers", lambda: first.obl("ping").returncode == 0)
    assert first.stop() == 0
    logger = Logger(tmp_path, **LOOPBACK, WINDOW_SECONDS="60")
    logger.start()
    assert logger.process is not None
    assert logger.process.wait(30) == 2
    line = logger.output().splitlines()[-1]
    assert "WINDOW_SECONDS=60" in line
    assert "begun with 10" in line
