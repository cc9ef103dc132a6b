"""Blocks of order events without the exchange's order ids (condition/FORMAT.md, layout 6).

An order's id is its *name* (book.naming): the update id of the event that named it first and a number, as two
int64.  A name that is its own event's costs nothing, so that what is left is which order an event is about.
Any 16 bytes come back, names are only the cheap ones.
"""

from functools import partial
from typing import Any, NamedTuple

import numpy as np

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
    pack_columns,
)
from condition.events import (
    DONE,
    OPEN,
    PRESENT,
    RECEIVED,
    VALUES,
    Has,
    OrderColumns,
    by_kind,
    decode_others,
    encode_others,
    interleaved,
    rests,
)
from condition.linked import Mask, join, link, split
from condition.reader import ColumnReader
from condition.receipts import pack_receipts, unpack_receipts
from condition.recency import OTHER, OWN, again, groups_of, places_of, refer
from condition.steps import first_of, summed
from wire.runs import ABSENT

_ABSENT, _ALL, _SOME, _MOST = range(4)
"""Of a kind's events none has the value; all have it; those that have it are listed; those that lack it."""


# --- which events: a list of places -----------------------------------------------------------


def _listed(chosen: Mask, encode: Encode) -> Column:
    """Return how many events lie before each that is *chosen*, since the one before."""
    return encode(np.diff(np.flatnonzero(chosen), prepend=-1) - 1)


def _chosen(reader: ColumnReader, count: int) -> Mask:
    """Return which of *count* events are; the inverse of ``_listed``."""
    between = reader.take()
    if len(between) > count or bool(((between < 0) | (between > count)).any()):
        raise BadBlock("an event before the first")
    places = np.cumsum(between + 1) - 1
    if len(places) and int(places[-1]) >= count:
        raise BadBlock(f"an event behind the last of {count}")
    chosen = np.zeros(count, np.bool_)
    chosen[places] = True
    return chosen


def _encode_kinds(kinds: Int64s, encode: Encode) -> list[Column]:
    """Return the kinds of all events but opens right after a received, and which received have none."""
    received = kinds == RECEIVED
    follows = np.zeros(len(kinds), np.bool_)
    follows[1:] = received[:-1] & (kinds[1:] == OPEN)
    opened = np.append(follows[1:], False)[: len(kinds)]
    return [encode(kinds[~follows]), _listed(~opened[received], encode)]


def _decode_kinds(reader: ColumnReader) -> Int64s:
    told = reader.take()
    received = np.flatnonzero(told == RECEIVED)
    opened = received[~_chosen(reader, len(received))]
    counts = np.ones(len(told), np.int64)
    counts[opened] = 2
    kinds = np.repeat(told, counts)
    kinds[np.cumsum(counts)[opened] - 1] = OPEN
    return kinds


def _encode_presence(kinds: Int64s, has: Has, encode: Encode) -> list[Column]:
    present: list[int] = []
    listed: list[Column] = []
    for kind in np.unique(kinds):
        for name in PRESENT:
            cells = has[name][kinds == kind]
            few = 2 * int(np.count_nonzero(cells)) <= len(cells)
            how = _ALL if cells.all() else _ABSENT if not cells.any() else _SOME if few else _MOST
            present.append(how)
            if how >= _SOME:
                listed.append(_listed(cells if few else ~cells, encode))
    return [encode(np.array(present, np.int64)), *listed]


def _decode_presence(reader: ColumnReader, kinds: Int64s) -> Has:
    met = np.unique(kinds)
    present = reader.take(len(met) * len(PRESENT)).reshape(len(met), len(PRESENT))
    has = {name: np.zeros(len(kinds), np.bool_) for name in PRESENT}
    for kind, row in zip(met, present.tolist(), strict=True):
        of_kind = np.flatnonzero(kinds == kind)
        for name, how in zip(PRESENT, row, strict=True):
            if not _ABSENT <= how <= _MOST:
                raise BadBlock("a value is neither present nor absent")
            if how >= _SOME:
                listed = _chosen(reader, len(of_kind))
                has[name][of_kind] = listed if how == _SOME else ~listed
            else:
                has[name][of_kind] = how == _ALL
    return has


