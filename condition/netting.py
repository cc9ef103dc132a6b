"""Net changes per interval: what an interval did to each level, from the updates inside it.

An interval is ``[k N, (k+1) N)`` of effective time; a chain's end cuts it too, because nothing is netted
across a hole or past an image.  A level's net change is its size after the last update that names it; where
that equals its size before the first one there is none.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from condition.codec import ChangeColumns, Int64s


class Updates(NamedTuple):
    """Updates with the size that each level had before: what a maintainer sends."""

    rows: ChangeColumns
    old_sizes: Int64s


def chain_starts(first_ids: Int64s, entries: list[int]) -> npt.NDArray[np.bool_]:
    """Return which updates begin a chain entry; *entries* are the entries' first ids."""
    return np.isin(first_ids, np.array(entries, np.int64))


def net(updates: Updates, every_ns: int, starts: npt.NDArray[np.bool_]) -> ChangeColumns:
    """Return one row per interval of *every_ns* that has an update; *starts* marks the updates that cut one.

    A row has the first id of its first update and the last id and all times of its last one.  Its
    levels are bids, best first, then asks, best first; there may be none.
    """
    rows = updates.rows
    if not len(rows.first_ids):
        return rows
    intervals = rows.effective_ns // every_ns
    begins = starts.copy()
    begins[0] = True
    begins[1:] |= intervals[1:] != intervals[:-1]
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(begins)) - 1
    row_of_update = np.cumsum(begins) - 1
    row, side, prices, sizes = _net_levels(updates, row_of_update)
    groups = len(first)
    return ChangeColumns(
        rows.first_ids[first],
        rows.last_ids[last],
        rows.times_ns[last],
        rows.effective_ns[last],
        rows.received_ns[last],
        np.bincount(row[~side], minlength=groups).astype(np.int64),
        np.bincount(row[side], minlength=groups).astype(np.int64),
        prices,
        sizes,
    )


def _net_levels(
    updates: Updates, row_of_update: Int64s
) -> tuple[Int64s, npt.NDArray[np.bool_], Int64s, Int64s]:
    """Return row, side (True: ask), price and new size of every net change, in the order of a block."""
    rows = updates.rows
    counts = np.stack((rows.bid_counts, rows.ask_counts), axis=1).ravel()
    side = np.repeat(np.tile(np.array([False, True]), len(rows.first_ids)), counts)
    row = np.repeat(row_of_update, rows.bid_counts + rows.ask_counts)
    # ~x turns the order of the bids round without overflow; the sort is stable, so the updates of a
    # level keep their order.
    order = np.lexsort((np.where(side, rows.prices, ~rows.prices), side, row))
    row, side, prices = row[order], side[order], rows.prices[order]
    changes = (np.diff(row) != 0) | (side[1:] != side[:-1]) | (np.diff(prices) != 0)
    first = np.append(True, changes) if len(row) else np.empty(0, np.bool_)
    last = np.append(changes, True) if len(row) else first
    old, new = updates.old_sizes[order][first], rows.sizes[order][last]
    moved = old != new
    return row[first][moved], side[first][moved], prices[first][moved], new[moved]
