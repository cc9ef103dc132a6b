"""What a block was made of comes back out of it, whatever the integers are; damage is always BadBlock."""

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from condition import codec
from condition.codec import BadBlock, ChangeColumns, ImageColumns, OrderColumns, TradeColumns
from condition.columns import Layout, column, pack_columns
from condition.reader import crc32c
from tests.unit.condition import drawn
from tests.unit.condition.drawn import array
from wire.runs import ABSENT

SLOW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def plain(rows: Any) -> list[Any]:
    return [column.tolist() if isinstance(column, np.ndarray) else column for column in rows]


@SLOW
@given(drawn.changes())
def test_changes_come_back_as_they_were(rows: ChangeColumns) -> None:
    assert plain(codec.decode_changes(codec.encode_changes(rows))) == plain(rows)


@SLOW
@given(drawn.trades())
def test_trades_come_back_as_they_were(rows: TradeColumns) -> None:
    assert plain(codec.decode_trades(codec.encode_trades(rows))) == plain(rows)


@SLOW
@given(drawn.orders())
def test_order_events_come_back_as_they_were(rows: OrderColumns) -> None:
    assert plain(codec.decode_orders(codec.encode_orders(rows))) == plain(rows)


@SLOW
@given(st.one_of(drawn.orders(), drawn.named_orders()))
def test_named_order_events_come_back_as_they_were(rows: OrderColumns) -> None:
    assert plain(codec.decode_orders(codec.encode_named(rows))) == plain(rows)


@SLOW
@given(drawn.images(), st.booleans())
def test_images_come_back_as_they_were(drawn_image: tuple[str, ImageColumns], named: bool) -> None:
    book, rows = drawn_image
    header = {"book": book, "bids": rows.bids, "asks": len(rows.prices) - rows.bids}
    assert plain(codec.decode_image(codec.encode_image(rows, book, named=named) | header)) == plain(rows)


def test_levels_of_an_update_are_sorted_by_price_bids_down_and_asks_up() -> None:
    rows = updates(prices=[9, 10, 12, 11, 8, 14, 13], sizes=[1, 2, 3, 4, 5, 6, 7], bids=[2, 1], asks=[2, 2])
    decoded = codec.decode_changes(codec.encode_changes(rows))
    assert decoded.prices.tolist() == [10, 9, 11, 12, 8, 13, 14]
    assert decoded.sizes.tolist() == [2, 1, 4, 3, 5, 7, 6]


def test_receive_times_are_a_field_of_their_own() -> None:
    fields = codec.encode_changes(updates(prices=[5], sizes=[1], bids=[1], asks=[0]))
    bare = {k: v for k, v in fields.items() if not k.startswith("receipts")}
    assert len(codec.decode_changes(bare, receipts=False).received_ns) == 0
    with pytest.raises(BadBlock):
        codec.decode_changes(bare)


