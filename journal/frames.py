"""Frames of one security as columns, of one group or of several that follow one another: what mostly comes.

A record is made only when it is asked for.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import overload

from journal.group import Group, Kind, Record


class Frames(Sequence[Record]):
    """Frames that one line brought of one security, by position; one at least."""

    __slots__ = ("connections", "line", "payloads", "positions", "received_ns", "security")

    def __init__(
        self,
        security: str,
        line: str,
        positions: list[int],
        received_ns: list[int],
        connections: list[int],
        payloads: list[bytes],
    ) -> None:
        self.security = security
        self.line = line
        self.positions = positions
        self.received_ns = received_ns
        self.connections = connections
        self.payloads = payloads

    def __len__(self) -> int:
        return len(self.positions)

    @overload
    def __getitem__(self, place: int) -> Record: ...

    @overload
    def __getitem__(self, place: slice) -> "Frames": ...

    def __getitem__(self, place: int | slice) -> "Record | Frames":
        if isinstance(place, slice):
            return Frames(
                self.security,
                self.line,
                self.positions[place],
                self.received_ns[place],
                self.connections[place],
                self.payloads[place],
            )
        return Record(
            self.positions[place],
            Kind.FRAME,
            self.received_ns[place],
            self.security,
            self.connections[place],
            self.payloads[place],
            self.line,
        )

    @property
    def next_position(self) -> int:
        """Position after the last of them."""
        return self.positions[-1] + 1

    def since(self, position: int) -> "Frames | None":
        """Return those that are not before *position*."""
        at = bisect_left(self.positions, position)
        return self if not at else self[at:] if at < len(self) else None

    def at(self, places: Sequence[int]) -> "Frames":
        """Return those at *places*."""
        if len(places) == len(self):
            return self
        return Frames(
            self.security,
            self.line,
            [self.positions[at] for at in places],
            [self.received_ns[at] for at in places],
            [self.connections[at] for at in places],
            [self.payloads[at] for at in places],
        )

    def extend(self, more: "Frames") -> None:
        """Add those that come next."""
        self.positions += more.positions
        self.received_ns += more.received_ns
        self.connections += more.connections
        self.payloads += more.payloads


def by_security(group: Group, rows: Sequence[int]) -> dict[str, Frames]:
    """Return the frames *rows* of *group*, security by security."""
    routes, named = group.routes, dict[int, list[int]]()
    if not rows:
        return {}
    for row in rows:
        named.setdefault(routes[row], []).append(row)
    received_ns, connections, first = group.received_ns(), group.connections(), group.first
    return {
        group.names[route]: Frames(
            group.names[route],
            group.line,
            [first + row for row in its],
            [received_ns[row] for row in its],
            [connections[row] for row in its],
            group.payloads(its),
        )
        for route, its in named.items()
    }
