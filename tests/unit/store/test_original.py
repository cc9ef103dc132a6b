"""The original logger's documents: one spelling of a price, groups rounded up to its steps, nothing lost."""

from decimal import Decimal

import numpy as np
from bson.decimal128 import Decimal128
from hypothesis import given
from hypothesis import strategies as st

from condition.codec import ChangeColumns, TradeColumns
from store.answers import Answer, Book, Changes, Trades
from store.original import decimal_of, decimals_of, documents, grouped, number
from venue.decimals import text

T0 = 1_800_000_000_000_000_000
MS = 1_000_000

scales = st.integers(0, 12)
units = st.integers(1, 2**63 - 1)


def step(price: int, scale: int) -> Decimal:
    """The original's rule, as its table of prices says it."""
    value = Decimal(price).scaleb(-scale)
    for above, size in (
        ("10000", "1"),
        ("1000", "0.1"),
        ("100", "0.001"),
        ("10", "0.0001"),
        ("1", "0.00001"),
        ("0.1", "0.000001"),
        ("0.01", "0.0000001"),
    ):
        if value > Decimal(above):
            return Decimal(size)
    return Decimal("0.00000001")


@given(units, scales)
def test_a_price_is_grouped_at_the_next_step_and_a_group_is_its_own(price: int, scale: int) -> None:
    value, group = Decimal(price).scaleb(-scale), Decimal(grouped(price, scale))
    size = step(price, scale)
    assert size == Decimal(10) ** -decimals_of(price, scale)
    assert value <= group < value + size
    assert group % size == 0 or group == value
    again = int(group.scaleb(18))
    assert grouped(again, 18) == grouped(price, scale)


@given(units, scales, st.integers(0, 6))
def test_a_price_has_one_spelling_at_every_scale(price: int, scale: int, finer: int) -> None:
    assert text(price, scale) == text(price * 10**finer, scale + finer)
    assert grouped(price, scale) == grouped(price * 10**finer, scale + finer)


@given(st.integers(0, 2**63 - 1), st.integers(0, 18))
def test_a_number_comes_back_exactly(value: int, scale: int) -> None:
    exact = text(value, scale)
    written = number(exact)
    read = written.to_decimal() if isinstance(written, Decimal128) else decimal_of(written)
    assert read == Decimal(exact)


@given(st.lists(st.integers(1, 10**10), min_size=1, max_size=6))
def test_what_sums_of_doubles_are_wrong_by_is_taken_off(sizes: list[int]) -> None:
    total = 0.0
    for size in sizes:
        total += float(text(size, 8))
    assert decimal_of(total) == Decimal(sum(sizes)).scaleb(-8)


def column(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def book(at_ms: int) -> Book:
    bids, asks = np.array([[100_00, 5]]), np.array([[100_02, 7]])
    moment = T0 + at_ms * MS
    return Book(
        "binance:BTCUSDT", moment, 1, bids, asks, 2, 1, (None, None), "proven", None, False, moment, moment
    )


def changes(*rows: tuple[int, int, int]) -> Changes:
    """One bid a row: ms, price, size."""
    times = column(*(T0 + at * MS for at, _, _ in rows))
    ids, ones = column(*range(2, 2 + len(rows))), column(*(1 for _ in rows))
    prices, sizes = column(*(price for _, price, _ in rows)), column(*(size for _, _, size in rows))
    made = ChangeColumns(ids, ids, times, times, times, ones, ones * 0, prices, sizes)
    return Changes("binance:BTCUSDT", T0, 2, 1, True, times, made)


def trades(*rows: tuple[int, int, int, int]) -> Trades:
    """One trade a row: ms, side, price, size."""
    times = column(*(T0 + at * MS for at, _, _, _ in rows))
    ids = column(*range(len(rows)))
    side, price, size = (column(*(row[n] for row in rows)) for n in (1, 2, 3))
    made = TradeColumns(ids, times, times, times, side, price, size)
    return Trades("binance:BTCUSDT", T0, 2, 1, made)


def shown(answers: list[Answer], end_ms: int = 10**9, every_ms: int = 1000) -> list[tuple[object, ...]]:
    found = documents("binance:BTCUSDT", answers, end_ns=T0 + end_ms * MS, every_ms=every_ms)
    return [
        (
            each["type"],
            round(each["timestamp"] * 1000) - T0 // MS,
            each["trades"]["bought"],
            each["trades"]["sold"],
            each["orberbook"]["bids"],
            each.get("significantTradeEvents"),
        )
        for each in found
    ]


def test_an_interval_is_one_document_of_last_sizes_and_summed_trades() -> None:
    answers: list[Answer] = [
        book(0),
        changes((300, 100_00, 6), (1000, 100_00, 0), (1001, 99_99, 3)),
        trades((10, 0, 100_0050, 5), (20, 0, 100_0049, 6), (1000, 1, 100_00, 1), (1500, 0, 20_00, 5000)),
    ]
    assert shown(answers) == [
        ("snapshot", 0, {}, {}, {"100": 0.5}, None),
        ("update", 1000, {"10001": 1.1}, {"100": 0.1}, {"100": 0.0}, None),
        ("update", 2000, {"20": 500.0}, {}, {"99.99": 0.3}, [["20", 500.0]]),
    ]


def test_the_last_interval_is_dated_by_its_last_row_where_it_ends_outside_the_range() -> None:
    answers: list[Answer] = [book(0), changes((300, 100_00, 6)), trades((400, 0, 99_00, 5))]
    assert [row[1] for row in shown(answers, end_ms=1000)] == [0, 400]
    assert [row[1] for row in shown(answers, end_ms=1001)] == [0, 1000]


def test_without_an_interval_each_update_is_a_document_with_the_trades_up_to_it() -> None:
    answers: list[Answer] = [book(0), changes((300, 1, 6), (300, 2, 6), (500, 3, 6)), trades((300, 0, 1, 5))]
    rows = shown(answers, every_ms=0)
    assert [row[1:3] for row in rows] == [(0, {}), (300, {"0.01": 0.5}), (300, {}), (500, {})]
    names = [each["_id"] for each in documents("binance:B", answers, end_ns=2 * T0, every_ms=0)]
    assert names == sorted(set(names))
