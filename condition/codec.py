"""The codec of the archive: blocks and images as binary fields of a document, and back.

condition/FORMAT.md is the specification.  Every ``encode_`` returns the fields ``codec``, ``version``,
``body``, ``crc32c`` (blocks: also ``receipts``, ``receipts_crc32c``); every ``decode_`` takes any mapping
that has them, checks the checksums first and raises BadBlock for whatever does not fit.
"""

from condition.blocks import (
    ChangeColumns,
    TradeColumns,
    decode_changes,
    decode_trades,
    encode_changes,
    encode_trades,
)
from condition.columns import BadBlock, Ids, Int64s
from condition.events import OrderColumns
from condition.images import ImageColumns, decode_image, encode_image, l2_image
from condition.named import encode_named
from condition.orders import decode_orders, encode_orders

__all__ = [
    "BadBlock",
    "ChangeColumns",
    "Ids",
    "ImageColumns",
    "Int64s",
    "OrderColumns",
    "TradeColumns",
    "decode_changes",
    "decode_image",
    "decode_orders",
    "decode_trades",
    "encode_changes",
    "encode_image",
    "encode_named",
    "encode_orders",
    "encode_trades",
    "l2_image",
]
