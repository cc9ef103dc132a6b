"""Which ids cannot be true: one far beyond all before it, which nothing that follows confirms.

last id of a message                          outcome
not more than ``LEAP`` beyond the highest     taken, unless it was refused before
  id so far (of the very first: not more
  than ``FIRST``)
beyond that                                   refused: believed alone it would make all that follows old
beyond that, right after another such one     taken: the exchange goes on from there
  on the same line, which it follows

What was refused stays refused, whichever line brings it again and when: the outcome does not depend on how
the messages of two lines interleave.
"""

from typing import Any

LEAP = 1_000_000_000
"""Ids: weeks of the busiest market.  After such a hole the first message alone is refused."""

FIRST = 1_000_000_000_000_000
"""The first id of a security may be anything that an exchange can have counted to."""

REMEMBERED = 16
"""Refused ids; another line is seconds behind, not more impossible messages than this."""


def leaps(last_id: int, reached: int | None) -> bool:
    """Say whether *last_id* is too far beyond *reached*, the highest id so far, to be believed alone."""
    return last_id > (FIRST if reached is None else reached + LEAP)


class Leaps:
    """What was refused of one feed of one security."""

    def __init__(self) -> None:
        self.lines: dict[str, int] = {}
        """Lines whose last message was refused, and its id: their next one has to be asked about too."""
        self._refused: list[int] = []
        """The newest ``REMEMBERED``."""

    def takes(self, line: str, first_id: int, last_id: int, reached: int | None) -> bool:
        """Say whether the message with these ids, the next of *line*, is to be taken."""
        before = self.lines.pop(line, None)
        if not leaps(last_id, reached):
            return last_id not in self._refused
        if before is not None and before < first_id <= last_id <= before + LEAP:
            return True
        self.lines[line] = last_id
        if last_id not in self._refused:
            self._refused = [*self._refused[1 - REMEMBERED :], last_id]
        return False

    def dump(self) -> list[Any]:
        """Return the state for a checkpoint."""
        return [self.lines, self._refused]

    def load(self, state: list[Any]) -> None:
        """Become what ``dump`` returned."""
        self.lines, self._refused = dict(state[0]), list(state[1])
