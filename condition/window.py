"""What a window collected, as the documents of its blocks.

A window keeps the messages as they came; only at a cut are their columns joined.  A part of a window ends
before the row that would take it past ROWS_PER_PART rows or levels, counted before netting, so that a
provisional version and the final one divide alike.  A part's scales are the finest of its messages; where a
coarser row would not fit 64 bits in the finer scale, the later of the two begins the next part.
"""

from collections.abc import Iterable
from itertools import groupby
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
from condition.columns import ID_BYTES
from condition.netting import Updates, chain_starts, net
from wire.runs import ABSENT, Chain, Changes, Cut, Orders, Trades

ROWS_PER_PART = 200_000
"""Half a megabyte of changes: far from MongoDB's 16 MB, near enough to decode at one go."""

NS_PER_SECOND = 1_000_000_000
_LARGEST = 2**63 - 1
_NS_PER_MS = 1_000_000

_UPDATE_COLUMNS = (
    "first_ids",
    "last_ids",
    "times_ns",
    "effective_ns",
    "received_ns",
    "bid_counts",
    "ask_counts",
)
_LEVEL_COLUMNS = ("prices", "sizes")
_NET_COLUMNS = ("prices", "sizes", "old_sizes")
_TRADE_COLUMNS = ("ids", "times_ns", "effective_ns", "received_ns", "prices", "sizes")
_ORDER_COLUMNS = (
    *_TRADE_COLUMNS,
    "old_prices",
    "old_sizes",
    "funds",
    "trade_ids",
)
_BYTE_COLUMNS = {"sides": "sides_u1", "kinds": "kinds_u1", "reasons": "reasons_u1"}
_ID_COLUMNS = ("order_ids", "taker_ids")

_PRICE_SCALED = frozenset(("prices", "old_prices"))
_SIZE_SCALED = frozenset(("sizes", "old_sizes"))

Rows = Changes | Orders | Trades
Columns = dict[str, Any]


class BadCut(ValueError):
    """A cut does not fit what was sent of its window: the maintainer broke its promise."""


class Block(NamedTuple):
    """One part of a window, ready to be a document."""

    id: str
    covered: int
    fields: dict[str, Any]


class _Piece(NamedTuple):
    """Rows in one scale: ``rows`` one value a row, ``levels`` one value a level (changes only)."""

    scales: tuple[int, int, int]
    """Of prices, sizes and funds."""
    rows: Columns
    levels: Columns


def document_id(security: str, kind: str, start_ns: int, part: int = 1) -> str:
    """Return the ``_id`` of the block of *kind* of the window that starts at *start_ns*.

    >>> document_id("binance:BTCUSDT", "changes", 1_723_161_600_000_000_000)
    'binance:BTCUSDT|changes|1723161600'
    >>> document_id("binance:BTCUSDT", "changes", 1_723_161_600_000_000_000, 2)
    'binance:BTCUSDT|changes|1723161600|p2'
    """
    suffix = f"|p{part}" if part > 1 else ""
    return f"{security}|{kind}|{start_ns // NS_PER_SECOND}{suffix}"


def healed_id(security: str, start_ns: int, first_id: int) -> str:
    """Return the ``_id`` of the block of trades, *first_id* the first, that fill a hole or a part of it.

    >>> healed_id("binance:BTCUSDT", 1_723_161_600_000_000_000, 77)
    'binance:BTCUSDT|trades|1723161600|h77'
    """
    return f"{document_id(security, 'trades', start_ns)}|h{first_id}"