# --- orders -----------------------------------------------------------------------------------


class _References(NamedTuple):
    """Which order each reference is about: an event's order, then its taker's where it has one."""

    codes: Int64s
    places: Int64s
    """The number of the order in the block; -1: none."""
    names: Int64s
    """Of each that is named otherwise than by its event, a row of two."""


def _owns(ids: Int64s) -> Int64s:
    """Return the names that events give: their ids, and 0."""
    return np.stack((ids, np.zeros_like(ids)), axis=1)


def _events_of(takers: Mask) -> tuple[Int64s, Int64s, Int64s]:
    """Return the places of the orders' and of the takers' references, and the event of each reference."""
    orders, others = interleaved(takers)
    return orders, others, np.repeat(np.arange(len(takers)), 1 + takers)


def _encode_references(rows: OrderColumns, takers: Mask) -> _References:
    orders, others, events = _events_of(takers)
    names = np.empty((len(events), ID_BYTES), np.uint8)
    names[orders], names[others] = rows.order_ids, rows.taker_ids[takers]
    ends = np.zeros(len(events), np.bool_)
    ends[orders] = rows.kinds == DONE
    # (as bytes: the loop hashes them in half the time of pairs of numbers)
    keys, own_keys = _cells(names), _cells(_owns(rows.ids[events]).astype("<i8").view(np.uint8))
    codes, places = refer(keys, own_keys, ends.tolist(), bytes(ID_BYTES))
    found = np.array(codes, np.int64)
    others_named = names[found == OTHER].view("<i8").astype(np.int64).reshape(-1, 2)
    return _References(found, np.array(places, np.int64), others_named)


def _cells(names: Ids) -> list[bytes]:
    cells: list[bytes] = names.view(f"V{ID_BYTES}").ravel().tolist()
    return cells


def _reference_columns(kinds: Int64s, takers: Mask, found: _References, encode: Encode) -> list[Column]:
    orders, others, _ = _events_of(takers)
    of_orders = found.codes[orders]
    return [
        *(encode(of_orders[where]) for where in by_kind(kinds, np.ones(len(kinds), np.bool_))),
        encode(found.codes[others]),
        encode(found.names[:, 0], Spec.SLOPED),
        encode(found.names[:, 1], Spec.SLOPED),
    ]


def _decode_references(
    reader: ColumnReader, ids: Int64s, kinds: Int64s, takers: Mask
) -> tuple[Int64s, Ids, Ids]:
    """Return the number of each event's order, the order's names and the takers'."""
    orders, others, events = _events_of(takers)
    of_orders = np.empty(len(kinds), np.int64)
    for where in by_kind(kinds, np.ones(len(kinds), np.bool_)):
        of_orders[where] = reader.take(len(where))
    codes = np.empty(len(events), np.int64)
    codes[orders], codes[others] = of_orders, reader.take(len(others))
    ends = np.zeros(len(events), np.bool_)
    ends[orders] = kinds == DONE
    places = np.array(places_of(codes.tolist(), ends.tolist()), np.int64)
    named = int(np.count_nonzero(codes == OTHER))
    names = np.stack((reader.take(named), reader.take(named)), axis=1)
    new = (codes == OWN) | (codes == OTHER)
    table = _owns(ids[events[new]])
    table[codes[new] == OTHER] = names
    table = np.concatenate((table, np.zeros((1, 2), np.int64)))  # (-1 is none)
    found = np.ascontiguousarray(table[places].astype("<i8")).view(np.uint8).reshape(-1, ID_BYTES)
    taker_ids = np.zeros((len(kinds), ID_BYTES), np.uint8)
    taker_ids[takers] = found[others]
    return places[orders], found[orders], taker_ids


