"""The documents that a writer has taken and not yet settled; bounded, and without a clock.

event                      what happens                                         answer to its sender
``take``                   waits (again the same version: the same entry)       named in ``held``
``batch``                  the oldest go out, one version of an ``_id`` each    named in ``held``
``settle`` STORED, HAD     forgotten                                            stored, had
``settle`` REFUSED         forgotten (the shell has kept it as a file)          refused
``settle`` RETRY           waits again, in its old place                        named in ``held``

Two versions of an ``_id`` never go out together, for a server may take a bulk write's parts in any order.
"""

from collections.abc import Iterable
from typing import NamedTuple

from store.outcome import Outcome, Verdict
from wire.messages import Answer, Document

MOST_DOCUMENTS = 2000
"""A minute of blocks of thirty securities; what more there is waits in the conditioner and the journal."""

MOST_BYTES = 64 * 1024 * 1024
"""Four of the largest documents, or 8,000 usual ones."""

BATCH_DOCUMENTS = 200
"""Past this a larger batch saves no more round trips and only delays its first answer."""

BATCH_BYTES = 8 * 1024 * 1024
"""One second of writing to the embedded server."""

Key = tuple[str, int]
"""A document's name and what it covers: one version of it."""


class Entry(NamedTuple):
    """One version of a document, and its BSON."""

    document: Document
    data: bytes
    taken_s: float = 0.0
    """When it came, by the shell's clock."""

    @property
    def key(self) -> Key:
        """What tells this version from every other."""
        return self.document.key


class Waiting:
    """What waits, in the order it came."""

    def __init__(self, most_documents: int = MOST_DOCUMENTS, most_bytes: int = MOST_BYTES) -> None:
        self._most_documents = most_documents
        self._most_bytes = most_bytes
        self._entries: dict[Key, Entry] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def full(self) -> bool:
        """Whether nothing more may be taken now (one more than the bound may have come already)."""
        return len(self._entries) >= self._most_documents or self._bytes >= self._most_bytes

    @property
    def oldest_taken_s(self) -> float | None:
        """When the one that has waited longest came."""
        return next((entry.taken_s for entry in self._entries.values()), None)

    def take(self, entry: Entry) -> None:
        """Take *entry*; a version that waits already only learns whom to answer."""
        old = self._entries.get(entry.key)
        self._entries[entry.key] = entry if old is None else entry._replace(taken_s=old.taken_s)
        self._bytes += len(entry.data) - (len(old.data) if old else 0)

    def batch(self) -> list[Entry]:
        """Return the next documents to write, oldest first: of each the version that covers most."""
        best: dict[str, Entry] = {}
        size = 0
        for entry in self._entries.values():
            known = best.get(entry.document.name)
            if known is None and (len(best) >= BATCH_DOCUMENTS or (best and size >= BATCH_BYTES)):
                continue
            if known is None or known.document.covered < entry.document.covered:
                best[entry.document.name] = entry
                size += len(entry.data)
        return list(best.values())

    def settle(self, outcomes: Iterable[tuple[Entry, Outcome]]) -> dict[str, Answer]:
        """Forget what is settled and return the answers, by the endpoint each goes to."""
        words: dict[str, tuple[list[Key], list[Key], list[tuple[str, int, str]]]] = {}
        for entry, (verdict, reason) in outcomes:
            if verdict in (Verdict.RETRY, Verdict.AGAIN):
                continue
            now = self._entries.pop(entry.key, entry)
            self._bytes -= len(now.data)
            stored, had, refused = words.setdefault(now.document.reply_to, ([], [], []))
            if verdict is Verdict.STORED:
                stored.append(entry.key)
            elif verdict is Verdict.HAD:
                had.append(entry.key)
            else:
                refused.append((*entry.key, reason))
        return {
            to: Answer(stored=tuple(stored), had=tuple(had), refused=tuple(refused))
            for to, (stored, had, refused) in words.items()
        }

    def held(self) -> dict[str, Answer]:
        """Return the names of all that waits, by the endpoint each goes to."""
        names: dict[str, list[Key]] = {}
        for key, entry in self._entries.items():
            names.setdefault(entry.document.reply_to, []).append(key)
        return {to: Answer(held=tuple(keys)) for to, keys in names.items()}


class BackOff:
    """Seconds to wait after each failure in a row; the shell adds the clock."""

    def __init__(self, first_s: float = 0.1, most_s: float = 5.0) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._next_s = first_s

    def failed(self) -> float:
        """Return how long to wait now; twice as long the next time, up to the most."""
        now, self._next_s = self._next_s, min(2 * self._next_s, self._most_s)
        return now

    def succeeded(self) -> None:
        """Begin anew."""
        self._next_s = self._first_s