class Window:
    """The messages of one window of one feed of a security."""

    def __init__(self, first: Rows, *, window_ns: int, has_ids: bool) -> None:
        self._messages = [first]
        self._window_ns = window_ns
        self._has_ids = has_ids
        self._named = isinstance(first, Orders) and first.named
        self._grew = True
        self.written: dict[str, int] = {}
        """The blocks that a cut made so far: id and covered."""

    def add(self, message: Rows) -> None:
        """Keep the next rows, in id order."""
        self._messages.append(message)
        self._grew = True

    def unwritten(self, cut: Cut) -> list[Block]:
        """Return the blocks that cover more at *cut* than when they were last made.

        Raises:
            BadCut: rows lie outside the cut's chains.
        """
        if not self._grew:
            return []
        blocks = [block for block in self._blocks(cut) if self.written.get(block.id) != block.covered]
        self.written |= {block.id: block.covered for block in blocks}
        self._grew = False
        return blocks

    def _blocks(self, cut: Cut) -> list[Block]:
        parts = _parts(_pieces(self._messages, nets=cut.every_ms > 0))
        return [self._block(cut, n, piece) for n, piece in enumerate(parts, 1)]

    def _block(self, cut: Cut, part: int, piece: _Piece) -> Block:
        rows = piece.rows
        first, last = (rows["first_ids"], rows["last_ids"]) if piece.levels else (rows["ids"], rows["ids"])
        chains = restricted(cut.chains, int(first[0]), int(last[-1]))
        covered = sum(end - start + 1 for start, end, _, _ in chains)
        if not _within(first, last, chains):
            raise BadCut(f"{cut.security} {cut.feed} {cut.start_ns}: rows outside the chains {cut.chains}")
        if not self._has_ids and cut.feed == "changes":
            covered = len(first)
        fields = {
            "end_ns": cut.start_ns + self._window_ns,
            "chains": [list(chain) for chain in chains],
            "price_scale": piece.scales[0],
            "size_scale": piece.scales[1],
        }
        if not self._has_ids and cut.feed == "changes":
            fields["has_ids"] = False
        if self._named:
            fields["order_ids"] = False
        fields |= _encoded(cut, piece, chains, named=self._named)
        return Block(document_id(cut.security, cut.feed, cut.start_ns, part), covered, fields)


def _encoded(cut: Cut, piece: _Piece, chains: list[Chain], *, named: bool) -> dict[str, Any]:
    match cut.feed:
        case "changes":
            rows = ChangeColumns(**piece.rows, prices=piece.levels["prices"], sizes=piece.levels["sizes"])
            if cut.every_ms:
                starts = chain_starts(rows.first_ids, _cuts(chains))
                rows = net(Updates(rows, piece.levels["old_sizes"]), cut.every_ms * _NS_PER_MS, starts)
            header = {"every_ms": cut.every_ms, "levels": len(rows.prices)}
            return header | times_of(rows) | encode_changes(rows)
        case "orders":
            events = OrderColumns(**piece.rows)
            encode = encode_named if named else encode_orders
            return {"funds_scale": piece.scales[2]} | times_of(events) | encode(events)
        case _:
            trades = TradeColumns(**piece.rows)
            return times_of(trades) | encode_trades(trades)


def _cuts(chains: list[Chain]) -> list[int]:
    """Return the ids that begin an interval's next row: a reader applies what comes after an image."""
    after_images = [image + 1 for _, _, image, _ in chains if image is not None]
    return [first for first, _, _, _ in chains] + after_images


def times_of(rows: ChangeColumns | OrderColumns | TradeColumns) -> dict[str, Any]:
    """Return how many rows there are, and the fields of a header that say of when."""
    times = {
        "rows": len(rows.times_ns),
        "first_time": int(rows.times_ns[0]),
        "last_time": int(rows.times_ns[-1]),
    }
    if rows.effective_ns[-1] != rows.times_ns[-1]:
        times["last_effective"] = int(rows.effective_ns[-1])
    return times


# --- chains ----------------------------------------------------------------------------------


def restricted(chains: tuple[Chain, ...], first: int, last: int) -> list[Chain]:
    """Return what of *chains* lies in the ids *first* to *last*; a hash is known only at an entry's end."""
    kept: list[Chain] = []
    for start, end, image, book_hash in chains:
        if end >= first and start <= last:
            kept.append((max(start, first), min(end, last), image, book_hash if end <= last else b""))
    return kept


