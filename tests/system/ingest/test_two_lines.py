"""Two lines of a venue record the same, so that what one misses the other has."""

import json
import signal
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from journal.group import Kind
from journal.payload import Rest
from tests.simulator.process import Simulator, running
from tests.system.ingest.line import Line, wanted

pytestmark = pytest.mark.system

BINANCE, COINBASE = "binance:BTCUSDT", "coinbase:BTC-USD"


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with running("--levels", "50", "--rate", "100") as one:
        yield one


def two_lines(folder: Path, simulator: Simulator, venue: str) -> tuple[Line, Line]:
    first = Line(folder, simulator, f"{venue}/a", INGEST_LINES="2")
    second = Line(folder, simulator, f"{venue}/b", beside=first, INGEST_LINES="2")
    first.start()
    second.start()
    return first, second


@pytest.fixture
def binance(tmp_path: Path, simulator: Simulator) -> Iterator[tuple[Line, Line]]:
    lines = two_lines(tmp_path / "data", simulator, "binance")
    yield lines
    for line in reversed(lines):
        line.close()


def updates(*lines: Line) -> list[tuple[int, int]]:
    """Return first and last id of every depth update that one of *lines* has journalled."""
    frames = [json.loads(f)["data"] for line in lines for f in line.frames(BINANCE) if b'"depthUpdate"' in f]
    return sorted({(each["U"], each["u"]) for each in frames})


def trades(security: str, *lines: Line) -> list[int]:
    """Return the id of every trade that one of *lines* has journalled."""
    found = set()
    for line in lines:
        for message in map(json.loads, line.frames(security)):
            if message.get("type") == "match":
                found.add(message["trade_id"])
            elif message.get("data", {}).get("e") == "trade":
                found.add(message["data"]["t"])
    return sorted(found)


def between(found: list[int], other: list[int]) -> list[int]:
    """Return those of *found* that lie where *other* has some too."""
    return [each for each in found if other[0] <= each <= other[-1]]


def test_both_lines_of_a_venue_journal_the_same_ids(binance: tuple[Line, Line]) -> None:
    first, _ = binance
    first.desire(wanted(BINANCE))
    first.until("both have some", lambda: min(len(updates(line)) for line in binance) >= 20)
    ids = [[last for _, last in updates(line)] for line in binance]
    assert between(ids[0], ids[1]) == between(ids[1], ids[0]) != []
    sold = [trades(BINANCE, line) for line in binance]
    assert between(sold[0], sold[1]) == between(sold[1], sold[0]) != []
    assert [line.state(BINANCE) for line in binance] == ["subscribed", "subscribed"]
    for line in binance:
        bodies = [p for p in line.payloads(Kind.REST) if isinstance(p, Rest) and p.what == "depth"]
        assert {body.cause for body in bodies} == {"subscribe"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_one_after_the_other_may_end_and_nothing_is_missed(
    binance: tuple[Line, Line], simulator: Simulator, number: int
) -> None:
    binance[0].desire(wanted(BINANCE))
    binance[0].until("both have some", lambda: min(len(updates(line)) for line in binance) >= 5)
    for line, other in (binance, binance[::-1]):
        line.stop(number)
        begun, reached = len(updates(line)), len(updates(other))
        other.until("the other goes on", lambda o=other, n=reached: len(updates(o)) >= n + 10)
        line.start()
        line.until("it is back", lambda ln=line, n=begun: len(updates(ln)) >= n + 10)
    both = updates(*binance)
    assert all(after[0] == before[1] + 1 for before, after in pairwise(both))
    assert all(any(b[0] != a[1] + 1 for a, b in pairwise(updates(line))) for line in binance)
    found = trades(BINANCE, *binance)
    true = simulator.truth_trades("binance", "BTCUSDT", from_id=found[0], to_id=found[-1])
    assert found == [trade["id"] for trade in true]


def test_of_a_book_without_ids_the_second_line_has_the_trades_alone_and_says_so(
    tmp_path: Path, simulator: Simulator
) -> None:
    first, second = lines = two_lines(tmp_path / "data", simulator, "coinbase")
    try:
        first.desire(wanted(COINBASE))
        first.until("both have some", lambda: min(len(trades(COINBASE, line)) for line in lines) >= 20)
        first.until("both say so", lambda: all(line.state(COINBASE) == "subscribed" for line in lines))
        kinds = [{json.loads(frame)["type"] for frame in line.frames(COINBASE)} for line in lines]
        assert {"snapshot", "l2update"} <= kinds[0]
        assert kinds[1].isdisjoint({"snapshot", "l2update"})
        sold = [trades(COINBASE, line) for line in lines]
        assert between(sold[0], sold[1]) == between(sold[1], sold[0]) != []
        shown = [line.health["securities"][COINBASE] for line in lines]
        assert [each["book"] for each in shown] == [True, False]
        assert "only the first line has the book" in shown[1]["reason"]
        assert first.ask("reset").ok
    finally:
        second.close()
        first.close()


def test_trades_alone_are_not_missed_when_a_connection_is_replaced(
    tmp_path: Path, simulator: Simulator
) -> None:
    first = Line(tmp_path / "data", simulator, "coinbase/a", INGEST_LINES="2")
    second = Line(tmp_path / "data", simulator, "coinbase/b", first, INGEST_LINES="2", ROTATE_SECONDS="2")
    second.start()
    try:
        first.desire(wanted(COINBASE))
        second.until("two changes", lambda: len(second.payloads(Kind.CONNECTION)) >= 5, seconds=40)
        found = trades(COINBASE, second)
        true = simulator.truth_trades("coinbase", "BTC-USD", from_id=found[0], to_id=found[-1])
        assert found == [trade["id"] for trade in true]
    finally:
        second.close()
        first.close()
