"""What people are told: lines of the log about holes, audits and frames, and what a beat shows."""

from collections.abc import Iterable, Mapping
from typing import Any

from book.security import Security
from wire.log import log
from wire.names import venue_of
from wire.runs import Audit, Hole, Image, RunMessage

NS_PER_SECOND = 1_000_000_000

IDS_WENT_BACK = (
    "the exchange has begun its ids anew, below those that are stored: nothing of it can be stored beside "
    "them; record it into another MONGODB_DATABASE with another DATA_DIR"
)


def shown(security: Security, lag_ns: int | None) -> dict[str, Any]:
    """Return what a beat says of *security*, which is *lag_ns* behind; None: it is not."""
    state, feed, trades = security.shown_state, security.written_joined.book, security.written_trades
    last_id, time_ns = security.reached
    return {
        "state": "catching_up" if lag_ns is not None and state == "live" else state,
        "reason": IDS_WENT_BACK if state == "error" else "",
        "feed": security.feed,
        "update_id": last_id if security.traits.has_ids else None,
        "time_ns": time_ns or None,
        "lag_s": 0.0 if lag_ns is None else round(lag_ns / NS_PER_SECOND, 3),
        "lag_bytes": 0 if lag_ns is None else None,
        "gaps": feed.ledger.rows + trades.ledger.rows,
        "audit_pct": feed.audit_pct,
        "audits_skipped": feed.auditor.skipped,
        "venue": venue_of(security.name),
    }


class Teller:
    """Says each fact once; frames that cannot be stored are counted and said once a second."""

    def __init__(self) -> None:
        self._has_news = False
        self._unusable: dict[str, int] = {}
        self._in_error: set[str] = set()

    def holes(self, messages: Iterable[RunMessage]) -> None:
        """Say the rows of the gap ledger among *messages*, and the audits that found a difference."""
        for message in messages:
            self._has_news = self._has_news or isinstance(message, Image | Hole)
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

    def take_news(self) -> bool:
        """Say whether a book may have begun or ended since this was last asked."""
        news, self._has_news = self._has_news, False
        return news

    def errors(self, securities: Mapping[str, Security]) -> None:
        """Say of which securities nothing can be stored any more, and why."""
        found = {name for name, security in securities.items() if security.shown_state == "error"}
        for name in sorted(found - self._in_error):
            log.error('event=ids_went_back security=%s reason="%s"', name, IDS_WENT_BACK)
        self._in_error = found

    def unusable(self, securities: Mapping[str, Security]) -> None:
        """Say of which securities frames came that hold no number or message that can be true."""
        for name, security in securities.items():
            refused = security.written_joined.book.refused + security.written_trades.refused
            now = security.unknown_frames + refused
            if now > self._unusable.setdefault(name, now):
                log.warning(
                    "event=unusable_frames security=%s frames=%d: they are in the journal only",
                    name,
                    now - self._unusable[name],
                )
            self._unusable[name] = now
