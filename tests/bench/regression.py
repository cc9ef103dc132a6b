"""``make bench-check``: whether a stage has become slower, in times the decode floor of the same run.

The stages run over two minutes of the market, and again while one of them is more than ``WORSE`` times what
``ratios.json`` has for it, up to ``ROUNDS`` times: the least of all rounds counts, of the floor too, for what
else the machine does only ever adds.  Ends with 1 where one stays worse; ``--accept`` writes the file anew.
"""

import argparse
import json
import sys
from pathlib import Path

from tests.bench.chain import run_once
from tests.bench.market import Market, market

RATIOS = Path(__file__).parent / "ratios.json"
"""By source of the market and stage."""

SECONDS = 120.0
ROUNDS = 8
ACCEPTED_ROUNDS = 4
WORSE = 1.3

FLOOR, ASIDE = "decode floor", ("transport", "database server")
"""Transport and server are not of our making."""


class Least:
    """The least CPU seconds of each stage in all rounds so far."""

    def __init__(self, feed: Market) -> None:
        self._feed = feed
        self._seconds: dict[str, float] = {}

    def round(self) -> dict[str, float]:
        """Run every stage once more; return the ratios, the total among them."""
        for stage, cpu_s in run_once(self._feed).stages.items():
            self._seconds[stage] = min(cpu_s, self._seconds.get(stage, cpu_s))
        floor_s = self._seconds[FLOOR]
        ours = {name: s / floor_s for name, s in self._seconds.items() if name not in (FLOOR, *ASIDE)}
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
    least = Least(feed)
    ratios = [least.round() for _ in range(ACCEPTED_ROUNDS)][-1]
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
    least, found = Least(feed), {}
    for _ in range(ROUNDS):
        ratios = least.round()
        found = worse(ratios, known[feed.source])
        if not found:
            break
    for name, ratio in ratios.items():
        verdict = f"WORSE, {found[name]:.2f} times" if name in found else "as before"
        print(f"{name:10} {ratio:5.2f} times the floor, {known[feed.source][name]:5.2f} accepted: {verdict}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
