"""What is worth a line of the log: holes, audits that found a difference, frames that cannot be stored."""

from collections.abc import Iterable, Mapping

from book.security import Security
from wire.log import log
from wire.runs import Audit, Hole, RunMessage

IDS_WENT_BACK = (
    "the exchange has begun its ids anew, below those that are stored: nothing of it can be stored beside "
    "them; record it into another MONGODB_DATABASE with another DATA_DIR"
)


class Teller:
    """Says each fact once; frames that cannot be stored are counted and said once a second."""

    def __init__(self) -> None:
        self._unusable: dict[str, int] = {}
        self._in_error: set[str] = set()

    def holes(self, messages: Iterable[RunMessage]) -> None:
        """Say the rows of the gap ledger among *messages*, and the audits that found a difference."""
        for message in messages:
            if isinstance(message, Hole):
                log.warning(
                    "event=hole security=%s feed=%s first_id=%s last_id=%s cause=%s state=%s",
                    message.security,
                    message.feed,
                    message.first_id,
                    "unknown" if message.last_id is None else message.last_id,
                    message.cause,
                    message.state,
                )
            elif isinstance(message, Audit) and message.equal < message.levels:
                log.warning(
                    "event=audit security=%s update_id=%d levels=%d differences=%d: obl audit shows them",
                    message.security,
                    message.update_id,
                    message.levels,
                    message.levels - message.equal,
                )

    def errors(self, securities: Mapping[str, Security]) -> None:
        """Say of which securities nothing can be stored any more, and why."""
        found = {name for name, security in securities.items() if security.shown_state == "error"}
        for name in sorted(found - self._in_error):
            log.error('event=ids_went_back security=%s reason="%s"', name, IDS_WENT_BACK)
        self._in_error = found

    def unusable(self, securities: Mapping[str, Security]) -> None:
        """Say of which securities frames came that hold no number or message that can be true."""
        for name, security in securities.items():
            now = security.unknown_frames + security.book.refused + security.trades.refused
            if now > self._unusable.setdefault(name, now):
                log.warning(
                    "event=unusable_frames security=%s frames=%d: they are in the journal only",
                    name,
                    now - self._unusable[name],
                )
            self._unusable[name] = now
