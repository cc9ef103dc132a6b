"""Makes documents of what the maintainers send: run messages in, documents and *done* out.

Every security is in one run of its maintainer at a time:

state       message                               does
any         Begin of a newer run                  forgets the old run's open windows; state -> running
any         of an older run                       nothing
running     the next number                       takes it
running     a number skipped                      new token for the bucket; state -> lost
unknown     of a run whose Begin was not seen     state -> lost
lost        anything but a Begin                  nothing; WAIT_NS after the last token, a new one
running     what its promises exclude             told and counted, a new token; state -> lost
lost        the same again                        the next token each time twice as late, at most LONGEST_NS

A window's rows are kept until a cut.  A provisional cut writes a version; the final one writes the last
version, unless one that covers as much was made already.
"""

from collections.abc import Iterable
from typing import Any, assert_never

from condition.documents import (
    audit_document,
    block_document,
    gap_document,
    healed_document,
    image_document,
)
from condition.outbox import Outbox
from condition.progress import Progress
from condition.window import BadCut, Rows, Window
from wire.messages import Answer, Document, Done, Synced
from wire.names import bucket_of
from wire.runs import Audit, Begin, Changes, Cut, Healed, Hole, Image, Mark, Marks, Orders, RunMessage, Trades

WAIT_NS = 10_000_000_000
"""A maintainer hears a token each second: a run that has not begun by now was lost on the way."""

LONGEST_NS = 3_600_000_000_000
"""A run that breaks each time costs its bucket a replay each time: an hour apart that disturbs nobody."""

_FEEDS: dict[type, str] = {Changes: "changes", Orders: "orders", Trades: "trades"}


class BadRun(ValueError):
    """A maintainer sent what its promises exclude; what it meant is unknown."""


class _Written:
    """How many bytes one kind of row came to."""

    def __init__(self) -> None:
        self.rows = self.bytes = 0

    def add(self, fields: dict[str, Any]) -> None:
        self.rows += fields.get("levels", fields["rows"])
        self.bytes += len(fields["body"]) + len(fields["receipts"])

    @property
    def each(self) -> float | None:
        return round(self.bytes / self.rows, 3) if self.rows else None


class _Security:
    """One security's run, its open windows and its progress."""

    def __init__(self) -> None:
        self.run = -1
        self.next_number = 0
        self.lost = True
        self.broken = 0
        """Runs that broke a promise."""
        self.reason = ""
        """What the last of them did."""
        self.ask_ns = 0
        """Before then no other run is asked for."""
        self.has_ids = True
        self.stored_before: dict[str, int] = {}
        """Per feed the newest window that an earlier run wrote in its final version."""
        self.closed: dict[str, int] = {}
        """Per feed the newest window that this run closed."""
        self.windows: dict[tuple[str, int], Window] = {}
        self.progress = Progress()
        self.done: Marks = {}
        self.refused = ""
        self.written = {feed: _Written() for feed in _FEEDS.values()}

    def begin(self, message: Begin) -> None:
        """Start over with a new run; what the old one left open comes again."""
        self.run, self.next_number, self.lost = message.run, message.number + 1, False
        self.has_ids = message.has_ids
        self.stored_before, self.closed = dict(message.windows), {}
        self.windows = {}
        self.progress.begin(message.marks)

    def broke(self, reason: str, now_ns: int) -> None:
        """Take no more of this run, whose last message cannot be: it comes again with another run."""
        self.lost, self.reason = True, reason
        self.progress.unsee()
        self.ask_ns = now_ns + min(WAIT_NS << self.broken, LONGEST_NS) if self.broken else now_ns
        self.broken += 1

    def update_done(self) -> Marks:
        """Return *done*: what was once stored for good stays so, whatever run comes."""
        for line, position in self.progress.done().items():
            self.done[line] = max(position, self.done.get(line, position))
        return dict(self.done)

    def health(self) -> dict[str, Any]:
        """Return what a beat says of it."""
        reason = self.refused or (self.reason if self.lost else "")
        return {
            "state": "error" if reason else "catching_up" if self.lost else "live",
            "reason": reason,
            "broken_runs": self.broken,
            "bytes_per_change": self.written["changes"].each,
            "bytes_per_trade": self.written["trades"].each,
            "bytes_per_order": self.written["orders"].each,
        }


