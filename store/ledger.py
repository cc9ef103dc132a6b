"""Compares the ids that are stored of one feed with the rows of the gap ledger, in order, pure.

between two entries           the ledger has to have                       else is wrong
nothing                       nothing
ids that were stored before                                                the block
missing ids                   open rows of exactly these ids, or an        the block after them, or the row
                              ``unverifiable`` row of the last of them
another feed's ids            an ``unverifiable`` row of the next id       the block

row                           has to be                                    else is wrong
open, its end known or not    a hole that was met                          the row
``unverifiable``              a seam that was met                          the row
``healed``                    ids that are all stored                      the row

A row whose first id lies after all that is stored says nothing yet: its blocks may be on their way.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from store.documents import date_ns
from store.walk import End, Join

Row = Mapping[str, Any]
Wrong = Callable[[int, str, str], None]
"""Called with the window's start, the ``_id`` and the reason."""

_HEALED = "healed"
_UNVERIFIABLE = "unverifiable"


class LedgerCheck:
    """The rows of one feed that are still to be met, and where the ids are that are stored."""

    def __init__(self, wrong: Wrong) -> None:
        self._wrong = wrong
        self._rows: list[Row] = []
        self._run_start = 0
        """First id of those that follow one another up to now."""

    def add(self, rows: Iterable[Row]) -> None:
        """Take rows; those of a window have to be known before its blocks are."""
        self._rows += rows

    def entry(self, before: End | None, after: End) -> Join:
        """Say how the ids of *after* join those of *before*, and check what the ledger says of them."""
        first_id = after.chain.first_id
        if before is None:
            self._run_start = first_id
            self._rows = [row for row in self._rows if row["first_id"] >= first_id]
            join = Join.FIRST
        elif before.block.has_ids != after.block.has_ids:
            join = self._switch(before, after)
        elif before.chain.last_id + 1 == first_id:
            join = Join.CONTINUES
        elif before.chain.last_id >= first_id:
            self._wrong(
                after.block.start_ns,
                after.block.id,
                f"its ids from {first_id} on come after id {before.chain.last_id}",
            )
            join = Join.CONTINUES
        else:
            join = self._hole(before.chain.last_id + 1, first_id - 1, after)
        if join in (Join.HOLE, Join.SEAM):
            self._run_start = first_id
        self._stored(after.chain.last_id)
        return join

    def _switch(self, before: End, after: End) -> Join:
        next_id = before.chain.last_id + 1
        for row in self._rows:
            if row["first_id"] == next_id and row["state"] == _UNVERIFIABLE:
                self._rows.remove(row)
                return Join.SEAM
        self._missing(next_id, after, "another feed begins with it")
        return Join.HOLE

    def _hole(self, first_id: int, last_id: int, after: End) -> Join:
        rows = [row for row in self._rows if row["first_id"] <= last_id]
        self._rows = [row for row in self._rows if row["first_id"] > last_id]
        seams = [row for row in rows if row["state"] == _UNVERIFIABLE]
        holes = sorted(
            (row for row in rows if row["state"] not in (_UNVERIFIABLE, _HEALED)),
            key=lambda row: int(row["first_id"]),
        )
        for row in rows:
            if row["state"] == _HEALED and (row["last_id"] or 0) >= first_id:
                self._row(row, f"it is healed, and ids {first_id} to {last_id} are missing")
        if seams and not holes:
            for row in seams:
                if row["first_id"] != last_id:
                    self._row(row, f"the chain after the seam begins after {last_id}")
            return Join.SEAM
        if not holes:
            self._missing(first_id, after, f"ids {first_id} to {last_id} are missing before it")
        else:
            self._compare(holes, first_id, last_id)
        return Join.HOLE

    def _compare(self, holes: list[Row], first_id: int, last_id: int) -> None:
        """Say which of *holes* does not name the ids that are missing."""
        next_id = first_id
        for row in holes:
            until = last_id if row["last_id"] is None else row["last_id"]
            if row["first_id"] != next_id or until > last_id:
                break
            next_id = until + 1
        else:
            if next_id == last_id + 1:
                return
            row = holes[-1]
        named = f"{row['first_id']} to {'?' if row['last_id'] is None else row['last_id']}"
        self._row(row, f"ids {first_id} to {last_id} are missing, it says {named}")

    def _stored(self, last_id: int) -> None:
        """Check the rows that begin with ids up to *last_id*, all of which is stored or was met as a hole."""
        kept = []
        for row in self._rows:
            if row["first_id"] > last_id:
                kept.append(row)
            elif row["state"] == _HEALED:
                end = row["last_id"] if row["last_id"] is not None else row["first_id"]
                if end > last_id:
                    kept.append(row)
                elif row["first_id"] < self._run_start <= end:
                    self._row(row, "it is healed, and not all its ids are stored")
            else:
                self._row(row, f"it is {row['state']}, and nothing is missing there")
        self._rows = kept

    def _missing(self, first_id: int, after: End, what: str) -> None:
        why = f"{what} and the ledger has no row of {first_id}"
        self._wrong(after.block.start_ns, after.block.id, why)

    def _row(self, row: Row, why: str) -> None:
        self._wrong(date_ns(row["start"]), str(row["_id"]), why)
