"""The compiled looks at a column see what the plain ones see."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from condition import blocks, columns, looks, reader
from condition.blocks import ChangeColumns
from tests.unit.condition import drawn

if looks.COMPILED:
    from condition import columns_loops as loops

pytestmark = pytest.mark.skipif(
    not looks.COMPILED, reason="the loops are not compiled here: make install says why"
)

numbers = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-2, 2),
    st.builds(lambda n, power: n * 10**power, st.integers(-9, 9), st.integers(0, 18)),
    st.sampled_from([-(2**63), -(2**62), 2**62, 0]),
)
values = st.lists(numbers, min_size=1, max_size=40).map(lambda drawn: np.array(drawn, np.int64))
alike = st.builds(lambda value, count: np.full(count, value, np.int64), numbers, st.integers(1, 30))


@given(values | alike, st.integers(1, 50))
def test_the_compiled_looks_see_what_the_plain_ones_see(seen: looks.Int64s, most: int) -> None:
    assert loops.is_constant(seen) == looks.plain_is_constant(seen)
    assert loops.common_step(seen) == looks.plain_common_step(seen)
    assert loops.decimal_step(seen, most) == looks.plain_decimal_step(seen, most)
    assert loops.ones(seen) == looks.plain_ones(seen)
    assert loops.varints(seen) == columns.plain_varints(seen)


@given(st.lists(st.integers(0, 1), min_size=1, max_size=60))
def test_flags_are_counted_alike(flags: list[int]) -> None:
    seen = np.array(flags, np.int64)
    assert loops.ones(seen) == looks.plain_ones(seen) == sum(flags)


def shown(levels: blocks.Levels) -> list[object]:
    return [each.tolist() if isinstance(each, np.ndarray) else each for each in levels]


@given(drawn.changes())
def test_levels_are_taken_apart_alike_or_left_to_the_plain_one(rows: ChangeColumns) -> None:
    compiled = blocks.compiled_levels(rows)
    assert compiled is None or shown(compiled) == shown(blocks.plain_levels(rows))


@given(st.lists(st.tuples(*[st.lists(numbers, max_size=4, unique=True)] * 2), max_size=6), st.data())
def test_sorted_levels_are_taken_apart_by_the_compiled_loop(
    updates: list[tuple[list[int], list[int]]], data: st.DataObject
) -> None:
    prices = [
        price
        for bids, asks in updates
        for side in (sorted(bids, reverse=True), sorted(asks))
        for price in side
    ]
    sizes = data.draw(st.lists(st.integers(0, 2), min_size=len(prices), max_size=len(prices)))
    counts = [np.array([len(update[side]) for update in updates], np.int64) for side in (0, 1)]
    none = np.empty(0, np.int64)
    rows = ChangeColumns(*[none] * 5, *counts, np.array(prices, np.int64), np.array(sizes, np.int64))
    compiled = blocks.compiled_levels(rows)
    assert compiled is not None
    assert shown(compiled) == shown(blocks.plain_levels(rows))
    for put_together in (blocks.compiled_rows, blocks.plain_rows):
        again = put_together(compiled, *counts)
        assert [each.tolist() for each in again] == [prices, sizes]


def listed(data: bytes) -> list[reader.Found] | None:
    try:
        return reader.plain_container(data, 0)
    except columns.BadBlock:
        return None


@given(
    st.lists(
        st.builds(columns.Column, st.integers(0, 255), st.integers(0, 2**40), st.binary(max_size=9)),
        max_size=70,
    )
)
def test_a_container_is_put_together_and_taken_apart_alike(held: list[columns.Column]) -> None:
    whole = loops.packed(b"", held)
    assert loops.packed(b"front", held) == b"front" + whole == columns.plain_packed(b"front", held)
    assert listed(whole) == held
    assert loops.container(whole, 0) == (held if len(held) <= 64 else None)


@given(st.binary(max_size=30))
def test_of_what_is_no_container_the_plain_reader_speaks(data: bytes) -> None:
    found = loops.container(data, 0)
    assert found is None or found == listed(data)


def values_of(read: Callable[[int, int, bytes], looks.Int64s], column: reader.Found) -> list[int] | None:
    try:
        return read(*column).tolist()
    except columns.BadBlock:
        return None


@given(values | alike, st.sampled_from([columns.Spec.PLAIN, columns.Spec.FLAGS]), st.data())
def test_small_columns_are_read_alike_whole_or_damaged(
    held: looks.Int64s, spec: columns.Spec, data: st.DataObject
) -> None:
    encoding, count, whole = columns.column(held, spec)
    found = data.draw(
        st.just((encoding, count, whole))
        | st.tuples(st.integers(0, 7), st.integers(0, 40), st.sampled_from([whole, whole[:-1], whole + b"1"]))
        | st.tuples(st.integers(0, 7), st.integers(0, 9), st.binary(max_size=14))
    )
    assert values_of(reader.compiled_small, found) == values_of(reader.plain_small, found)


@given(st.lists(st.integers(-1, 9) | st.just(2**62), max_size=20), st.integers(0, 60))
def test_counts_are_summed_alike(counts: list[int], most: int) -> None:
    seen = np.array(counts, np.int64)
    assert loops.counts(seen, most) == blocks.plain_counts(seen, most)
