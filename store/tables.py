"""The archive's answers as Arrow, streamed: one flat schema for changes, order events and trades each.

Needs the extra ``analysis`` (pyarrow).  pandas and polars take what comes as it is:
``archive.changes_table(...).read_pandas()``, ``polars.from_arrow(archive.trades_table(...).read_all())``.

column                        type                                is
time_ns, recv_time_ns         int64                               UTC nanoseconds since 1970
visible_ns                    int64                               from when on it is part of the book
first_id, update_id, id       int64, null where none              the venue's
side, event, reason           dictionary of names, null           bid, ask (orders and trades: buy, sell)
price, size, old_..., funds   int64, null where none              units of 10**-scale, see the metadata
order_id, taker_order_id      16 bytes, null where none           the UUID, or the name (book.naming)
named                         bool                                they are names: ids were not kept
after_hole                    bool                                something is missing right before the row

With *decimals* prices, sizes and funds are decimal128(38, scale) instead, equally exact.  The scales are the
finest of the range's blocks, so that one schema holds; the schema's metadata has ``security``,
``price_scale``, ``size_scale`` and ``funds_scale`` as text.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from itertools import chain
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from condition.codec import ChangeColumns, Ids, Int64s, OrderColumns, TradeColumns
from store.answers import Changes, Gap, Gaps, OrderEvents, Trades
from store.blocks import BOOK_KINDS, TRADE_KINDS
from store.ladder import scaled, sides_of
from store.series import NONE, Series
from store.source import Source
from store.unreadable import Unreadable
from venue.api import OrderKind, Reason, Side
from wire.runs import ABSENT

BATCH_ROWS = 1 << 18
"""Rows of one record batch at most: 20 MB of changes."""

_ID_BYTES = 16
_BOOK_SIDES = ("bid", "ask")
_ORDER_SIDES = tuple(side.name.lower() for side in Side)
_EVENTS = tuple(kind.name.lower() for kind in OrderKind)
_REASONS = tuple(reason.name.lower() for reason in Reason)

Columns = dict[str, Any]


def arrow() -> ModuleType:
    """Return pyarrow.

    Raises:
        Unreadable: it is not installed.
    """
    try:
        import pyarrow as pa
    except ImportError as error:
        raise Unreadable("tables need pyarrow: pip install 'order-book-logger[analysis]'") from error
    found: ModuleType = pa
    return found


class Scales(NamedTuple):
    """Decimals that hold for a whole stream."""

    price: int = 0
    size: int = 0
    funds: int = 0


def changes(source: Source, security: str, low: int, high: int, gaps: Gaps, *, decimals: bool) -> Any:
    """Return a ``pyarrow.RecordBatchReader`` of changes: a row for each level of each update."""
    made = _Made(security, _finest(source, security, BOOK_KINDS, low, high), decimals)
    none = Changes(security, 0, 0, 0, True, _EMPTY, ChangeColumns(*[_EMPTY] * 9))
    return made.reader(source.changes(security, low, high, gaps), made.changes, none)


def orders(source: Source, security: str, low: int, high: int, gaps: Gaps, *, decimals: bool) -> Any:
    """Return a ``pyarrow.RecordBatchReader`` of order events."""
    made = _Made(security, _finest(source, security, BOOK_KINDS, low, high), decimals)
    ids = np.empty((0, _ID_BYTES), np.uint8)
    empty: dict[str, Any] = dict.fromkeys(OrderColumns._fields, _EMPTY)
    none = OrderEvents(security, 0, 0, 0, 0, OrderColumns(**empty | {"order_ids": ids, "taker_ids": ids}))
    return made.reader(source.orders(security, low, high, gaps), made.orders, none)


def trades(source: Source, security: str, low: int, high: int, gaps: Gaps, *, decimals: bool) -> Any:
    """Return a ``pyarrow.RecordBatchReader`` of trades; *side* is the aggressor's."""
    made = _Made(security, _finest(source, security, TRADE_KINDS, low, high), decimals)
    none = Trades(security, 0, 0, 0, TradeColumns(*[_EMPTY] * 7))
    return made.reader(source.trades(security, low, high, gaps), made.trades, none)


