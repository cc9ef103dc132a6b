"""Where no compiler is to be had the whole runs by its plain loops, and says the same."""

import json
import subprocess
import sys

from tests.unit.book.play import Story, play, stored

LOOPLESS = """
import importlib.abc, sys

class NoLoops(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.endswith("_loops"):
            raise ImportError(name)

sys.meta_path.insert(0, NoLoops())
import book.process, condition.process, ingest.process, store.process, store.compact, ui.cli
from book import following
from tests.unit.test_uncompiled import told
print(following.COMPILED, told())
"""


def told() -> str:
    """Return what is stored of updates as Binance writes them, many in a group."""
    story = Story(per_group=12).begin().snapshot(0.1, 10)
    for update_id in range(11, 60):
        price = f"{9 - update_id % 5}.00000000"
        story.update(update_id / 10, update_id, bids=[(price, f"{update_id % 3}.00000000")])
    said = play(story.quiet_until(12).groups)[1]
    return json.dumps(sorted(map(repr, stored(said).items())))


def test_without_compiled_loops_all_is_read_and_stored_the_same() -> None:
    ran = subprocess.run([sys.executable, "-c", LOOPLESS], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == f"False {told()}\n"
