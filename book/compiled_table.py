"""The table of an L2 book where the loops were compiled, and the choice between it and the plain one."""

import numpy as np

from book import table
from book.hash import SEEDS, finish, row_sums, weights
from book.plain_table import PlainTable
from book.scales import Scales
from book.table import Column, Rows, Table
from venue.columns import DepthColumns

try:
    from book.table_loops import Ladders, scaled
except ImportError:
    COMPILED = False
else:
    COMPILED = True


class CompiledTable(Table):
    """Two sorted arrays, changed level by level (``book/table_loops.pyx``)."""

    def __init__(self) -> None:
        super().__init__()
        self._ladders = Ladders(table.DEAD_ROWS)
        self._weigh()

    def apply(self, rows: Rows, *, may_cross: bool = False) -> tuple[int, Column]:
        """Do what ``Table.apply`` says."""
        applied, olds = self._ladders.apply(rows.keys, rows.sizes, rows.starts, may_cross)
        return applied, np.frombuffer(olds, np.int64)

    @property
    def ladders(self) -> "Ladders":
        """Return the two sides."""
        return self._ladders

    def crossed(self) -> bool:
        """Say whether somebody bids what somebody else asks."""
        return self._ladders.crossed()

    def hash(self) -> bytes:
        """Return the book's hash (book.hash)."""
        return finish(self._ladders.sums)

    def sum_up(self) -> None:
        """Make the hash anew from the levels."""
        self._weigh()
        rows = self._rows()
        ones = np.ones(len(rows[0]), dtype=np.int64)
        self._ladders.sums = row_sums(rows, ones, self.scales.price, self.scales.size)

    def _load(self, keys: Column, sizes: Column) -> None:
        self._ladders.load(keys, sizes)

    def keys_and_sizes(self) -> tuple[Column, Column]:
        """Return the keys, ascending, and the sizes of all levels: copies."""
        keys, sizes = self._ladders.levels()
        return np.frombuffer(keys, np.int64), np.frombuffer(sizes, np.int64)

    def _weigh(self) -> None:
        price, size = self.scales.price, self.scales.size
        self._ladders.weigh(SEEDS, (weights(0, price, size)[:3], weights(1, price, size)[:3]))


def scaled_rows(columns: DepthColumns, scales: Scales) -> Rows | None:
    """Return the levels of *columns* at *scales*; None where one does not fit or a side is not sorted."""
    numbers = columns.prices, columns.sizes, columns.counts
    found = scaled(*numbers, columns.decimals, scales.price, scales.size)
    return Rows(*(np.frombuffer(column, np.int64) for column in found)) if found else None


def new_table() -> Table:
    """Return an empty book."""
    return CompiledTable() if COMPILED else PlainTable()
