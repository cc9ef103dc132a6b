"""``make bench-check``: whether a stage has become slower, in times the decode floor of the same moment.

The stages run over two minutes of the market, each run of one between two of the floor
(``stages.Beside``); the median of ``ROUNDS`` counts, and of more, up to ``MOST_ROUNDS``, while it is more
than ``WORSE`` times what ``ratios.json`` has.  Ends with 1 where a stage stays worse; ``--accept`` writes
the file anew.
"""

import argparse
import json
import sys
from pathlib import Path

from tests.bench.chain import Costs, medians, run_once
from tests.bench.market import Market, market

RATIOS = Path(__file__).parent / "ratios.json"
"""By source of the market and stage."""

SECONDS = 120.0
ROUNDS = 6
MOST_ROUNDS = 16
WORSE = 1.3

ASIDE = "transport"
"""Is not of our making."""


def ratios_of(rounds: list[Costs]) -> dict[str, float]:
    """Return what each stage of ours cost in times of the floor, the total among them."""
    ours = {name: ratio for name, ratio in medians(rounds).items() if name != ASIDE}
    return {**ours, "total": sum(ours.values())}


def worse(ratios: dict[str, float], known: dict[str, float]) -> dict[str, float]:
    """Return how many times worse each stage is that is worse by more than it may be.

    >>> worse({"book": 3.0, "store": 1.0}, {"book": 2.0, "store": 1.0})
    {'book': 1.5}
    """
    times = {name: ratio / known[name] for name, ratio in ratios.items() if name in known}
    return {name: each for name, each in times.items() if each > WORSE}


def accept(feed: Market, known: dict[str, dict[str, float]]) -> None:
    """Write what this run measures as what is known of the feed's source."""
    ratios = ratios_of([run_once(feed) for _ in range(MOST_ROUNDS)])
    known[feed.source] = {name: round(ratio, 2) for name, ratio in ratios.items()}
    RATIOS.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n")


def main() -> int:
    """Compare, or accept, and return the exit code."""
    parser = argparse.ArgumentParser(prog="make bench-check", description=__doc__.split("\n")[0])
    parser.add_argument("--accept", action="store_true")
    feed = market(1, SECONDS)
    known = json.loads(RATIOS.read_text()) if RATIOS.exists() else {}
    if parser.parse_args().accept:
        accept(feed, known)
        return 0
    rounds = [run_once(feed) for _ in range(ROUNDS)]
    while True:
        ratios = ratios_of(rounds)
        found = worse(ratios, known[feed.source])
        if not found or len(rounds) >= MOST_ROUNDS:
            break
        rounds.append(run_once(feed))
    for name, ratio in ratios.items():
        verdict = f"WORSE, {found[name]:.2f} times" if name in found else "as before"
        print(f"{name:10} {ratio:5.2f} times the floor, {known[feed.source][name]:5.2f} accepted: {verdict}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
