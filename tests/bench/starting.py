"""How long the whole logger needs from ``obl-run`` until it records, and to catch up what it left.

what         measured until                                      with
cold start   every book is live; the database is reachable too   an empty DATA_DIR, then the one it left
many         all of that, of 500 securities                      Binance's weight limit, as it is
catching up  books and database are not a second behind          a capture as recorded; book and store stood
"""

import os
import signal
import time

from tests import captures
from tests.bench.figures import Figure
from tests.bench.market import CAPTURE, SYMBOL
from tests.bench.whole import behind_s, is_live, records, until, whole
from tests.system.running import Logger

PAIR = ["binance:BTCUSDT", "coinbase:BTC-USD"]
MANY = 500

MOST_S = 3.0
MOST_MANY_S = 60.0
"""The minute in which the cheapest snapshots of all of them fit (2,500 of a weight of 6,000)."""

STOOD_S = 90.0
LEAST_SPEED = 20.0
CAUGHT_UP_S = 1.0

_PATIENCE_S = 120.0


def measure() -> list[Figure]:
    """Return the figures."""
    found = [*_pair(), _many()]
    return [*found, _catching_up()] if (captures.FOLDER / f"{CAPTURE}.jsonl.zst").is_file() else found


def _pair() -> list[Figure]:
    with whole("--rate", "50", securities=PAIR) as (logger, _):
        first = _started(logger)
        logger.stop(60)
        again = _started(logger)
    return [
        Figure(f"cold start, {folder}, {what}", seconds, "s", bar=MOST_S)
        for folder, (live_s, whole_s) in {"an empty DATA_DIR": first, "the same again": again}.items()
        for what, seconds in (("until it records", live_s), ("the database there too", whole_s))
    ]


def _many() -> Figure:
    names = [f"S{number:03d}USDT" for number in range(MANY)]
    flags = ("--rate", "1", "--levels", "1000", "--symbols-binance", ",".join(names))
    with whole(*flags, securities=[f"binance:{name}" for name in names]) as (logger, _):
        _, seconds = _started(logger)
    note = (
        "500 snapshots of 100 levels take 2,500 of Binance's weight, of 1,000 levels 25,000; 6,000 a minute"
    )
    return Figure(f"start with {MANY} securities", seconds, "s", bar=MOST_MANY_S, note=note)


def _catching_up() -> Figure:
    with whole("--capture", CAPTURE, "--speed", "1", securities=[f"binance:{SYMBOL}"]) as (logger, _):
        _started(logger)
        pids = [logger.pids()[name] for name in ("book-0", "store-0")]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(STOOD_S)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        until(logger, lambda seen: behind_s(seen) > CAUGHT_UP_S, _PATIENCE_S)
        seconds = until(logger, lambda seen: behind_s(seen) < CAUGHT_UP_S, _PATIENCE_S)
    speed = (STOOD_S + seconds) / seconds
    note = f"{STOOD_S:.0f} s were caught up within {seconds:.1f} s, the feed going on; beats come each second"
    return Figure("catching up", speed, "times as recorded", bar=LEAST_SPEED, least=True, note=note)


def _started(logger: Logger) -> tuple[float, float]:
    """Start the logger; return the seconds until all is recorded, and until the database is there too."""
    began = time.monotonic()
    logger.start()
    until(logger, records, _PATIENCE_S)
    live_s = time.monotonic() - began
    until(logger, is_live, _PATIENCE_S)
    return live_s, time.monotonic() - began