def table(series: Series, *, decimals: bool = False) -> Any:
    """Return a ``pyarrow.Table`` of depth, tops, bars or queue positions, its columns named as there.

    Column k of levels is ``bid_prices_1`` and so on; a price that is NONE is null.  A volume that needs
    more than 64 bits makes its column decimal128 in any case.
    """
    made = _Made(series.security, Scales(series.price_scale, series.size_scale), decimals)
    columns: Columns = {}
    for each in fields(series):
        values = getattr(series, each.name)
        if not isinstance(values, np.ndarray):
            continue
        levels = values.T if values.ndim > 1 else (values,)
        for number, column in enumerate(levels, 1):
            name = f"{each.name}_{number}" if values.ndim > 1 else each.name
            columns[name] = made.of_series(series, each.name, np.ascontiguousarray(column))
    return arrow().Table.from_batches([made.batch(columns)])


# --- the columns -----------------------------------------------------------------------------

_EMPTY = np.empty(0, np.int64)


class _Made:
    """Makes the record batches of one stream."""

    def __init__(self, security: str, scales: Scales, decimals: bool) -> None:
        self._pa = arrow()
        self._security, self._scales, self._decimals = security, scales, decimals

    def reader(self, answers: Iterator[Any], columns: Callable[[Any], Columns], none: Any) -> Any:
        """Return the reader of *answers*, each as *columns* makes it; *none* is an answer without a row."""

        def of(answer: Any, *, after: bool) -> Any:
            made = columns(answer)
            marks = np.zeros(len(next(iter(made.values()))), np.bool_)
            marks[:1] = after
            return self.batch(made | {"after_hole": self._pa.array(marks)})

        def batches() -> Iterator[Any]:
            after = False
            for answer in answers:
                if isinstance(answer, Gap):
                    after = True
                    continue
                whole = of(answer, after=after)
                after = after and not len(whole)
                yield from (whole.slice(n, BATCH_ROWS) for n in range(0, len(whole), BATCH_ROWS))

        return self._pa.RecordBatchReader.from_batches(of(none, after=False).schema, batches())

    def batch(self, columns: Columns) -> Any:
        """Return *columns* as a record batch with the stream's metadata."""
        scales = {f"{name}_scale": str(scale) for name, scale in self._scales._asdict().items()}
        made = self._pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))
        return made.replace_schema_metadata({"security": self._security} | scales)

    def changes(self, answer: Changes) -> Columns:
        rows = answer.rows
        counts = rows.bid_counts + rows.ask_counts
        no_ids = np.full(len(counts), not answer.has_ids)
        return {
            "time_ns": self._ints(np.repeat(rows.times_ns, counts)),
            "recv_time_ns": self._ints(np.repeat(rows.received_ns, counts)),
            "visible_ns": self._ints(np.repeat(answer.visible_ns, counts)),
            "first_id": self._ints(np.repeat(rows.first_ids, counts), np.repeat(no_ids, counts)),
            "update_id": self._ints(np.repeat(rows.last_ids, counts), np.repeat(no_ids, counts)),
            "side": self._names(sides_of(answer), _BOOK_SIDES),
            "price": self._number(rows.prices, answer.price_scale, self._scales.price),
            "size": self._number(rows.sizes, answer.size_scale, self._scales.size),
        }

    def orders(self, answer: OrderEvents) -> Columns:
        rows, scales = answer.rows, self._scales
        return {
            "time_ns": self._ints(rows.times_ns),
            "recv_time_ns": self._ints(rows.received_ns),
            "update_id": self._ints(rows.ids),
            "event": self._names(rows.kinds, _EVENTS),
            "side": self._names(rows.sides, _ORDER_SIDES),
            "reason": self._names(rows.reasons, _REASONS, rows.reasons == Reason.NONE.value),
            "order_id": self._ids(rows.order_ids),
            "price": self._number(rows.prices, answer.price_scale, scales.price),
            "size": self._number(rows.sizes, answer.size_scale, scales.size),
            "old_price": self._number(rows.old_prices, answer.price_scale, scales.price),
            "old_size": self._number(rows.old_sizes, answer.size_scale, scales.size),
            "funds": self._number(rows.funds, answer.funds_scale, scales.funds),
            "trade_id": self._ints(rows.trade_ids, rows.trade_ids == ABSENT),
            "taker_order_id": self._ids(rows.taker_ids),
            "named": self._pa.array(np.full(len(rows.ids), answer.named)),
        }

    def trades(self, answer: Trades) -> Columns:
        rows = answer.rows
        return {
            "time_ns": self._ints(rows.times_ns),
            "recv_time_ns": self._ints(rows.received_ns),
            "id": self._ints(rows.ids),
            "side": self._names(rows.sides, _ORDER_SIDES),
            "price": self._number(rows.prices, answer.price_scale, self._scales.price),
            "size": self._number(rows.sizes, answer.size_scale, self._scales.size),
        }

    def of_series(self, series: Series, name: str, values: npt.NDArray[Any]) -> Any:
        if values.dtype == np.bool_:
            return self._pa.array(values)
        price = name in series.PRICES
        scale = series.price_scale if price else series.size_scale
        none = values == NONE if price else None
        if values.dtype == object:
            return self._wide(values, scale)
        if self._decimals and (price or name in series.SIZES):
            return self._decimal(values, scale, none)
        return self._ints(values, none)

    def _ints(self, values: Int64s, none: npt.NDArray[np.bool_] | None = None) -> Any:
        return self._pa.array(values, mask=none)

    def _names(
        self,
        codes: npt.NDArray[Any],
        names: Sequence[str],
        none: npt.NDArray[np.bool_] | None = None,
    ) -> Any:
        indices = self._pa.array(codes.astype(np.int8), mask=none)
        return self._pa.DictionaryArray.from_arrays(indices, self._pa.array(names))

    def _ids(self, ids: Ids) -> Any:
        flat = np.ascontiguousarray(ids)
        none = self._pa.py_buffer(np.packbits(flat.any(axis=1), bitorder="little").tobytes())
        kind = self._pa.binary(_ID_BYTES)
        return self._pa.Array.from_buffers(kind, len(flat), [none, self._pa.py_buffer(flat)])

    def _number(self, values: Int64s, of: int, to: int) -> Any:
        absent = values == ABSENT
        none = absent if absent.any() else None
        exact = values if none is None else np.where(absent, 0, values)
        if to >= of:
            exact = scaled(exact, to - of, self._security)
        else:
            exact, rest = np.divmod(exact, 10 ** (of - to))
            if rest.any():
                raise Unreadable(f"{self._security}: a value has more decimals than its blocks say")
        return self._decimal(exact, to, none) if self._decimals else self._ints(exact, none)

    def _decimal(self, values: Int64s, scale: int, none: npt.NDArray[np.bool_] | None) -> Any:
        words = np.stack((values, values >> 63), axis=1)  # (128 bits, little-endian, two's complement)
        there = None if none is None else np.packbits(~none, bitorder="little").tobytes()
        buffers = [None if there is None else self._pa.py_buffer(there), self._pa.py_buffer(words)]
        return self._pa.Array.from_buffers(self._pa.decimal128(38, scale), len(values), buffers)

    def _wide(self, values: npt.NDArray[np.object_], scale: int) -> Any:
        words = b"".join(int(value).to_bytes(16, "little", signed=True) for value in values)
        kind = self._pa.decimal128(38, scale if self._decimals else 0)
        return self._pa.Array.from_buffers(kind, len(values), [None, self._pa.py_buffer(words)])


def _finest(source: Source, security: str, kinds: Sequence[str], low: int, high: int) -> Scales:
    """Return the finest scales of the blocks of a range, by their headers."""
    price = size = funds = 0
    blocks = source.blocks
    before = blocks.before(security, kinds, low + 1)
    for together in chain([before], blocks.between(security, kinds, low, high)):
        for block in together:
            price, size = max(price, block.price_scale), max(size, block.size_scale)
            funds = max(funds, block.funds_scale)
    return Scales(price, size, funds)
