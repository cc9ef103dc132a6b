"""The book that an image and the rows after it come to: of levels here, of orders in store.order_fold."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from book.hash import of_levels
from book.scales import Refused, Scales
from condition.codec import BadBlock, ChangeColumns, ImageColumns, Int64s, decode_image
from store.order_fold import OrderFold, Orders
from store.pieces import Piece
from store.scaling import finer, times
from store.unreadable import Damaged

try:
    from store import fold_loops as loops
except ImportError:
    COMPILED = False
else:
    COMPILED = True

Sides = npt.NDArray[np.int8]

Certified = tuple[int | None, int | None]
"""Lowest bid and highest ask that the last snapshot vouches for; None: no limit."""

PENDING_LEVELS = 500_000
"""Changes that are kept before they are folded: 8 MB."""


def plain_newest(sides: Sides, prices: Int64s) -> Int64s:
    """Return where each level is named for the last time, in any order."""
    order = np.lexsort((prices, sides))  # (stable: of a level the newest comes last)
    last = np.ones(len(order), np.bool_)
    last[:-1] = (np.diff(sides[order]) != 0) | (np.diff(prices[order]) != 0)
    return order[last]


def compiled_newest(sides: Sides, prices: Int64s) -> Int64s:
    """Return what ``plain_newest`` does, without sorting."""
    places = np.empty(len(prices), np.int64)
    return places[: loops.newest(sides, prices, places)]


newest = compiled_newest if COMPILED else plain_newest


class LevelFold:
    """An L2 book: the last size of each level, at the finest scales that were needed so far."""

    named = False

    def __init__(self, image: ImageColumns, scales: Scales, certified: Certified) -> None:
        self.scales = scales
        self.certified = certified
        self._chunks = [_chunk(image.bids, image.prices, image.sizes)]
        self._pending = len(image.prices)
        self._settled: tuple[Int64s, Int64s, Int64s] | None = None

    def apply(self, piece: Piece) -> None:
        """Apply its rows.

        Raises:
            Damaged: they do not fit 64 bits in the finer scale of an earlier block.
        """
        rows = piece.rows
        if not isinstance(rows, ChangeColumns):
            raise Damaged(piece.block.id, "order events after an image of levels")
        block = piece.block
        scales = finer(self.scales, block.price_scale, block.size_scale)
        try:
            if scales != self.scales:
                self.rescale(scales)
            prices = times(rows.prices, scales.price - block.price_scale)
            sizes = times(rows.sizes, scales.size - block.size_scale)
        except Refused as error:
            raise Damaged(block.id, str(error)) from error
        self._chunks.append((rows.bid_counts, rows.ask_counts, prices, sizes))
        self._pending += len(prices)
        self._settled = None
        if self._pending > PENDING_LEVELS:
            self._settle()

    def rescale(self, scales: Scales) -> None:
        """Go on at finer *scales*.

        Raises:
            Refused: the book would not fit 64 bits.
        """
        sides, prices, sizes = self._settle()
        price_by, size_by = scales.price - self.scales.price, scales.size - self.scales.size
        prices, sizes = times(prices, price_by), times(sizes, size_by)
        self._settled = sides, prices, sizes
        self._chunks = [_chunk(int(np.count_nonzero(sides == 0)), prices, sizes)]
        low, high = self.certified
        self.certified = (
            None if low is None else low * 10**price_by,
            None if high is None else high * 10**price_by,
        )
        self.scales = scales

    def levels(self) -> tuple[Int64s, Int64s]:
        """Return bids and asks, rows of price and size, best first."""
        sides, prices, sizes = self._settle()
        rows = np.stack((prices, sizes), axis=1)
        bids, asks = rows[sides == 0], rows[sides == 1]
        return bids[::-1].copy(), asks.copy()

    def orders(self) -> Orders | None:
        """Return None: levels have no orders."""
        return None

    def hash(self) -> bytes:
        """Return the book's hash."""
        return of_levels(*self._settle(), self.scales.price, self.scales.size)

    def _settle(self) -> tuple[Int64s, Int64s, Int64s]:
        """Return the levels by side and rising price."""
        if self._settled is not None:
            return self._settled
        bid_counts, ask_counts, prices, sizes = map(np.concatenate, zip(*self._chunks, strict=True))
        counts = np.stack((bid_counts, ask_counts), axis=1).ravel()
        sides = np.repeat(np.tile(np.array([0, 1], np.int8), len(bid_counts)), counts)
        places = newest(sides, prices)
        places = places[sizes[places] != 0]
        bids, asks = (places[sides[places] == side] for side in (0, 1))
        places = np.concatenate([each[prices[each].argsort()] for each in (bids, asks)])
        prices, sizes = prices[places], sizes[places]
        self._settled = sides[places].astype(np.int64), prices, sizes
        self._chunks, self._pending = [_chunk(len(bids), prices, sizes)], 0
        return self._settled


def _chunk(bids: int, prices: Int64s, sizes: Int64s) -> tuple[Int64s, Int64s, Int64s, Int64s]:
    """Return a book, its *bids* before its asks, as one update."""
    return np.array([bids]), np.array([len(prices) - bids]), prices, sizes


Fold = LevelFold | OrderFold


def fold_of(image: Mapping[str, Any], *, verify: bool) -> Fold:
    """Return the book of the stored *image*.

    Raises:
        Damaged: it contradicts its checksum or, when *verify*, its hash.
    """
    identity = str(image.get("_id"))
    try:
        rows = decode_image(image)
        scales = Scales(image["price_scale"], image["size_scale"])
        certified = (image["certified"]["bid_low"], image["certified"]["ask_high"])
        fold: Fold
        if image["book"] == "l3":
            fold = OrderFold(rows, scales, certified, named=not image.get("order_ids", True))
        else:
            fold = LevelFold(rows, scales, certified)
    except (BadBlock, Refused) as error:
        raise Damaged(identity, str(error)) from error
    except (KeyError, TypeError) as error:
        raise Damaged(identity, f"it has no {error}") from error
    if verify and fold.hash() != bytes(image["hash"]):
        raise Damaged(identity, "its rows have another hash")
    return fold
