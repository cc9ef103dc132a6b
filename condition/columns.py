"""Columns of int64 as bytes: the container of condition/FORMAT.md, part 2.

encoding   data
0 zeros    none
1 constant one zigzag varint
2 varints  a zigzag varint per value
3 pcodec   chunk metadata and one page
4 bytes    16 bytes per value
5 bits     one bit per value
+ 128      on 2 and 3: a varint in front, by which every value is to be multiplied

The encoder takes what is smallest, as far as trying is worth its time; condition.reader decodes.
"""

import enum
from collections.abc import Callable, Sequence
from math import log2
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pcodec
from pcodec import wrapped

from condition.looks import COMPILED, common_step, decimal_step, is_constant, ones

if COMPILED:
    from condition import columns_loops as loops

Int64s = npt.NDArray[np.int64]
Ids = npt.NDArray[np.uint8]
"""Order ids: one row of 16 bytes each."""

VERSION = 1
ID_BYTES = 16

MAX_VALUES = 1 << 26
"""More values than any column of a document can hold (16 MB of bits are 2**27): a corrupt count must not
take the machine's memory."""

_FEW = 8
"""Up to here varints alone are tried: pcodec's metadata is 5 to 20 bytes a column."""

_SOME = 24
"""Up to here both are tried: with more values varints hardly ever win, and cost more time than pcodec."""

QUICK = 5
"""Level of pcodec for what is written each second: two thirds of the time of its usual 8, 1 % more bytes."""

THOROUGH = 10
"""For what is merged, once and for good: four percent fewer bytes."""

_ONE_PAGE = 1 << 18
"""Values that pcodec puts into one page unless told otherwise."""

_SAMPLE = 256
"""Values in which a step is looked for."""

_WORTH = {QUICK: 0.8, THOROUGH: 0.9}
"""Of the bits' size: where pcodec could not save more, flags stay bits, which cost a tenth of its time."""

SCALED = 128


class BadBlock(ValueError):
    """The bytes are not a block of a version known here, or were damaged."""


class Layout(enum.IntEnum):
    """What the columns are (stored: never renumber)."""

    CHANGES = 1
    TRADES = 2
    ORDERS = 3
    IMAGE_L2 = 4
    IMAGE_L3 = 5
    ORDERS_NAMED = 6
    IMAGE_NAMED = 7
    RECEIPTS = 16
    RECEIPT_STEPS = 17


class Encoding(enum.IntEnum):
    """How a column lies in the bytes (stored: never renumber)."""

    ZEROS = 0
    CONSTANT = 1
    VARINTS = 2
    PCODEC = 3
    BYTES = 4
    BITS = 5


class Spec(enum.IntEnum):
    """What is known of a column before it is encoded; a decoder need not know it."""

    PLAIN = 0
    """No further structure: pcodec's bins do the work."""
    STEPPED = 1
    """Multiples of some step, most of the time (sizes in lots): pcodec finds the step."""
    SCALED = 2
    """Multiples of one number, all of them (times of a coarse clock)."""
    FLAGS = 3
    """0 and 1."""
    SLOPED = 4
    """Neighbours are near one another: differences are taken where they help."""


def _config(spec: Spec, level: int, step: int = 1) -> pcodec.ChunkConfig:
    modes = {Spec.STEPPED: pcodec.ModeSpec.auto(), Spec.SLOPED: pcodec.ModeSpec.auto()}
    mode = pcodec.ModeSpec.try_int_mult(step) if step > 1 else modes.get(spec, pcodec.ModeSpec.classic())
    delta = pcodec.DeltaSpec.auto() if spec is Spec.SLOPED else pcodec.DeltaSpec.no_op()
    return pcodec.ChunkConfig(compression_level=level, mode_spec=mode, delta_spec=delta)


_CONFIGS = {(spec, level): _config(spec, level) for spec in Spec for level in (QUICK, THOROUGH)}
_STEPPED_BY = {
    (10**power, level): _config(Spec.STEPPED, level, 10**power)
    for power in range(1, 19)
    for level in (QUICK, THOROUGH)
}

_FILE = wrapped.FileCompressor()
_HEADER: bytes = _FILE.write_header()


class Column(NamedTuple):
    """One encoded column."""

    encoding: int
    size: int
    """Values in it."""
    data: bytes


