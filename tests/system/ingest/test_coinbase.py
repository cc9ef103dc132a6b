"""Coinbase without and with a key: which feed, and what a refused key looks like."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from journal.group import Kind
from journal.payload import Command, Connection, Rest
from tests.chaos.stepping import HostClock
from tests.simulator.process import Simulator, running
from tests.system.ingest.line import Line, wanted

pytestmark = pytest.mark.system

BTC, ETH = "coinbase:BTC-USD", "coinbase:ETH-USD"
KEY = {
    "COINBASE_API_KEY": "demo",
    "COINBASE_API_SECRET": "ZGVtbw==",
    "COINBASE_API_PASSPHRASE": "demo",
}


@pytest.fixture(scope="module")
def exchange() -> Iterator[Simulator]:
    with running("--levels", "50", "--rate", "100", "--require-key", "demo:ZGVtbw==:demo") as made:
        yield made


def kinds(line: Line, security: str, connection: int = 0) -> list[str]:
    return [json.loads(frame)["type"] for frame in line.frames(security, connection)]


def test_without_a_key_level2_batch_is_recorded_and_said_to_be(tmp_path: Path, exchange: Simulator) -> None:
    line = Line(tmp_path / "data", exchange, "coinbase/a")
    line.start()
    try:
        line.desire(wanted(BTC))
        line.until("updates and trades", lambda: {"l2update", "match"} <= set(kinds(line, BTC)))
        line.until("its state", lambda: line.state(BTC) == "subscribed")
        assert "snapshot" in kinds(line, BTC)
        shown = line.health["securities"][BTC]
        assert (shown["feed"], shown["reason"]) == ("level2_batch", "no COINBASE_API_KEY")
        assert not [p for p in line.payloads(Kind.REST) if isinstance(p, Rest) and p.what == "depth"]
    finally:
        line.close()


def test_with_a_key_every_order_and_a_level_3_snapshot_that_joins(
    tmp_path: Path, exchange: Simulator
) -> None:
    line = Line(tmp_path / "data", exchange, "coinbase/a", **KEY)
    line.start()
    try:
        line.desire(wanted(BTC))

        def joined() -> bool:
            firsts = [json.loads(f).get("sequence") for f in line.frames(BTC) if b'"open"' in f]
            bodies = [p for p in line.payloads(Kind.REST, BTC) if isinstance(p, Rest) and p.what == "depth"]
            good = [json.loads(p.body)["sequence"] for p in bodies if p.status == 200]
            return bool(firsts and good) and good[-1] >= firsts[0] - 1

        line.until("a joined book", joined)
        sequences = [json.loads(f)["sequence"] for f in line.frames(BTC) if b'"heartbeat"' not in f]
        assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))
        commands = [p for p in line.payloads(Kind.COMMAND, BTC) if isinstance(p, Command)]
        assert [c.feed for c in commands] == ["full"]
    finally:
        line.close()


def test_an_old_level_3_snapshot_is_asked_for_again(tmp_path: Path, exchange: Simulator) -> None:
    exchange.fault("coinbase", kind="stale_snapshot", ms=3000, n=1)
    line = Line(tmp_path / "data", exchange, "coinbase/a", **KEY)
    line.start()
    try:
        line.desire(wanted(BTC))

        def bodies() -> list[Rest]:
            found = line.payloads(Kind.REST, BTC)
            return [p for p in found if isinstance(p, Rest) and p.what == "depth" and p.status == 200]

        line.until("a second one", lambda: len(bodies()) >= 2)
        assert bodies()[1].asked_ns - bodies()[0].asked_ns >= 3_000_000_000
        assert "event=old_snapshot" in line.text()
    finally:
        line.close()


def test_a_refused_key_is_said_once_clearly_and_tried_again(tmp_path: Path, exchange: Simulator) -> None:
    wrong = {**KEY, "COINBASE_API_PASSPHRASE": "wrong"}
    line = Line(tmp_path / "data", exchange, "coinbase/a", **wrong)
    line.start()
    try:
        line.desire(wanted(BTC, ETH))
        line.until("both refused", lambda: line.state(BTC) == line.state(ETH) == "refused")
        line.until("another try", lambda: len(line.payloads(Kind.CONNECTION)) >= 3)
        assert line.health["securities"][BTC]["feed"] == "full"
        assert line.health["securities"][BTC]["reason"]
        assert line.text().count(f"event=refused security={BTC}") == 1
        assert "ZGVtbw" not in line.text()
        opens = [p for p in line.payloads(Kind.CONNECTION) if isinstance(p, Connection) and p.what == "open"]
        assert len(opens) <= 3
    finally:
        line.close()


def test_where_the_hosts_clock_is_wrong_what_is_signed_has_the_exchanges_time(
    tmp_path: Path, exchange: Simulator
) -> None:
    clock = HostClock(tmp_path)
    clock.step(-3600)
    line = Line(tmp_path / "data", exchange, "coinbase/a", **KEY, **clock.environment)
    line.start()
    try:
        line.desire(wanted(BTC))
        line.until("orders", lambda: "open" in kinds(line, BTC))
        assert "expired" not in line.log.read_text()
    finally:
        line.close()


def test_a_secret_that_cannot_sign_ends_the_process_in_one_line(tmp_path: Path) -> None:
    environ = os.environ | {"DATA_DIR": str(tmp_path), **KEY, "COINBASE_API_SECRET": "not base64!"}
    command = [sys.executable, "-m", "ingest", "coinbase/a"]
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    [line] = (ended.stdout + ended.stderr).splitlines()
    assert (ended.returncode, "COINBASE_API_SECRET=***: allowed is" in line, "!" in line) == (2, True, False)
