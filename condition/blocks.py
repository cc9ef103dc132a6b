"""Blocks of changes and of trades as bytes, and back (condition/FORMAT.md, layouts 1 and 2).

All sums and differences are modulo 2**64, as numpy's int64 arithmetic is: every value there is survives.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from condition.columns import (
    MAX_VALUES,
    QUICK,
    VERSION,
    BadBlock,
    Int64s,
    Layout,
    Spec,
    column,
    pack_columns,
)
from condition.looks import COMPILED
from condition.reader import ColumnReader, checked, crc32c
from condition.receipts import pack_receipts, unpack_receipts
from condition.steps import first_of, steps_of, summed

if COMPILED:
    from condition import columns_loops as loops


class ChangeColumns(NamedTuple):
    """Updates in id order: nine int64 columns.

    The levels of update i are the next ``bid_counts[i]`` bids, then ``ask_counts[i]`` asks; a size
    of 0 removes the level.
    """

    first_ids: Int64s
    last_ids: Int64s
    times_ns: Int64s
    effective_ns: Int64s
    received_ns: Int64s
    bid_counts: Int64s
    ask_counts: Int64s
    prices: Int64s
    sizes: Int64s


class TradeColumns(NamedTuple):
    """Trades in trade-id order: seven int64 columns; ``sides`` is the aggressor's, 0 buy, 1 sell."""

    ids: Int64s
    times_ns: Int64s
    effective_ns: Int64s
    received_ns: Int64s
    sides: Int64s
    prices: Int64s
    sizes: Int64s


# --- what blocks have in common --------------------------------------------------------------


def binary_fields(body: bytes, receipts: bytes | None = None) -> dict[str, Any]:
    """Return the fields of a document that hold and check its bytes."""
    fields: dict[str, Any] = {"codec": "pco", "version": VERSION, "body": body, "crc32c": crc32c(body)}
    if receipts is not None:
        fields |= {"receipts": receipts, "receipts_crc32c": crc32c(receipts)}
    return fields


def bases_of(reader: ColumnReader, count: int) -> list[int]:
    """Return the block's *count* bases.

    Raises:
        BadBlock: there are not so many.
    """
    return [int(value) for value in reader.take(count)]


# --- changes ---------------------------------------------------------------------------------


def _sides(bid_counts: Int64s, ask_counts: Int64s) -> npt.NDArray[np.bool_]:
    """Return for every level whether it is an ask."""
    counts = np.empty(2 * len(bid_counts), np.int64)
    counts[0::2], counts[1::2] = bid_counts, ask_counts
    sides = np.zeros(len(counts), np.bool_)
    sides[1::2] = True
    return np.repeat(sides, counts)


def _starts(counts: Int64s) -> Int64s:
    """Return where each update that has levels begins among the levels of its side."""
    ends = np.cumsum(counts)
    return (ends - counts)[counts > 0]


class _Side(NamedTuple):
    """The levels of one side, sorted inside each update, bids down, asks up."""

    base: int
    """The first price."""
    tops: Int64s
    """The differences of the updates' first prices."""
    steps: Int64s
    """Inside updates, away from the other side."""
    sizes: Int64s


def _side(prices: Int64s, sizes: Int64s, counts: Int64s, sign: int) -> _Side:
    """Return the levels of one side, bids with *sign* -1, asks with 1."""
    starts = _starts(counts)
    inside = np.ones(len(prices), np.bool_)
    inside[starts] = False
    inside = inside[1:]
    in_order = prices[1:] > prices[:-1] if sign > 0 else prices[1:] < prices[:-1]
    if not (in_order | ~inside).all():
        updates = np.repeat(np.arange(len(counts)), counts)
        # ~x is -x - 1: it turns the order round without overflow at -2**63.
        order = np.lexsort((prices if sign > 0 else ~prices, updates))
        prices, sizes = prices[order], sizes[order]
    tops = prices[starts]
    return _Side(first_of(tops), steps_of(tops), steps_of(prices)[inside] * sign, sizes)


def _prices(base: int, tops: Int64s, steps: Int64s, counts: Int64s, sign: int) -> Int64s:
    """Return the prices of one side; the inverse of ``_price_steps``."""
    starts = _starts(counts)
    total = int(counts.sum())
    inside = np.ones(total, np.bool_)
    inside[starts] = False
    rises = np.zeros(total, np.int64)
    rises[inside] = steps * sign
    np.cumsum(rises, out=rises)
    offsets = summed(base, tops, len(starts)) - rises[starts]
    rises += np.repeat(offsets, counts[counts > 0])
    return rises


