"""The updates of one group for the books of many securities, where each simply follows the one before.

That is what mostly comes, one or two of each security, so that a security costs what a frame costs.  The
updates of all go to the books by one call (``table_loops.follow``).  Where anything is unusual, or nothing
was compiled, a security is left as it is, and takes its frames the long way (``Security.frames``), to the
same end.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

from book.compiled_table import COMPILED
from book.security import Security
from journal.frames import Frames
from venue.columns import Columns

if COMPILED:
    from book.table_loops import follow


def take(securities: Sequence[Security], batches: Sequence[Frames], columns: Columns) -> list[bool]:
    """Give each of *securities* its frames, of which *columns* tells; say which of them took theirs."""
    if not COMPILED or not columns.depth_at or columns.events is not None:
        return [False] * len(batches)
    depth, ends = columns.depth, list(accumulate(map(len, batches)))
    received_ns = [time_ns for frames in batches for time_ns in frames.received_ns]
    if columns.trade_at:
        received_ns = [received_ns[n] for n in columns.depth_at]
        at = [bisect_left(columns.depth_at, end) for end in ends]
    else:
        at = ends
    places, begin = [], 0
    for security, frames, end in zip(securities, batches, at, strict=True):
        # (trades among them go the long way, and take the updates along)
        only = end - begin == len(frames) and len(set(frames.connections)) == 1
        places.append(security.joined.place(frames.line, depth.decimals) if only else None)
        begin = end
    moments = depth.first_ids, depth.last_ids, depth.times_ns, received_ns
    found = follow(places, at, moments, depth.counts, depth.prices, depth.sizes)
    for security, frames, followed in zip(securities, batches, found, strict=True):
        if followed is not None:
            security.outlet.read(frames.line, frames.next_position)
            security.joined.followed(frames, followed)
            security.recv_ns = frames.received_ns[-1]
    return [followed is not None for followed in found]
