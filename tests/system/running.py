"""The whole logger under supervisord, in a folder of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xmlrpc.client import ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from tests.embedded import free_port
from tests.simulator.process import Simulator
from wire.endpoints import runtime_folder

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
COMMAND_S = 300
"""A rebuild of minutes takes seconds; on a machine that is ten times overloaded, minutes."""

KEY = "demo:ZGVtbw==:demo"


def exchanges(simulator: Simulator) -> dict[str, str]:
    """Return the settings that make the logger speak to *simulator*, started with ``KEY``."""
    key, secret, passphrase = KEY.split(":")
    return {
        "COINBASE_API_KEY": key,
        "COINBASE_API_SECRET": secret,
        "COINBASE_API_PASSPHRASE": passphrase,
        **{f"{venue.upper()}_WS_URL": simulator.ws_url(venue) for venue in simulator.ports},
        **{f"{venue.upper()}_REST_URL": simulator.rest_url(venue) for venue in simulator.ports},
    }


def run(command: list[str | Path], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=COMMAND_S
    )


class Logger:
    """The logger as a person runs it, by obl-run and obl."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        plain = {
            name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}
        }
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
        return run([BIN / "obl", *arguments], self.environment)

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

    def status(self, security: str) -> dict[str, Any]:
        """Return the security's row of `obl status`."""
        rows = self.answer("status")["securities"]
        found: dict[str, Any] = next(row for row in rows if row["security"] == security)
        return found

    def state(self, security: str) -> str:
        """Return the security's state, "" while it is not in the list."""
        rows = self.answers("list")
        return next((str(row["state"]) for row in rows if row["security"] == security), "")

    def pids(self) -> dict[str, int]:
        """Return the pid of each program that supervisord says is running."""
        transport = SupervisorTransport(
            None, None, f"unix://{runtime_folder(self.folder / 'data')}/supervisor.sock"
        )
        with ServerProxy("http://127.0.0.1", transport=transport) as supervisor:
            rows: Any = supervisor.supervisor.getAllProcessInfo()
        return {row["name"]: row["pid"] for row in rows if row["statename"] == "RUNNING"}

    def output(self) -> str:
        return (self.folder / "supervisor-output.txt").read_text()

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)

    def logs(self) -> str:
        return "\n".join(path.read_text() for path in sorted((self.folder / "data/logs").glob("*.log")))

    def eventually(self, what: str, check: Callable[[], bool], seconds: float = 60) -> None:
        """Ask again until *check* holds; each question is a whole obl command, so none is idle."""
        deadline = time.monotonic() + seconds
        while not check():
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}\n{self.logs()[-6000:]}"
