"""What a peer spends on the same frames: cryptofeed's Binance handler with its book, and an empty callback.

It lives in an environment of its own, ``.venv-peers``, made here; where it cannot be made, one line says so.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.bench.figures import Figure
from tests.bench.market import Market

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = ROOT / ".venv-peers"
PEER = "cryptofeed==2.4.1"
INSTALL_SECONDS = 900
"""It compiles its parts."""

RUN_SECONDS = 120

SHARE = 0.25
"""Of what the peer spends on the book alone, at most, is the whole pipeline to cost."""

NOT_OURS = ("decode floor", "database server")


def measure(
    feed: Market, level_changes: int, stages: Mapping[str, float], say: Callable[[str], object]
) -> list[Figure]:
    """Return the peer's figure beside ours; *stages* are the CPU seconds of ours over *feed*."""
    try:
        peer_s = _seconds(feed)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        said = str(getattr(error, "stderr", "") or error).strip().splitlines()
        say(f"no peer beside: {PEER} could not be installed or run: {said[-1] if said else error}")
        return []
    peer_us = 1e6 * peer_s / level_changes
    book_us = 1e6 * stages["book"] / level_changes
    whole_us = 1e6 * sum(cpu for name, cpu in stages.items() if name not in NOT_OURS) / level_changes
    unit = "us CPU a level change"
    return [
        Figure(
            "whole pipeline",
            whole_us,
            unit,
            "cryptofeed, book and callback",
            peer_us,
            bar=round(SHARE * peer_us, 2),
        ),
        Figure("book stage", book_us, unit, "cryptofeed, book and callback", peer_us),
    ]


def _seconds(feed: Market) -> float:
    """Return the least CPU seconds of the peer over the depth frames of *feed*."""
    python = ENVIRONMENT / "bin" / "python"
    if not (ENVIRONMENT / "installed").exists():
        subprocess.run(
            [sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True, capture_output=True, timeout=120
        )
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PEER]
        subprocess.run(install, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)
        (ENVIRONMENT / "installed").touch()
    bodies = [arrival.data for arrival in feed.arrivals if arrival.is_snapshot][:1]
    bodies += [each.data for each in feed.arrivals if b"@depth" in each.data[:40] and not each.is_snapshot]
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
