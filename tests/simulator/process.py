"""Starts the simulator as a process, for tests: ``with running("--rate", "200") as simulator: ...``."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class Simulator:
    """The running process: its addresses, and what can be asked of it."""

    def __init__(self, process: "subprocess.Popen[str]", binance_port: int, coinbase_port: int) -> None:
        self.process = process
        self.ports = {"binance": binance_port, "coinbase": coinbase_port}

    def rest_url(self, venue: str) -> str:
        """Return what to set as ``BINANCE_REST_URL`` or ``COINBASE_REST_URL``."""
        return f"http://127.0.0.1:{self.ports[venue]}"

    def ws_url(self, venue: str) -> str:
        """Return what to set as ``BINANCE_WS_URL`` or ``COINBASE_WS_URL``."""
        return f"ws://127.0.0.1:{self.ports[venue]}"

    def request(self, venue: str, path: str, body: bytes | None = None) -> tuple[int, Any, dict[str, str]]:
        """Return (status, decoded body, headers), whatever the status is."""
        request = urllib.request.Request(self.rest_url(venue) + path, data=body)  # noqa: S310 -- loopback
        try:
            reply = urllib.request.urlopen(request, timeout=10)  # noqa: S310 -- loopback
        except urllib.error.HTTPError as error:
            reply = error
        with reply:
            content = reply.read()
            return reply.status or 0, json.loads(content) if content else None, dict(reply.headers)

    def get(self, venue: str, path: str) -> Any:
        """Return the decoded body of a 200.

        Raises:
            AssertionError: it was another status.
        """
        status, body, _ = self.request(venue, path)
        assert status == 200, f"{path}: {status} {body}"
        return body

    def fault(self, venue: str, kind: str, **fields: object) -> None:
        """Order a fault; the fields are in ``control``."""
        status, body, _ = self.request(venue, "/sim/fault", json.dumps({"kind": kind, **fields}).encode())
        assert status == 200, body

    def truth_book(self, venue: str, symbol: str, **query: object) -> Any:
        """Return the true book at ``time_ns=`` or ``update_id=``."""
        return self.get(venue, f"/sim/truth/book?symbol={symbol}&{_query(query)}")

    def truth_trades(self, venue: str, symbol: str, **query: object) -> Any:
        """Return the true trades ``from_id=`` .. ``to_id=``, inclusive."""
        return self.get(venue, f"/sim/truth/trades?symbol={symbol}&{_query(query)}")["trades"]

    def truth_range(self, venue: str, symbol: str) -> Any:
        """Return the first and last ids and times of which the truth is kept."""
        return self.get(venue, f"/sim/truth/range?symbol={symbol}")

    def truth_moment(self, venue: str, symbol: str, **query: object) -> int:
        """Return when ``update_id=`` or ``trade_id=`` was, UTC nanoseconds."""
        return int(self.get(venue, f"/sim/truth/moment?symbol={symbol}&{_query(query)}")["time_ns"])

    def unheard(self, venue: str, symbol: str) -> Any:
        """Return by feed (``book``, ``trades``) what nobody was sent: [first, last, where a book goes on]."""
        return self.get(venue, f"/sim/unheard?symbol={symbol}")

    def connections(self, venue: str) -> list[Any]:
        """Return the open websockets of *venue*."""
        return [one for one in self.get(venue, "/sim/connections") if one["venue"] == venue]

    def wait(self, condition: Callable[["Simulator"], bool], seconds: float = 10) -> None:
        """Ask until *condition* holds.

        Raises:
            TimeoutError: it did not in time.
        """
        until = time.monotonic() + seconds
        while not condition(self):
            if time.monotonic() > until:
                raise TimeoutError
            time.sleep(0.01)


def _query(fields: dict[str, object]) -> str:
    return "&".join(f"{name}={value}" for name, value in fields.items())


@contextmanager
def running(*arguments: str) -> Iterator[Simulator]:
    """Start the process, wait until it listens, and stop it in the end."""
    command = [sys.executable, "-m", "tests.simulator", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            yield Simulator(process, **json.loads(line))
        finally:
            process.terminate()
            process.wait(10)
