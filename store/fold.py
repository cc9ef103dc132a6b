"""The book that an image and the rows after it come to.

``LevelFold`` keeps the last size of each level; ``OrderFold`` replays order events through the same book that
the recorder uses (book.orders), so queues come out in the recorder's order.  Both go on at the finest scale.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from book.hash import of_levels
from book.orders import Desync, Event, OrderBook, Refused, Row
from book.scales import Scales
from condition.codec import BadBlock, ChangeColumns, Ids, ImageColumns, Int64s, OrderColumns, decode_image
from store.pieces import Piece
from store.unreadable import Damaged
from venue.api import OrderKind
from wire.runs import ABSENT

try:
    from store import fold_loops as loops
except ImportError:
    COMPILED = False
else:
    COMPILED = True

Certified = tuple[int | None, int | None]
"""Lowest bid and highest ask that the last snapshot vouches for; None: no limit."""

PENDING_LEVELS = 500_000
"""Changes that are kept before they are folded: 12 MB."""

_ON_THE_BOOK = np.array([OrderKind.OPEN, OrderKind.DONE, OrderKind.MATCH, OrderKind.CHANGE])


class Orders(NamedTuple):
    """The orders of an L3 book: ``bids`` rows of bids best first, then asks best first, in queue order."""

    bids: int
    prices: Int64s
    sizes: Int64s
    order_ids: Ids
    placed_ids: Int64s
    certain: Int64s


def plain_newest(sides: Int64s, prices: Int64s) -> Int64s:
    """Return where each level is named for the last time, in any order."""
    order = np.lexsort((prices, sides))  # (stable: of a level the newest comes last)
    last = np.ones(len(order), np.bool_)
    last[:-1] = (np.diff(sides[order]) != 0) | (np.diff(prices[order]) != 0)
    return order[last]


def compiled_newest(sides: Int64s, prices: Int64s) -> Int64s:
    """Return what ``plain_newest`` does, without sorting."""
    places = np.empty(len(prices), np.int64)
    return places[: loops.newest(sides, prices, places)]


newest = compiled_newest if COMPILED else plain_newest


class LevelFold:
    """An L2 book."""

    named = False

    def __init__(self, image: ImageColumns, scales: Scales, certified: Certified) -> None:
        self.scales = scales
        self.certified = certified
        sides = np.ones(len(image.prices), np.int64)
        sides[: image.bids] = 0
        self._chunks = [(sides, image.prices, image.sizes)]
        self._pending = 0

    def apply(self, piece: Piece) -> None:
        """Apply its rows.

        Raises:
            Damaged: they do not fit 64 bits in the finer scale of an earlier block.
        """
        rows = piece.rows
        if not isinstance(rows, ChangeColumns):
            raise Damaged(piece.block.id, "order events after an image of levels")
        scales = _raised(self, piece)
        pairs = np.stack((rows.bid_counts, rows.ask_counts), axis=1).ravel()
        sides = np.repeat(np.tile(np.array([0, 1], np.int64), len(rows.bid_counts)), pairs)
        prices = _scaled(rows.prices, piece.block.price_scale, scales.price, piece.block.id)
        sizes = _scaled(rows.sizes, piece.block.size_scale, scales.size, piece.block.id)
        self._chunks.append((sides, prices, sizes))
        self._pending += len(sides)
        if self._pending > PENDING_LEVELS:
            self._settle()

    def rescale(self, scales: Scales) -> None:
        """Go on at finer *scales*.

        Raises:
            Refused: the book would not fit 64 bits.
        """
        sides, prices, sizes = self._settle()
        price_by, size_by = scales.price - self.scales.price, scales.size - self.scales.size
        self._chunks = [(sides, _times(prices, price_by), _times(sizes, size_by))]
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
        sides, prices, sizes = (np.concatenate(column) for column in zip(*self._chunks, strict=True))
        places = newest(sides, prices)
        places = places[sizes[places] != 0]
        places = places[np.lexsort((prices[places], sides[places]))]
        whole = sides[places], prices[places], sizes[places]
        self._chunks, self._pending = [whole], 0
        return whole


class OrderFold:
    """An L3 book; *named*: its orders have names (book.naming), for their ids were not kept."""

    def __init__(
        self, image: ImageColumns, scales: Scales, certified: Certified, *, named: bool = False
    ) -> None:
        self.certified = certified
        self.named = named
        self._book = OrderBook()
        self._book.may_cross = (
            True  # (what the recorder applied was possible: there may have been an auction)
        )
        columns = (
            image.prices.tolist(),
            image.sizes.tolist(),
            image.placed_ids.tolist(),
            image.certain.tolist(),
        )
        rows = zip(*columns, image.order_ids, strict=True)
        self._book.replace(
            (
                Row(int(n >= image.bids), price, size, order_id.tobytes(), placed, bool(certain))
                for n, (price, size, placed, certain, order_id) in enumerate(rows)
            ),
            scales,
        )

    @property
    def scales(self) -> Scales:
        """Return the book's scales."""
        return self._book.scales

    def apply(self, piece: Piece) -> None:
        """Apply its events.

        Raises:
            Damaged: one of them cannot be true of this book.
        """
        try:
            for event in events_of(piece, _raised(self, piece)):
                self._book.apply(event)
        except Desync as error:
            raise Damaged(piece.block.id, str(error)) from error

    def rescale(self, scales: Scales) -> None:
        """Go on at finer *scales*.

        Raises:
            Refused: the book would not fit 64 bits.
        """
        self._book.rescale(scales)

    def levels(self) -> tuple[Int64s, Int64s]:
        """Return bids and asks, rows of price and size, best first."""
        bids, _, prices, sizes = self._book.fold.columns()
        rows = np.stack((np.array(prices, np.int64), np.array(sizes, np.int64)), axis=1)
        return rows[:bids], rows[bids:]

    def orders(self) -> Orders:
        """Return every order, in queue order."""
        bids, rows = self._book.rows()
        ids = np.frombuffer(b"".join(row.order_id for row in rows), np.uint8).reshape(-1, 16)
        return Orders(
            bids,
            np.array([row.price for row in rows], np.int64),
            np.array([row.size for row in rows], np.int64),
            ids,
            np.array([row.placed_id for row in rows], np.int64),
            np.array([row.certain for row in rows], np.int64),
        )

    def changes(self, piece: Piece) -> list[list[tuple[int, int, int, int]]]:
        """Apply its events and return for each the levels that it changed: side, price, new and old size.

        Raises:
            Damaged: one of them cannot be true of this book.
        """
        try:
            return [self._book.apply(event) for event in events_of(piece, _raised(self, piece), whole=True)]
        except Desync as error:
            raise Damaged(piece.block.id, str(error)) from error

    def hash(self) -> bytes:
        """Return the book's hash."""
        return self._book.hash()


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
        fold: Fold = LevelFold(rows, scales, certified)
        if image["book"] == "l3":
            fold = OrderFold(rows, scales, certified, named=not image.get("order_ids", True))
    except BadBlock as error:
        raise Damaged(identity, str(error)) from error
    except (KeyError, TypeError) as error:
        raise Damaged(identity, f"it has no {error}") from error
    if verify and fold.hash() != bytes(image["hash"]):
        raise Damaged(identity, "its rows have another hash")
    return fold


