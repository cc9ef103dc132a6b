"""What one security sends: its messages in the order of their numbers, with the marks they carry.

While a batch of records is worked off its messages carry the mark from before the batch; the
last of them carries the mark after it, so a mark is never ahead of what was sent.  What becomes a
document of its own also says how far the batch reads: it may leave when all of that is synced.
"""

from typing import Any

import msgspec

from wire.messages import Cut, Hole, Image, RunMessage


class Outlet:
    """The outgoing side of one security."""

    def __init__(self, security: str, line: str, low: int) -> None:
        self.security = security
        self.line = line
        self.run = 0
        """0: nobody listens yet."""
        self.low = low
        """Every record before this position is reflected in what was sent."""
        self.reading = low
        """Position after the last record of the batch that is being worked off."""
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
        if kind in (Cut, Image, Hole):
            fields["read"] = {self.line: self.reading}
        self._messages.append(
            kind(
                security=self.security,
                run=self.run,
                number=self._number,
                marks={self.line: self.low},
                **fields,
            )
        )
        self._number += 1

    def take(self, low: int) -> list[RunMessage]:
        """Return what was emitted since the last call, the batch being worked off up to *low*."""
        messages, self._messages = self._messages, []
        if low > self.low:
            self.low = low
            if messages:
                messages[-1] = msgspec.structs.replace(messages[-1], marks={self.line: low})
        return messages
