"""Where the frames of one read go: the symbol of each, and what its updates say of the sequence."""

from collections.abc import Sequence
from typing import NamedTuple


class Run(NamedTuple):
    """The updates of one symbol among some frames."""

    symbol: str
    first_id: int
    """Of the first update."""
    last_id: int
    """The largest."""
    unbroken: bool
    """No update begins later than one id behind all before it."""


class Routes(NamedTuple):
    """Of frames that are all book updates and trades."""

    symbols: Sequence[str]
    """One a frame."""
    runs: Sequence[Run]
    """One a symbol that has updates, in the order in which their first ones come."""


def run_of(symbol: str, ids: Sequence[tuple[int, int]]) -> Run:
    """Return what the updates of *symbol* with these first and last *ids* say, at least one.

    >>> run_of("ETHUSDT", [(5, 7), (8, 8)]), run_of("ETHUSDT", [(5, 7), (9, 9)]).unbroken
    (Run(symbol='ETHUSDT', first_id=5, last_id=8, unbroken=True), False)
    """
    reached, unbroken = ids[0][1], True
    for first, last in ids:
        unbroken = unbroken and first <= reached + 1
        reached = max(reached, last)
    return Run(symbol, ids[0][0], reached, unbroken)
