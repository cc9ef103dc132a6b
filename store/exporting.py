"""Writes what the archive answers with into a file, batch by batch: memory is bounded for any length of time.

format     a file of                                       decimals
csv        the columns of store.tabular, a header first    decimal text; nothing where there is none
jsonl      the lines of ``obl replay`` and ``obl trades``  decimal text
parquet    the columns of store.tabular, zstd              decimal128(38, 18): any int64 at any scale, exactly
original   the original logger's documents as MongoDB      docs/original.md
           Extended JSON, one a line; BSON where its
           name ends so

A file comes into being under another name (``.part``) and is renamed when it is whole.
"""

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

import bson
import numpy as np
from bson.json_util import RELAXED_JSON_OPTIONS
from bson.json_util import dumps as extended_json
from bson.json_util import loads as extended_document

from condition.codec import Int64s
from store import shapes
from store.answers import Answer, Book, Changes, Gap, Gaps, OrderEvents, Trades
from store.documents import READING
from store.tabular import FEEDS, Batch, Column, Kind, table
from venue.decimals import MAX_SCALE, text
from wire.names import venue_of
from wire.runs import ABSENT
from wire.times import iso

if TYPE_CHECKING:
    import pyarrow as pa

    from store.history import Archive

Told = Callable[[int, int], None]
"""Called on the way with the rows that are written and the exchange time that was reached."""

ROW_GROUP = 200_000
"""Rows that a Parquet file holds together: some 10 MB in memory."""


class MissingLibrary(Exception):
    """What a format needs is not installed; the text says how to install it."""


class Sink(Protocol):
    """Takes batches in order."""

    def put(self, batch: Batch) -> int:
        """Write *batch*; return its rows."""

    def gap(self, gap: Gap) -> None:
        """Note a hole that was read over."""

    def close(self) -> None:
        """Write what is left."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a name to write to; it becomes *path* when all went well, else it is removed.

    Raises:
        OSError: it cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        yield part
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def answers_of(
    archive: "Archive", feed: str, security: str, start: Any, end: Any, gaps: Gaps
) -> Iterator[Answer]:
    """Return the answers that *feed* is made of.

    Raises:
        as the archive's methods, at once or on the way.
    """
    match feed:
        case "trades":
            return iter(archive.trades(security, start, end, gaps))
        case "orders":
            return iter(archive.orders(security, start, end, gaps))
        case "images":
            return (
                each
                for each in archive.replay(security, start, end, gaps=gaps)
                if isinstance(each, Book | Gap)
            )
        case _:
            return iter(archive.changes(security, start, end, gaps))


def write(answers: Iterable[Answer], sink: Sink, told: Told | None = None) -> tuple[int, int]:
    """Put *answers* into *sink*; return how many rows and holes there were."""
    rows = holes = 0
    for answer in answers:
        if isinstance(answer, Gap):
            holes += 1
            sink.gap(answer)
            continue
        rows += sink.put(answer)
        if told is not None:
            told(rows, _reached(answer))
    sink.close()
    return rows, holes


def _reached(batch: Batch) -> int:
    return batch.time_ns if isinstance(batch, Book) else int(batch.rows.times_ns[-1])


class CsvSink:
    """Comma-separated values."""

    def __init__(self, file: IO[str], feed: str) -> None:
        self._kinds = FEEDS[feed]
        self._rows = csv.writer(file, lineterminator="\n")
        self._rows.writerow(self._kinds)

    def put(self, batch: Batch) -> int:
        """Write *batch*; return its rows."""
        venue = venue_of(batch.security)
        columns = [_texts(self._kinds[name], column, venue) for name, column in table(batch).items()]
        self._rows.writerows(zip(*columns, strict=True))
        return len(columns[0])

    def gap(self, gap: Gap) -> None:
        """Write nothing: a table has no row for what is missing."""

    def close(self) -> None:
        """Do nothing."""


def _texts(kind: Kind, column: Column, venue: str) -> list[str]:
    values = column.values if isinstance(column.values, list) else np.asarray(column.values).tolist()
    match kind:
        case Kind.TIME:
            return [iso(value, venue) for value in values]
        case Kind.DECIMAL:
            return ["" if value == ABSENT else text(value, column.scale) for value in values]
        case _:
            return ["" if value in (None, ABSENT) else str(value) for value in values]


class JsonSink:
    """JSON lines in the shapes of ``obl``."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def put(self, batch: Batch) -> int:
        """Write *batch*; return its lines."""
        lines = [_json(line) for line in _lines(batch)]
        self._file.writelines(lines)
        return len(lines)

    def gap(self, gap: Gap) -> None:
        """Write a line that names it."""
        self._file.write(_json({"type": "gap"} | shapes.missing(gap)))

    def close(self) -> None:
        """Do nothing."""


