"""One book of levels that is read while it moves: sorted arrays, merged with many changes at a time.

A side's *key* is its price, negated for bids: best first is rising keys on both sides.
"""

import numpy as np
import numpy.typing as npt

from book.scales import Refused, Scales
from condition.codec import Int64s
from store.answers import Book, Changes
from store.scaling import finer, times
from store.unreadable import Unreadable

Places = npt.NDArray[np.intp]


class Ladder:
    """The levels of one side."""

    def __init__(self, keys: Int64s, sizes: Int64s) -> None:
        self.keys, self.sizes = keys, sizes

    def apply(self, keys: Int64s, sizes: Int64s) -> None:
        """Apply changes in their order; a size of 0 removes the level."""
        if len(keys) > 1 and not (keys[1:] > keys[:-1]).all():
            keys, sizes = _newest(keys, sizes)
        places = self.keys.searchsorted(keys)
        known = np.zeros(len(keys), np.bool_)
        inside = places < len(self.keys)
        known[inside] = self.keys[places[inside]] == keys[inside]
        left = sizes != 0
        kept = known & left
        self.sizes[places[kept]] = sizes[kept]
        gone, new = known & ~left, ~known & left
        if gone.any():
            self._remove(places[gone])
            places = places - np.cumsum(gone) + gone
        if new.any():
            self._insert(places[new], keys[new], sizes[new])

    def _remove(self, places: Places) -> None:
        stays = np.ones(len(self.keys), np.bool_)
        stays[places] = False
        self.keys, self.sizes = self.keys[stays], self.sizes[stays]

    def _insert(self, places: Places, keys: Int64s, sizes: Int64s) -> None:
        at = places + np.arange(len(places))
        old = np.ones(len(self.keys) + len(keys), np.bool_)
        old[at] = False
        columns = []
        for before, added in ((self.keys, keys), (self.sizes, sizes)):
            column = np.empty(len(old), np.int64)
            column[old], column[at] = before, added
            columns.append(column)
        self.keys, self.sizes = columns


class LevelBook:
    """Both sides, at the finest scales that were needed so far."""

    def __init__(self, book: Book) -> None:
        self.security = book.security
        self.scales = Scales(book.price_scale, book.size_scale)
        self.bids = Ladder(-book.bids[:, 0], book.bids[:, 1].copy())
        self.asks = Ladder(book.asks[:, 0].copy(), book.asks[:, 1].copy())

    def levels(self) -> tuple[Int64s, Int64s]:
        """Return bids and asks, rows of price and size, best first, as copies."""
        return (
            np.stack((-self.bids.keys, self.bids.sizes), axis=1),
            np.stack((self.asks.keys, self.asks.sizes), axis=1),
        )

    def rescale(self, scales: Scales) -> None:
        """Go on at finer *scales*.

        Raises:
            Unreadable: the book would not fit 64 bits.
        """
        price_by, size_by = scales.price - self.scales.price, scales.size - self.scales.size
        for side in (self.bids, self.asks):
            side.keys = scaled(side.keys, price_by, self.security)
            side.sizes = scaled(side.sizes, size_by, self.security)
        self.scales = scales

    def apply(self, sides: npt.NDArray[np.bool_], prices: Int64s, sizes: Int64s) -> None:
        """Apply changes of levels, in the book's scales; *sides* is true for asks."""
        bids = ~sides
        if bids.any():
            self.bids.apply(-prices[bids], sizes[bids])
        if sides.any():
            self.asks.apply(prices[sides], sizes[sides])


def sides_of(batch: Changes) -> npt.NDArray[np.bool_]:
    """Return for each level of *batch* whether it is an ask."""
    rows = batch.rows
    counts = np.stack((rows.bid_counts, rows.ask_counts), axis=1).ravel()
    return np.repeat(np.tile(np.array([False, True]), len(rows.bid_counts)), counts)


def ends_of(batch: Changes) -> Int64s:
    """Return where the levels of each row begin; one number more: the end."""
    counts = batch.rows.bid_counts + batch.rows.ask_counts
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(counts)))


def brought(book: LevelBook, batch: Changes) -> tuple[npt.NDArray[np.bool_], Int64s, Int64s]:
    """Return sides, prices and sizes of *batch* in the scales of *book*, made finer where they must be.

    Raises:
        Unreadable: something does not fit 64 bits.
    """
    scales = finer(book.scales, batch.price_scale, batch.size_scale)
    if scales != book.scales:
        book.rescale(scales)
    prices = scaled(batch.rows.prices, scales.price - batch.price_scale, batch.security)
    return sides_of(batch), prices, scaled(batch.rows.sizes, scales.size - batch.size_scale, batch.security)


def scaled(values: Int64s, by: int, security: str) -> Int64s:
    """Return *values* with *by* decimals more.

    Raises:
        Unreadable: one does not fit 64 bits.
    """
    try:
        return times(values, by)
    except Refused as error:
        raise Unreadable(f"{security}: {error}") from error


def _newest(keys: Int64s, sizes: Int64s) -> tuple[Int64s, Int64s]:
    """Return the last size of each key, by rising key."""
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    last = np.ones(len(keys), np.bool_)
    last[:-1] = keys[1:] != keys[:-1]
    return keys[last], sizes[order[last]]
