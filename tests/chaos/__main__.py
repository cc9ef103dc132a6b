"""``make chaos``: accidents of the whole logger from a seed, for as many rounds as you like.

Each round is a life of its own: some accidents, an orderly end, and every document compared with what
``obl rebuild`` makes of the journals.  With an even seed there is one line a venue, and every process of
ours, the database and supervisord may be hit; with an odd one there are two lines, ingesters are hit one at a
time, and nothing may be missing.  A round that fails prints how to repeat it.
"""

import argparse
import tempfile
import time
from pathlib import Path

from tests.chaos.accidents import INGESTERS, STAGES, Accident, drawn
from tests.chaos.life import holes, is_what_the_journals_say, live, logger_of
from tests.simulator.process import running
from tests.system.running import KEY

CALM = Accident("calm")
EVERYTHING = (*STAGES, "ingest-binance-a", "ingest-coinbase-a")


def accidents_of(seed: int, count: int, lines: int) -> list[Accident]:
    """Return the accidents of one round."""
    if lines == 1:
        return drawn(seed, count, EVERYTHING, ["kill", "kill", "kill", "stall", "crash", "calm"])
    return [step for one in drawn(seed, count, INGESTERS, ["kill one", "stall"]) for step in (one, CALM)]


def play(seed: int, count: int, lines: int, rate: str) -> list[str]:
    """Live one round; return the causes of what is missing.

    Raises:
        AssertionError: a promise is broken.
    """
    accidents = accidents_of(seed, count, lines)
    print(f"seed {seed}, {lines} line(s) a venue: {'; '.join(map(str, accidents))}", flush=True)
    flags = ("--binance-port", "0", "--coinbase-port", "0", "--rate", rate, "--seed", str(seed))
    with (
        tempfile.TemporaryDirectory(prefix="obl-chaos-") as folder,
        running(*flags, "--require-key", KEY) as simulator,
    ):
        logger = logger_of(Path(folder), simulator, INGEST_LINES=str(lines))
        try:
            live(logger, simulator, accidents)
            is_what_the_journals_say(logger)
            causes = sorted({row["cause"] for row in holes(logger)})
            assert causes in ([], ["own_restart"]), f"holes for {causes}"
            assert lines == 1 or not causes, f"two lines, and yet holes for {causes}"
            return causes
        finally:
            logger.kill()


def main() -> None:
    """Play the rounds that the command line asks for."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=time.time_ns() // 10**9 % 100_000)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--accidents", type=int, default=8)
    parser.add_argument("--rate", default="40", help="updates a second and security")
    arguments = parser.parse_args()
    for n in range(arguments.rounds):
        seed = arguments.seed + n
        try:
            causes = play(seed, arguments.accidents, 1 + seed % 2, arguments.rate)
        except AssertionError:
            again = f"SEED={seed} ROUNDS=1 ACCIDENTS={arguments.accidents}"
            print(f"seed {seed} failed; make chaos {again} plays it again", flush=True)
            raise
        missing = "what no line received, " + ", ".join(causes) if causes else "nothing"
        print(f"seed {seed}: the database is what the journals say; missing: {missing}", flush=True)


if __name__ == "__main__":
    main()
