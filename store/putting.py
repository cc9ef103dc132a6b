"""Puts documents into a database and waits until each is settled, as commands do that run to an end."""

import time
from typing import NamedTuple

from store.connection import NoDatabase
from store.outcome import Verdict
from store.waiting import BackOff, Entry
from store.writer import Writer

PATIENCE_S = 60.0
"""How long a database may be away in the middle of it."""


class Settled(NamedTuple):
    """What became of some documents."""

    stored: int
    """Those that were not there."""
    bytes: int
    """Of these."""
    refused: str
    """The first that the database does not take, and why; "" where it took all."""


def put(writer: Writer, entries: list[Entry]) -> Settled:
    """Write *entries*, no two of one name, until each is settled.

    Raises:
        NoDatabase: the database stays away.
    """
    stored = size = 0
    refused = ""
    back_off, deadline = BackOff(), time.monotonic() + PATIENCE_S
    while entries:
        left = []
        for entry, outcome in zip(entries, writer.put(entries), strict=True):
            if outcome.verdict in (Verdict.RETRY, Verdict.AGAIN):
                if time.monotonic() >= deadline:
                    raise NoDatabase(f"the database does not take {entry.document.id}: {outcome.reason}")
                left.append(entry)
            elif outcome.verdict is Verdict.STORED:
                stored, size = stored + 1, size + len(entry.data)
            elif outcome.verdict is Verdict.REFUSED:
                refused = refused or f"{entry.document.id}: {outcome.reason}"
        if left:
            time.sleep(back_off.failed())
        entries = left
    return Settled(stored, size, refused)