def _within(first: Int64s, last: Int64s, chains: list[Chain]) -> bool:
    """Say whether every update lies inside one chain entry."""
    if len(chains) == 1:
        start, end, _, _ = chains[0]
        return bool((first >= start).all() and (last <= end).all())
    starts = np.array([chain[0] for chain in chains], np.int64)
    ends = np.array([chain[1] for chain in chains], np.int64)
    entry = np.searchsorted(starts, first, side="right") - 1
    return bool(len(chains)) and bool((entry >= 0).all() and (last <= ends[entry]).all())


# --- messages to pieces ----------------------------------------------------------------------


def _scales(message: Rows) -> tuple[int, int, int]:
    funds_scale = message.funds_scale if isinstance(message, Orders) else 0
    return message.price_scale, message.size_scale, funds_scale


def _pieces(messages: list[Rows], *, nets: bool) -> list[_Piece]:
    """Return the messages' rows, old sizes too where it *nets*; neighbours of one scale make one piece."""
    return [_piece(scales, list(run), nets=nets) for scales, run in groupby(messages, _scales)]


def _piece(scales: tuple[int, int, int], messages: list[Rows], *, nets: bool) -> _Piece:
    """Return the rows of *messages*.

    Raises:
        BadCut: their columns are not of one length.
    """
    piece = _columns(scales, messages, nets=nets)
    counts = _level_counts(piece) if len(set(map(len, piece.rows.values()))) == 1 else None
    if counts is None or {len(each) for each in piece.levels.values()} > {int(counts.sum())}:
        raise BadCut(f"{messages[0].security}: columns of different lengths")
    return piece


def _columns(scales: tuple[int, int, int], messages: list[Rows], *, nets: bool) -> _Piece:
    def column(field: str, dtype: str) -> Any:
        return np.frombuffer(b"".join([getattr(message, field) for message in messages]), dtype)

    def int64s(names: Iterable[str]) -> Columns:
        return {name: column(name, "<i8") for name in names}

    match messages[0]:
        case Changes():
            return _Piece(scales, int64s(_UPDATE_COLUMNS), int64s(_NET_COLUMNS if nets else _LEVEL_COLUMNS))
        case Orders():
            rows = int64s(_ORDER_COLUMNS)
            rows |= {name: column(field, "u1").astype(np.int64) for name, field in _BYTE_COLUMNS.items()}
            rows |= {name: column(name, "u1").reshape(-1, ID_BYTES) for name in _ID_COLUMNS}
            return _Piece(scales, rows, {})
        case Trades():
            rows = int64s(_TRADE_COLUMNS)
            rows["sides"] = column("sides_u1", "u1").astype(np.int64)
            return _Piece(scales, rows, {})


def _level_counts(piece: _Piece) -> Int64s:
    if not piece.levels:
        return np.ones(_length(piece), np.int64)
    counts: Int64s = piece.rows["bid_counts"] + piece.rows["ask_counts"]
    return counts


def _length(piece: _Piece) -> int:
    return len(piece.rows["times_ns"])


def _slice(piece: _Piece, start: int, stop: int) -> _Piece:
    if not start and stop == _length(piece):
        return piece
    ends = np.cumsum(_level_counts(piece))
    low, high = int(ends[start - 1]) if start else 0, int(ends[stop - 1])
    rows = {name: values[start:stop] for name, values in piece.rows.items()}
    return _Piece(piece.scales, rows, {name: values[low:high] for name, values in piece.levels.items()})


# --- pieces to parts -------------------------------------------------------------------------


