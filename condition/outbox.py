"""The documents that no store has answered for, and when each is to be sent.

state     event                                    next
waiting   all its records are synced, sent         sent
sent      named by a store (``held``)              sent, heard now
sent      unheard for RESEND_NS                    waiting
any       a version that covers more               waiting, with the new content
any       answer for what it covers, or more       gone

Bounded by the conditioner: it stops reading when the outbox is full.  So that a line whose ingester is away
does not fill it for the others, the conditioner then makes that line's records synced itself.
"""

from collections.abc import Iterator

from wire.messages import Answer, Document
from wire.runs import Marks

RESEND_NS = 10_000_000_000
"""A store names what it holds each second: ten missed in a row, and the document is lost."""

MAX_DOCUMENTS = 2_048
"""A hundred securities' windows of several minutes: enough to keep every writer busy."""

MAX_BYTES = 64 << 20
"""What a worker may keep for a database that is away; the rest waits in the journal."""

_HEADER_BYTES = 600
"""A document's fields beside its columns, roughly."""


class _Pending:
    __slots__ = ("document", "heard_ns", "needs", "size")

    def __init__(self, document: Document, needs: Marks) -> None:
        self.document = document
        self.needs = needs
        self.heard_ns: int | None = None
        """When it was last sent or named; None: it is to be sent."""
        self.size = _HEADER_BYTES + sum(len(v) for v in document.fields.values() if isinstance(v, bytes))


class Outbox:
    """Unanswered documents by id, each in its newest version, oldest first."""

    def __init__(self, lines: frozenset[str]) -> None:
        self._lines = lines
        self._synced: Marks = {}
        self._pending: dict[str, _Pending] = {}
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._pending)

    def __contains__(self, name: str) -> bool:
        return name in self._pending

    @property
    def full(self) -> bool:
        """Whether nothing more may be read until answers come."""
        return len(self._pending) >= MAX_DOCUMENTS or self.bytes >= MAX_BYTES

    def put(self, document: Document, needs: Marks) -> None:
        """Take *document*; it may leave when every record before *needs* is synced."""
        older = self._pending.get(document.name)
        if older is not None:
            if older.document.covered >= document.covered:
                return
            self._remove(document.name)
        self._pending[document.name] = pending = _Pending(document, needs)
        self.bytes += pending.size

    def synced(self, line: str, position: int) -> None:
        """Take an ingester's word that every record before *position* survives a power loss."""
        self._synced[line] = max(position, self._synced.get(line, 0))

    def unsynced(self) -> Marks:
        """Return per line the position that documents wait for, where that is not known to be synced."""
        waiting: Marks = {}
        for each in self._pending.values():
            if each.heard_ns is None:
                for line, position in each.needs.items():
                    if line in self._lines and position > max(
                        self._synced.get(line, 0), waiting.get(line, 0)
                    ):
                        waiting[line] = position
        return waiting

    def due(self) -> Iterator[Document]:
        """Yield what is to be sent and may leave, oldest first; call ``sent`` for what went."""
        for each in list(self._pending.values()):
            if each.heard_ns is None and self._is_synced(each.needs):
                yield each.document

    def _is_synced(self, needs: Marks) -> bool:
        # A line that is not configured any more has no writer that could lose what it wrote.
        return all(
            self._synced.get(line, 0) >= position for line, position in needs.items() if line in self._lines
        )

    def sent(self, document: Document, now_ns: int) -> None:
        """Take note that *document* left."""
        pending = self._pending.get(document.name)
        if pending is not None and pending.document.covered == document.covered:
            pending.heard_ns = now_ns

    def tick(self, now_ns: int) -> None:
        """Make what nobody has named for RESEND_NS due again."""
        for each in self._pending.values():
            if each.heard_ns is not None and now_ns - each.heard_ns >= RESEND_NS:
                each.heard_ns = None

    def answered(self, answer: Answer, now_ns: int) -> list[Document]:
        """Return the documents that the answer settles; they are forgotten here."""
        for name, covered in answer.held:
            held = self._pending.get(name)
            if held is not None and held.document.covered <= covered and held.heard_ns is not None:
                held.heard_ns = now_ns
        final = (*answer.stored, *answer.had, *((name, covered) for name, covered, _ in answer.refused))
        settled = []
        for name, covered in final:
            pending = self._pending.get(name)
            if pending is not None and pending.document.covered <= covered:
                settled.append(self._remove(name))
        return settled

    def _remove(self, name: str) -> Document:
        pending = self._pending.pop(name)
        self.bytes -= pending.size
        return pending.document
