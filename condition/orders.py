"""Blocks of order events (L3) as bytes, and back (condition/FORMAT.md, layout 3).

A random order id costs its 16 bytes once in a block; a value that the exchange does not send for
a kind of event costs nothing.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from condition.blocks import bases_of, binary_fields, first_of, pack_receipts, summed, unpack_receipts
from condition.columns import (
    ID_BYTES,
    BadBlock,
    Column,
    ColumnReader,
    Ids,
    Int64s,
    Layout,
    Spec,
    checked,
    column,
    id_column,
    pack_columns,
)
from wire.messages import ABSENT

_NONE, _ALL, _SOME = 0, 1, 2
"""Whether no, every or some event of a kind has a value."""


class OrderColumns(NamedTuple):
    """Order events in id order: fifteen int64 columns and two of 16-byte ids (zeros: none).

    ``kinds``, ``sides`` and ``reasons`` are venue.api's OrderKind, Side and Reason; a value that the exchange
    did not send is wire.messages.ABSENT.
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


_VALUES = ("prices", "sizes", "old_prices", "old_sizes", "funds", "trade_ids")
_RISING = frozenset(("prices", "old_prices", "trade_ids"))
"""Stored as differences."""

Mask = npt.NDArray[np.bool_]


# --- ids -------------------------------------------------------------------------------------


def _as_keys(ids: Ids) -> npt.NDArray[np.void]:
    return np.ascontiguousarray(ids).view(np.dtype((np.void, ID_BYTES))).ravel()


def _id_codes(ids: Ids) -> tuple[Int64s, Ids]:
    """Return for each id its code, and the ids that are new, in the order in which they come."""
    zero = np.zeros((1, ID_BYTES), np.uint8)
    keys = _as_keys(np.concatenate((zero, ids)))
    _, firsts, inverse = np.unique(keys, return_index=True, return_inverse=True)
    ranks = np.empty(len(firsts), np.int64)
    ranks[np.argsort(firsts, kind="stable")] = np.arange(len(firsts))
    places = ranks[inverse.ravel()]
    newest = np.maximum.accumulate(places)
    new = np.concatenate(([False], newest[1:] > newest[:-1]))
    codes = np.where(new, 0, newest - places + 1)
    return codes[1:], ids[new[1:]]


def _ids(codes: Int64s, table: Ids) -> Ids:
    """Return the ids that *codes* mean; the inverse of ``_id_codes``."""
    new = codes == 0
    sizes = np.cumsum(new) + 1
    places = np.where(new, sizes - 1, sizes - codes)
    if len(places) and (places.min() < 0 or (codes < 0).any() or sizes[-1] - 1 != len(table)):
        raise BadBlock("an order id before the first of the table")
    return np.concatenate((np.zeros((1, ID_BYTES), np.uint8), table))[places]


def _interleaved(takers: Mask) -> tuple[Int64s, Int64s]:
    """Return where the orders' and the takers' ids stand when each order's is followed by its taker's."""
    before: Int64s = np.cumsum(takers) - takers
    orders: Int64s = np.arange(len(takers)) + before
    return orders, orders[takers] + 1


# --- values that may be absent ----------------------------------------------------------------


def _presence(has: Mask) -> int:
    return _ALL if has.all() else _SOME if has.any() else _NONE


def _value_column(name: str, values: Int64s) -> Column:
    if name not in _RISING:
        return column(values, Spec.STEPPED)
    return column(np.concatenate((values[:1], np.diff(values))))


