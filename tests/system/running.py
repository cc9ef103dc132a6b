"""The whole logger under supervisord, and the simulated exchanges, in a folder of their own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
COINBASE_KEY = ("demo", "ZGVtbw==", "demo")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Simulator:
    """A simulator process that speaks for both exchanges and knows the truth."""

    def __init__(self, *arguments: str, seed: int = 1, rate: float = 20) -> None:
        command = [sys.executable, "-m", "tests.simulator", "--binance-port", "0", "--coinbase-port", "0"]
        command += ["--seed", str(seed), "--rate", str(rate), "--require-key", ":".join(COINBASE_KEY)]
        self.process = subprocess.Popen([*command, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        ports = json.loads(self.process.stdout.readline())
        self.ports = {"binance": ports["binance"], "coinbase": ports["coinbase"]}

    def get(self, venue: str, path: str, **query: Any) -> Any:
        url = f"http://127.0.0.1:{self.ports[venue]}{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=20) as reply:
            return json.load(reply)

    def fault(self, venue: str, **fault: Any) -> None:
        url = f"http://127.0.0.1:{self.ports[venue]}/sim/fault"
        request = urllib.request.Request(url, data=json.dumps(fault).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=20):
            pass

    def settings(self) -> dict[str, str]:
        key, secret, passphrase = COINBASE_KEY
        found = {"COINBASE_API_KEY": key, "COINBASE_API_SECRET": secret, "COINBASE_API_PASSPHRASE": passphrase}
        for venue, port in self.ports.items():
            found[f"{venue.upper()}_WS_URL"] = f"ws://127.0.0.1:{port}"
            found[f"{venue.upper()}_REST_URL"] = f"http://127.0.0.1:{port}"
        return found

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


class Logger:
    """The logger as a person runs it, by obl-run and obl."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        plain = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}}
        self.environment = {
            **plain,
            "DATA_DIR": str(folder / "data"),
            "MANAGER_PORT": str(free_port()),
            "MONGODB_EMBEDDED_PORT": str(free_port()),
            "DISK_RESERVE_BYTES": "1000000",
            **settings,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "supervisor-output.txt").open("ab") as output:
            self.process = subprocess.Popen(
                [BIN / "obl-run"], cwd=ROOT, env=self.environment, stdout=output, stderr=subprocess.STDOUT
            )

    def stop(self, seconds: float = 30) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def obl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BIN / "obl", *arguments], cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=60
        )

    def answer(self, *arguments: str) -> Any:
        """Return the one JSON object that a command prints."""
        done = self.obl(*arguments, "--json")
        assert done.returncode == 0, f"obl {' '.join(arguments)}: {done.stderr}"
        return json.loads(done.stdout)

    def answers(self, *arguments: str) -> list[Any]:
        """Return the JSON lines that a command prints."""
        done = self.obl(*arguments, "--json")
        assert done.returncode == 0, f"obl {' '.join(arguments)}: {done.stderr}"
        return [json.loads(line) for line in done.stdout.splitlines()]

    def pids(self) -> dict[str, int]:
        """Return the processes that control knows, by name, and the database."""
        return {row["name"]: row["pid"] for row in self.answers("processes")}

    def logs(self) -> str:
        return "\n".join(path.read_text() for path in sorted((self.folder / "data/logs").glob("*.log")))

    def eventually(self, what: str, check: Callable[[], bool], seconds: float = 60) -> None:
        """Ask again until *check* holds; each question is a whole obl command, so none is idle."""
        deadline = time.monotonic() + seconds
        while not check():
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}\n{self.logs()[-6000:]}"
