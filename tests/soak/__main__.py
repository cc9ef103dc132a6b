"""``make soak``: a week in miniature, some ten minutes long; fails where memory grows or a hole is not said.

Both simulated venues, the whole logger under supervisord, one line each: the connections rotate, and the
exchange cuts them.  Most of the time is the pause before a connection that did not live long is tried anew.
"""

import argparse
import tempfile
from pathlib import Path

from tests.simulator.process import running
from tests.soak.life import Soak, check, table
from tests.system.running import KEY


def main() -> None:
    """Live as long as the command line asks for."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--rotations", type=int, default=7)
    parser.add_argument("--reconnects", type=int, default=50)
    parser.add_argument("--rotate-seconds", type=int, default=12)
    parser.add_argument("--rate", default="20", help="updates a second and security")
    arguments = parser.parse_args()
    flags = ("--binance-port", "0", "--coinbase-port", "0", "--rate", arguments.rate, "--require-key", KEY)
    with tempfile.TemporaryDirectory(prefix="obl-soak-") as folder, running(*flags) as simulator:
        soak = Soak(Path(folder), simulator, arguments.rotate_seconds)
        try:
            soak.live(arguments.rotations, arguments.reconnects)
            print(table(soak), flush=True)
            check(soak)
            assert soak.logger.stop() == 0, soak.logger.logs()[-6000:]
        finally:
            soak.logger.kill()


if __name__ == "__main__":
    main()