class Levels(NamedTuple):
    """The levels of some updates as the columns of a block, the bids before the asks."""

    bid_base: int
    ask_base: int
    bid_tops: Int64s
    ask_tops: Int64s
    bid_steps: Int64s
    ask_steps: Int64s
    kept: Int64s
    """1 where the size is not 0."""
    sizes: Int64s
    """Of these."""


def compiled_levels(rows: ChangeColumns) -> Levels | None:
    """Return the levels of *rows*; None where an update is not sorted."""
    found = loops.levels(rows.prices, rows.sizes, rows.bid_counts, rows.ask_counts)
    return found and Levels(found[0], found[1], *(np.frombuffer(column, np.int64) for column in found[2:]))


def plain_levels(rows: ChangeColumns) -> Levels:
    """Return the levels of *rows*, by what every machine has."""
    is_ask = _sides(rows.bid_counts, rows.ask_counts)
    of_asks, of_bids = np.flatnonzero(is_ask), np.flatnonzero(~is_ask)
    bids = _side(rows.prices[of_bids], rows.sizes[of_bids], rows.bid_counts, -1)
    asks = _side(rows.prices[of_asks], rows.sizes[of_asks], rows.ask_counts, 1)
    sizes = np.concatenate((bids.sizes, asks.sizes))
    kept = sizes != 0
    flags = kept.astype(np.int64)
    return Levels(bids.base, asks.base, bids.tops, asks.tops, bids.steps, asks.steps, flags, sizes[kept])


def encode_changes(rows: ChangeColumns, level: int = QUICK) -> dict[str, Any]:
    """Return the binary fields of a block of changes; pcodec tries as hard as *level* says."""
    encode = partial(column, level=level)
    levels = (compiled_levels(rows) if COMPILED else None) or plain_levels(rows)
    bases = [first_of(rows.first_ids), first_of(rows.times_ns), levels.bid_base, levels.ask_base]
    body = pack_columns(
        Layout.CHANGES,
        [
            encode(np.array(bases, np.int64)),
            encode(rows.first_ids[1:] - rows.last_ids[:-1] - 1),
            encode(rows.last_ids - rows.first_ids),
            encode(steps_of(rows.times_ns), Spec.SCALED),
            encode(rows.effective_ns - rows.times_ns, Spec.SCALED),
            encode(rows.bid_counts),
            encode(rows.ask_counts),
            encode(levels.bid_tops),
            encode(levels.ask_tops),
            encode(levels.bid_steps),
            encode(levels.ask_steps),
            encode(levels.kept, Spec.FLAGS),
            encode(levels.sizes, Spec.STEPPED),
        ],
    )
    return binary_fields(body, pack_receipts(rows.times_ns, rows.received_ns, level))


def plain_counts(counts: Int64s, most: int) -> tuple[int, int]:
    """Return the sum of *counts* and how many are not 0.

    (-1, 0) where one is negative, or they are more than *most*.
    """
    if len(counts) and (counts.min() < 0 or counts.max() > most):
        return -1, 0
    total = int(counts.sum())
    return (total, int(np.count_nonzero(counts))) if total <= most else (-1, 0)


_sum_of = loops.counts if COMPILED else plain_counts


class _Counts(NamedTuple):
    """Of one side: the levels of each update, all of them, and how many updates have some."""

    each: Int64s
    levels: int
    updates: int


def _counts(reader: ColumnReader, rows: int) -> _Counts:
    counts = reader.take(rows)
    levels, updates = _sum_of(counts, MAX_VALUES)
    if levels < 0:
        raise BadBlock(f"updates of {int(counts.min())} to {int(counts.max())} levels")
    return _Counts(counts, levels, updates)


def decode_changes(fields: Mapping[str, Any], *, receipts: bool = True) -> ChangeColumns:
    """Return the columns of a block of changes; without *receipts* ``received_ns`` is empty.

    Raises:
        BadBlock: the block is damaged or of an unknown version.
    """
    reader = ColumnReader(checked(fields, "body"), Layout.CHANGES)
    first_id, first_time, bid_base, ask_base = bases_of(reader, 4)
    id_steps = reader.take()
    spans = reader.take()
    rows = len(spans)
    if len(id_steps) != max(0, rows - 1):
        raise BadBlock(f"{len(id_steps)} id steps of {rows} updates")
    times = summed(first_time, reader.take(max(0, rows - 1)), rows)
    effective = times + reader.take(rows)
    bids, asks = _counts(reader, rows), _counts(reader, rows)
    bid_counts, ask_counts = bids.each, asks.each
    levels = _levels(reader, (bid_base, ask_base), bids, asks)
    reader.end()
    first_ids = summed(first_id, id_steps + spans[:-1] + 1, rows)
    prices, sizes = (compiled_rows if COMPILED else plain_rows)(levels, bid_counts, ask_counts)
    received = unpack_receipts(fields, times) if receipts else np.empty(0, np.int64)
    return ChangeColumns(
        first_ids, first_ids + spans, times, effective, received, bid_counts, ask_counts, prices, sizes
    )