def _parts(pieces: list[_Piece]) -> list[_Piece]:
    """Return *pieces* joined into parts, each within the limits and in one scale.

    Row by row: whether one joins the part before it depends on that part alone, not on what follows.
    """
    if len(pieces) == 1 and _fits(pieces[0]):
        return pieces
    parts: list[list[_Piece]] = []
    room_rows = room_levels = 0
    for piece in pieces:
        ends = np.cumsum(_level_counts(piece))
        start = taken = 0
        while start < len(ends):
            fitting = start + _rows_that_join(parts[-1], _slice(piece, start, len(ends))) if parts else start
            stop = _stop(ends, start, room_rows, taken + room_levels)
            if min(fitting, stop) == start:
                parts.append([])
                room_rows = room_levels = ROWS_PER_PART
                # One update above the limit is a part of its own.
                stop = max(_stop(ends, start, room_rows, taken + room_levels), start + 1)
            else:
                stop = min(fitting, stop)
            parts[-1].append(_slice(piece, start, stop))
            levels = int(ends[stop - 1]) - taken
            room_rows, room_levels = room_rows - (stop - start), room_levels - levels
            start, taken = stop, taken + levels
    return [_joined(part) for part in parts]


def _stop(ends: Int64s, start: int, rows: int, levels_end: int) -> int:
    """Return the row before which *rows* rows from *start* on and the levels up to *levels_end* end."""
    return max(start, min(int(np.searchsorted(ends, levels_end, side="right")), start + rows))


def _fits(piece: _Piece) -> bool:
    levels = len(piece.levels["prices"]) if piece.levels else 0
    return _length(piece) <= ROWS_PER_PART and levels <= ROWS_PER_PART


def _finest(pieces: list[_Piece]) -> tuple[int, int, int]:
    price, size, funds = (max(scales) for scales in zip(*(piece.scales for piece in pieces), strict=True))
    return price, size, funds


def _factor(name: str, piece: _Piece, scales: tuple[int, int, int]) -> int:
    of = 0 if name in _PRICE_SCALED else 1 if name in _SIZE_SCALED else 2 if name == "funds" else None
    return 1 if of is None else 10 ** int(scales[of] - piece.scales[of])


def _rows_that_join(part: list[_Piece], piece: _Piece) -> int:
    """Return how many of the first rows of *piece* fit 64 bits in one scale with all of *part*."""
    scales = _finest([*part, piece])
    if any(_rows_that_fit(each, scales) < _length(each) for each in part):
        return 0
    return _rows_that_fit(piece, scales)


def _rows_that_fit(piece: _Piece, scales: tuple[int, int, int]) -> int:
    """Return how many of the first rows fit 64 bits in *scales*, none of which is coarser."""
    fit = _length(piece)
    if piece.scales == scales:
        return fit
    ends = np.cumsum(_level_counts(piece))
    for columns, row_ends in ((piece.rows, None), (piece.levels, ends)):
        for name, values in columns.items():
            factor = _factor(name, piece, scales)
            if factor == 1:
                continue
            if factor > _LARGEST:
                return 0
            most = _LARGEST // factor
            bad = np.flatnonzero((values != ABSENT) & ((values > most) | (values < -most)))
            if len(bad):
                first = int(bad[0])
                fit = min(fit, first if row_ends is None else int(np.searchsorted(row_ends, first, "right")))
    return fit


def _joined(pieces: list[_Piece]) -> _Piece:
    if len(pieces) == 1:
        return pieces[0]
    scales = _finest(pieces)

    def join(parts: list[Columns]) -> Columns:
        columns: Columns = {}
        for name in parts[0]:
            scaled = [
                _rescaled(columns_of[name], _factor(name, piece, scales))
                for piece, columns_of in zip(pieces, parts, strict=True)
            ]
            columns[name] = np.concatenate(scaled)
        return columns

    return _Piece(scales, join([p.rows for p in pieces]), join([p.levels for p in pieces]))


def _rescaled(values: Any, factor: int) -> Any:
    return values if factor == 1 else np.where(values == ABSENT, ABSENT, values * factor)
