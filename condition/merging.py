"""Merges the blocks of a span into few: what compaction writes, as a function of the rows alone.

The span ``[k C, (k+1) C)`` of effective time, C the grid of the database, is one document where its rows
fit one: at most ROWS_PER_PART rows and levels, all of one ``every_ms``, ``has_ids``, ``order_ids`` and
scale.  Else it is divided by its smallest prime factor (``ladder``), and so on down to a window.  So a merged
document holds exactly the rows of its own time, whatever was merged before, and rows that come late change
only where they fall.  A window that is itself more than a document may hold stays as it is.

Rows are taken once, in id order; where two begin with the same id the longer one is the later version.
Chain entries that follow one another from one image are joined; where the span is
divided inside such an entry there is no hash, as at the end of a part.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from condition.codec import (
    ChangeColumns,
    Int64s,
    OrderColumns,
    TradeColumns,
    encode_changes,
    encode_named,
    encode_orders,
    encode_trades,
)
from condition.columns import THOROUGH
from condition.window import NS_PER_SECOND, ROWS_PER_PART, Block, document_id, restricted, times_of
from wire.runs import Chain

Rows = ChangeColumns | OrderColumns | TradeColumns


class Terms(NamedTuple):
    """What the rows of one document have in common."""

    every_ms: int
    has_ids: bool
    price_scale: int
    size_scale: int
    funds_scale: int
    order_ids: bool = True
    """Of orders: whether they have the exchange's ids."""


class Part(NamedTuple):
    """Rows in id order that have the same terms."""

    terms: Terms
    rows: Rows


class Span(NamedTuple):
    """A piece of the grid."""

    start_ns: int
    seconds: int

    @property
    def end_ns(self) -> int:
        """Return the first moment after it."""
        return self.start_ns + self.seconds * NS_PER_SECOND


class Weight(NamedTuple):
    """What a window, or a part of a span, holds."""

    terms: Terms
    rows: int
    levels: int


