"""Order events (L3) as columns, and what both of their layouts have in common (orders.py, named.py)."""

from typing import NamedTuple

import numpy as np

from condition.columns import Column, Encode, Ids, Int64s, Spec
from condition.linked import Mask
from condition.reader import ColumnReader

RECEIVED, OPEN, DONE = 0, 1, 2
FILLED = 1
"""Of venue.api's OrderKind and Reason, which are part of the format."""


class OrderColumns(NamedTuple):
    """Order events in id order: fifteen int64 columns and two of 16-byte ids (zeros: none).

    ``kinds``, ``sides`` and ``reasons`` are venue.api's OrderKind, Side and Reason; a value that the exchange
    did not send is wire.runs.ABSENT.
    """

    ids: Int64s
    times_ns: Int64s
    effective_ns: Int64s
    received_ns: Int64s
    kinds: Int64s
    sides: Int64s
    reasons: Int64s
    prices: Int64s
    sizes: Int64s
    old_prices: Int64s
    old_sizes: Int64s
    funds: Int64s
    trade_ids: Int64s
    order_ids: Ids
    taker_ids: Ids


VALUES = ("prices", "sizes", "old_prices", "old_sizes", "funds", "trade_ids")
PRESENT = (*VALUES, "taker_ids")
RISING = frozenset(("old_prices", "trade_ids"))
"""Stored as differences."""

Has = dict[str, Mask]
"""Per value which events have it."""


def rests(kinds: Int64s, reasons: Int64s) -> Mask:
    """Return which events tell what rests of their order: their sizes hang together."""
    found: Mask = (kinds == RECEIVED) | (kinds == OPEN) | ((kinds == DONE) & (reasons != FILLED))
    return found


def by_kind(kinds: Int64s, events: Mask) -> list[Int64s]:
    """Return the *events* of each kind that is met among them."""
    return [np.flatnonzero(events & (kinds == kind)) for kind in np.unique(kinds[events])]


def interleaved(takers: Mask) -> tuple[Int64s, Int64s]:
    """Return where the orders' and the takers' ids stand when each order's is followed by its taker's."""
    before: Int64s = np.cumsum(takers) - takers
    orders: Int64s = np.arange(len(takers)) + before
    return orders, orders[takers] + 1


def encode_others(rows: OrderColumns, has: Has, resting: Mask, encode: Encode) -> list[Column]:
    """Return the columns of sizes that do not rest, and of the other values, kind by kind."""
    columns = [
        encode(rows.sizes[where], Spec.STEPPED) for where in by_kind(rows.kinds, has["sizes"] & ~resting)
    ]
    for name in VALUES[2:]:
        for where in by_kind(rows.kinds, has[name]):
            cells = getattr(rows, name)[where]
            if name in RISING:
                cells = np.diff(cells, prepend=np.int64(0))
            columns.append(encode(cells, Spec.STEPPED))
    return columns


def decode_others(
    reader: ColumnReader, kinds: Int64s, has: Has, resting: Mask, values: dict[str, Int64s]
) -> None:
    """Put what ``encode_others`` took into *values*."""
    for where in by_kind(kinds, has["sizes"] & ~resting):
        values["sizes"][where] = reader.take(len(where))
    for name in VALUES[2:]:
        for where in by_kind(kinds, has[name]):
            cells = reader.take(len(where))
            values[name][where] = np.cumsum(cells) if name in RISING else cells