# --- numbers ---------------------------------------------------------------------------------


_BYTES = [bytes((value,)) for value in range(0x100)]


def uvarint(value: int) -> bytes:
    """Return *value* (not negative) as unsigned LEB128."""
    if value < 0x80:
        return _BYTES[value]
    if value < 0x4000:
        return bytes((value & 0x7F | 0x80, value >> 7))
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _zigzag(value: int) -> int:
    return (value << 1) ^ (value >> 63)


def _pcodec(values: Int64s, spec: Spec, level: int) -> bytes:
    # Lots mostly are a power of ten, and pcodec takes the odd ones in; another step it looks for itself.
    step = decimal_step(values, _SAMPLE) if spec is Spec.STEPPED else 1
    config = _STEPPED_BY[step, level] if step > 1 else _CONFIGS[spec, level]
    if len(values) > _ONE_PAGE:
        config = _config(spec, level, step)
        config.paging_spec = pcodec.PagingSpec.exact_page_sizes([len(values)])
    chunk = _FILE.chunk_compressor(values, config)
    return bytes(chunk.write_meta()) + bytes(chunk.write_page(0))


def plain_varints(values: Int64s) -> bytes:
    """Return a zigzag varint per value."""
    return b"".join([uvarint(_zigzag(value)) for value in values.tolist()])


_varints = loops.varints if COMPILED else plain_varints


Encode = Callable[..., Column]


def column(values: Int64s, spec: Spec = Spec.PLAIN, level: int = QUICK) -> Column:
    """Return *values* in the encoding that is smallest for them, pcodec trying as hard as *level* says."""
    values = np.ascontiguousarray(values, dtype=np.int64)
    count = len(values)
    if not count or is_constant(values):
        first = int(values[0]) if count else 0
        kind = Encoding.CONSTANT if first else Encoding.ZEROS
        return Column(kind, count, uvarint(_zigzag(first)) if first else b"")
    if spec is Spec.FLAGS:
        return _flags(values, level)
    front, scaled = b"", 0
    if spec is Spec.SCALED and (step := common_step(values)) > 1:
        values, front, scaled = values // step, uvarint(step), SCALED
    if count > _SOME:
        return Column(Encoding.PCODEC | scaled, count, front + _pcodec(values, spec, level))
    varints = Column(Encoding.VARINTS | scaled, count, front + _varints(values))
    if count <= _FEW:
        return varints
    packed = Column(Encoding.PCODEC | scaled, count, front + _pcodec(values, spec, level))
    return varints if len(varints.data) <= len(packed.data) else packed


def _flags(values: Int64s, level: int) -> Column:
    """Return a column of 0 and 1, some of each; pcodec needs what their entropy is."""
    count, set_ = len(values), ones(values)
    if set_ < 0:
        return column(values, level=level)
    bits = (count + 7) // 8
    entropy = (
        -(set_ * log2(set_ / count) + (count - set_) * log2(1 - set_ / count)) / 8 if set_ < count else 0
    )
    if entropy < bits * _WORTH[level]:
        packed = _pcodec(values, Spec.FLAGS, level)
        if len(packed) < bits:
            return Column(Encoding.PCODEC, count, packed)
    return Column(Encoding.BITS, count, np.packbits(values.astype(np.uint8), bitorder="little").tobytes())


def id_column(ids: Ids) -> Column:
    """Return rows of 16 bytes as they are: a random id has nothing to save."""
    return Column(Encoding.BYTES, len(ids), ids.tobytes())


def plain_packed(front: bytes, columns: Sequence[Column]) -> bytes:
    """Return *front*, how many *columns* there are, the head of each, and the data of each."""
    heads: list[bytes] = []
    for encoding, size, data in columns:
        heads += (_BYTES[encoding], uvarint(size), uvarint(len(data)))
    return b"".join((front, uvarint(len(columns)), *heads, *(each.data for each in columns)))


_packed = loops.packed if COMPILED else plain_packed


def pack_columns(layout: Layout, columns: Sequence[Column]) -> bytes:
    """Return the container of *columns*."""
    header = _HEADER if any(each.encoding & ~SCALED == Encoding.PCODEC for each in columns) else b""
    return _packed(bytes((layout, VERSION, len(header))) + header, columns)
