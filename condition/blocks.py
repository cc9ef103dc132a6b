"""Blocks of changes and of trades as bytes, and back (condition/FORMAT.md, layouts 1, 2 and 16).

All sums and differences are modulo 2**64, as numpy's int64 arithmetic is: every value there is survives.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from condition.columns import (
    MAX_VALUES,
    VERSION,
    BadBlock,
    ColumnReader,
    Int64s,
    Layout,
    Spec,
    checked,
    column,
    crc32c,
    pack_columns,
)

BURST_NS = 2_000_000
"""Trades of one order share an exchange time or nearly so, and arrive together: their receive times tell more
of one another than their exchange times do."""


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


def _bursts(times_ns: Int64s) -> npt.NDArray[np.bool_]:
    """Return which rows follow the row before within BURST_NS of exchange time."""
    steps = np.diff(times_ns)
    return np.concatenate(([False], (steps >= 0) & (steps < BURST_NS)))[: len(times_ns)]


def pack_receipts(times_ns: Int64s, received_ns: Int64s) -> bytes:
    """Return the receive times as bytes (layout 16)."""
    follows = _bursts(times_ns)
    lags = (received_ns - times_ns)[~follows]
    steps = np.diff(received_ns, prepend=received_ns[:1])[follows]
    return pack_columns(Layout.RECEIPTS, [column(lags, Spec.SCALED), column(steps, Spec.SCALED)])


def unpack_receipts(fields: Mapping[str, Any], times_ns: Int64s) -> Int64s:
    """Return the receive times of the rows whose exchange times are *times_ns*.

    Raises:
        BadBlock: the field is damaged or belongs to other rows.
    """
    follows = _bursts(times_ns)
    after = int(np.count_nonzero(follows))
    reader = ColumnReader(checked(fields, "receipts"), Layout.RECEIPTS)
    lags, steps = reader.take(len(times_ns) - after), reader.take(after)
    reader.end()
    rises = np.zeros(len(times_ns), np.int64)
    rises[follows] = steps
    np.cumsum(rises, out=rises)
    heads = np.flatnonzero(~follows)
    lengths = np.diff(np.append(heads, len(times_ns)))
    return rises + np.repeat(times_ns[heads] + lags - rises[heads], lengths)


def first_of(values: Int64s) -> int:
    """Return the base of a column of differences: its first value, or 0."""
    return int(values[0]) if len(values) else 0


def summed(base: int, steps: Int64s, count: int) -> Int64s:
    """Return the *count* values that begin with *base* and rise by *steps*."""
    values = np.empty(count, np.int64)
    if count:
        values[0] = base
        values[1:] = steps
        np.cumsum(values, out=values)
    return values


def bases_of(reader: ColumnReader, count: int) -> list[int]:
    """Return the block's *count* bases.

    Raises:
        BadBlock: there are not so many.
    """
    return [int(value) for value in reader.take(count)]


# --- changes ---------------------------------------------------------------------------------


def _sides(counts: ChangeColumns) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return for every level whether it is an ask."""
    pairs = np.stack((counts.bid_counts, counts.ask_counts), axis=1).ravel()
    return np.repeat(np.tile(np.array([False, True]), len(counts.bid_counts)), pairs)


def _starts(counts: Int64s) -> Int64s:
    """Return where each update that has levels begins among the levels of its side."""
    ends = np.cumsum(counts)
    return (ends - counts)[counts > 0]


def _in_order(prices: Int64s, sizes: Int64s, counts: Int64s, sign: int) -> tuple[Int64s, Int64s]:
    """Return the levels of one side sorted inside each update, bids (*sign* -1) down, asks up."""
    rising = prices[1:] > prices[:-1] if sign > 0 else prices[1:] < prices[:-1]
    if len(rising):
        rising[_starts(counts)[1:] - 1] = True
    if rising.all():
        return prices, sizes
    updates = np.repeat(np.arange(len(counts)), counts)
    # ~x is -x - 1: it turns the order round without overflow at -2**63.
    order = np.lexsort((prices if sign > 0 else ~prices, updates))
    return prices[order], sizes[order]


def _price_steps(prices: Int64s, counts: Int64s, sign: int) -> tuple[int, Int64s, Int64s]:
    """Return the first price, the differences of the updates' first prices, and the steps inside updates."""
    starts = _starts(counts)
    tops = prices[starts]
    inside = np.ones(len(prices), np.bool_)
    inside[starts] = False
    steps = np.empty(len(prices), np.int64)
    steps[1:] = np.diff(prices) * sign
    return first_of(tops), np.diff(tops), steps[inside]


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


