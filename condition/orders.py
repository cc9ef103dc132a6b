"""Blocks of order events (L3) as bytes, and back (condition/FORMAT.md, layout 3).

A random order id costs its 16 bytes once in a block; a value that the exchange does not send for
a kind of event costs nothing.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from condition.blocks import bases_of, binary_fields
from condition.columns import (
    ID_BYTES,
    QUICK,
    BadBlock,
    Column,
    Encode,
    Ids,
    Int64s,
    Layout,
    Spec,
    column,
    id_column,
    pack_columns,
)
from condition.events import (
    OPEN,
    PRESENT,
    VALUES,
    Has,
    OrderColumns,
    by_kind,
    decode_others,
    encode_others,
    interleaved,
    rests,
)
from condition.linked import join, link, split
from condition.named import decode_named
from condition.reader import ColumnReader, checked
from condition.receipts import pack_receipts, unpack_receipts
from condition.steps import first_of, summed
from wire.runs import ABSENT

_NONE, _ALL, _SOME = 0, 1, 2
"""Whether no, every or some event of a kind has a value."""

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


def _places(codes: Int64s, table: Ids) -> Int64s:
    """Return where in the table each code points; the inverse of ``_id_codes``, after which table[places]."""
    new = codes == 0
    sizes = np.cumsum(new) + 1
    places: Int64s = np.where(new, sizes - 1, sizes - codes)
    if len(places) and (places.min() < 0 or (codes < 0).any() or sizes[-1] - 1 != len(table)):
        raise BadBlock("an order id before the first of the table")
    return places


# --- which events have what ------------------------------------------------------------------


def _encode_presence(kinds: Int64s, has: Has, encode: Encode) -> list[Column]:
    present: list[int] = []
    flags: list[Column] = []
    for kind in np.unique(kinds):
        of_kind = kinds == kind
        for name in PRESENT:
            cells = has[name][of_kind]
            present.append(_ALL if cells.all() else _SOME if cells.any() else _NONE)
            if present[-1] == _SOME:
                flags.append(encode(cells.astype(np.int64), Spec.FLAGS))
    return [encode(np.array(present, np.int64)), *flags]


def _decode_presence(reader: ColumnReader, kinds: Int64s) -> Has:
    met = np.unique(kinds)
    present = reader.take(len(met) * len(PRESENT)).reshape(len(met), len(PRESENT))
    has = {name: np.zeros(len(kinds), np.bool_) for name in PRESENT}
    for kind, row in zip(met, present.tolist(), strict=True):
        of_kind = np.flatnonzero(kinds == kind)
        for name, how in zip(PRESENT, row, strict=True):
            if how == _SOME:
                has[name][of_kind] = reader.take(len(of_kind)) != 0
            elif how == _ALL:
                has[name][of_kind] = True
            elif how != _NONE:
                raise BadBlock("a value is neither present nor absent")
    return has


# --- values ----------------------------------------------------------------------------------


def _encode_values(rows: OrderColumns, orders: Int64s, has: Has, encode: Encode) -> list[Column]:
    """Return the columns of sides, prices and sizes, linked by order, and of the rest, kind by kind."""
    heads, follows = split(rows.sides, link(orders))
    columns = [encode(heads, Spec.FLAGS), encode(follows)]
    priced = has["prices"]
    links = link(orders[priced])
    heads, follows = split(rows.prices[priced], links)
    buys = rows.sides[priced][links.heads()] == 0
    columns += [encode(heads[buys], Spec.SLOPED), encode(heads[~buys], Spec.SLOPED), encode(follows)]
    resting = has["sizes"] & rests(rows.kinds, rows.reasons)
    heads, follows = split(rows.sizes[resting], link(orders[resting]))
    columns += [encode(heads, Spec.STEPPED), encode(follows, Spec.STEPPED)]
    columns += encode_others(rows, has, resting, encode)
    return columns


def _decode_values(
    reader: ColumnReader, kinds: Int64s, reasons: Int64s, orders: Int64s, has: Has
) -> dict[str, Int64s]:
    """Return ``sides`` and the values; the inverse of ``_encode_values``."""
    links = link(orders)
    heads = int(np.count_nonzero(links.is_head))
    sides = join(reader.take(heads), reader.take(len(orders) - heads), links)
    values = {name: np.full(len(kinds), ABSENT, np.int64) for name in VALUES}
    priced = has["prices"]
    links = link(orders[priced])
    buys = sides[priced][links.heads()] == 0
    head_prices = np.empty(len(buys), np.int64)
    head_prices[buys] = reader.take(int(np.count_nonzero(buys)))
    head_prices[~buys] = reader.take(int(np.count_nonzero(~buys)))
    values["prices"][priced] = join(head_prices, reader.take(len(links.order) - len(buys)), links)
    resting = has["sizes"] & rests(kinds, reasons)
    links = link(orders[resting])
    heads = int(np.count_nonzero(links.is_head))
    values["sizes"][resting] = join(reader.take(heads), reader.take(len(links.order) - heads), links)
    decode_others(reader, kinds, has, resting, values)
    return values | {"sides": sides}


# --- blocks ----------------------------------------------------------------------------------


def encode_orders(rows: OrderColumns, level: int = QUICK) -> dict[str, Any]:
    """Return the binary fields of a block of order events; pcodec tries as hard as *level* says."""
    encode = partial(column, level=level)
    has: Has = {name: getattr(rows, name) != ABSENT for name in VALUES}
    has["taker_ids"] = takers = np.any(rows.taker_ids != 0, axis=1)
    order_places, taker_places = interleaved(takers)
    ids = np.empty((len(order_places) + len(taker_places), ID_BYTES), np.uint8)
    ids[order_places], ids[taker_places] = rows.order_ids, rows.taker_ids[takers]
    codes, table = _id_codes(ids)
    steps, opens = np.diff(rows.times_ns), rows.kinds[1:] == OPEN
    columns = [
        encode(np.array([first_of(rows.ids), first_of(rows.times_ns)], np.int64)),
        encode(np.diff(rows.ids) - 1),
        encode(rows.kinds),
        *(encode(rows.reasons[where]) for where in by_kind(rows.kinds, np.ones(len(rows.ids), np.bool_))),
        encode(steps[opens], Spec.SCALED),
        encode(steps[~opens], Spec.SCALED),
        encode(rows.effective_ns - rows.times_ns, Spec.SCALED),
        *_encode_presence(rows.kinds, has, encode),
        encode(codes),
        id_column(table),
        *_encode_values(rows, _places(codes, table)[order_places], has, encode),
    ]
    return binary_fields(
        pack_columns(Layout.ORDERS, columns), pack_receipts(rows.times_ns, rows.received_ns, level)
    )


def decode_orders(fields: Mapping[str, Any], *, receipts: bool = True) -> OrderColumns:
    """Return the columns of a block of order events; without *receipts* ``received_ns`` is empty.

    Raises:
        BadBlock: the block is damaged or of an unknown version.
    """
    data = checked(fields, "body")
    if data[:1] == bytes((Layout.ORDERS_NAMED,)):
        return decode_named(ColumnReader(data, Layout.ORDERS_NAMED), fields, receipts=receipts)
    reader = ColumnReader(data, Layout.ORDERS)
    first_id, first_time = bases_of(reader, 2)
    id_steps, kinds = reader.take(), reader.take()
    rows = len(kinds)
    if len(id_steps) != max(0, rows - 1):
        raise BadBlock(f"{len(id_steps)} id steps of {rows} events")
    reasons = np.empty(rows, np.int64)
    for where in by_kind(kinds, np.ones(rows, np.bool_)):
        reasons[where] = reader.take(len(where))
    opens = kinds[1:] == OPEN
    steps = np.empty(len(opens), np.int64)
    steps[opens] = reader.take(int(np.count_nonzero(opens)))
    steps[~opens] = reader.take(int(np.count_nonzero(~opens)))
    delays = reader.take(rows)
    has = _decode_presence(reader, kinds)
    takers = has["taker_ids"]
    order_places, taker_places = interleaved(takers)
    codes = reader.take(len(order_places) + len(taker_places))
    table = reader.take_ids(int(np.count_nonzero(codes == 0)))
    places = _places(codes, table)
    values = _decode_values(reader, kinds, reasons, places[order_places], has)
    reader.end()
    ids = np.concatenate((np.zeros((1, ID_BYTES), np.uint8), table))
    taker_ids = np.zeros((rows, ID_BYTES), np.uint8)
    taker_ids[takers] = ids[places[taker_places]]
    times = summed(first_time, steps, rows)
    return OrderColumns(
        ids=summed(first_id, id_steps + 1, rows),
        times_ns=times,
        effective_ns=times + delays,
        received_ns=unpack_receipts(fields, times) if receipts else np.empty(0, np.int64),
        kinds=kinds,
        reasons=reasons,
        **values,
        order_ids=ids[places[order_places]],
        taker_ids=taker_ids,
    )
