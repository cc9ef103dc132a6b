"""The sync rule of a feed without ids (Coinbase ``level2_batch``)."""

from typing import Any

from book.source import Source, cause_of, ended_for_disk
from book.sync import NOTHING, Outcome, State, Update


class FeedSync:
    """The rule of a feed whose connections each begin with a snapshot of their own, without ids.

    state    event                                  next     outcome
    any      snapshot of a connection               LIVE     a chain starts at the snapshot's position + 1
    LIVE     update of that connection              LIVE     ready: reaches from the last id to its position
    any      update of another connection           same     old (dropped)
    LIVE     that connection closes, a new epoch    WAITING
    """

    def __init__(self) -> None:
        self.state = State.WAITING
        self.last_id = -1
        self.old = 0
        self._source = Source("", 0, 0)
        self._reason = ""

    def cause(self, source: Source) -> str:
        """Say why the chain before a snapshot of *source* ended."""
        if self._source.epoch != source.epoch:
            return "disk" if ended_for_disk(self._reason) else "own_restart"
        if self._source == source:
            return "venue"
        return cause_of(self._reason)

    def base(self, position: int, source: Source) -> None:
        """Go on from the snapshot at *position* that *source* brought."""
        self.state = State.LIVE
        self.last_id = position
        self._source = source
        self._reason = ""

    def offer(self, update: Update) -> Outcome:
        """Take *update*, as it arrived; its ids are set here."""
        if self.state is not State.LIVE or self._source != update.source:
            self.old += 1
            return NOTHING
        first_id, self.last_id = self.last_id + 1, update.position
        return Outcome([update._replace(first_id=first_id, last_id=update.position)])

    def desync(self) -> None:
        """Wait for a new snapshot."""
        self.state = State.WAITING

    def closed(self, line: str, connection: int, reason: str) -> None:
        """Note the end of a connection."""
        if (self._source.line, self._source.connection) == (line, connection):
            self._reason = reason
            self.state = State.WAITING

    def new_epoch(self, line: str) -> None:
        """Note the start of another epoch."""
        if self._source.line == line:
            self.state = State.WAITING

    def dump(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {
            "state": self.state.value,
            "last_id": self.last_id,
            "old": self.old,
            "source": tuple(self._source),
            "reason": self._reason,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Become what ``dump`` returned."""
        self.state = State(state["state"])
        self.last_id, self.old, self._reason = state["last_id"], state["old"], state["reason"]
        self._source = Source(*state["source"])
