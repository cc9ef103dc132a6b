"""The table of an L2 book that every machine can keep: many updates at once by numpy.

A level that was removed stays as a row of size 0, for it mostly comes back; such rows go when they
are more than ``DEAD_ROWS`` and half of all.  The updates of one call are taken apart by key:

    row of a key in the call    its old size
    the first                   that in the book, 0 where the book has no such row
    each later one              the size of the row before it

and only the last row of a key reaches the book.  Whether the book crosses after any update on the way is
found from the same rows (``_first_crossed``), before anything is changed.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from book import table
from book.hash import L2_WORDS, Sums
from book.scales import LARGEST
from book.table import Column, Rows, Table

MOST_CELLS = 1 << 20
"""Of the table of best levels by updates that one call makes: 4 MB; else the updates are halved."""

NO_BID, NO_ASK = 0, LARGEST
"""Keys that stand for an empty side: no price is zero."""


class _Touched(NamedTuple):
    """What a call says of each key, by key and then by update."""

    keys: Column
    before: Column
    """Sizes in the book."""
    places: Column
    known: NDArray[np.bool_]
    """Where the key is a row of the book; it is at its place."""
    firsts: Column
    """The first row of each key, in the order of the rows below; and where the last key's rows end."""
    sizes: Column
    owners: Column


class PlainTable(Table):
    """Two numpy columns."""

    def __init__(self) -> None:
        super().__init__()
        self._keys = np.empty(0, dtype=np.int64)
        self._sizes = np.empty(0, dtype=np.int64)
        self._asks_at = 0
        """Where the asks begin."""
        self._sums = Sums(L2_WORDS)

    def apply(self, rows: Rows, *, may_cross: bool = False) -> tuple[int, Column]:
        """Do what ``Table.apply`` says."""
        if not len(rows.keys):
            return (0 if rows.updates and not may_cross and self.crossed() else rows.updates), rows.sizes
        order = rows.keys.argsort(kind="stable")
        touched = self._touch(rows, order)
        if not may_cross:
            stop = self._first_crossed(touched, rows.updates)
            if stop is None:
                return self._halves(rows)
            if stop < rows.updates:
                return self.apply(rows.first(stop), may_cross=True)
        before = np.empty_like(rows.sizes)
        before[1:] = touched.sizes[:-1]
        before[touched.firsts[:-1]] = touched.before
        olds = np.empty_like(before)
        olds[order] = before
        self._put(touched, touched.sizes[touched.firsts[1:] - 1])
        self._sums.changed((rows.keys > 0).astype(np.int64), np.abs(rows.keys), rows.sizes, olds)
        return rows.updates, olds

    def crossed(self) -> bool:
        """Say whether somebody bids what somebody else asks."""
        live = self._sizes > 0
        bid, ask = _first(self._keys, live, 0, self._asks_at), _first(self._keys, live, self._asks_at)
        return bid is not None and ask is not None and -bid >= ask

    def hash(self) -> bytes:
        """Return the book's hash (book.hash)."""
        return self._sums.hash()

    def sum_up(self) -> None:
        """Make the hash anew from the levels."""
        columns = self._rows()
        self._sums = Sums(L2_WORDS, self.scales.price, self.scales.size)
        self._sums.add(columns, np.ones(len(columns[0]), dtype=np.int64))

    def _load(self, keys: Column, sizes: Column) -> None:
        self._keys, self._sizes, self._asks_at = keys, sizes, int(keys.searchsorted(0))

    def keys_and_sizes(self) -> tuple[Column, Column]:
        """Return the keys, ascending, and the sizes of all levels: copies."""
        live = np.flatnonzero(self._sizes)
        return self._keys[live], self._sizes[live]

    def _weigh(self) -> None:
        self._sums.rescale(self.scales.price, self.scales.size)

    def _halves(self, rows: Rows) -> tuple[int, Column]:
        half = rows.updates // 2
        count, olds = self.apply(rows.first(half))
        if count < half:
            return count, olds
        rest, more = self.apply(rows.after(half))
        return half + rest, np.concatenate((olds, more))

    def _touch(self, rows: Rows, order: Column) -> _Touched:
        keys = rows.keys[order]
        is_first = np.ones(len(keys) + 1, dtype=np.bool_)
        np.not_equal(keys[1:], keys[:-1], out=is_first[1:-1])
        firsts = is_first.nonzero()[0]
        keys = keys[firsts[:-1]]
        places = self._keys.searchsorted(keys)
        if len(self._keys):
            known = self._keys.take(places, mode="clip") == keys
            before = np.where(known, self._sizes.take(places, mode="clip"), 0)
        else:
            known, before = np.zeros(len(keys), dtype=np.bool_), np.zeros(len(keys), dtype=np.int64)
        return _Touched(keys, before, places, known, firsts, rows.sizes[order], rows.owners[order])

    def _put(self, touched: _Touched, sizes: Column) -> None:
        """Make *sizes* those of the keys that were touched."""
        known = touched.known
        self._sizes[touched.places[known]] = sizes[known]
        new = ((sizes > 0) & ~known).nonzero()[0]
        if not len(new):
            return
        keys, places = touched.keys[new], touched.places[new]
        at = places + np.arange(len(new))
        was = np.ones(len(self._keys) + len(new), dtype=np.bool_)
        was[at] = False
        self._keys, self._sizes = (
            _filled(was, self._keys, at, keys),
            _filled(was, self._sizes, at, sizes[new]),
        )
        self._asks_at += int(np.count_nonzero(keys < 0))
        dead = len(self._sizes) - np.count_nonzero(self._sizes)
        if dead > table.DEAD_ROWS and 2 * dead > len(self._sizes):
            self._purge()

    def _purge(self) -> None:
        live = np.flatnonzero(self._sizes)
        self._asks_at = int(live.searchsorted(self._asks_at))
        self._keys, self._sizes = self._keys[live], self._sizes[live]

    def _first_crossed(self, touched: _Touched, updates: int) -> int | None:
        """Return the first update after which the book is crossed, *updates* if none; None: too many."""
        keys, asks_at = touched.keys, int(touched.keys.searchsorted(0))
        live = self._sizes > 0
        live[touched.places[touched.known]] = False
        bid = _first(self._keys, live, 0, self._asks_at)
        ask = _first(self._keys, live, self._asks_at)
        # what bids and asks ever reach in the call: mostly they do not meet
        bid, ask = NO_BID if bid is None else bid, NO_ASK if ask is None else ask
        best_bid = min(bid, int(keys[0])) if asks_at else bid
        best_ask = min(ask, int(keys[asks_at])) if asks_at < len(keys) else ask
        if -best_bid < best_ask:
            return updates
        # only bids at or above the lowest ask ever meet one, and none is better than one that stays
        better_bids = keys[:asks_at].searchsorted(min(bid, 1 - best_ask))
        better_asks = keys[asks_at:].searchsorted(min(ask, 1 - best_bid))
        if max(better_bids, better_asks) * updates > MOST_CELLS and updates > 1:
            return None
        bids = _best_after_each(touched, 0, int(better_bids), updates, bid)
        asks = _best_after_each(touched, asks_at, asks_at + int(better_asks), updates, ask)
        crossed = np.flatnonzero(-bids >= asks)
        return int(crossed[0]) if len(crossed) else updates


