"""A line beside a simulated exchange, for the tests that need no other."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulator.process import Simulator, running
from tests.system.ingest.line import Line


@pytest.fixture(scope="module")
def shared() -> Iterator[Simulator]:
    """A simulator for the tests that order no faults for others."""
    with running("--levels", "50", "--rate", "100") as simulator:
        yield simulator


@pytest.fixture
def simulator(shared: Simulator) -> Iterator[Simulator]:
    yield shared
    for venue in ("binance", "coinbase"):
        shared.fault(venue, kind="clear")


@pytest.fixture
def line(tmp_path: Path, simulator: Simulator) -> Iterator[Line]:
    made = Line(tmp_path / "data", simulator)
    made.start()
    yield made
    made.close()
