"""What a peer spends on the same frames: cryptofeed's Binance handler with its book, and an empty callback.

It lives in an environment of its own, ``.venv-peers``, made here; where it cannot be made, one line says so.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

from tests.bench import stages
from tests.bench.chain import medians, run_once
from tests.bench.figures import Figure
from tests.bench.market import Market
from tests.bench.pace import depth_of
from tests.bench.stages import Beside

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = ROOT / ".venv-peers"
PEER = "cryptofeed==2.4.1"
INSTALL_SECONDS = 900
"""It compiles its parts."""

RUN_SECONDS = 120

SHARE = 0.25
"""Of what the peer spends on the book alone, at most, is the whole pipeline to cost."""

RUNS = 7
"""Each between two runs of the floor, in a process of its own that takes the median of three."""


def measure(feed: Market, rounds: int, say: Callable[[str], object]) -> list[Figure]:
    """Return ours beside the peer's, both over the depth frames of *feed*: its book takes no others."""
    feed = depth_of(feed)
    beside = Beside(lambda: stages.floor(feed, stages.Runs(1)).cpu_s)
    try:
        for _ in range(RUNS):
            beside.begin()
            beside.note(_seconds(feed))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        said = str(getattr(error, "stderr", "") or error).strip().splitlines()
        say(f"no peer beside: {PEER} could not be installed or run: {said[-1] if said else error}")
        return []
    ours, theirs = medians([run_once(feed) for _ in range(rounds)]), median(beside.ratios)
    unit, name = "times the decode floor", "cryptofeed, book and callback"
    return [
        Figure("whole pipeline", sum(ours.values()), unit, name, theirs, bar=round(SHARE * theirs, 2)),
        Figure("book stage", ours["book"], unit, name, theirs),
    ]


def _seconds(feed: Market) -> float:
    """Return the CPU seconds of the peer over *feed*."""
    python = ENVIRONMENT / "bin" / "python"
    if not (ENVIRONMENT / "installed").exists():
        subprocess.run(
            [sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True, capture_output=True, timeout=120
        )
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PEER]
        subprocess.run(install, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)
        (ENVIRONMENT / "installed").touch()
    bodies = [arrival.data for arrival in feed.arrivals if arrival.is_snapshot][:1]
    bodies += [each.data for each in feed.arrivals if not each.is_snapshot]
    with tempfile.TemporaryDirectory(prefix="obl-bench-") as folder:
        frames = Path(folder) / "frames"
        frames.write_bytes(b"\n".join(bodies))
        script = str(Path(__file__).with_name("peer_handler.py"))
        done = subprocess.run(
            [str(python), script, str(frames), feed.symbols[0]],
            check=True,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            cwd=folder,
        )
    return float(done.stdout)
