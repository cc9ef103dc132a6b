"""Lets time pass for one exchange: takes the source's frames and hands them to the connections."""

import asyncio
import contextlib
import time
from collections.abc import Callable

from tests.simulator.connection import MAX_BUFFERED, Connection
from tests.simulator.heard import Account
from tests.simulator.source import EVERYONE, Source

GREEDY_BUFFER = 1_000_000
"""A greedy source is asked for more only while no client has more than this waiting, bytes."""

Wrap = Callable[[Connection, str, bytes], bytes]
"""Makes what goes on the wire of a frame's key and payload."""


class Hub:
    """The connections of one exchange and the source they hear."""

    def __init__(self, source: Source, wrap: Wrap, too_slow: Callable[[Connection], None]) -> None:
        self.source = source
        self.connections: dict[int, Connection] = {}
        self.account = None if source.greedy else Account()
        """What was sent; not of a benchmark's source."""
        self._wrap, self._too_slow = wrap, too_slow
        self._numbers = 0
        self._wanted: set[str] = set()

    def add(self, connection: Connection) -> None:
        """Let a connection hear."""
        self.connections[connection.number] = connection

    def remove(self, connection: Connection) -> None:
        """Forget a connection that ended."""
        self.connections.pop(connection.number, None)
        self.changed()

    def next_number(self) -> int:
        """Return the number of a new connection, counted from 1."""
        self._numbers += 1
        return self._numbers

    def changed(self) -> None:
        """Note that subscriptions changed; ``pump`` before, so that the change falls between two frames."""
        self._wanted = set().union(*(one.keys for one in self.connections.values()))

    def pump(self) -> int:
        """Let happen what is due until now, send it, and return the time of now in ns."""
        now_ns = time.time_ns()
        connections = list(self.connections.values())
        if not (self.source.greedy and any(one.buffered > GREEDY_BUFFER for one in connections)):
            for key, payload in self.source.advance(now_ns, self._wanted):
                for connection in connections:
                    if key in connection.keys or key == EVERYONE:
                        connection.market(self._wrap(connection, key, payload), now_ns)
        for connection in connections:
            connection.flush(now_ns)
            if connection.buffered > MAX_BUFFERED:
                self._too_slow(connection)
        return now_ns

    async def run(self) -> None:
        """Pump until cancelled."""
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                self.pump()
                await asyncio.sleep(self._pause())

    def _pause(self) -> float:
        if not (self.source.greedy and self.connections):
            return self.source.tick_s
        full = any(one.buffered > GREEDY_BUFFER for one in self.connections.values())
        return 0.001 if full else 0.0
