"""The last size of each level is found alike with and without the compiled loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store import fold

pytestmark = pytest.mark.skipif(
    not fold.COMPILED, reason="the loops are not compiled here: make install says why"
)

prices = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 9)


def both(sides: list[int], held: list[int]) -> tuple[list[int], list[int]]:
    columns = np.array(sides, np.int8), np.array(held, np.int64)
    return sorted(fold.compiled_newest(*columns).tolist()), sorted(fold.plain_newest(*columns).tolist())


@given(st.lists(st.tuples(st.integers(0, 1), prices), max_size=60))
def test_the_last_row_of_each_level_is_found_alike(rows: list[tuple[int, int]]) -> None:
    compiled, plain = both([side for side, _ in rows], [price for _, price in rows])
    assert compiled == plain == sorted({row: n for n, row in enumerate(rows)}.values())


def test_a_book_of_many_levels_is_found_alike() -> None:
    rows = np.random.default_rng(1).integers(0, 40_000, 90_000)
    compiled, plain = both((rows % 2).tolist(), (rows // 2).tolist())
    assert compiled == plain
    assert len(plain) > 30_000
