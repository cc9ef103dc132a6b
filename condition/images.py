"""Images of whole books as bytes, and back (condition/FORMAT.md, layouts 4, 5 and 7)."""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from condition.blocks import bases_of, binary_fields
from condition.columns import (
    ID_BYTES,
    THOROUGH,
    BadBlock,
    Ids,
    Int64s,
    Layout,
    Spec,
    column,
    id_column,
    pack_columns,
)
from condition.reader import ColumnReader, checked
from condition.steps import first_of, summed

_encode = partial(column, level=THOROUGH)  # an image is never merged


class ImageColumns(NamedTuple):
    """One row a level (L2) or an order (L3): ``bids`` rows of bids best first, then the asks best first.

    Inside a price the orders stand in queue order; ``placed_ids`` is the update id that gave the
    order its place, ``certain`` is 1 where the place is known.  The last three are empty for L2.
    """

    bids: int
    prices: Int64s
    sizes: Int64s
    order_ids: Ids
    placed_ids: Int64s
    certain: Int64s


def l2_image(bids: int, prices: Int64s, sizes: Int64s) -> ImageColumns:
    """Return the image of a book of levels."""
    nothing = np.empty(0, np.int64)
    return ImageColumns(bids, prices, sizes, np.empty((0, ID_BYTES), np.uint8), nothing, nothing)


def encode_image(rows: ImageColumns, book: str, *, named: bool = False) -> dict[str, Any]:
    """Return the binary fields of an image of *book* ``l2`` or ``l3``, its orders *named* or with ids."""
    bids, asks = rows.prices[: rows.bids], rows.prices[rows.bids :]
    columns = [
        _encode(np.array([first_of(bids), first_of(asks)], np.int64)),
        _encode(bids[:-1] - bids[1:]),
        _encode(asks[1:] - asks[:-1]),
        _encode(rows.sizes, Spec.STEPPED),
    ]
    if book == "l2":
        return binary_fields(pack_columns(Layout.IMAGE_L2, columns))
    columns += [_encode(rows.placed_ids, Spec.SLOPED), _encode(rows.certain, Spec.FLAGS)]
    if not named:
        return binary_fields(pack_columns(Layout.IMAGE_L3, [*columns, id_column(rows.order_ids)]))
    name_ids, numbers = np.ascontiguousarray(rows.order_ids).view("<i8").astype(np.int64).T
    columns += [_encode(rows.placed_ids - name_ids), _encode(numbers, Spec.SLOPED)]
    return binary_fields(pack_columns(Layout.IMAGE_NAMED, columns))


def decode_image(fields: Mapping[str, Any]) -> ImageColumns:
    """Return the rows of an image document.

    Raises:
        BadBlock: the image is damaged or of an unknown version.
    """
    book, bids, asks = fields.get("book"), fields.get("bids"), fields.get("asks")
    if book not in ("l2", "l3") or not isinstance(bids, int) or not isinstance(asks, int):
        raise BadBlock(f"an image of book {book!r} with {bids!r} bids and {asks!r} asks")
    data = checked(fields, "body")
    named = book == "l3" and data[:1] == bytes((Layout.IMAGE_NAMED,))
    layout = Layout.IMAGE_L2 if book == "l2" else Layout.IMAGE_NAMED if named else Layout.IMAGE_L3
    reader = ColumnReader(data, layout)
    bid_base, ask_base = bases_of(reader, 2)
    prices = np.concatenate(
        (
            summed(bid_base, -reader.take(max(0, bids - 1)), bids),
            summed(ask_base, reader.take(max(0, asks - 1)), asks),
        )
    )
    rows = len(prices)
    image = l2_image(bids, prices, reader.take(rows))
    if layout is not Layout.IMAGE_L2:
        placed, certain = reader.take(rows), reader.take(rows)
        ids = _names(reader, placed) if named else reader.take_ids(rows)
        image = image._replace(placed_ids=placed, certain=certain, order_ids=ids)
    reader.end()
    return image


def _names(reader: ColumnReader, placed_ids: Int64s) -> Ids:
    """Return the names of orders (book.naming); mostly their places are from the same update."""
    name_ids = placed_ids - reader.take(len(placed_ids))
    names = np.stack((name_ids, reader.take(len(placed_ids))), axis=1)
    return np.ascontiguousarray(names.astype("<i8")).view(np.uint8).reshape(-1, ID_BYTES)
