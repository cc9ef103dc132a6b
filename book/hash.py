"""The book hash: 128 bits that say whether two books are the same, kept without walking the book.

Definition.  All arithmetic is on unsigned 64-bit integers modulo 2**64; signed values enter as their
two's complement.  A row is a level, or an order of an L3 book, with size > 0:

    L2   words = (side, price, size)                                   side: 0 bid, 1 ask
    L3   words = (side, price, size, id_low, id_high, placed_id)       id: the 16 bytes as two
                                                                       little-endian words

    price, size   the integers times 10**(18 - their scale): the same number at every scale
    mix(x)        x ^= x >> 30;  x *= BF58476D1CE4E5B9;  x ^= x >> 27;  x *= 94D049BB133111EB;  x ^= x >> 31
    weight(f, k)  mix(seed(f) + (k + 1) * 9E3779B97F4A7C15) | 1
    seed          seed(0) = 243F6A8885A308D3, seed(1) = 13198A2E03707344       (the digits of pi)
    row(f)        mix(seed(f) + sum over k of words[k] * weight(f, k))
    lane(f)       mix(sum over all rows of row(f))

    hash          lane(0), then lane(1): 16 bytes, each lane little-endian

Sums commute, so a change subtracts the row's old form and adds its new one.  The scales do not
change the hash: a block's chains may have been closed before a finer price raised the block's scales.
``tests/golden/book_hash.json`` pins the result.  ``Sums`` collects what changed as columns and does
the arithmetic only when a hash is asked for, all rows at once; ``of_levels`` and ``of_orders`` are the
recomputation from scratch.
"""

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.int64]

HASH_BYTES = 16
L2_WORDS = 3
L3_WORDS = 6

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB
SEEDS = (0x243F6A8885A308D3, 0x13198A2E03707344)
_LANES = struct.Struct("<QQ")
_WORDS_OF_ID = struct.Struct("<qq")
_FINEST = 18

PENDING_ROWS = 65_536
"""Rows collected before they are summed anyway: 3 MB of an L3 book's columns, and numpy is at its best."""


def _mix(x: int) -> int:
    x ^= x >> 30
    x = x * _MIX_1 & _MASK
    x ^= x >> 27
    x = x * _MIX_2 & _MASK
    return x ^ x >> 31


_WEIGHTS = tuple(tuple(_mix(seed + (k + 1) * _GOLDEN & _MASK) | 1 for k in range(L3_WORDS)) for seed in SEEDS)


def words_of_id(order_id: bytes) -> tuple[int, int]:
    """Return the two signed words of an order's id."""
    words: tuple[int, int] = _WORDS_OF_ID.unpack(order_id)
    return words


def _mix_all(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x ^= x >> np.uint64(30)
    x *= np.uint64(_MIX_1)
    x ^= x >> np.uint64(27)
    x *= np.uint64(_MIX_2)
    x ^= x >> np.uint64(31)
    return x


def weights(lane: int, price_scale: int, size_scale: int) -> list[int]:
    """Return what each word of a row is multiplied by in *lane*, the scales being in it."""
    words = list(_WEIGHTS[lane])
    words[1] = words[1] * 10 ** (_FINEST - price_scale) & _MASK
    words[2] = words[2] * 10 ** (_FINEST - size_scale) & _MASK
    return words


def row_sums(words: Sequence[Column], signs: Column, price_scale: int, size_scale: int) -> tuple[int, int]:
    """Return both lanes' sums over the rows, each taken *signs* times (1, 0 or -1)."""
    sums = []
    for lane, seed in enumerate(SEEDS):
        x = np.full(len(signs), seed, dtype=np.uint64)
        for word, weight in zip(words, weights(lane, price_scale, size_scale), strict=False):
            x += word.view(np.uint64) * np.uint64(weight)
        sums.append(int(np.sum(_mix_all(x) * signs.view(np.uint64), dtype=np.uint64)))
    return sums[0], sums[1]


def finish(sums: tuple[int, int]) -> bytes:
    """Return the hash of the book whose rows' sums are *sums*."""
    return _LANES.pack(_mix(sums[0]), _mix(sums[1]))


def of_levels(
    sides: Sequence[int] | Column,
    prices: Sequence[int] | Column,
    sizes: Sequence[int] | Column,
    price_scale: int,
    size_scale: int,
) -> bytes:
    """Return the hash of an L2 book from its levels (all sizes > 0), in any order."""
    words = [np.ascontiguousarray(word, dtype=np.int64) for word in (sides, prices, sizes)]
    return finish(row_sums(words, np.ones(len(prices), dtype=np.int64), price_scale, size_scale))


def of_orders(
    sides: Sequence[int] | Column,
    prices: Sequence[int] | Column,
    sizes: Sequence[int] | Column,
    order_ids: bytes,
    placed_ids: Sequence[int] | Column,
    price_scale: int,
    size_scale: int,
) -> bytes:
    """Return the hash of an L3 book from its orders (16 bytes of *order_ids* each), in any order."""
    ids = np.frombuffer(order_ids, dtype="<i8").reshape(-1, 2).astype(np.int64)
    columns = (sides, prices, sizes, ids[:, 0], ids[:, 1], placed_ids)
    words = [np.ascontiguousarray(word, dtype=np.int64) for word in columns]
    return finish(row_sums(words, np.ones(len(prices), dtype=np.int64), price_scale, size_scale))


class Sums:
    """The two running sums of one book, and the rows not yet added to them."""

    def __init__(self, words: int, price_scale: int = 0, size_scale: int = 0) -> None:
        self._words = words
        self._scales = (price_scale, size_scale)
        self._sums = (0, 0)
        self._pending: list[tuple[Sequence[Column], Column]] = []
        self._pending_rows = 0

    def add(self, words: Sequence[Column], signs: Column) -> None:
        """Note rows: *signs* is 1 where a row came, -1 where it went, 0 where there was none."""
        self._pending.append((words, signs))
        self._pending_rows += len(signs)
        if self._pending_rows > PENDING_ROWS:
            self._settle()

    def changed(self, sides: Column, prices: Column, sizes: Column, old_sizes: Column) -> None:
        """Note new and old sizes of levels (L2)."""
        self.add((sides, prices, sizes), (sizes > 0).astype(np.int64))
        self.add((sides, prices, old_sizes), -(old_sizes > 0).astype(np.int64))

    def rescale(self, price_scale: int, size_scale: int) -> None:
        """Take the rows to come at other scales."""
        self._settle()
        self._scales = (price_scale, size_scale)

    def hash(self) -> bytes:
        """Return the hash of the book whose rows were noted."""
        self._settle()
        return finish(self._sums)

    def _settle(self) -> None:
        if not self._pending:
            return
        words = [np.concatenate([rows[k] for rows, _ in self._pending]) for k in range(self._words)]
        signs = np.concatenate([signs for _, signs in self._pending])
        first, second = row_sums(words, signs, *self._scales)
        self._sums = ((self._sums[0] + first) & _MASK, (self._sums[1] + second) & _MASK)
        self._pending = []
        self._pending_rows = 0
