"""Which records of a security are stored for good: its *done*.

What arrives of a run is in order, and a message's marks say: every record before them is in this message or
one before.  So done is the marks of the last message before the first whose content is not stored for good.
That content is a *hold*:

event                               holds
first message of a window           the window holds from here
final cut of the window             its documents hold from there, the window no longer
image, ledger row, audit            its document holds from here
answer for a document               the document no longer (covered at least what is held)
another run                         the documents still hold; the windows come again
"""

from typing import NamedTuple

from wire.runs import Marks

WindowKey = tuple[str, int]
"""Feed and start of a window."""


class _Held(NamedTuple):
    covered: int
    before: Marks


class Progress:
    """The holds of one security."""

    def __init__(self) -> None:
        self._before: Marks = {}
        """Of the message before the one that is looked at."""
        self._marks: Marks = {}
        self._windows: dict[WindowKey, Marks] = {}
        self._documents: dict[str, _Held] = {}

    def begin(self, marks: Marks) -> None:
        """Start another run, at *marks*."""
        self._before, self._marks, self._windows = {}, marks, {}

    def seen(self, marks: Marks) -> None:
        """Take the marks of the message that is now looked at."""
        self._before, self._marks = self._marks, marks

    def unsee(self) -> None:
        """Take the message back that is now looked at: what it brought was not taken."""
        self._marks = self._before

    def open_window(self, window: WindowKey) -> None:
        """Hold from this message on until the window's documents are stored."""
        self._windows.setdefault(window, self._before)

    def close_window(self, window: WindowKey, documents: dict[str, int]) -> None:
        """Let go of *window*; *documents* (id: covered) hold in its place."""
        before = self._windows.pop(window)
        for document, covered in documents.items():
            self._hold(document, covered, before)

    def hold_document(self, document: str, covered: int) -> None:
        """Hold from this message on until *document* is stored, or a version that covers more."""
        self._hold(document, covered, self._before)

    def _hold(self, document: str, covered: int, before: Marks) -> None:
        held = self._documents.get(document)
        if held is not None:
            before, covered = held.before, max(held.covered, covered)
        self._documents[document] = _Held(covered, before)

    def stored(self, document: str, covered: int) -> None:
        """Take the word that *covered* of *document* is stored for good (or refused for good)."""
        held = self._documents.get(document)
        if held is not None and covered >= held.covered:
            del self._documents[document]

    def done(self) -> Marks:
        """Return per line the position before which all is stored for good; a line unsaid: unknown."""
        done = dict(self._marks)
        for before in (*self._windows.values(), *(held.before for held in self._documents.values())):
            done = {line: min(done[line], before[line]) for line in done if line in before}
        return done
