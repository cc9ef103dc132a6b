"""The sorted columns of an L2 book do to it what its updates do one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from book import table as table_module
from book.scales import Scales
from book.table import Rows, Table

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
    return Rows(keys.copy(), sizes.copy(), owners.copy(), len(updates))


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


@pytest.mark.parametrize("most_cells", [1 << 20, 8])
@pytest.mark.parametrize("may_cross", [False, True])
@given(given_batches=batches)
def test_a_batch_is_its_updates_one_by_one_up_to_the_first_that_crosses(
    most_cells: int, may_cross: bool, given_batches: list[list[Update]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_module, "MOST_CELLS", most_cells)
        patch.setattr(table_module, "DEAD_ROWS", 3)
        table, model = Table(), Model()
        table.replace([], [], Scales(1, 1))
        for updates in given_batches:
            count, olds = table.apply(rows_of(updates), may_cross=may_cross)
            assert (count, olds.tolist()) == model.apply(updates, may_cross=may_cross)
            assert table.bids.sizes == {-key: size for key, size in model.sizes.items() if key < 0}
            assert table.asks.sizes == {key: size for key, size in model.sizes.items() if key > 0}
            assert table.hash() == table.hash_from_scratch()


def test_removed_levels_do_not_stay_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_module, "DEAD_ROWS", 8)
    table = Table()
    table.replace([], [(5000, 1)], Scales())
    for price in range(1, 1000):
        table.apply(rows_of([({price: 1}, {}), ({price: 0}, {})]))
        table.apply(rows_of([({}, {5000 + price: 1}), ({}, {5000 + price: 0})]))
        table.apply(rows_of([({price: 1}, {}), ({}, {})]))
        table.apply(rows_of([({price: 0}, {})]))
    assert table.columns() == (0, 1, [5000], [1])
    assert len(table._keys) <= 3 * 8
