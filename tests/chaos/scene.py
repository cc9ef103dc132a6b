"""Where accidents happen: the running logger, the exchanges, the journals' heads, what is still to end."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from control.client import Client, ControlError
from journal.collected import journals_in
from journal.reader import BEGINNING, Reader
from tests.chaos.stepping import HostClock
from tests.simulator.process import Simulator
from tests.system.running import Logger
from tests.system.test_end_to_end import truth

PATIENCE_S = 240
_PAUSE_S = 0.02
"""Between two questions."""


class Heads:
    """How many records each line has appended since it began, over all its epochs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._readers: dict[Path, Reader] = {}
        self._counts: dict[Path, int] = {}

    def counts(self) -> dict[Path, int]:
        """Return the number of records by the line's folder."""
        for folder in journals_in(self._folder):
            reader = self._readers.setdefault(folder, Reader(folder))
            fresh = sum(group.count for group in reader.groups(reader.position or BEGINNING))
            self._counts[folder] = self._counts.get(folder, 0) + fresh
        return dict(self._counts)


class Scene:
    """One round's."""

    def __init__(
        self, logger: Logger, simulator: Simulator, clock: HostClock, securities: Sequence[str], lines: int
    ) -> None:
        self.logger, self.simulator, self.clock = logger, simulator, clock
        self.securities, self.lines = securities, lines
        self.spared: dict[str, int] = {}
        """By venue the connection that nothing happens to until the next calm."""
        self._heads = Heads(logger.folder / "data/journal")
        self._ends: list[tuple[int, Callable[[], None]]] = []

    def now_ns(self) -> int:
        """Return the time of the newest thing that happened on the exchange."""
        return int(truth(self.simulator, self.securities[0])["last_ns"])

    def after(self, seconds: float, end: Callable[[], None]) -> None:
        """Let *end* be done when the exchange has moved on by *seconds*."""
        self._ends.append((self.now_ns() + int(seconds * 1e9), end))

    def eventually(self, what: str, check: Callable[[], bool], seconds: float = PATIENCE_S) -> None:
        """Ask until *check* holds; what is due meanwhile is done."""
        deadline = time.monotonic() + seconds
        while not check():
            assert time.monotonic() < deadline, (
                f"not within {seconds} s: {what}\n{self.logger.logs()[-6000:]}"
            )
            self._end()
            time.sleep(_PAUSE_S)

    def advance(self, records: int) -> None:
        """Wait until the journal of a line has so many records more."""
        before = self._heads.counts()

        def advanced() -> bool:
            return any(count >= before.get(line, 0) + records for line, count in self._heads.counts().items())

        self.eventually(f"a journal has {records} records more", advanced)

    def everything_ended(self) -> None:
        """Wait for the end of what takes longer."""
        self.eventually("all has ended", lambda: not self._ends)

    def reaches_now(self) -> None:
        """Wait until every live book is past what the exchange has now."""
        for security in self.securities:
            now = truth(self.simulator, security)["last_id"]
            self.eventually(f"{security} past {now}", lambda s=security, n=now: self._reached(s, n))

    def _reached(self, security: str, update_id: int) -> bool:
        rows = self._status().get("securities", [])
        return any(row["security"] == security and (row["update_id"] or 0) > update_id for row in rows)

    def _status(self) -> dict[str, Any]:
        """Return what control says of the health; nothing where it does not answer."""
        port = int(self.logger.environment["MANAGER_PORT"])
        try:
            key = (self.logger.folder / "data/secrets/manager_key").read_text().strip()
            with Client("127.0.0.1", port, key) as client:
                found: dict[str, Any] = client.call("status")
        except ControlError:
            return {}
        return found

    def _end(self) -> None:
        if self._ends:
            now_ns = self.now_ns()
            due = [end for at_ns, end in self._ends if at_ns <= now_ns]
            self._ends = [each for each in self._ends if each[0] > now_ns]
            for end in due:
                end()


def answers(logger: Logger) -> bool:
    """Say whether control answers."""
    return logger.obl("ping").returncode == 0
