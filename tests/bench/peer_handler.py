"""Runs in the peers' own environment: cryptofeed's Binance handler with its book over frames, callback only.

``python peer_handler.py FRAMES SYMBOL``: a snapshot's body in the first line, a depth frame in each other.
Prints the median CPU seconds of three.
"""

import asyncio
import sys
import time
from pathlib import Path
from statistics import median

from cryptofeed.defines import BINANCE, L2_BOOK
from cryptofeed.exchanges import Binance
from cryptofeed.symbols import Symbols

snapshot, *frames = Path(sys.argv[1]).read_text().splitlines()
updates = []


class Recorded:
    """Stands for the REST connection."""

    async def read(self, *_, **__):
        return snapshot


async def heard(book, _):
    updates.append(book.sequence_number)


async def run():
    Symbols.set(BINANCE, {"ETH-USDT": sys.argv[2]}, {"instrument_type": {"ETH-USDT": "spot"}})
    feed = Binance(symbols=["ETH-USDT"], channels=[L2_BOOK], callbacks={L2_BOOK: heard})
    feed.http_conn = Recorded()
    started = time.process_time()
    for frame in frames:
        await feed.message_handler(frame, None, 0.0)
    return time.process_time() - started


usual = median(asyncio.run(run()) for _ in range(3))
if len(updates) < 0.9 * 3 * len(frames):
    sys.exit(f"its callback heard of {len(updates)} updates in three runs of {len(frames)} frames")
print(usual)