def encode_orders(rows: OrderColumns) -> dict[str, Any]:
    """Return the binary fields of a block of order events."""
    takers: Mask = np.any(rows.taker_ids != 0, axis=1)
    present: list[int] = []
    flags: list[Column] = []
    values: list[Column] = []
    for kind in np.unique(rows.kinds):
        of_kind = rows.kinds == kind
        for name in (*_VALUES, "taker_ids"):
            cells = takers[of_kind] if name == "taker_ids" else getattr(rows, name)[of_kind]
            has = cells if name == "taker_ids" else cells != ABSENT
            present.append(_presence(has))
            if present[-1] == _SOME:
                flags.append(column(has.astype(np.int64), Spec.FLAGS))
            if present[-1] != _NONE and name != "taker_ids":
                values.append(_value_column(name, cells[has]))
    order_places, taker_places = _interleaved(takers)
    ids = np.empty((len(order_places) + len(taker_places), ID_BYTES), np.uint8)
    ids[order_places], ids[taker_places] = rows.order_ids, rows.taker_ids[takers]
    codes, table = _id_codes(ids)
    columns = [
        column(np.array([first_of(rows.ids), first_of(rows.times_ns)], np.int64)),
        column(np.diff(rows.ids) - 1),
        column(np.diff(rows.times_ns), Spec.SCALED),
        column(rows.effective_ns - rows.times_ns, Spec.SCALED),
        column(rows.kinds),
        column(rows.sides, Spec.FLAGS),
        column(rows.reasons),
        column(np.array(present, np.int64)),
        *flags,
        *values,
        column(codes),
        id_column(table),
    ]
    return binary_fields(pack_columns(Layout.ORDERS, columns), pack_receipts(rows.times_ns, rows.received_ns))


def _take_values(reader: ColumnReader, kinds: Int64s) -> tuple[dict[str, Int64s], Mask]:
    """Return the columns of values, and which events have a taker."""
    names = (*_VALUES, "taker_ids")
    met = np.unique(kinds)
    present = reader.take(len(met) * len(names)).reshape(len(met), len(names))
    if len(present) and not np.isin(present, (_NONE, _ALL, _SOME)).all():
        raise BadBlock("a value is neither present nor absent")
    places: dict[tuple[int, str], Int64s] = {}
    for kind, row in zip(met.tolist(), present.tolist(), strict=True):
        of_kind = np.flatnonzero(kinds == kind)
        for name, how in zip(names, row, strict=True):
            has = reader.take(len(of_kind)) != 0 if how == _SOME else slice(None)
            if how != _NONE:
                places[kind, name] = of_kind[has]
    values = {name: np.full(len(kinds), ABSENT, np.int64) for name in _VALUES}
    takers = np.zeros(len(kinds), np.bool_)
    for (_, name), where in places.items():
        if name == "taker_ids":
            takers[where] = True
            continue
        cells = reader.take(len(where))
        values[name][where] = np.cumsum(cells) if name in _RISING else cells
    return values, takers


def decode_orders(fields: Mapping[str, Any], *, receipts: bool = True) -> OrderColumns:
    """Return the columns of a block of order events; without *receipts* ``received_ns`` is empty.

    Raises:
        BadBlock: the block is damaged or of an unknown version.
    """
    reader = ColumnReader(checked(fields, "body"), Layout.ORDERS)
    first_id, first_time = bases_of(reader, 2)
    id_steps, time_steps, delays = reader.take(), reader.take(), reader.take()
    rows = len(delays)
    if not len(id_steps) == len(time_steps) == max(0, rows - 1):
        raise BadBlock(f"{len(id_steps)} id steps and {len(time_steps)} time steps of {rows} events")
    kinds, sides, reasons = reader.take(rows), reader.take(rows), reader.take(rows)
    values, takers = _take_values(reader, kinds)
    order_places, taker_places = _interleaved(takers)
    codes = reader.take(len(order_places) + len(taker_places))
    ids = _ids(codes, reader.take_ids(int(np.count_nonzero(codes == 0))))
    reader.end()
    taker_ids = np.zeros((rows, ID_BYTES), np.uint8)
    taker_ids[takers] = ids[taker_places]
    times = summed(first_time, time_steps, rows)
    return OrderColumns(
        ids=summed(first_id, id_steps + 1, rows),
        times_ns=times,
        effective_ns=times + delays,
        received_ns=unpack_receipts(fields, times) if receipts else np.empty(0, np.int64),
        kinds=kinds,
        sides=sides,
        reasons=reasons,
        **values,
        order_ids=ids[order_places],
        taker_ids=taker_ids,
    )
