"""An ingester records what the exchange sends, verbatim and in order, whatever the network does."""

import json
import signal
from itertools import pairwise
from pathlib import Path

import pytest
import websocket

from journal.group import Kind
from journal.payload import Command, Connection, Epoch, Rest
from tests.simulator.process import Simulator
from tests.system.ingest.line import Line, wanted

pytestmark = pytest.mark.system

BTC, ETH = "binance:BTCUSDT", "binance:ETHUSDT"


def ids(frames: list[bytes]) -> list[tuple[int, int]]:
    updates = [json.loads(f)["data"] for f in frames if b'"depthUpdate"' in f]
    return [(u["U"], u["u"]) for u in updates]


def breaks(found: list[tuple[int, int]]) -> int:
    return sum(second[0] != first[1] + 1 for first, second in pairwise(found))


def joined(line: Line, security: str, connection: int = 0) -> bool:
    """Whether a snapshot and an update that follows it are in the journal."""
    found = ids(line.frames(security, connection))
    bodies = [p for p in line.payloads(Kind.REST, security) if isinstance(p, Rest) and p.what == "depth"]
    return any(
        any(first <= json.loads(body.body)["lastUpdateId"] + 1 <= last for first, last in found)
        for body in bodies
        if body.status == 200
    )


def test_frames_are_journalled_verbatim_and_in_order(line: Line, simulator: Simulator) -> None:
    line.desire(wanted(BTC))
    line.until("ten updates", lambda: len(ids(line.frames(BTC))) >= 10)
    other = websocket.create_connection(
        f"ws://127.0.0.1:{simulator.ports['binance']}/stream?streams=btcusdt@depth@100ms"
    )
    try:
        seen = [other.recv().encode() for _ in range(20)]
    finally:
        other.close()
    line.until("what the other client saw", lambda: seen[-1] in line.frames(BTC))
    depth = [f for f in line.frames(BTC) if b'"depthUpdate"' in f]
    start = depth.index(seen[0])
    assert depth[start : start + len(seen)] == seen
    assert breaks(ids(depth)) == 0


def test_the_journal_begins_with_epoch_add_open_and_then_frames_and_a_snapshot_that_joins(line: Line) -> None:
    line.desire(wanted(BTC, since_ns=7))
    line.until("a joined book", lambda: joined(line, BTC))
    kinds = [r.kind for r in line.records if r.kind is not Kind.TICK]
    assert kinds[0] is Kind.EPOCH
    names = [(r.kind, r.security) for r in line.records if r.kind is not Kind.TICK]
    assert names[1] == (Kind.COMMAND, BTC)
    assert names[2] == (Kind.REST, BTC)  # what the venue says of the symbol
    assert names[3] == (Kind.CONNECTION, "")
    assert Kind.FRAME in kinds[4:]
    command = line.payloads(Kind.COMMAND, BTC)[0]
    assert isinstance(command, Command)
    assert (command.what, command.feed, command.update_ms, command.since_ns) == ("add", "depth", 100, 7)


def test_every_segment_names_what_is_recorded(tmp_path: Path, simulator: Simulator) -> None:
    line = Line(tmp_path / "data", simulator, JOURNAL_SEGMENT_BYTES="65536")
    line.start()
    try:
        line.desire(wanted(BTC))
        line.until("a third segment", lambda: len(line.payloads(Kind.COMMAND, BTC)) >= 3)
        assert {c.what for c in line.payloads(Kind.COMMAND, BTC) if isinstance(c, Command)} == {"add"}
    finally:
        line.close()


def test_securities_come_and_go_on_the_live_connection_without_disturbing_others(line: Line) -> None:
    line.desire(wanted(BTC))
    line.until("a joined book", lambda: joined(line, BTC))
    line.desire(wanted(BTC, ETH))
    line.until("the second one", lambda: joined(line, ETH))
    line.desire(wanted(BTC))
    line.until("its end", lambda: len(line.payloads(Kind.COMMAND, ETH)) == 2)
    before = len(ids(line.frames(BTC)))
    line.until("more of the first", lambda: len(ids(line.frames(BTC))) >= before + 10)
    assert [c.what for c in line.payloads(Kind.COMMAND, ETH) if isinstance(c, Command)] == ["add", "remove"]
    assert [c.what for c in line.payloads(Kind.CONNECTION) if isinstance(c, Connection)] == ["open"]
    assert breaks(ids(line.frames(BTC))) == 0
    last_of_eth = line.frames(ETH)[-1]
    before = len(ids(line.frames(BTC)))
    line.until("more of the first", lambda: len(ids(line.frames(BTC))) >= before + 10)
    assert line.frames(ETH)[-1] == last_of_eth


