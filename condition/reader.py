"""Reads the container of condition/FORMAT.md, part 2; believes nothing that it has not checked."""

from collections.abc import Mapping
from typing import Any

import google_crc32c
import numpy as np
from pcodec import wrapped

from condition.columns import (
    ID_BYTES,
    MAX_VALUES,
    SCALED,
    VERSION,
    BadBlock,
    Encoding,
    Ids,
    Int64s,
    Layout,
)
from condition.looks import COMPILED

if COMPILED:
    from condition import columns_loops as loops


class _Bytes:
    """A place in bytes that are being read."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self._data = data
        self._at = at

    def take(self, size: int) -> bytes:
        if size > len(self._data) - self._at:
            raise BadBlock(f"{size} bytes wanted at {self._at}, the block has {len(self._data)}")
        taken = self._data[self._at : self._at + size]
        self._at += size
        return taken

    def byte(self) -> int:
        return self.take(1)[0]

    def uvarint(self) -> int:
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
        if value >> 64:
            raise BadBlock(f"number of more than 64 bits before byte {self._at}")
        return value

    def zigzag(self) -> int:
        raw = self.uvarint()
        return (raw >> 1) ^ -(raw & 1)

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._at)

    def end(self) -> None:
        if self._at != len(self._data):
            raise BadBlock(f"{len(self._data) - self._at} bytes left over")


def checked(fields: Mapping[str, Any], name: str) -> bytes:
    """Return the binary field *name* of a document after its checksum.

    Raises:
        BadBlock: the field is absent or damaged, or of another codec or version.
    """
    if fields.get("codec") != "pco" or fields.get("version") != VERSION:
        raise BadBlock(f"codec {fields.get('codec')!r} version {fields.get('version')!r} is not known here")
    checksum = "crc32c" if name == "body" else f"{name}_crc32c"
    if name not in fields or checksum not in fields:
        raise BadBlock(f"a block without {name} or {checksum}")
    data = bytes(fields[name])
    if crc32c(data) != fields[checksum]:
        raise BadBlock(f"the checksum of {name} ({len(data)} bytes) is wrong")
    return data


def crc32c(data: bytes) -> int:
    """Return the Castagnoli checksum."""
    return int(google_crc32c.value(data))


Found = tuple[int, int, bytes]
"""Encoding, values and bytes of a column."""


def plain_container(data: bytes, at: int) -> list[Found]:
    """Return the columns of the container *data* whose list begins at *at*.

    Raises:
        BadBlock: they are not as long as it says.
    """
    source = _Bytes(data, at)
    entries = [(source.byte(), source.uvarint(), source.uvarint()) for _ in range(source.uvarint())]
    columns = [(kind, count, source.take(size)) for kind, count, size in entries]
    source.end()
    return columns


def plain_small(encoding: int, count: int, data: bytes) -> Int64s:
    """Return the values of a column that is neither pcodec's nor scaled.

    Raises:
        BadBlock: it is damaged, or of an unknown encoding.
    """
    source = _Bytes(data)
    match encoding:
        case Encoding.ZEROS:
            values = np.zeros(count, np.int64)
        case Encoding.CONSTANT:
            values = np.full(count, source.zigzag(), np.int64)
        case Encoding.VARINTS:
            if count > len(data):
                raise BadBlock(f"{count} varints in {len(data)} bytes")
            values = np.fromiter((source.zigzag() for _ in range(count)), np.int64, count)
        case Encoding.BITS:
            bits = np.frombuffer(source.take((count + 7) // 8), np.uint8)
            values = np.unpackbits(bits, count=count, bitorder="little").astype(np.int64)
        case _:
            raise BadBlock(f"unknown encoding {encoding}")
    source.end()
    return values


def compiled_small(encoding: int, count: int, data: bytes) -> Int64s:
    """Return what ``plain_small`` does."""
    if encoding != Encoding.ZEROS and loops.small(encoding, data, values := np.empty(count, np.int64)):
        return values
    return plain_small(encoding, count, data)


small = compiled_small if COMPILED else plain_small


class ColumnReader:
    """Gives the columns of a container one after the other, as the tables of FORMAT.md name them."""

    def __init__(self, data: bytes, layout: Layout) -> None:
        source = _Bytes(data)
        found, version, header = source.byte(), source.byte(), source.byte()
        if found != layout or version != VERSION:
            raise BadBlock(
                f"layout {found} version {version} where {layout.name} version {VERSION} should be"
            )
        self._file = _pcodec_file(source.take(header)) if header else None
        found_at_once = loops.container(data, 3 + header) if COMPILED else None
        self._columns = plain_container(data, 3 + header) if found_at_once is None else found_at_once
        self._next = 0

    def take(self, count: int | None = None) -> Int64s:
        """Return the next column.

        Raises:
            BadBlock: there is none, it is damaged, or it has not *count* values.
        """
        return self._values(*self._take(count))

    def take_ids(self, count: int) -> Ids:
        """Return the next column, of *count* ids.

        Raises:
            BadBlock: as ``take``.
        """
        encoding, _, data = self._take(count)
        if not count:
            return np.empty((0, ID_BYTES), np.uint8)
        if encoding != Encoding.BYTES or len(data) != count * ID_BYTES:
            raise BadBlock(f"{count} ids in {len(data)} bytes of encoding {encoding}")
        return np.frombuffer(data, np.uint8).reshape(count, ID_BYTES)

    def end(self) -> None:
        """Raise BadBlock where columns are left over."""
        if self._next != len(self._columns):
            raise BadBlock(f"{len(self._columns) - self._next} columns left over")

    def _take(self, count: int | None) -> Found:
        if self._next == len(self._columns):
            raise BadBlock(f"a column wanted after the last, the {self._next}th")
        found = self._columns[self._next]
        self._next += 1
        if found[1] > MAX_VALUES or (count is not None and found[1] != count):
            raise BadBlock(f"column {self._next} has {found[1]} values, not {count}")
        return found

    def _values(self, encoding: int, count: int, data: bytes) -> Int64s:
        if encoding == Encoding.PCODEC:  # (most of them)
            return self._pcodec(data, count)
        if not encoding & SCALED:
            return small(encoding, count, data)
        kind, source = encoding & ~SCALED, _Bytes(data)
        if kind not in (Encoding.VARINTS, Encoding.PCODEC):
            raise BadBlock(f"unknown encoding {encoding}")
        step, rest = source.uvarint(), source.rest()
        values = self._pcodec(rest, count) if kind == Encoding.PCODEC else small(kind, count, rest)
        return values if step == 1 else values * np.uint64(step).astype(np.int64)

    def _pcodec(self, source: bytes, count: int) -> Int64s:
        if self._file is None:
            raise BadBlock("a pcodec column without a pcodec header")
        try:
            chunk, used = self._file.chunk_decompressor(source, "i64")
            values = np.empty(count, np.int64)
            progress, page = chunk.read_page_into(source[used:], count, values)
        except (RuntimeError, TypeError, ValueError, OverflowError) as error:
            raise BadBlock(f"pcodec: {error}") from error
        if progress.n_processed != count or not progress.finished or used + page != len(source):
            raise BadBlock(f"pcodec gave {progress.n_processed} of {count} values")
        return values


def _pcodec_file(header: bytes) -> wrapped.FileDecompressor:
    try:
        file, used = wrapped.FileDecompressor.new(header)
    except (RuntimeError, TypeError, ValueError) as error:
        raise BadBlock(f"pcodec header: {error}") from error
    if used != len(header):
        raise BadBlock(f"pcodec header of {used} bytes in {len(header)}")
    return file