def ladder(grid_s: int, window_s: int) -> tuple[int, ...]:
    """Return the lengths that a merged document may have, in seconds, longest first.

    >>> ladder(3600, 10)
    (3600, 1800, 900, 450, 150, 50, 10)
    """
    lengths = [grid_s]
    while (times := lengths[-1] // window_s) > 1:
        factor = next(each for each in range(2, times + 1) if times % each == 0)
        lengths.append(lengths[-1] // factor)
    return tuple(lengths)


def span_of(time_ns: int, seconds: int) -> Span:
    """Return the piece of *seconds* of the grid that *time_ns* lies in."""
    return Span(time_ns - time_ns % (seconds * NS_PER_SECOND), seconds)


def merged_id(security: str, kind: str, span: Span) -> str:
    """Return the ``_id`` of the merged document of *span*.

    >>> merged_id("binance:BTCUSDT", "changes", Span(1_723_161_600_000_000_000, 3600))
    'binance:BTCUSDT|changes|1723161600|m3600'
    """
    return f"{document_id(security, kind, span.start_ns)}|m{span.seconds}"


def divided(span: Span, lengths: Sequence[int], windows: dict[int, list[Weight]]) -> Iterator[Span]:
    """Yield the parts of *span* that are to be one document each.

    *windows* are what each window holds, by its start; *lengths* is the grid's ladder.
    """
    inside = [weight for start, found in windows.items() if _in(start, span) for weight in found]
    if not inside:
        return
    if fits(inside):
        yield span
        return
    shorter = next((each for each in lengths if each < span.seconds), None)
    if shorter is not None:
        for start_ns in range(span.start_ns, span.end_ns, shorter * NS_PER_SECOND):
            yield from divided(Span(start_ns, shorter), lengths, windows)


def _in(start_ns: int, span: Span) -> bool:
    return span.start_ns <= start_ns < span.end_ns


def fits(inside: list[Weight]) -> bool:
    """Say whether one document may hold all of *inside*."""
    rows, levels = sum(each.rows for each in inside), sum(each.levels for each in inside)
    return len({each.terms for each in inside}) == 1 and max(rows, levels) <= ROWS_PER_PART


# --- rows ------------------------------------------------------------------------------------


def merged(security: str, kind: str, span: Span, whole: Sequence[Chain], part: Part) -> Block:
    """Return the document of the rows of *part*, which are those of *span*.

    *whole* are the chain entries of the grid's span that it lies in (``joined``).
    """
    rows = part.rows
    first, last = ids_of(rows)
    chains = restricted(tuple(whole), int(first[0]), int(last[-1]))
    fields: dict[str, Any] = {
        "end_ns": span.end_ns,
        "chains": [list(chain) for chain in chains],
        "price_scale": part.terms.price_scale,
        "size_scale": part.terms.size_scale,
    }
    if not part.terms.has_ids:
        fields["has_ids"] = False
    if rows.effective_ns[0] != rows.times_ns[0]:
        fields["first_effective"] = int(rows.effective_ns[0])
    match rows:
        case ChangeColumns():
            header = {"every_ms": part.terms.every_ms, "levels": len(rows.prices)}
            fields |= header | times_of(rows) | encode_changes(rows, THOROUGH)
        case OrderColumns():
            encode = encode_orders if part.terms.order_ids else encode_named
            if not part.terms.order_ids:
                fields["order_ids"] = False
            fields |= {"funds_scale": part.terms.funds_scale} | times_of(rows) | encode(rows, THOROUGH)
        case TradeColumns():
            fields |= times_of(rows) | encode_trades(rows, THOROUGH)
    covered = sum(end - start + 1 for start, end, _, _ in chains)
    return Block(merged_id(security, kind, span), covered, fields)


def united(parts: Iterable[Part]) -> Rows:
    """Return the rows of *parts*, of one kind, in id order, each id once."""
    found = list(parts)
    rows = found[0].rows if len(found) == 1 else _concatenated([part.rows for part in found])
    first, last = ids_of(rows)
    order = np.lexsort((-last, first))
    newest = np.maximum.accumulate(last[order])
    new = np.ones(len(order), np.bool_)
    new[1:] = first[order][1:] > newest[:-1]
    return taken(rows, order[new])


def joined(chains: Iterable[Chain]) -> list[Chain]:
    """Return the entries of *chains*, each id in one; neighbours that start from one image are one."""
    entries: list[Chain] = []
    for first, last, image, mark in sorted(chains, key=lambda chain: (chain[0], -chain[1], chain[3])):
        before = entries[-1] if entries else None
        if before is None or first > before[1] + 1 or (image != before[2] and last > before[1]):
            entries.append((first if before is None else max(first, before[1] + 1), last, image, mark))
        elif last > before[1] or (last == before[1] and not before[3]):
            entries[-1] = (before[0], last, before[2], mark)
    return entries


def weights_of(part: Part, window_ns: int) -> dict[int, Weight]:
    """Return what each window has of *part*, by the window's start."""
    rows = part.rows
    starts, first, counts = np.unique(
        rows.effective_ns - rows.effective_ns % window_ns, return_index=True, return_counts=True
    )
    levels = counts
    if isinstance(rows, ChangeColumns):
        levels = np.add.reduceat(rows.bid_counts + rows.ask_counts, first)
    columns = (starts.tolist(), counts.tolist(), levels.tolist())
    return {start: Weight(part.terms, count, size) for start, count, size in zip(*columns, strict=True)}


def within(part: Part, span: Span) -> Part:
    """Return the rows of *part* that lie in *span*."""
    effective = part.rows.effective_ns
    low, high = np.searchsorted(effective, [span.start_ns, span.end_ns]).tolist()
    if low == 0 and high == len(effective):
        return part
    return part._replace(rows=taken(part.rows, np.arange(low, high)))


def ids_of(rows: Rows) -> tuple[Int64s, Int64s]:
    """Return the first and the last id of each row."""
    if isinstance(rows, ChangeColumns):
        return rows.first_ids, rows.last_ids
    return rows.ids, rows.ids


def taken(rows: Rows, places: Int64s) -> Rows:
    """Return the *places* of *rows*, in their order."""
    if len(places) == len(rows.times_ns) and bool((places[1:] > places[:-1]).all()):
        return rows
    if not isinstance(rows, ChangeColumns):
        return _like(rows, [column[places] for column in rows])
    counts = rows.bid_counts + rows.ask_counts
    starts, chosen = np.cumsum(counts) - counts, counts[places]
    # the levels of each place, one after the other
    levels = np.repeat(starts[places] - np.cumsum(chosen) + chosen, chosen) + np.arange(chosen.sum())
    columns = {name: column[places] for name, column in rows._asdict().items() if name not in _LEVELS}
    return ChangeColumns(**columns, prices=rows.prices[levels], sizes=rows.sizes[levels])


_LEVELS = frozenset(("prices", "sizes"))


def _concatenated(all_rows: Sequence[Rows]) -> Rows:
    return _like(all_rows[0], [np.concatenate(columns) for columns in zip(*all_rows, strict=True)])


def _like(rows: Rows, columns: list[Any]) -> Rows:
    made: Rows = type(rows)(*columns)
    return made
