"""What one security sends: its messages in the order of their numbers, with the marks they carry.

While a batch of records is worked off its messages carry the marks from before the batch; the
last of them carries the marks after it, so a mark is never ahead of what was sent.  What becomes a
document of its own also says how far the batch reads: it may leave when all of that is synced.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from book.scales import Scales
from wire.runs import Audit, Changes, Cut, Healed, Hole, Image, Marks, RunMessage, Trades


def earliest(positions: Iterable[tuple[str, int]]) -> Marks:
    """Return of each line the lowest of its *positions*."""
    lows: Marks = {}
    for line, position in positions:
        if position < lows.get(line, position + 1):
            lows[line] = position
    return lows


class Outlet:
    """The outgoing side of one security."""

    def __init__(self, security: str, lows: Marks) -> None:
        self.security = security
        self.run = 0
        """0: nobody listens yet."""
        self.lows = lows
        """Per line: every record before this position is reflected in what was sent."""
        self.reading = lows
        """Per line the position after the last record of the batch that is being worked off."""
        self._number = 0
        self._messages: list[RunMessage] = []

    @property
    def has_begun(self) -> bool:
        """Say whether the run has a first message."""
        return self._number > 0

    def start(self, run: int) -> None:
        """Begin *run*: its numbers start at 0."""
        self.run = run
        self._number = 0

    def emit(self, kind: type[RunMessage], **fields: Any) -> None:
        """Add a message of *kind*; security, run, number and marks are filled in."""
        if kind in (Cut, Image, Hole, Healed, Audit):
            fields["read"] = self.reading
        self._messages.append(
            kind(
                security=self.security,
                run=self.run,
                number=self._number,
                marks=self.lows,
                **fields,
            )
        )
        self._number += 1

    def emit_rows(
        self, kind: type[Changes] | type[Trades], start_ns: int, scales: Scales, *columns: bytes
    ) -> None:
        """Add rows as a message of *kind*; *columns* are in the order of its fields, which is quickest."""
        head = self.security, self.run, self._number, self.lows, start_ns, scales.price, scales.size
        self._messages.append(kind(*head, *columns))
        self._number += 1

    def read(self, line: str, position: int) -> None:
        """Note that the batch being worked off is of *line* and ends before *position*."""
        self.reading = {**self.reading, line: position}

    def take(self, lows: Marks) -> list[RunMessage]:
        """Return what was emitted since the last call, the batch being worked off up to *lows*.

        A mark never goes back; none of those given is changed afterwards.
        """
        messages, self._messages = self._messages, []
        lows = {line: max(low, self.lows.get(line, low)) for line, low in lows.items()}
        if lows != self.lows:
            self.lows = lows
            if messages:
                messages[-1] = msgspec.structs.replace(messages[-1], marks=lows)
        return messages