def test_an_unknown_symbol_is_refused_and_says_why(line: Line) -> None:
    line.desire(wanted(BTC, "binance:NOSUCH"))
    line.until("refused", lambda: line.state("binance:NOSUCH") == "refused")
    line.until("the other one", lambda: line.state(BTC) == "subscribed")
    assert "binance does not know it" in line.health["securities"]["binance:NOSUCH"]["reason"]
    assert line.payloads(Kind.COMMAND, "binance:NOSUCH") == []
    assert line.text().count("event=refused") == 1


@pytest.mark.parametrize("fault", ["close", "half_open"])
def test_a_lost_connection_is_replaced_within_ten_seconds(
    line: Line, simulator: Simulator, fault: str
) -> None:
    line.desire(wanted(BTC))
    line.until("a joined book", lambda: joined(line, BTC))
    simulator.fault("binance", kind=fault)
    line.until("a joined book again", lambda: joined(line, BTC, connection=2), seconds=10)
    said = [(c.what, bool(c.reason)) for c in line.payloads(Kind.CONNECTION) if isinstance(c, Connection)]
    assert said == [("open", False), ("closed", True), ("open", False)]
    causes = [p.cause for p in line.payloads(Kind.REST, BTC) if isinstance(p, Rest) and p.what == "depth"]
    assert causes[-1] == "connection"


def test_a_break_of_sequence_is_answered_by_a_snapshot_of_that_security(
    line: Line, simulator: Simulator
) -> None:
    line.desire(wanted(BTC, ETH))
    line.until("both books", lambda: joined(line, BTC) and joined(line, ETH))
    simulator.fault("binance", kind="drop_frames", n=1, symbol="btcusdt@depth")

    def causes(security: str) -> list[str]:
        bodies = line.payloads(Kind.REST, security)
        return [p.cause for p in bodies if isinstance(p, Rest) and p.what == "depth"]

    line.until("a snapshot", lambda: "gap" in causes(BTC))
    assert "gap" not in causes(ETH)


def test_too_many_requests_are_followed_by_the_silence_that_was_asked_for(
    tmp_path: Path, simulator: Simulator
) -> None:
    simulator.fault("binance", kind="status", code=429, retry_after=3, path="/api/v3/depth")
    line = Line(tmp_path / "data", simulator)
    line.start()
    try:
        line.desire(wanted(BTC))
        line.until("a joined book", lambda: joined(line, BTC))
        bodies = [
            (r.recv_ns, p)
            for r, p in zip(
                [r for r in line.records if r.kind is Kind.REST], line.payloads(Kind.REST), strict=True
            )
            if isinstance(p, Rest) and p.what == "depth"
        ]
        assert [p.status for _, p in bodies] == [429, 200]
        assert bodies[1][1].asked_ns - bodies[0][0] >= 2_900_000_000
        assert line.text().count("HTTP 429") == 1
    finally:
        line.close()


def test_garbage_is_kept_and_the_rest_is_undisturbed(line: Line, simulator: Simulator) -> None:
    line.desire(wanted(BTC))
    line.until("a joined book", lambda: joined(line, BTC))
    simulator.fault("binance", kind="garbage", text='{"what":"is this')
    line.until("the garbage", lambda: b'{"what":"is this' in line.frames(""))
    before = len(ids(line.frames(BTC)))
    line.until("more updates", lambda: len(ids(line.frames(BTC))) >= before + 5)
    line.until("the count", lambda: line.health["unknown_frames"] == 1)
    assert breaks(ids(line.frames(BTC))) == 0
    assert line.text().count("event=unknown_frame") == 1


def test_after_kill_9_a_new_epoch_goes_on_with_what_was_recorded(line: Line) -> None:
    line.desire(wanted(BTC, since_ns=7))
    line.until("a joined book", lambda: joined(line, BTC))
    assert line.stop(signal.SIGKILL) == -signal.SIGKILL
    before = len(line.records)
    line.desire(())  # nobody says a word: the line knows what it recorded
    line._desired = None
    line.start()
    line.until(
        "a joined book", lambda: len(ids(line.frames(BTC, connection=1))) and len(line.records) > before + 5
    )
    after = [r for r in line.records[before:] if r.kind is not Kind.TICK]
    assert [r.kind for r in after[:2]] == [Kind.EPOCH, Kind.COMMAND]
    epochs = [p.reason for p in line.payloads(Kind.EPOCH) if isinstance(p, Epoch)]
    assert epochs[0] == "first"
    assert epochs[1] in ("restart", "torn")
    commands = [p for p in line.payloads(Kind.COMMAND, BTC) if isinstance(p, Command)]
    assert [(c.what, c.since_ns) for c in commands] == [("add", 7), ("add", 7)]