def encode_changes(rows: ChangeColumns) -> dict[str, Any]:
    """Return the binary fields of a block of changes."""
    asks = _sides(rows)
    bid_prices, bid_sizes = _in_order(rows.prices[~asks], rows.sizes[~asks], rows.bid_counts, -1)
    ask_prices, ask_sizes = _in_order(rows.prices[asks], rows.sizes[asks], rows.ask_counts, 1)
    bid_base, bid_tops, bid_steps = _price_steps(bid_prices, rows.bid_counts, -1)
    ask_base, ask_tops, ask_steps = _price_steps(ask_prices, rows.ask_counts, 1)
    bases = [first_of(rows.first_ids), first_of(rows.times_ns), bid_base, ask_base]
    sizes = np.concatenate((bid_sizes, ask_sizes))
    kept = sizes != 0
    body = pack_columns(
        Layout.CHANGES,
        [
            column(np.array(bases, np.int64)),
            column(rows.first_ids[1:] - rows.last_ids[:-1] - 1),
            column(rows.last_ids - rows.first_ids),
            column(np.diff(rows.times_ns), Spec.SCALED),
            column(rows.effective_ns - rows.times_ns, Spec.SCALED),
            column(rows.bid_counts),
            column(rows.ask_counts),
            column(bid_tops),
            column(ask_tops),
            column(bid_steps),
            column(ask_steps),
            column(kept.astype(np.int64), Spec.FLAGS),
            column(sizes[kept], Spec.STEPPED),
        ],
    )
    return binary_fields(body, pack_receipts(rows.times_ns, rows.received_ns))


def _counts(reader: ColumnReader, rows: int) -> Int64s:
    counts = reader.take(rows)
    if len(counts) and (counts.min() < 0 or counts.max() > MAX_VALUES or counts.sum() > MAX_VALUES):
        raise BadBlock(f"an update of {int(counts.min())} or {int(counts.max())} levels")
    return counts


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
    bid_counts, ask_counts = _counts(reader, rows), _counts(reader, rows)
    bid_updates, ask_updates = int(np.count_nonzero(bid_counts)), int(np.count_nonzero(ask_counts))
    bids, asks = int(bid_counts.sum()), int(ask_counts.sum())
    bid_tops, ask_tops = reader.take(max(0, bid_updates - 1)), reader.take(max(0, ask_updates - 1))
    bid_steps, ask_steps = reader.take(bids - bid_updates), reader.take(asks - ask_updates)
    kept = reader.take(bids + asks) != 0
    by_side = np.zeros(bids + asks, np.int64)
    by_side[kept] = reader.take(int(np.count_nonzero(kept)))
    reader.end()
    first_ids = summed(first_id, id_steps + spans[:-1] + 1, rows)
    empty = np.empty(0, np.int64)
    decoded = ChangeColumns(
        first_ids, first_ids + spans, times, effective, empty, bid_counts, ask_counts, empty, empty
    )
    side = _sides(decoded)
    prices, sizes = np.empty(bids + asks, np.int64), np.empty(bids + asks, np.int64)
    prices[~side] = _prices(bid_base, bid_tops, bid_steps, bid_counts, -1)
    prices[side] = _prices(ask_base, ask_tops, ask_steps, ask_counts, 1)
    sizes[~side], sizes[side] = by_side[:bids], by_side[bids:]
    received = unpack_receipts(fields, times) if receipts else empty
    return decoded._replace(received_ns=received, prices=prices, sizes=sizes)


# --- trades ----------------------------------------------------------------------------------


def encode_trades(rows: TradeColumns) -> dict[str, Any]:
    """Return the binary fields of a block of trades."""
    bases = [first_of(rows.ids), first_of(rows.times_ns), first_of(rows.prices)]
    body = pack_columns(
        Layout.TRADES,
        [
            column(np.array(bases, np.int64)),
            column(np.diff(rows.ids) - 1),
            column(np.diff(rows.times_ns), Spec.SCALED),
            column(rows.effective_ns - rows.times_ns, Spec.SCALED),
            column(rows.sides ^ np.append(np.int64(0), rows.sides[:-1]), Spec.FLAGS),
            column(np.diff(rows.prices)),
            column(rows.sizes, Spec.STEPPED),
        ],
    )
    return binary_fields(body, pack_receipts(rows.times_ns, rows.received_ns))


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