# --- values -----------------------------------------------------------------------------------


class _Firsts(NamedTuple):
    """Masks over the events."""

    of_order: Mask
    """The first event of its order here."""
    entry: Mask
    """And it says what rests: side and size are those of an order before, often."""
    resting: Mask
    rest: Mask
    """The first of its order that says what rests, but no entry."""
    price: Mask
    """The first of its order that has a price."""


def _firsts(kinds: Int64s, reasons: Int64s, orders: Int64s, has: Has) -> _Firsts:
    def first(events: Mask) -> Mask:
        found = np.zeros(len(kinds), np.bool_)
        found[events] = link(orders[events]).heads()
        return found

    resting = has["sizes"] & rests(kinds, reasons)
    of_order = first(np.ones(len(kinds), np.bool_))
    entry = of_order & resting
    return _Firsts(of_order, entry, resting, first(resting) & ~entry, first(has["prices"]))


def _price_groups(firsts: _Firsts, groups: Int64s) -> Int64s:
    """Return the group of each first price: that of its entry, else one of its own."""
    found = -1 - np.arange(len(firsts.price))
    found[firsts.entry] = groups
    return found[firsts.price]


def _encode_values(rows: OrderColumns, orders: Int64s, has: Has, encode: Encode) -> list[Column]:
    firsts = _firsts(rows.kinds, rows.reasons, orders, has)
    entry, resting = firsts.entry, firsts.resting
    codes, of_entries = again(zip(rows.sides[entry].tolist(), rows.sizes[entry].tolist(), strict=True))
    groups, new = np.array(of_entries, np.int64), np.array(codes, np.int64) == 0
    _, side_steps = split(rows.sides, link(orders))
    _, size_steps = split(rows.sizes[resting], link(orders[resting]))
    _, price_steps = split(rows.prices[has["prices"]], link(orders[has["prices"]]))
    links = link(_price_groups(firsts, groups))
    heads, moves = split(rows.prices[firsts.price], links)
    buys = rows.sides[firsts.price][links.heads()] == 0
    return [
        encode(np.array(codes, np.int64)),
        encode(rows.sides[entry][new], Spec.FLAGS),
        encode(rows.sizes[entry][new], Spec.STEPPED),
        encode(rows.sides[firsts.of_order & ~entry], Spec.FLAGS),
        encode(side_steps),
        encode(rows.sizes[firsts.rest], Spec.STEPPED),
        encode(size_steps, Spec.STEPPED),
        encode(heads[buys], Spec.SLOPED),
        encode(heads[~buys], Spec.SLOPED),
        encode(moves, Spec.STEPPED),
        encode(price_steps),
        *encode_others(rows, has, resting, encode),
    ]


def _decode_values(
    reader: ColumnReader, kinds: Int64s, reasons: Int64s, orders: Int64s, has: Has
) -> dict[str, Int64s]:
    """Return ``sides`` and the values; the inverse of ``_encode_values``."""
    firsts = _firsts(kinds, reasons, orders, has)
    entry, resting, priced = firsts.entry, firsts.resting, has["prices"]
    groups = np.array(groups_of(reader.take(int(np.count_nonzero(entry))).tolist()), np.int64)
    begun = int(groups.max()) + 1 if len(groups) else 0
    new_sides, new_sizes = reader.take(begun), reader.take(begun)
    sides, sizes, prices = (np.full(len(kinds), ABSENT, np.int64) for _ in range(3))
    sides[entry], sizes[entry] = new_sides[groups], new_sizes[groups]
    others = firsts.of_order & ~entry
    sides[others] = reader.take(int(np.count_nonzero(others)))
    follows = int(np.count_nonzero(~firsts.of_order))
    sides = join(sides[firsts.of_order], reader.take(follows), link(orders))
    sizes[firsts.rest] = reader.take(int(np.count_nonzero(firsts.rest)))
    heads = sizes[entry | firsts.rest]
    sizes[resting] = join(
        heads, reader.take(int(np.count_nonzero(resting)) - len(heads)), link(orders[resting])
    )
    links = link(_price_groups(firsts, groups))
    buys = sides[firsts.price][links.heads()] == 0
    head_prices = np.empty(len(buys), np.int64)
    head_prices[buys] = reader.take(int(np.count_nonzero(buys)))
    head_prices[~buys] = reader.take(int(np.count_nonzero(~buys)))
    first_prices = join(head_prices, reader.take(len(links.order) - len(buys)), links)
    after = int(np.count_nonzero(priced)) - len(first_prices)
    prices[priced] = join(first_prices, reader.take(after), link(orders[priced]))
    values = {name: np.full(len(kinds), ABSENT, np.int64) for name in VALUES}
    values |= {"prices": prices, "sizes": sizes}
    decode_others(reader, kinds, has, resting, values)
    return values | {"sides": sides}


