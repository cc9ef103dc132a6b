"""The sorted columns of an L2 book do to it what its updates do one by one."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from book import depth as depth_module
from book import plain_table
from book import table as table_module
from book.compiled_table import COMPILED, CompiledTable, scaled_rows
from book.depth import Depth
from book.plain_table import PlainTable
from book.run import Run
from book.scales import Scales
from book.table import Rows, Table
from journal.frames import Frames
from venue.columns import DepthColumns

NAME = "binance:BTCUSDT"
prices = st.integers(1, 9)
update = st.tuples(*(st.dictionaries(prices, st.integers(0, 3), max_size=6) for _ in range(2)))
batches = st.lists(st.lists(update, min_size=1, max_size=6), max_size=6)
Update = tuple[dict[int, int], dict[int, int]]


def rows_of(updates: list[Update]) -> Rows:
    rows = [
        (sign * price, size, owner)
        for owner, sides in enumerate(updates)
        for sign, side in zip((-1, 1), sides, strict=True)
        for price, size in side.items()
    ]
    keys, sizes, owners = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    starts = owners.searchsorted(np.arange(len(updates) + 1))
    return Rows(keys.copy(), sizes.copy(), starts)


def filled(
    table: Table, bids: list[tuple[int, int]], asks: list[tuple[int, int]], scales: Scales, limit: int = 0
) -> None:
    """Let *table* become a snapshot of these prices and sizes."""
    prices, sizes = np.array([*bids, *asks], dtype=np.int64).reshape(-1, 2).T
    table.replace(prices, sizes, len(bids), scales, limit)


class Model:
    """The same by a dict, update by update."""

    def __init__(self) -> None:
        self.sizes: dict[int, int] = {}

    def apply(self, updates: list[Update], *, may_cross: bool) -> tuple[int, list[int]]:
        olds: list[int] = []
        for n, (bids, asks) in enumerate(updates):
            rows = {-price: size for price, size in bids.items()} | asks
            after = {key: size for key, size in (self.sizes | rows).items() if size}
            bid = max((-key for key in after if key < 0), default=0)
            if not may_cross and bid and bid >= min((key for key in after if key > 0), default=bid + 1):
                return n, olds
            olds += [self.sizes.get(key, 0) for key in rows]
            self.sizes = after
        return len(updates), olds


TABLES = [PlainTable, *([CompiledTable] if COMPILED else [])]


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("most_cells", [1 << 20, 8])
@pytest.mark.parametrize("may_cross", [False, True])
@given(given_batches=batches)
def test_a_batch_is_its_updates_one_by_one_up_to_the_first_that_crosses(
    kind: type[Table], most_cells: int, may_cross: bool, given_batches: list[list[Update]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain_table, "MOST_CELLS", most_cells)
        patch.setattr(table_module, "DEAD_ROWS", 3)
        table, model = kind(), Model()
        filled(table, [], [], Scales(1, 1))
        for updates in given_batches:
            count, olds = table.apply(rows_of(updates), may_cross=may_cross)
            assert (count, olds.tolist()) == model.apply(updates, may_cross=may_cross)
            assert table.bids.sizes == {-key: size for key, size in model.sizes.items() if key < 0}
            assert table.asks.sizes == {key: size for key, size in model.sizes.items() if key > 0}
            assert table.hash() == table.hash_from_scratch()


snapshot_side = st.lists(st.tuples(prices, st.integers(0, 3)), max_size=8)


@pytest.mark.parametrize("kind", TABLES)
@given(snapshot_side, snapshot_side, st.integers(0, 4))
def test_a_snapshot_is_the_last_size_that_it_names_of_each_price(
    kind: type[Table], bids: list[tuple[int, int]], asks: list[tuple[int, int]], limit: int
) -> None:
    table = kind()
    filled(table, bids, asks, Scales(2, 3), limit)
    bid, ask = ({price: size for price, size in side if size} for side in (bids, asks))
    assert (table.bids.sizes, table.asks.sizes, table.scales) == (bid, ask, Scales(2, 3))
    low, high = (limit and len(side) >= limit for side in (bid, ask))
    assert table.certified == (min(bid) if low else None, max(ask) if high else None)
    assert table.hash() == table.hash_from_scratch()


@pytest.mark.parametrize("kind", TABLES)
def test_removed_levels_do_not_stay_for_ever(kind: type[Table], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_module, "DEAD_ROWS", 8)
    table = kind()
    filled(table, [], [(5000, 1)], Scales())
    for price in range(1, 1000):
        table.apply(rows_of([({price: 1}, {}), ({price: 0}, {})]))
        table.apply(rows_of([({}, {5000 + price: 1}), ({}, {5000 + price: 0})]))
        table.apply(rows_of([({price: 1}, {}), ({}, {})]))
        table.apply(rows_of([({price: 0}, {})]))
    assert table.columns() == (0, 1, [5000], [1])
    rows = table._ladders.rows if isinstance(table, CompiledTable) else len(table._keys)
    assert rows <= 3 * 8


sides = st.lists(st.tuples(st.integers(1, 10**18 - 1), st.integers(0, 10**18 - 1)), max_size=4)
plain_sides = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 40)), max_size=4)


def even(said: list[list[tuple[int, int]]]) -> list[list[tuple[int, int]]]:
    return said[: len(said) // 2 * 2]


@pytest.mark.skipif(not COMPILED, reason="the loops are not compiled here: make install says why")
@given(
    st.lists(st.one_of(sides, plain_sides, plain_sides.map(sorted)), max_size=6).filter(
        lambda s: len(s) % 2 == 0
    ),
    st.integers(1, 3),
    st.tuples(st.integers(0, 5), st.integers(0, 5)),
)
def test_levels_come_to_a_scale_as_without_the_loops(
    said: list[list[tuple[int, int]]], decimals: int, scales: tuple[int, int]
) -> None:
    prices, sizes = np.array([row for side in said for row in side], dtype=np.int64).reshape(-1, 2).T
    counts = np.array([len(side) for side in said], dtype=np.int64)
    ids = list(range(len(said) // 2))
    columns = DepthColumns(ids, ids, ids, counts, decimals, prices.copy(), sizes.copy())
    found = scaled_rows(columns, Scales(*scales))
    depth = Depth()
    depth.rescale(Scales(*scales))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(depth_module, "COMPILED", False)
        plain = depth.prepare_run(Run(Frames(NAME, "binance/a", ids, ids, ids, []), columns))
    in_order = plain is not None and all(
        a != b and (a > b) == (n % 2 == 0) for n, side in enumerate(said) for (a, _), (b, _) in pairwise(side)
    )
    assert (found is not None) == in_order
    if found is not None and plain is not None:
        assert [column.tolist() for column in found] == [column.tolist() for column in plain.rows]