def _filled(was: NDArray[np.bool_], old: Column, at: Column, new: Column) -> Column:
    """Return *old* where there *was* a row, with *new* put *at* the others."""
    column = np.empty(len(was), dtype=np.int64)
    column[was], column[at] = old, new
    return column


def _first(keys: Column, live: NDArray[np.bool_], begin: int, end: int | None = None) -> int | None:
    """Return the key of the first live row of a part of the book."""
    part = live[begin:end]
    at = int(part.argmax()) if len(part) else 0
    return int(keys[begin + at]) if len(part) and part[at] else None


def _best_after_each(touched: _Touched, begin: int, end: int, updates: int, otherwise: int) -> Column:
    """Return the best key of one side after each update: of the keys *begin* to *end*, or *otherwise*.

    ``latest`` holds for each key and update the last row that said its size; 0 to ``count`` stand for the
    book before.
    """
    count = end - begin
    if not count:
        return np.full(updates, otherwise)
    low, high = int(touched.firsts[begin]), int(touched.firsts[end])
    latest = np.zeros((count, updates + 1), dtype=np.int32)
    latest[:, 0] = np.arange(count)
    which = np.repeat(np.arange(count), touched.firsts[begin + 1 : end + 1] - touched.firsts[begin:end])
    latest[which, touched.owners[low:high] + 1] = np.arange(count, count + high - low)
    np.maximum.accumulate(latest, axis=1, out=latest)
    has_size = np.concatenate((touched.before[begin:end], touched.sizes[low:high])) > 0
    alive = has_size[latest[:, 1:]]
    top = alive.argmax(axis=0)
    return np.where(alive[top, np.arange(updates)], touched.keys[begin:end][top], otherwise)
