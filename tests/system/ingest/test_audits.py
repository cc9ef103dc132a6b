"""What a line records of its audits: a maintainer that reads the journal finds every true snapshot equal.

The line is a real process beside the simulated exchanges; the maintainer reads what it has journalled.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from book.windows import Recipe
from journal.group import Kind
from journal.payload import Rest
from journal.reader import Reader
from tests.simulator.process import Simulator, running
from tests.system.ingest.line import Line, wanted
from tests.unit.book.play import copied, maintainer, messages
from wire.runs import Audit, Hole, RunMessage

pytestmark = pytest.mark.system

BINANCE, COINBASE = "binance:BTCUSDT", "coinbase:BTC-USD"
KEY = {
    "COINBASE_API_KEY": "demo",
    "COINBASE_API_SECRET": "ZGVtbw==",
    "COINBASE_API_PASSPHRASE": "demo",
}
RECIPE = Recipe(10_000_000_000, 600, 3600)


@pytest.fixture(scope="module")
def exchange() -> Iterator[Simulator]:
    with running("--levels", "50", "--rate", "100", "--require-key", "demo:ZGVtbw==:demo") as made:
        yield made


@pytest.fixture(params=[BINANCE, COINBASE])
def security(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def line(tmp_path: Path, exchange: Simulator, security: str) -> Iterator[Line]:
    venue = security.partition(":")[0]
    made = Line(tmp_path / "data", exchange, f"{venue}/a", AUDIT_SECONDS="1", **KEY)
    made.start()
    made.desire(wanted(security))
    yield made
    made.close()
    exchange.fault(venue, kind="clear")


def bodies(line: Line, security: str) -> list[Rest]:
    found = line.payloads(Kind.REST, security)
    return [each for each in found if isinstance(each, Rest) and each.cause == "audit"]


def played(line: Line, restart_every: int = 1 << 30) -> list[RunMessage]:
    """Return what a maintainer makes of the journal, another one going on from its state now and then."""
    made = maintainer(RECIPE)
    said: list[RunMessage] = []
    reader = Reader(line.folder)
    try:
        for n, group in enumerate(reader.groups(0)):
            if n % restart_every == restart_every - 1:
                made = copied(made, RECIPE)
            said += messages(made, [group])
    finally:
        reader.close()
    return said


def bare(audit: Audit) -> Audit:
    return msgspec.structs.replace(audit, number=0)


def audits(said: list[RunMessage]) -> list[Audit]:
    return [each for each in said if isinstance(each, Audit)]


def test_every_true_snapshot_is_equal(line: Line, security: str) -> None:
    line.until("six audits", lambda: len(bodies(line, security)) >= 6, seconds=60)
    line.stop()
    said = played(line)
    found = audits(said)
    assert len(found) >= 5, "each body but one still to be reached is compared"
    assert [each.levels - each.equal for each in found] == [0] * len(found)
    assert min(each.levels for each in found) >= 50
    assert [each.misplaced for each in found] == [0] * len(found)
    assert not [each for each in said if isinstance(each, Hole)]
    assert [bare(each) for each in audits(played(line, restart_every=5))] == [bare(each) for each in found]


def test_a_wrong_one_is_a_difference_and_twice_a_desync(
    line: Line, security: str, exchange: Simulator
) -> None:
    line.until("an audit", lambda: len(bodies(line, security)) >= 1, seconds=60)
    exchange.fault(security.partition(":")[0], kind="wrong_snapshot", n=2)
    asked_ns = time.time_ns()

    def since() -> int:
        return sum(each.asked_ns > asked_ns for each in bodies(line, security))

    line.until("three more", lambda: since() >= 3, seconds=60)
    line.stop()
    said = played(line)
    wrong = [each for each in audits(said) if each.equal < each.levels]
    assert [each.levels - each.equal for each in wrong] == [1, 1]
    assert {each.cause for each in said if isinstance(each, Hole)} == {"desync"}
