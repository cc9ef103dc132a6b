"""The records of one security that a line received between two moments, as they were written.

Segments whose neighbours' times say that they hold none of them are not read.
"""

from collections.abc import Iterator
from pathlib import Path

from journal.group import Corrupt, Kind, Record
from journal.reader import Reader
from journal.segment import read_segment_header, segments_in
from wire.names import EVERY_SECURITY

LATE_NS = 60_000_000_000
"""A stalled ingester writes what it received so much later at most: it is replaced before."""


def begins_ns(folder: Path) -> int | None:
    """Return when the oldest segment in *folder* was begun; None where no segment says it."""
    times = _times(folder)
    return times[0][1] if times else None


def excerpt(folder: Path, security: str, from_ns: int, to_ns: int) -> Iterator[Record]:
    """Yield the records in *folder* of *security*, and the connections and epochs of its line.

    Only those that were received from *from_ns* to *to_ns* (both included) and can be read; no ticks.
    """
    times = _times(folder)
    before = [first for first, created_ns in times if created_ns <= from_ns - LATE_NS]
    after = [first for first, created_ns in times if created_ns > to_ns + LATE_NS]
    reader = Reader(folder)
    try:
        for group in reader.groups(before[-1] if before else 0):
            if after and group.first >= after[0]:
                return
            if group.kind is Kind.TICK or not {security, EVERY_SECURITY} & set(group.names):
                continue
            for record in group.records():
                if record.security in (security, EVERY_SECURITY) and from_ns <= record.recv_ns <= to_ns:
                    yield record
    finally:
        reader.close()


def _times(folder: Path) -> list[tuple[int, int]]:
    """Return the first position of each segment and when it was begun; a damaged header says nothing."""
    found = []
    for segment in segments_in(folder):
        try:
            found.append((segment.first, read_segment_header(segment.path).created_ns))
        except (Corrupt, FileNotFoundError):
            continue
    return found
