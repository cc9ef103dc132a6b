"""The whole logger beside a simulated exchange, for the tables that need real processes."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from control.client import Client, ControlError
from control.process import KEY_FILE
from tests.simulator.process import Simulator, running
from tests.system.running import KEY, Logger, exchanges

LOOK_S = 0.05


@contextmanager
def whole(*flags: str, securities: list[str], **settings: str) -> Iterator[tuple[Logger, Simulator]]:
    """Give a logger that is not started yet, and the simulator, started with *flags*.

    Audits are off unless told: what is made in advance has no truth to be compared with.
    """
    ports = ("--binance-port", "0", "--coinbase-port", "0", "--require-key", KEY, "--with-parent")
    with (
        tempfile.TemporaryDirectory(prefix="obl-bench-") as folder,
        running(*ports, *flags) as simulator,
    ):
        logger = Logger(
            Path(folder),
            SECURITIES=",".join(securities),
            ORDERBOOK_UPDATEFREQUENCY="100",
            **{"AUDIT_SECONDS": "0", **settings},
            **exchanges(simulator),
        )
        try:
            yield logger, simulator
        finally:
            if logger.process is not None:
                logger.stop(60)


def status(logger: Logger) -> dict[str, Any]:
    """Return what ``obl status`` shows, {} while nobody answers."""
    try:
        key = (logger.folder / "data" / KEY_FILE).read_text().strip()
        client = Client("127.0.0.1", int(logger.environment["MANAGER_PORT"]), key)
    except (OSError, ControlError):
        return {}
    try:
        found: dict[str, Any] = client.call("status")
    except ControlError:
        return {}
    finally:
        client.close()
    return found


def records(seen: dict[str, Any]) -> bool:
    """Say whether every book is live."""
    return {row["state"] for row in seen.get("securities", ())} == {"live"}


def is_live(seen: dict[str, Any]) -> bool:
    """Say whether every book is live and the database is reachable."""
    return records(seen) and bool(seen["database"]["reachable"])


def behind_s(seen: dict[str, Any]) -> float:
    """Return the seconds that the last book or the database is behind."""
    lags = [row["lag_s"] for row in seen["securities"]]
    lags.append(seen["database"]["behind_s"])
    return max(each if each is not None else float("inf") for each in lags)


def until(logger: Logger, holds: Callable[[dict[str, Any]], bool], patience_s: float) -> float:
    """Return the seconds until what status says *holds*.

    Raises:
        RuntimeError: it did not within *patience_s*.
    """
    began = time.monotonic()
    while not ((seen := status(logger)) and holds(seen)):
        if time.monotonic() - began > patience_s:
            why = {name: seen.get(name) for name in ("processes", "database")}
            raise RuntimeError(f"not within {patience_s} s: {why}\n{logger.logs()[-3000:]}")
        time.sleep(LOOK_S)
    return time.monotonic() - began
