"""``make chaos``: accidents of the whole logger from a seed, for as many rounds as you like.

Each round is a life of its own: bursts of accidents to processes, wire, REST, database and clock, calm after
each, an orderly end, and

- every document is compared with what ``obl rebuild`` makes of the journals,
- every stored trade, and the book at random instants, with the market's truth,
- every missing id with what the journals received and what the schedule explains,
- all of them together with what the exchanges sent to nobody: not more than 1.2 times that.

With an even seed there is one line a venue, and every process of ours, the database and supervisord may be
hit; with an odd one there are two lines, one of them is hit at a time, and nothing may be missing.  Seeds 2
and 3 of each four store no order ids.  A round that fails says why, where its files are and how to repeat it,
and the next one is played.  In the end the accounts of all rounds are printed, and the seeds that failed.
"""

import argparse
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.chaos.life import (
    differing_audits,
    holes,
    is_what_the_journals_say,
    is_what_the_market_was,
    live,
    logger_of,
)
from tests.chaos.schedule import schedule
from tests.chaos.stepping import HostClock
from tests.chaos.tally import MOST, Tally
from tests.simulator.process import running
from tests.system.running import KEY

INSTANTS = 60
RATE = "40"
"""Updates a second and security."""

LEVELS = "800"
"""A side: a snapshot brings all of them, so that a wrong one is seen to differ."""


def play(seed: int, count: int, lines: int, rate: str, tally: Tally) -> None:
    """Live one round and add it to the accounts.

    Raises:
        AssertionError: a promise is broken.
    """
    accidents = schedule(seed, count, lines)
    print(f"seed {seed}, {lines} line(s) a venue: {'; '.join(map(str, accidents))}", flush=True)
    flags = ("--rate", rate, "--seed", str(seed), "--levels", LEVELS, "--require-key", KEY)
    folder = Path(tempfile.mkdtemp(prefix="obl-chaos-"))
    with running(*flags) as simulator:
        clock = HostClock(folder)
        logger = logger_of(folder, simulator, INGEST_LINES=str(lines), **clock.environment)
        try:
            happened = live(logger, simulator, clock, accidents, lines, order_ids=seed % 4 < 2)
            tally.happened(lines, happened)
            is_what_the_market_was(logger, simulator, happened, seed, INSTANTS, tally)
            assert tally.clean, tally.bad()
            assert lines == 1 or holes(logger) == [], f"two lines, and yet holes: {holes(logger)}"
            is_what_the_journals_say(logger)
            wrong = sum(each.what == "wrong" for each in accidents)
            assert len(differing_audits(logger)) <= wrong, differing_audits(logger)
        except BaseException:
            print(f"the logger's files are in {folder}", flush=True)
            raise
        finally:
            logger.kill()
    shutil.rmtree(folder)


def is_as_it_should_be(seed: int, count: int, rate: str, tally: Tally) -> bool:
    """Play a round and add its accounts, whatever becomes of it; say what did."""
    its_own, began = Tally(), time.monotonic()
    try:
        play(seed, count, 1 + seed % 2, rate, its_own)
    except Exception:  # noqa: BLE001 - however a round fails, the next one is played
        traceback.print_exc(file=sys.stdout)
        print(
            f"seed {seed} failed; make chaos SEED={seed} ROUNDS=1 ACCIDENTS={count} plays it again",
            flush=True,
        )
        return False
    else:
        print(f"seed {seed}: as it should be, {time.monotonic() - began:.0f} s", flush=True)
        return True
    finally:
        tally.add(its_own)


def main() -> None:
    """Play the rounds that the command line asks for."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=time.time_ns() // 10**9 % 100_000)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--accidents", type=int, default=84, help="of a round; 12 rounds of them: 1,008")
    parser.add_argument("--rate", default=RATE, help="updates a second and security")
    arguments = parser.parse_args()
    tally, failed, began = Tally(), list[int](), time.monotonic()
    try:
        for seed in range(arguments.seed, arguments.seed + arguments.rounds):
            if not is_as_it_should_be(seed, arguments.accidents, arguments.rate, tally):
                failed.append(seed)
    finally:
        print(f"{tally.table()}\nminutes  {(time.monotonic() - began) / 60:.0f}", flush=True)
    if failed:
        sys.exit(f"failed: {', '.join(map(str, failed))}")
    if tally.ratio > MOST:
        sys.exit(f"missing are {tally.ratio:.2f} times what the exchanges sent to nobody")


if __name__ == "__main__":
    main()
