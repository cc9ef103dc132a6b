"""A line in trouble says what it is, once, and goes on."""

import subprocess
import sys
from pathlib import Path

import pytest

from journal.group import Kind
from tests.simulator.process import ROOT, Simulator, running
from tests.system.ingest.line import Line, wanted
from tests.system.ingest.test_line import BTC, ids, joined

pytestmark = pytest.mark.system


def test_a_blocked_rest_interface_is_explained_once_and_recording_goes_on(
    tmp_path: Path, simulator: Simulator
) -> None:
    simulator.fault("binance", kind="status", code=451, n=1000)
    line = Line(tmp_path / "data", simulator)
    line.start()
    try:
        line.desire(wanted(BTC))
        line.until("updates", lambda: len(ids(line.frames(BTC))) >= 5)
        line.until("a second try", lambda: len(line.payloads(Kind.REST)) >= 2)
        assert line.text().count("data-api.binance.vision") == 1
        assert "data-api.binance.vision" in line.health["rest_problem"]
    finally:
        line.close()


def test_an_exchange_that_is_away_is_said_once_and_joined_when_it_comes(tmp_path: Path) -> None:
    with running("--levels", "50") as exchange:
        ports = exchange.ports
    line = Line(tmp_path / "data", exchange)
    line.start()
    try:
        line.desire(wanted(BTC))
        line.until("several tries", lambda: line.health.get("connections_dialed", 0) >= 3)
        assert line.text().count("event=cannot_connect") == 1
        assert "Connection refused" in line.health["securities"][BTC]["reason"]
        with running("--levels", "50", "--binance-port", str(ports["binance"])):
            line.until("a joined book", lambda: joined(line, BTC), seconds=40)
    finally:
        line.close()


def test_a_proxy_that_is_not_there_is_named(tmp_path: Path, simulator: Simulator) -> None:
    line = Line(
        tmp_path / "data", simulator, http_proxy="http://127.0.0.1:9", HTTP_PROXY="http://127.0.0.1:9"
    )
    line.start()
    try:
        line.desire(wanted(BTC))
        line.until("the reason", lambda: "cannot_connect" in line.text() and "rest_problem" in line.text())
        assert line.text().lower().count("proxy") >= 2
    finally:
        line.close()


def test_below_the_disk_reserve_nothing_is_recorded_and_it_is_said(
    tmp_path: Path, simulator: Simulator
) -> None:
    line = Line(tmp_path / "data", simulator, DISK_RESERVE_BYTES=str(10**18))
    line.start()
    try:
        line.desire(wanted(BTC))
        line.until("the state", lambda: line.health.get("state") == "paused")
        line.until(
            "the reason", lambda: "reserve" in line.health["securities"].get(BTC, {}).get("reason", "")
        )
        assert line.payloads(Kind.CONNECTION) == []
        assert line.text().count("event=paused") == 1
    finally:
        line.close()


def test_segments_that_nobody_needs_are_dropped_and_no_other(tmp_path: Path, simulator: Simulator) -> None:
    line = Line(tmp_path / "data", simulator, JOURNAL_SEGMENT_BYTES="65536", JOURNAL_KEEP_SECONDS="0")
    line.start()
    try:
        line.desire(wanted(BTC))

        def segments() -> list[str]:
            return sorted(path.name for path in line.folder.glob("*.obj"))

        line.until("three segments", lambda: len(segments()) >= 3)
        keep = line.records[-1].position
        first = segments()[0]
        line.until("the first to go", lambda: line.needs(keep) or first not in segments())
        assert len(segments()) >= 1
    finally:
        line.close()


def test_a_second_ingester_of_a_line_is_refused(line: Line, simulator: Simulator, tmp_path: Path) -> None:
    line.desire(wanted(BTC))
    line.until("updates", lambda: ids(line.frames(BTC)))
    second = subprocess.run(
        [sys.executable, "-m", "ingest", "binance/a"],
        cwd=ROOT,
        env=line.environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert second.returncode == 2
    assert "another process" in second.stdout