def events_of(piece: Piece, scales: Scales, *, whole: bool = False) -> list[Event]:
    """Return the events that move a book (all of them when *whole*), in units of *scales*.

    Raises:
        Damaged: they are no order events, or do not fit 64 bits.
    """
    rows = piece.rows
    if not isinstance(rows, OrderColumns):
        raise Damaged(piece.block.id, "changes of levels after an image of orders")
    chosen = np.arange(len(rows.ids)) if whole else np.flatnonzero(np.isin(rows.kinds, _ON_THE_BOOK))
    prices = _scaled(rows.prices[chosen], piece.block.price_scale, scales.price, piece.block.id)
    sizes = _scaled(rows.sizes[chosen], piece.block.size_scale, scales.size, piece.block.id)
    columns = (rows.ids[chosen], rows.kinds[chosen], rows.sides[chosen])
    ids = [order_id.tobytes() for order_id in rows.order_ids[chosen]]
    numbers = (column.tolist() for column in (*columns, prices, sizes))
    return [
        Event(event_id, kind, side, order_id, price, size)
        for event_id, kind, side, price, size, order_id in zip(*numbers, ids, strict=True)
    ]


def _raised(fold: Fold, piece: Piece) -> Scales:
    """Return the scales to apply *piece* at, having raised the book's where the piece is finer."""
    block, now = piece.block, fold.scales
    scales = Scales(max(now.price, block.price_scale), max(now.size, block.size_scale))
    if scales != now:
        try:
            fold.rescale(scales)
        except Refused as error:
            raise Damaged(block.id, str(error)) from error
    return scales


def _scaled(values: Int64s, of: int, to: int, identity: str) -> Int64s:
    if of == to or not len(values):
        return values
    try:
        return np.where(values == ABSENT, ABSENT, _times(np.where(values == ABSENT, 0, values), to - of))
    except Refused as error:
        raise Damaged(identity, str(error)) from error


def _times(values: Int64s, decimals: int) -> Int64s:
    by = int(10**decimals)
    if len(values) and max(abs(int(values.min())), abs(int(values.max()))) * by >= 2**63:
        raise Refused(f"a value does not fit 64 bits with {decimals} decimals more")
    product: Int64s = values * by
    return product