# --- blocks -----------------------------------------------------------------------------------


def encode_named(rows: OrderColumns, level: int = QUICK) -> dict[str, Any]:
    """Return the binary fields of a block of order events whose ids are names; else as ``encode_orders``."""
    encode = partial(column, level=level)
    has: Has = {name: getattr(rows, name) != ABSENT for name in VALUES}
    has["taker_ids"] = takers = np.any(rows.taker_ids != 0, axis=1)
    found = _encode_references(rows, takers)
    orders = found.places[interleaved(takers)[0]]
    steps, opens = np.diff(rows.times_ns), rows.kinds[1:] == OPEN
    columns = [
        encode(np.array([first_of(rows.ids), first_of(rows.times_ns)], np.int64)),
        *_encode_kinds(rows.kinds, encode),
        encode(np.diff(rows.ids) - 1),
        *(encode(rows.reasons[where]) for where in by_kind(rows.kinds, np.ones(len(rows.ids), np.bool_))),
        encode(steps[opens], Spec.SCALED),
        encode(steps[~opens], Spec.SCALED),
        encode(rows.effective_ns - rows.times_ns, Spec.SCALED),
        *_encode_presence(rows.kinds, has, encode),
        *_reference_columns(rows.kinds, takers, found, encode),
        *_encode_values(rows, orders, has, encode),
    ]
    return binary_fields(
        pack_columns(Layout.ORDERS_NAMED, columns), pack_receipts(rows.times_ns, rows.received_ns, level)
    )


def decode_named(reader: ColumnReader, fields: Any, *, receipts: bool) -> OrderColumns:
    """Return the columns of a block; the inverse of ``encode_named``.

    Raises:
        BadBlock: the block is damaged.
    """
    first_id, first_time = bases_of(reader, 2)
    kinds = _decode_kinds(reader)
    rows = len(kinds)
    ids = summed(first_id, reader.take(max(0, rows - 1)) + 1, rows)
    reasons = np.empty(rows, np.int64)
    for where in by_kind(kinds, np.ones(rows, np.bool_)):
        reasons[where] = reader.take(len(where))
    opens = kinds[1:] == OPEN
    steps = np.empty(len(opens), np.int64)
    steps[opens] = reader.take(int(np.count_nonzero(opens)))
    steps[~opens] = reader.take(int(np.count_nonzero(~opens)))
    times = summed(first_time, steps, rows)
    effective = times + reader.take(rows)
    has = _decode_presence(reader, kinds)
    orders, order_ids, taker_ids = _decode_references(reader, ids, kinds, has["taker_ids"])
    values = _decode_values(reader, kinds, reasons, orders, has)
    reader.end()
    return OrderColumns(
        ids=ids,
        times_ns=times,
        effective_ns=effective,
        received_ns=unpack_receipts(fields, times) if receipts else np.empty(0, np.int64),
        kinds=kinds,
        reasons=reasons,
        **values,
        order_ids=order_ids,
        taker_ids=taker_ids,
    )