def _json(line: dict[str, Any]) -> bytes:
    return json.dumps(line, ensure_ascii=False).encode() + b"\n"


def _lines(batch: Batch) -> Iterator[dict[str, Any]]:
    match batch:
        case Changes():
            return shapes.changes(batch)
        case OrderEvents():
            return shapes.order_events(batch)
        case Trades():
            return shapes.trades(batch)
        case Book():
            return iter([{"type": "image"} | shapes.book(batch, orders=batch.orders is not None)])


class ParquetSink:
    """Parquet, by pyarrow."""

    def __init__(self, path: Path, feed: str, security: str) -> None:
        """Begin the file.

        Raises:
            MissingLibrary: pyarrow is not installed.
        """
        try:
            import pyarrow as pa
            from pyarrow import parquet
        except ImportError as error:
            raise MissingLibrary(
                "--format parquet needs pyarrow: pip install 'order-book-logger[analysis]'"
            ) from error
        self._pa = pa
        types = {
            Kind.TIME: pa.timestamp("ns", "UTC"),
            Kind.INTEGER: pa.int64(),
            Kind.DECIMAL: pa.decimal128(38, MAX_SCALE),
            Kind.TEXT: pa.string(),
        }
        self._kinds = FEEDS[feed]
        fields = [pa.field(name, types[kind]) for name, kind in self._kinds.items()]
        self._schema = pa.schema(fields, metadata={"security": security, "feed": feed})
        self._writer = parquet.ParquetWriter(path, self._schema, compression="zstd")
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0

    def put(self, batch: Batch) -> int:
        """Take *batch*; return its rows."""
        arrays = [self._array(name, column) for name, column in table(batch).items()]
        made = self._pa.record_batch(arrays, schema=self._schema)
        self._waiting.append(made)
        self._rows += made.num_rows
        if self._rows >= ROW_GROUP:
            self._flush()
        return int(made.num_rows)

    def gap(self, gap: Gap) -> None:
        """Write nothing: a table has no row for what is missing."""

    def close(self) -> None:
        """Write what is left, and the end of the file."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._waiting:
            whole = self._pa.Table.from_batches(self._waiting, self._schema)
            self._writer.write_table(whole, row_group_size=ROW_GROUP)
        self._waiting, self._rows = [], 0

    def _array(self, name: str, column: Column) -> "pa.Array":
        pa, kind = self._pa, self._kinds[name]
        if kind is Kind.TEXT:
            return pa.array(column.values, pa.string())
        values = np.ascontiguousarray(column.values, np.int64)
        made = pa.array(values, mask=values == ABSENT)
        match kind:
            case Kind.TIME:
                return made.cast(pa.timestamp("ns", "UTC"))
            case Kind.DECIMAL:
                return self._decimals(made, values, column.scale)
            case _:
                return made

    def _decimals(self, masked: "pa.Array", values: Int64s, scale: int) -> "pa.Array":
        """Return the numbers, which are units of 10**-scale, as decimals of 18 places."""
        pa = self._pa
        wide = np.empty((len(values), 2), np.int64)
        wide[:, 0], wide[:, 1] = values, values >> 63  # (a 128-bit integer, its low half first)
        buffers = [masked.buffers()[0], pa.py_buffer(wide)]
        made = pa.Array.from_buffers(pa.decimal128(38, scale), len(values), buffers)
        return made.cast(pa.decimal128(38, MAX_SCALE))


def write_documents(
    documents: Iterable[dict[str, Any]], file: IO[bytes], *, as_bson: bool, told: Told | None = None
) -> int:
    """Write the original logger's *documents*, as BSON or as MongoDB Extended JSON; return how many."""
    count = 0
    for count, document in enumerate(documents, 1):
        if as_bson:
            file.write(bson.encode(document))
        else:
            file.write(extended_json(document, json_options=RELAXED_JSON_OPTIONS).encode() + b"\n")
        if told is not None:
            told(count, _moment_ns(document["DateTime"]))
    return count


def read_documents(file: IO[bytes], *, as_bson: bool) -> Iterator[dict[str, Any]]:
    """Yield the documents of *file*, which is BSON, or MongoDB Extended JSON, one a line.

    Raises:
        ValueError: it holds something else.
    """
    if as_bson:
        try:
            yield from bson.decode_file_iter(file, READING)
        except bson.errors.BSONError as error:
            raise ValueError(f"it is no BSON: {error}") from error
        return
    for number, line in enumerate(file, 1):
        try:
            document = extended_document(line)
        except (ValueError, TypeError, bson.errors.BSONError) as error:
            raise ValueError(f"line {number} is no JSON of a document: {error}") from error
        if not isinstance(document, dict):
            raise ValueError(f"line {number} is no document")  # noqa: TRY004 - of the file, not of a caller
        yield document


def _moment_ns(date: datetime) -> int:
    return (date - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
