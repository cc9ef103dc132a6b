"""The specification is enough: a decoder written from it alone reads what the encoder wrote."""

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from condition import codec
from condition.codec import ChangeColumns, ImageColumns, OrderColumns, TradeColumns
from tests.bench import sizes
from tests.journaled import groups_of_capture
from tests.unit.condition import drawn, stranger, stranger_named
from tests.unit.condition.test_golden import GOLDEN, fields_of
from wire.messages import Policy

SLOW = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def plain(rows: Any) -> dict[str, Any]:
    def simple(values: Any) -> Any:
        if not isinstance(values, np.ndarray):
            return values
        return [bytes(row) for row in values] if values.ndim == 2 else values.tolist()

    return {name: simple(values) for name, values in rows._asdict().items()}


@SLOW
@given(drawn.changes())
def test_changes(rows: ChangeColumns) -> None:
    assert stranger.changes(codec.encode_changes(rows)) == plain(rows)


@SLOW
@given(drawn.trades())
def test_trades(rows: TradeColumns) -> None:
    assert stranger.trades(codec.encode_trades(rows)) == plain(rows)


@SLOW
@given(drawn.orders())
def test_orders(rows: OrderColumns) -> None:
    assert stranger.orders(codec.encode_orders(rows)) == plain(rows)


@SLOW
@given(st.one_of(drawn.orders(), drawn.named_orders()))
def test_named_orders(rows: OrderColumns) -> None:
    assert stranger_named.orders(codec.encode_named(rows)) == plain(rows)


@SLOW
@given(drawn.images(), st.booleans())
def test_images(drawn_image: tuple[str, ImageColumns], named: bool) -> None:
    book, rows = drawn_image
    header = {"book": book, "bids": rows.bids, "asks": len(rows.prices) - rows.bids}
    assert stranger.image(codec.encode_image(rows, book, named=named) | header) == plain(rows)


@pytest.mark.captures
@pytest.mark.parametrize(
    ("name", "symbol", "kind", "policy", "read"),
    [
        (sizes.ETH_2024, "ETHUSDT", "changes", Policy(), stranger.changes),
        (sizes.ETH_2024, "ETHUSDT", "changes", Policy(every_ms=1000), stranger.changes),
        (sizes.ETH_2024, "ETHUSDT", "trades", Policy(), stranger.trades),
        (sizes.L3_2016, "BTC-USD", "orders", Policy(), stranger.orders),
        (sizes.L3_2016, "BTC-USD", "orders", Policy(order_ids=False), stranger_named.orders),
    ],
    ids=["changes", "net changes", "trades", "orders", "orders without ids"],
)
def test_merged_documents_of_recorded_markets(
    name: str, symbol: str, kind: str, policy: Policy, read: Any
) -> None:
    made = sizes.documents(groups_of_capture(name, [symbol], policy=policy, until=6000))
    merged = sizes.compacted(made, kind)
    windows = sorted(sizes.of_kind(made, kind), key=lambda each: each.start_ns)
    assert len(merged) == 1 < len(windows)
    rows: dict[str, list[Any]] = {}
    for each in windows:
        for column, cells in read(each.fields).items():
            rows.setdefault(column, []).extend(cells)
    assert read(merged[0].fields) == rows
    for image in sizes.of_kind(made, "images"):
        assert stranger.image(image.fields) == plain(codec.decode_image(image.fields))


def test_the_golden_file() -> None:
    readers = {
        "changes": stranger.changes,
        "trades": stranger.trades,
        "orders": stranger.orders,
        "image_l2": stranger.image,
        "image_l3": stranger.image,
    }
    for name, read in readers.items():
        expected = GOLDEN[name]["columns"]
        found = {
            key: [each.hex() if isinstance(each, bytes) else each for each in column]
            if isinstance(column, list)
            else column
            for key, column in read(fields_of(name)).items()
        }
        assert found == expected, name