def test_sigterm_closes_the_record_and_exits_0(line: Line) -> None:
    line.desire(wanted(BTC))
    line.until("a joined book", lambda: joined(line, BTC))
    assert line.stop() == 0
    last = line.payloads(Kind.CONNECTION)[-1]
    assert last == Connection("closed", "stopped")
    assert line.records[-1].kind is Kind.CONNECTION


def test_a_security_removed_while_the_line_was_down_gets_its_remove(line: Line) -> None:
    line.desire(wanted(BTC, ETH))
    line.until("both", lambda: line.frames(BTC) and line.frames(ETH))
    line.stop(signal.SIGKILL)
    line.desire(wanted(BTC))
    line.start()
    line.until("the remove", lambda: len(line.payloads(Kind.COMMAND, ETH)) == 3)
    whats = [c.what for c in line.payloads(Kind.COMMAND, ETH) if isinstance(c, Command)]
    assert whats == ["add", "add", "remove"]


def test_a_wish_and_a_command_bring_a_snapshot(line: Line) -> None:
    line.desire(wanted(BTC))
    line.until("a joined book", lambda: joined(line, BTC))
    reply = line.ask("snapshot", securities=[BTC])
    assert (reply.ok, reply.result) == (True, [BTC])

    def causes() -> list[str]:
        return [p.cause for p in line.payloads(Kind.REST, BTC) if isinstance(p, Rest)]

    line.until("the body", lambda: "command" in causes())
    whats = [c.what for c in line.payloads(Kind.COMMAND, BTC) if isinstance(c, Command)]
    assert whats == ["add", "snapshot", "asked"]
    assert not line.ask("snapshot", securities=["binance:NONE"]).ok


def test_reset_takes_a_new_connection_without_a_hole(line: Line, simulator: Simulator) -> None:
    line.desire(wanted(BTC))
    line.until("a joined book", lambda: joined(line, BTC))
    assert line.ask("reset").ok
    line.until("the old one closed", lambda: len(line.payloads(Kind.CONNECTION)) == 3)
    said = [c.what for c in line.payloads(Kind.CONNECTION) if isinstance(c, Connection)]
    assert said == ["open", "open", "closed"]
    assert_nothing_was_missed(line, simulator, BTC)


def closed_for(line: Line) -> list[str]:
    """Return why each connection that was closed was, in order."""
    said = [p for p in line.payloads(Kind.CONNECTION) if isinstance(p, Connection)]
    return [each.reason for each in said if each.what == "closed"]


def assert_nothing_was_missed(line: Line, simulator: Simulator, *securities: str) -> None:
    """Compare what is journalled, over all connections, with the ids that the exchange gave out."""
    bodies = [p for p in line.payloads(Kind.REST) if isinstance(p, Rest) and p.what == "depth"]
    assert {body.cause for body in bodies} == {"subscribe"}  # a hole would be followed by another
    for security in securities:
        line.until("a trade", lambda s=security: any(b'"e":"trade"' in f for f in line.frames(s)))
        merged = sorted(set(ids(line.frames(security))))
        assert breaks(merged) == 0
        trades = sorted({json.loads(f)["data"]["t"] for f in line.frames(security) if b'"e":"trade"' in f})
        symbol = security.partition(":")[2]
        true = simulator.truth_trades("binance", symbol, from_id=trades[0], to_id=trades[-1])
        assert trades == [trade["id"] for trade in true]


def test_an_old_connection_is_replaced_again_and_again_without_a_hole(
    tmp_path: Path, simulator: Simulator
) -> None:
    line = Line(tmp_path / "data", simulator, ROTATE_SECONDS="2")
    line.start()
    try:
        line.desire(wanted(BTC, ETH))
        line.until("both books", lambda: joined(line, BTC) and joined(line, ETH))
        line.until("seven rotations", lambda: len(closed_for(line)) >= 7, seconds=60)
        assert set(closed_for(line)) == {"rotation"}
        assert_nothing_was_missed(line, simulator, BTC, ETH)
    finally:
        line.close()


@pytest.mark.parametrize("lag_ms", [0, 700, 6000])
def test_a_notice_of_shutdown_is_followed_by_a_change_without_a_hole(
    line: Line, simulator: Simulator, lag_ms: int
) -> None:
    """The exchange's frames may be late, so that the new connection begins before the old one's end."""
    line.desire(wanted(BTC, ETH))
    line.until("both books", lambda: joined(line, BTC) and joined(line, ETH))
    simulator.fault(
        "binance", kind="delay_ms", ms=lag_ms, connection=simulator.connections("binance")[-1]["connection"]
    )
    simulator.fault("binance", kind="shutdown_notice")
    line.until("the old one closed", lambda: closed_for(line) == ["rotation"])
    reached = len(ids(line.frames(BTC, connection=2)))
    line.until("more of the new one", lambda: len(ids(line.frames(BTC, connection=2))) > reached + 5)
    assert_nothing_was_missed(line, simulator, BTC, ETH)
