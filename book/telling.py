"""What people are told: lines of the log about holes, audits and frames, and what a beat shows."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from book.security import Security
from wire.log import log
from wire.names import venue_of
from wire.runs import Audit, Hole, Image, Mark, RunMessage

NS_PER_SECOND = 1_000_000_000

LOOKS = 3
"""At a security between two beats: there is a tick each second."""

IDS_WENT_BACK = (
    "the exchange has begun its ids anew, below those that are stored: nothing of it can be stored beside "
    "them; record it into another MONGODB_DATABASE with another DATA_DIR"
)


class Look(NamedTuple):
    """What a security has to tell once a second."""

    row: dict[str, Any]
    """Of the beat: as if the worker were not behind."""
    wishes_snapshot: bool
    page: tuple[int, int] | None
    """The old trades that it wishes for."""
    unusable: int
    """Frames so far that hold no number or message that can be true."""


def look_at(security: Security) -> Look:
    """Return what *security* has to tell."""
    feed, trades = security.written_joined.book, security.written_trades
    last_id, time_ns = security.reached
    state = security.shown_state
    row = {
        "state": state,
        "reason": IDS_WENT_BACK if state == "error" else "",
        "feed": security.feed,
        "update_id": last_id if security.traits.has_ids else None,
        "time_ns": time_ns or None,
        "lag_s": 0.0,
        "lag_bytes": 0,
        "gaps": feed.ledger.rows + trades.ledger.rows,
        "audit_pct": feed.audit_pct,
        "audits_skipped": feed.auditor.skipped,
        "venue": venue_of(security.name),
    }
    unusable = security.unknown_frames + feed.refused + trades.refused
    return Look(row, security.wishes_snapshot, trades.healing.page, unusable)


def late(row: Mapping[str, Any], lag_ns: int) -> dict[str, Any]:
    """Return *row* of a security that is *lag_ns* behind."""
    state = "catching_up" if row["state"] == "live" else row["state"]
    return {**row, "state": state, "lag_s": round(lag_ns / NS_PER_SECOND, 3), "lag_bytes": None}


class Looks:
    """What each of *securities* has to tell.

    event                                      outcome
    it has seen a tick since the last beat     it is looked at right then, the processor having it at hand:
    (not more than ``LOOKS``)                  going through hundreds that it has not keeps frames waiting
    it has seen more, or another record        it is looked at when it is next asked for
    it has simply followed                     only the update that it reached is another
    """

    def __init__(self, securities: Mapping[str, Security]) -> None:
        self._securities = securities
        self._looks: dict[str, Look] = {}
        self._left = 0

    def note(self, name: str, messages: Sequence[RunMessage]) -> None:
        """Note that *messages* are what came of records that concerned security *name*."""
        if messages and isinstance(messages[-1], Mark) and self._left > 0:
            self._looks[name] = look_at(self._securities[name])
            self._left -= 1
        else:
            self._looks.pop(name, None)

    def clear(self) -> None:
        """Forget all: the securities were taken back."""
        self._looks.clear()

    def all(self) -> dict[str, Look]:
        """Return what all have to tell."""
        for name, security in self._securities.items():
            if name not in self._looks:
                self._looks[name] = look_at(security)
        return self._looks

    def rows(self) -> dict[str, dict[str, Any]]:
        """Return the rows of a beat; those removed have none."""
        self._left = LOOKS * len(self._securities)
        rows = {name: look.row for name, look in self.all().items() if look.row["state"] != "removed"}
        for name, row in rows.items():
            if row["update_id"] is not None:
                row["update_id"], row["time_ns"] = self._securities[name].reached
        return rows


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

    def each_second(self, looks: Mapping[str, Look]) -> None:
        """Say of which securities nothing can be stored any more, and of which frames came to no use."""
        found = {name for name, look in looks.items() if look.row["state"] == "error"}
        for name in sorted(found - self._in_error):
            log.error('event=ids_went_back security=%s reason="%s"', name, IDS_WENT_BACK)
        self._in_error = found
        for name, look in looks.items():
            before = self._unusable.get(name, look.unusable)
            if look.unusable > before:
                log.warning(
                    "event=unusable_frames security=%s frames=%d: they are in the journal only",
                    name,
                    look.unusable - before,
                )
            self._unusable[name] = look.unusable