def _levels(reader: ColumnReader, bases: tuple[int, int], bids: _Counts, asks: _Counts) -> Levels:
    bid_tops, ask_tops = reader.take(max(0, bids.updates - 1)), reader.take(max(0, asks.updates - 1))
    bid_steps, ask_steps = reader.take(bids.levels - bids.updates), reader.take(asks.levels - asks.updates)
    kept = reader.take(bids.levels + asks.levels)
    sizes = reader.take(int(np.count_nonzero(kept)))
    return Levels(*bases, bid_tops, ask_tops, bid_steps, ask_steps, kept, sizes)


def compiled_rows(levels: Levels, bid_counts: Int64s, ask_counts: Int64s) -> tuple[Int64s, Int64s]:
    """Return prices and sizes, update by update."""
    columns = levels._replace(sizes=np.append(levels.sizes, 0))[2:]  # (the loop looks one further)
    prices, sizes = np.empty(len(levels.kept), np.int64), np.empty(len(levels.kept), np.int64)
    loops.interleaved(bid_counts, ask_counts, levels[:2], *columns, prices, sizes)
    return prices, sizes


def plain_rows(levels: Levels, bid_counts: Int64s, ask_counts: Int64s) -> tuple[Int64s, Int64s]:
    """Return prices and sizes, update by update, by what every machine has."""
    side, kept = _sides(bid_counts, ask_counts), levels.kept != 0
    by_side = np.zeros(len(kept), np.int64)
    by_side[kept] = levels.sizes
    prices, sizes = np.empty(len(kept), np.int64), np.empty(len(kept), np.int64)
    prices[~side] = _prices(levels.bid_base, levels.bid_tops, levels.bid_steps, bid_counts, -1)
    prices[side] = _prices(levels.ask_base, levels.ask_tops, levels.ask_steps, ask_counts, 1)
    bids = int(bid_counts.sum())
    sizes[~side], sizes[side] = by_side[:bids], by_side[bids:]
    return prices, sizes


# --- trades ----------------------------------------------------------------------------------


def encode_trades(rows: TradeColumns, level: int = QUICK) -> dict[str, Any]:
    """Return the binary fields of a block of trades; pcodec tries as hard as *level* says."""
    encode = partial(column, level=level)
    bases = [first_of(rows.ids), first_of(rows.times_ns), first_of(rows.prices)]
    turns = rows.sides.copy()
    turns[1:] ^= rows.sides[:-1]
    body = pack_columns(
        Layout.TRADES,
        [
            encode(np.array(bases, np.int64)),
            encode(steps_of(rows.ids) - 1),
            encode(steps_of(rows.times_ns), Spec.SCALED),
            encode(rows.effective_ns - rows.times_ns, Spec.SCALED),
            encode(turns, Spec.FLAGS),
            encode(steps_of(rows.prices)),
            encode(rows.sizes, Spec.STEPPED),
        ],
    )
    return binary_fields(body, pack_receipts(rows.times_ns, rows.received_ns, level))


def decode_trades(fields: Mapping[str, Any], *, receipts: bool = True) -> TradeColumns:
    """Return the columns of a block of trades; without *receipts* ``received_ns`` is empty.

    Raises:
        BadBlock: the block is damaged or of an unknown version.
    """
    reader = ColumnReader(checked(fields, "body"), Layout.TRADES)
    first_id, first_time, first_price = bases_of(reader, 3)
    id_steps, time_steps, delays = reader.take(), reader.take(), reader.take()
    rows = len(delays)
    turns, price_steps = reader.take(rows), reader.take(max(0, rows - 1))
    sizes = reader.take(rows)
    reader.end()
    if not len(id_steps) == len(time_steps) == max(0, rows - 1):
        raise BadBlock(f"{len(id_steps)} id steps and {len(time_steps)} time steps of {rows} trades")
    times = summed(first_time, time_steps, rows)
    return TradeColumns(
        summed(first_id, id_steps + 1, rows),
        times,
        times + delays,
        unpack_receipts(fields, times) if receipts else np.empty(0, np.int64),
        np.bitwise_xor.accumulate(turns),
        summed(first_price, price_steps, rows),
        sizes,
    )
