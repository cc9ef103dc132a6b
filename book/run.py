"""Depth updates, or order events, of one line as columns, none of them decoded by itself: what mostly comes.

They are taken so only where each simply follows the one before and nothing is kept or held
(``Sync.follow``, ``BookFeed.take_run``).  Otherwise ``updates`` gives each by itself, and they go the long
way.
"""

from typing import NamedTuple

from book.sync import Update
from journal.frames import Frames
from venue.columns import DepthColumns, EventColumns


class Run(NamedTuple):
    """The updates, and the frames that brought them."""

    frames: Frames
    columns: DepthColumns | EventColumns

    def cut(self, at: int) -> "tuple[Run, Run]":
        """Return the first *at* of them, and the rest."""
        frames, columns, count = self.frames, self.columns, len(self.frames)
        if isinstance(columns, EventColumns):
            return Run(frames[:at], columns.part(0, at)), Run(frames[at:], columns.part(at, count))
        low, high = int(columns.counts[: 2 * at].sum()), len(columns.prices)
        first, rest = columns.part(0, at, 0, low), columns.part(at, count, low, high)
        return Run(frames[:at], first), Run(frames[at:], rest)

    def updates(self, begin: int = 0) -> list[Update]:
        """Return them from *begin* on one by one, each to be decoded when it is applied."""
        found = self.columns
        columns = zip(found.first_ids, found.last_ids, found.times_ns, self.frames, strict=True)
        return [
            Update(
                first_id,
                last_id,
                record.position,
                time_ns,
                record.recv_ns,
                record.connection,
                record.payload,
                record.line,
            )
            for first_id, last_id, time_ns, record in list(columns)[begin:]
        ]