def test_contiguous_ids_and_values_that_never_come_cost_next_to_nothing() -> None:
    def body(rows: int) -> int:
        kinds = array([0, 1] * (rows // 2))
        absent = np.full(rows, ABSENT, np.int64)
        zeros = np.zeros(rows, np.int64)
        names = dict.fromkeys(OrderColumns._fields, zeros)
        names |= dict.fromkeys(("prices", "sizes", "old_prices", "old_sizes", "funds", "trade_ids"), absent)
        names |= {"ids": np.arange(rows), "kinds": kinds}
        names |= dict.fromkeys(("order_ids", "taker_ids"), np.zeros((rows, 16), np.uint8))
        return len(codec.encode_orders(OrderColumns(**names))["body"])

    assert body(20_000) - body(2_000) < 18_000 * 0.26, "kinds take two bits, the rest nothing"


def test_a_random_order_id_costs_its_bytes_once() -> None:
    generator = np.random.default_rng(5)
    ids = generator.integers(0, 256, (1000, 16)).astype(np.uint8)

    def body(order_ids: Any) -> int:
        rows = len(order_ids)
        names: dict[str, Any] = dict.fromkeys(OrderColumns._fields, np.zeros(rows, np.int64))
        names |= {"order_ids": order_ids, "taker_ids": np.zeros((rows, 16), np.uint8)}
        return len(codec.encode_orders(OrderColumns(**names))["body"])

    assert body(np.repeat(ids, 3, axis=0)) < 1000 * 16 + 1000 + 200


def test_a_name_that_is_its_event_s_own_costs_nothing() -> None:
    def body(orders: int) -> int:
        ids, zeros = np.arange(1000, 1000 + orders), np.zeros(orders, np.int64)
        names: dict[str, Any] = dict.fromkeys(OrderColumns._fields, zeros)
        own = np.stack((ids, zeros), axis=1).astype("<i8")
        names |= {"order_ids": own.view(np.uint8), "taker_ids": np.zeros((orders, 16), np.uint8)}
        return len(codec.encode_named(OrderColumns(**names | {"ids": ids}))["body"])

    assert body(2_000) - body(200) < 20


EXAMPLES: dict[str, tuple[Callable[[], dict[str, Any]], Callable[[dict[str, Any]], Any]]] = {}


def example(decode: Callable[[dict[str, Any]], Any]) -> Any:
    def keep(make: Callable[[], dict[str, Any]]) -> Any:
        EXAMPLES[make.__name__] = make, decode
        return make

    return keep


def updates(*, prices: list[int], sizes: list[int], bids: list[int], asks: list[int]) -> ChangeColumns:
    rows = len(bids)
    ids, times = np.arange(100, 100 + rows), np.arange(rows) * 100_000_000 + 10**18
    lags = np.arange(rows) ** 2 * 991
    return ChangeColumns(
        ids, ids, times, times, times + lags, array(bids), array(asks), array(prices), array(sizes)
    )


@example(codec.decode_changes)
def changes() -> dict[str, Any]:
    generator = np.random.default_rng(1)
    sizes = generator.integers(0, 9, 600) * generator.integers(1, 10**5, 600)
    prices = np.concatenate([np.arange(3)[::-1], np.arange(3, 6)] * 100) + 5
    rows = updates(prices=prices.tolist(), sizes=sizes.tolist(), bids=[3] * 100, asks=[3] * 100)
    return codec.encode_changes(rows)


@example(codec.decode_trades)
def trades() -> dict[str, Any]:
    generator = np.random.default_rng(2)
    seven = [np.cumsum(generator.integers(0, 50, 200)) for _ in range(7)]
    return codec.encode_trades(TradeColumns(*seven)._replace(sides=generator.integers(0, 2, 200)))


@example(codec.decode_orders)
def orders() -> dict[str, Any]:
    generator = np.random.default_rng(3)
    names: dict[str, Any] = {n: generator.integers(0, 99, 120) for n in OrderColumns._fields[:-2]}
    names |= {n: generator.integers(0, 2, (120, 16)).astype(np.uint8) for n in OrderColumns._fields[-2:]}
    names |= {"kinds": np.arange(120) % 6, "prices": np.where(np.arange(120) % 5, 7, ABSENT)}
    return codec.encode_orders(OrderColumns(**names))


@example(codec.decode_orders)
def named_orders() -> dict[str, Any]:
    generator = np.random.default_rng(6)
    count = 200
    names: dict[str, Any] = {n: generator.integers(0, 9, count) for n in OrderColumns._fields[:-2]}
    ids = np.cumsum(generator.integers(1, 3, count))
    given = np.stack((generator.choice(ids, count), generator.integers(0, 2, count)), axis=1)
    takers = np.where(generator.integers(0, 4, count)[:, None] == 0, given[::-1], 0)
    names |= {"ids": ids, "kinds": generator.integers(0, 4, count), "prices": np.where(ids % 5, 7, ABSENT)}
    names |= {
        n: each.astype("<i8").view(np.uint8) for n, each in (("order_ids", given), ("taker_ids", takers))
    }
    return codec.encode_named(OrderColumns(**names))


@example(codec.decode_image)
def named_image() -> dict[str, Any]:
    generator = np.random.default_rng(7)
    names = np.stack((np.arange(90) // 2, generator.integers(0, 3, 90)), axis=1).astype("<i8").view(np.uint8)
    rows = ImageColumns(
        40, *(generator.integers(0, 9, 90) for _ in range(2)), names, np.arange(90), np.ones(90, int)
    )
    return codec.encode_image(rows, "l3", named=True) | {"book": "l3", "bids": 40, "asks": 50}


@example(codec.decode_image)
def image() -> dict[str, Any]:
    generator = np.random.default_rng(4)
    ids = generator.integers(0, 256, (90, 16)).astype(np.uint8)
    rows = ImageColumns(
        40, *(generator.integers(0, 9, 90) for _ in range(2)), ids, np.arange(90), np.ones(90, int)
    )
    return codec.encode_image(rows, "l3") | {"book": "l3", "bids": 40, "asks": 50}


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_flipped_bit_and_every_cut_is_found(name: str) -> None:
    make, decode = EXAMPLES[name]
    fields = make()
    for field in ("body", "receipts"):
        if field not in fields:
            continue
        whole = fields[field]
        cut = [whole[:length] for length in range(0, len(whole), 7)]
        flipped = [
            whole[:at] + bytes((whole[at] ^ 1 << at % 8,)) + whole[at + 1 :] for at in range(0, len(whole), 5)
        ]
        for each in cut + flipped:
            with pytest.raises(BadBlock):
                decode(fields | {field: each})


@settings(max_examples=200, deadline=None)
@given(st.data(), st.sampled_from(sorted(EXAMPLES)))
def test_damage_under_a_right_checksum_is_bad_block_and_nothing_else(data: st.DataObject, name: str) -> None:
    make, decode = EXAMPLES[name]
    fields = make()
    whole = bytearray(fields["body"])
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, min(len(whole), 90) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(len(whole) // 2, len(whole)))])
    body = data.draw(st.sampled_from((bytes(whole), cut)))
    with contextlib.suppress(BadBlock):
        decode(fields | {"body": body, "crc32c": crc32c(body)})


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"codec": "zip", "version": 1},
        {"codec": "pco", "version": 2, "body": b"", "crc32c": 0},
        {"codec": "pco", "version": 1, "body": b"", "crc32c": 0},
        {"codec": "pco", "version": 1, "body": b"\x02\x01\x00\x00", "crc32c": crc32c(b"\x02\x01\x00\x00")},
    ],
)
def test_what_is_no_block_of_this_version_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(BadBlock):
        codec.decode_changes(fields)


def test_a_corrupt_count_takes_no_memory() -> None:
    huge = column(array([0]))._replace(size=1 << 40)
    body = pack_columns(Layout.TRADES, [huge] * 7)
    with pytest.raises(BadBlock):
        codec.decode_trades({"codec": "pco", "version": 1, "body": body, "crc32c": crc32c(body)})


@pytest.mark.parametrize("name", EXAMPLES)
def test_nothing_may_follow_the_last_column(name: str) -> None:
    make, decode = EXAMPLES[name]
    fields = make()
    longer = fields["body"] + b"\0"
    with pytest.raises(BadBlock):
        decode(fields | {"body": longer, "crc32c": crc32c(longer)})
