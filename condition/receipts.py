"""Receive times as bytes, and back (condition/FORMAT.md, layouts 16 and 17)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from condition.columns import QUICK, Int64s, Layout, Spec, column, pack_columns
from condition.reader import ColumnReader, checked
from condition.steps import first_of, steps_of, summed

BURST_NS = 2_000_000
"""Trades of one order share an exchange time or nearly so, and arrive together: their receive times tell more
of one another than their exchange times do."""


def _bursts(times_ns: Int64s) -> npt.NDArray[np.bool_]:
    """Return which rows follow the row before within BURST_NS of exchange time."""
    follows = np.zeros(len(times_ns), np.bool_)
    steps = steps_of(times_ns)
    np.logical_and(steps >= 0, steps < BURST_NS, out=follows[1:])
    return follows


def pack_receipts(times_ns: Int64s, received_ns: Int64s, level: int = QUICK) -> bytes:
    """Return the receive times as bytes: layout 16, or 17 where there is time to see that it is smaller."""
    lagging = _pack_lags(times_ns, received_ns, level)
    if level == QUICK:
        return lagging
    base = np.array([first_of(received_ns)], np.int64)
    steps = [column(base), column(steps_of(received_ns), Spec.SCALED, level)]
    return min(lagging, pack_columns(Layout.RECEIPT_STEPS, steps), key=len)


def _pack_lags(times_ns: Int64s, received_ns: Int64s, level: int) -> bytes:
    follows = _bursts(times_ns)
    lags = (received_ns - times_ns)[~follows]
    steps = steps_of(received_ns)[follows[1:]]
    return pack_columns(
        Layout.RECEIPTS, [column(lags, Spec.SCALED, level), column(steps, Spec.SCALED, level)]
    )


def unpack_receipts(fields: Mapping[str, Any], times_ns: Int64s) -> Int64s:
    """Return the receive times of the rows whose exchange times are *times_ns*.

    Raises:
        BadBlock: the field is damaged or belongs to other rows.
    """
    data = checked(fields, "receipts")
    if data[:1] == bytes((Layout.RECEIPT_STEPS,)):
        reader = ColumnReader(data, Layout.RECEIPT_STEPS)
        [base], steps = reader.take(1), reader.take(max(0, len(times_ns) - 1))
        reader.end()
        return summed(int(base), steps, len(times_ns))
    follows = _bursts(times_ns)
    after = int(np.count_nonzero(follows))
    reader = ColumnReader(data, Layout.RECEIPTS)
    lags, steps = reader.take(len(times_ns) - after), reader.take(after)
    reader.end()
    rises = np.zeros(len(times_ns), np.int64)
    rises[follows] = steps
    np.cumsum(rises, out=rises)
    heads = np.flatnonzero(~follows)
    lengths = np.diff(np.append(heads, len(times_ns)))
    return rises + np.repeat(times_ns[heads] + lags - rises[heads], lengths)
