"""A line fetches the trades that maintainers miss, by their ids, and journals what the exchange says."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from journal.group import Kind
from journal.payload import Rest
from tests.simulator.process import Simulator, running
from tests.system.ingest.line import Line, wanted
from venue import VENUES
from wire.names import symbol_of

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with running("--levels", "50", "--rate", "100") as made:
        yield made


def answers(line: Line, security: str) -> list[Rest]:
    found = [p for p in line.payloads(Kind.REST, security) if isinstance(p, Rest)]
    return [each for each in found if each.what == "trades"]


def wish(line: Line, security: str, first_id: int, last_id: int) -> bool:
    """Repeat a maintainer's wish; it is heard once the line is connected to it."""
    line.wish(trades=((security, first_id, last_id),))
    return bool(answers(line, security))


@pytest.mark.parametrize("security", ["binance:BTCUSDT", "coinbase:BTC-USD"])
def test_the_trades_that_are_wished_are_asked_for_by_id(
    tmp_path: Path, simulator: Simulator, security: str
) -> None:
    venue, symbol = security.partition(":")[0], symbol_of(security)
    line = Line(tmp_path / "data", simulator, f"{venue}/a")
    line.start()
    try:
        line.desire(wanted(security))
        line.until("frames", lambda: len(line.frames(security)) > 5)
        simulator.wait(lambda s: len(trades(s, venue, symbol)) >= 20)
        last = trades(simulator, venue, symbol)[-1]["id"]
        path = VENUES[venue].trades_request(symbol, 1, 2).path.partition("?")[0]
        simulator.fault(venue, kind="status", code=503, path=path, n=1)
        line.until("an answer", lambda: wish(line, security, last - 9, last))
        line.until(
            "the trades", lambda: wish(line, security, last - 9, last) and len(answers(line, security)) > 1
        )
        statuses = [each.status for each in answers(line, security)]
        assert statuses == [503, 200]
        found = VENUES[venue].trades(symbol, answers(line, security)[-1].body)
        assert [each.id for each in found] == list(range(last - 9, last + 1))
        true = {each["id"]: each for each in trades(simulator, venue, symbol)}
        assert all(each.side.name.lower() == true[each.id]["side"] for each in found)
    finally:
        line.close()


def trades(simulator: Simulator, venue: str, symbol: str) -> list[dict[str, Any]]:
    extent = simulator.truth_range(venue, symbol)
    found: list[dict[str, Any]] = simulator.truth_trades(
        venue, symbol, from_id=extent["first_trade_id"], to_id=extent["last_trade_id"]
    )
    return found
