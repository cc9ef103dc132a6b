"""The simulated exchanges as a process of their own, and the faults that a test orders."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]


class Exchange:
    """One simulator process."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "tests.simulator", *arguments]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        said = json.loads(self.process.stdout.readline())
        self.ports = {venue: int(said[f"{venue}_port"]) for venue in ("binance", "coinbase")}

    def fault(self, venue: str, **fault: Any) -> None:
        url = f"http://127.0.0.1:{self.ports[venue]}/sim/fault"
        request = urllib.request.Request(url, data=json.dumps(fault).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=10) as reply:  # noqa: S310 loopback
            assert json.load(reply)["ok"]

    def settings(self) -> dict[str, str]:
        return {
            f"{venue.upper()}_{what}_URL": f"{scheme}://127.0.0.1:{port}"
            for venue, port in self.ports.items()
            for what, scheme in (("WS", "ws"), ("REST", "http"))
        }

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()
