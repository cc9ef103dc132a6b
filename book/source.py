"""Where updates and trades come from: the connections of the lines that are open for one security.

event                              what is known then
an id on a connection              how far it has come; it is open
the connection closes              why, for the cause of what is missing next
a new epoch of its line            all connections of the line are gone
``add``, or a connection opens,    the line is *expected*: it may yet bring what others have passed
where none has brought anything
"""

from collections.abc import Sequence
from typing import Any, NamedTuple


class Source(NamedTuple):
    """What brought a record; connections count within an epoch of their line."""

    line: str
    epoch: int
    connection: int


class Connections:
    """Which connections are open for one security, and how far each has come."""

    def __init__(self) -> None:
        self._reached: dict[str, dict[int, int]] = {}
        """Per line the last id that each open connection brought."""
        self._ended: dict[str, tuple[int, str]] = {}
        """Per line the connection that closed last in this epoch, and why."""
        self._epochs: dict[str, int] = {}
        self._expected: set[str] = set()

    def expect(self, line: str) -> None:
        """Note that *line* has begun, and no connection of it has brought anything yet."""
        if not self._reached.get(line):
            self._expected.add(line)

    def leave(self, line: str) -> None:
        """Note that *line* does not record the security any more: nothing of it is waited for."""
        self._expected.discard(line)
        self._reached.pop(line, None)

    def brought(self, line: str, connection: int, last_id: int) -> None:
        """Note an id."""
        reached = self._reached.get(line)
        if reached is None:
            reached = self._reached[line] = {}
        if self._expected:
            self._expected.discard(line)
        if last_id > reached.get(connection, -1):
            reached[connection] = last_id

    def brought_in_turn(self, line: str, connections: Sequence[int], last_ids: Sequence[int]) -> None:
        """Note the ids that *connections* of *line* brought one after the other, ascending."""
        for connection, reached in dict(zip(connections, last_ids, strict=True)).items():
            self.brought(line, connection, reached)

    def closed(self, line: str, connection: int, reason: str) -> None:
        """Note the end of a connection."""
        if self._reached.get(line, {}).pop(connection, None) is not None:
            self._ended[line] = (connection, reason)

    def new_epoch(self, line: str, epoch: int) -> None:
        """Note that *line* started again."""
        # One that ended for the disk, with none after it, is why what comes next is missing, however often
        # the line starts again before there is room.
        if self._reached.pop(line, None) or not ended_for_disk(self._ended.get(line, (0, ""))[1]):
            self._ended.pop(line, None)
        self._expected.discard(line)
        self._epochs[line] = epoch

    @property
    def have_brought(self) -> bool:
        """Whether an open connection has brought an id: those after it are to come."""
        return any(self._reached.values())

    def all_behind(self, last_id: int) -> bool:
        """Say whether there are open connections, and none has brought an id as late as *last_id*."""
        reached = [each for connections in self._reached.values() for each in connections.values()]
        return bool(reached) and max(reached) < last_id

    def all_past(self, last_id: int) -> bool:
        """Say whether every open connection has brought an id later than *last_id*, and none is expected."""
        return not self._expected and all(
            reached > last_id for connections in self._reached.values() for reached in connections.values()
        )

    def cause(self, before: Source, after: Source) -> str:
        """Say why ids are missing between what *before* brought and what *after* brought."""
        if before == after:
            return "venue"
        epoch = after.epoch if before.line == after.line else self._epochs.get(before.line, before.epoch)
        connection, reason = self._ended.get(before.line, (0, ""))
        if connection != before.connection:
            reason = ""
        if epoch != before.epoch:
            return "disk" if ended_for_disk(reason) else "own_restart"
        return cause_of(reason)

    def dump(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {
            "reached": self._reached,
            "ended": self._ended,
            "epochs": self._epochs,
            "expected": sorted(self._expected),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Become what ``dump`` returned."""
        self._reached, self._epochs = state["reached"], state["epochs"]
        self._expected = set(state["expected"])
        self._ended = {line: (connection, reason) for line, (connection, reason) in state["ended"].items()}


def ended_for_disk(reason: str) -> bool:
    """Say whether a connection that ended for *reason* was closed because the disk had no room."""
    return reason.startswith("disk")


def cause_of(reason: str) -> str:
    """Say which of the ledger's causes a connection that ended for *reason* is."""
    if "rotat" in reason:
        return "rotation"
    return "disk" if ended_for_disk(reason) else "network"
