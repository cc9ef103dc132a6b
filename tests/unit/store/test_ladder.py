"""The sorted columns of one side are the levels that changes, one by one, come to."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from store.ladder import Ladder

levels = st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 3)), max_size=12)


def columns(rows: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    keys, sizes = np.array(rows, np.int64).reshape(-1, 2).T
    return keys.copy(), sizes.copy()


@given(levels, st.lists(levels, max_size=4))
def test_changes_in_bulk_are_changes_one_by_one(
    start: list[tuple[int, int]], batches: list[list[tuple[int, int]]]
) -> None:
    held = {key: size for key, size in start if size}
    ladder = Ladder(*columns(sorted(held.items())))
    for rows in batches:
        ladder.apply(*columns(rows))
        held = {key: size for key, size in (held | dict(rows)).items() if size}
        assert list(zip(ladder.keys.tolist(), ladder.sizes.tolist(), strict=True)) == sorted(held.items())