class Conditioner:
    """The core of a conditioner; the buckets it is responsible for are the shell's matter."""

    def __init__(self, *, window_ns: int, reply_to: str, token: int, lines: frozenset[str]) -> None:
        self._window_ns = window_ns
        self._reply_to = reply_to
        self._first_token = self._last_token = token
        self._tokens: dict[int, int] = {}
        self._token_ns: dict[int, int] = {}
        self._securities: dict[str, _Security] = {}
        self.outbox = Outbox(lines)

    # --- in ----------------------------------------------------------------------------------

    def take(self, messages: Iterable[RunMessage], now_ns: int) -> list[tuple[str, str]]:
        """Take a maintainer's messages, in the order in which they came.

        Return (security, reason) of each run that broke a promise; nothing more of it is taken.
        """
        broken = []
        for message in messages:
            security = self._securities.get(message.security)
            if security is None:
                security = self._securities[message.security] = _Security()
            if isinstance(message, Begin):
                if message.run > security.run:
                    security.begin(message)
            elif self._continues(security, message, now_ns):
                security.next_number += 1
                security.progress.seen(message.marks)
                try:
                    self._take(security, message)
                except (BadRun, BadCut) as error:
                    self._broke(security, message.security, str(error), now_ns)
                    broken.append((message.security, str(error)))
        return broken

    def answer(self, answer: Answer, now_ns: int) -> list[tuple[str, str]]:
        """Take a store's word; return (id, reason) of what it refused for good."""
        reasons = {(name, covered): reason for name, covered, reason in answer.refused}
        refused = []
        for document in self.outbox.answered(answer, now_ns):
            security = self._securities.get(document.security)
            if security is None:
                continue
            security.progress.stored(*document.key)
            reason = reasons.get(document.key)
            if reason is not None:
                security.refused = f"{document.id} refused: {reason}"
                refused.append((document.id, reason))
        return refused

    def synced(self, message: Synced) -> None:
        """Take an ingester's word on its journal."""
        self.outbox.synced(message.line, message.position)

    def tick(self, now_ns: int) -> None:
        """Let time pass: documents unheard of are sent again, lost runs asked for again."""
        self.outbox.tick(now_ns)
        for name, security in self._securities.items():
            if security.lost and now_ns >= security.ask_ns:
                self._ask(bucket_of(name), now_ns)

    # --- out ---------------------------------------------------------------------------------

    def token(self, bucket: int) -> int:
        """Return the token that *bucket*'s maintainer is to be sent."""
        return self._tokens.get(bucket, self._first_token)

    def newest_runs(self) -> dict[int, int]:
        """Return the newest run of each bucket that has one: what is older is not listened to."""
        newest: dict[int, int] = {}
        for name, security in self._securities.items():
            bucket = bucket_of(name)
            newest[bucket] = max(security.run, newest.get(bucket, 0))
        return newest

    def done(self) -> dict[int, Done]:
        """Return per bucket how far each security's records are stored for good."""
        marks: dict[int, dict[str, Marks]] = {}
        for name, security in self._securities.items():
            marks.setdefault(bucket_of(name), {})[name] = security.update_done()
        return {bucket: Done(bucket, of_bucket) for bucket, of_bucket in marks.items()}

    def health(self) -> dict[str, Any]:
        """Return per security what a beat says of it."""
        return {name: security.health() for name, security in self._securities.items()}

    # --- runs --------------------------------------------------------------------------------

    def _continues(self, security: _Security, message: RunMessage, now_ns: int) -> bool:
        """Say whether *message* is the next of the security's run; ask for a new run where one was lost."""
        if message.run < security.run or (message.run == security.run and security.lost):
            return False
        if message.run == security.run and message.number == security.next_number:
            return True
        known = security.run >= 0
        security.run, security.lost = message.run, True
        if known:
            self._new_token(bucket_of(message.security), now_ns)
        else:
            # An older conditioner's run: ours begins when the maintainer hears our first token.
            self._token_ns.setdefault(bucket_of(message.security), now_ns)
        return False

    def _ask(self, bucket: int, now_ns: int) -> None:
        if now_ns - self._token_ns.get(bucket, now_ns) >= WAIT_NS:
            self._new_token(bucket, now_ns)

    def _broke(self, security: _Security, name: str, reason: str, now_ns: int) -> None:
        first = not security.broken
        security.broke(reason, now_ns)
        if first:
            self._new_token(bucket_of(name), now_ns)

    def _new_token(self, bucket: int, now_ns: int) -> None:
        self._last_token += 1
        self._tokens[bucket], self._token_ns[bucket] = self._last_token, now_ns

    # --- messages ----------------------------------------------------------------------------

    def _take(self, security: _Security, message: RunMessage) -> None:
        match message:
            case Changes() | Orders() | Trades():
                self._collect(security, message)
            case Cut():
                self._cut(security, message)
            case Image():
                document = image_document(message, self._reply_to)
                self._put(security, document, message.read or message.marks)
            case Hole():
                document = gap_document(message, self._reply_to)
                self._put(security, document, message.read or message.marks)
            case Audit():
                document = audit_document(message, self._reply_to)
                self._put(security, document, message.read or message.marks)
            case Healed():
                document = healed_document(message, self._window_ns, self._reply_to)
                security.written["trades"].add(document.fields)
                self._put(security, document, message.read or message.marks)
            case Mark() | Begin():
                pass
            case _:
                assert_never(message)

    def _put(self, security: _Security, document: Document, needs: Marks) -> None:
        security.progress.hold_document(*document.key)
        self.outbox.put(document, needs)

    def _collect(self, security: _Security, message: Rows) -> None:
        feed, start_ns = key = _FEEDS[type(message)], message.start_ns
        if start_ns <= security.stored_before.get(feed, start_ns - 1):
            return
        if start_ns <= security.closed.get(feed, start_ns - 1):
            raise BadRun(f"{message.security}: {feed} for window {start_ns}, which was closed")
        if key in security.windows:
            security.windows[key].add(message)
            return
        security.windows[key] = Window(message, window_ns=self._window_ns, has_ids=security.has_ids)
        security.progress.open_window(key)

    def _cut(self, security: _Security, cut: Cut) -> None:
        key = cut.feed, cut.start_ns
        window = security.windows.get(key)
        if window is None:
            return
        for block in window.unwritten(cut):
            security.written[cut.feed].add(block.fields)
            self.outbox.put(block_document(cut, block, self._reply_to), cut.read or cut.marks)
        if cut.final:
            waiting = {name: covered for name, covered in window.written.items() if name in self.outbox}
            security.progress.close_window(key, waiting)
            security.closed[cut.feed] = cut.start_ns
            del security.windows[key]
