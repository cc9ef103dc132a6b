"""Blocks of version 1 that were written once stay readable for ever: tests/golden/condition_v1.json.

Each entry holds a block's binary fields in hexadecimal and the columns that were put into it.  A new version
gets a file of its own; this one is never written again.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from condition import codec
from condition.columns import Encoding, Layout
from condition.reader import crc32c
from tests.unit.condition import stranger, stranger_named

FILE = Path(__file__).resolve().parents[2] / "golden" / "condition_v1.json"
GOLDEN: dict[str, dict[str, Any]] = json.loads(FILE.read_text())
DECODERS = {
    "changes": codec.decode_changes,
    "trades": codec.decode_trades,
    "orders": codec.decode_orders,
    "image_l2": codec.decode_image,
    "image_l3": codec.decode_image,
}


def fields_of(name: str) -> dict[str, Any]:
    fields = dict(GOLDEN[name]["fields"])
    for binary in ("body", "receipts"):
        if binary in fields:
            fields[binary] = bytes.fromhex(fields[binary])
    return fields


def plain(rows: Any) -> dict[str, Any]:
    def simple(values: Any) -> Any:
        if not isinstance(values, np.ndarray):
            return values
        return [bytes(row).hex() for row in values] if values.ndim == 2 else values.tolist()

    return {name: simple(values) for name, values in rows._asdict().items()}


@pytest.mark.parametrize("name", DECODERS)
def test_a_block_of_version_1_reads_as_it_was_written(name: str) -> None:
    assert plain(DECODERS[name](fields_of(name))) == GOLDEN[name]["columns"]


def test_the_golden_blocks_use_every_encoding() -> None:
    met = set()
    for name in DECODERS:
        body = fields_of(name)["body"]
        assert crc32c(body) == GOLDEN[name]["fields"]["crc32c"]
        at = 3 + body[2]
        count, at = body[at], at + 1
        for _ in range(count):
            met.add(body[at] & 127)
            at += 1
            for _ in range(2):
                while body[at] & 128:
                    at += 1
                at += 1
    assert met == {int(encoding) for encoding in Encoding}


def test_a_merged_block_of_version_1_reads_as_it_was_written() -> None:
    golden = json.loads((FILE.parent / "condition_v1_merged.json").read_text())["trades"]
    fields = dict(golden["fields"])
    fields |= {name: bytes.fromhex(fields[name]) for name in ("body", "receipts")}
    assert fields["receipts"][0] == Layout.RECEIPT_STEPS
    assert plain(codec.decode_trades(fields)) == golden["columns"]
    assert stranger.trades(fields) == golden["columns"]


@pytest.mark.parametrize(("name", "read"), [("orders", stranger_named.orders), ("image_l3", stranger.image)])
def test_blocks_without_order_ids_read_as_they_were_written(name: str, read: Any) -> None:
    golden = json.loads((FILE.parent / "condition_v1_named.json").read_text())[name]
    fields = dict(golden["fields"])
    fields |= {binary: bytes.fromhex(fields[binary]) for binary in ("body", "receipts") if binary in fields}
    assert fields["body"][0] in (Layout.ORDERS_NAMED, Layout.IMAGE_NAMED)
    assert plain(DECODERS[name](fields)) == golden["columns"]
    found = {
        key: [each.hex() if isinstance(each, bytes) else each for each in column]
        if isinstance(column, list)
        else column
        for key, column in read(fields).items()
    }
    assert found == golden["columns"]
