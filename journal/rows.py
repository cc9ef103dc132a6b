"""Records on their way into a group and out of it, as columns: a read brings hundreds, most of it the same.

Where the project was compiled ``journal.rows_loops`` works, where not the plain twins here.
"""

import struct
from bisect import bisect_right
from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import NamedTuple

try:
    from journal import rows_loops as loops
except ImportError:
    COMPILED = False
else:
    COMPILED = True

Row = tuple[int, str, int, bytes]
"""recv_ns, security, connection, payload."""


class Rows:
    """Columns of one length each."""

    __slots__ = ("connections", "payloads", "recv_ns", "securities")

    def __init__(
        self, recv_ns: list[int], securities: list[str], connections: list[int], payloads: list[bytes]
    ) -> None:
        self.recv_ns, self.securities = recv_ns, securities
        self.connections, self.payloads = connections, payloads

    @classmethod
    def of(cls, rows: "Iterable[Row] | Rows") -> "Rows":
        """Return *rows* as columns."""
        if isinstance(rows, Rows):
            return rows
        recv_ns, securities, connections, payloads = map(list, zip(*rows, strict=True))
        return cls(recv_ns, securities, connections, payloads)

    def __len__(self) -> int:
        return len(self.payloads)

    def part(self, begin: int, end: int) -> "Rows":
        """Return the rows from *begin* to *end*."""
        if begin == 0 and end == len(self):
            return self
        return Rows(
            self.recv_ns[begin:end],
            self.securities[begin:end],
            self.connections[begin:end],
            self.payloads[begin:end],
        )

    def in_order(self, order: list[int] | None) -> "Rows":
        """Return the rows in this order of places; None: as they are."""
        if order is None:
            return self
        return Rows(
            list(map(self.recv_ns.__getitem__, order)),
            list(map(self.securities.__getitem__, order)),
            list(map(self.connections.__getitem__, order)),
            list(map(self.payloads.__getitem__, order)),
        )


class Layout(NamedTuple):
    """How rows lie in a group, sorted by bucket: its columns (journal.group), and where each row was."""

    names: list[str]
    buckets: bytes
    bucket_ends: list[int]
    lengths: bytes
    routes: bytes
    order: list[int] | None
    """None: they were in order already."""


def layout(rows: Rows, bucket_of: Callable[[str], int]) -> Layout:
    """Return how *rows* lie in a group."""
    if COMPILED:
        return Layout(*loops.layout(rows.securities, rows.payloads, bucket_of))
    return plain_layout(rows, bucket_of)


def plain_layout(rows: Rows, bucket_of: Callable[[str], int]) -> Layout:
    """Return how *rows* lie in a group, by what every machine has."""
    count = len(rows)
    keys, order = list(map(bucket_of, rows.securities)), None
    in_order = sorted(keys)
    if keys != in_order:
        order = sorted(range(count), key=keys.__getitem__)
        rows = rows.in_order(order)
    names = {name: index for index, name in enumerate(dict.fromkeys(rows.securities))}
    buckets = sorted(set(keys))
    return Layout(
        list(names),
        bytes(buckets),
        [bisect_right(in_order, bucket) for bucket in buckets],
        struct.pack(f"<{count}I", *map(len, rows.payloads)),
        struct.pack(f"<{count}H", *map(names.__getitem__, rows.securities)),
        order,
    )


def plain_fits(lengths: bytes, routes: bytes, count: int, names: int, size: int) -> bool:
    """Say whether there are *count* lengths that come to *size*, and as many routes of so many *names*."""
    if (len(lengths), len(routes)) != (4 * count, 2 * count):
        return False
    is_named = all(route < names for route in struct.unpack(f"<{count}H", routes))
    return is_named and sum(struct.unpack(f"<{count}I", lengths)) == size


def plain_payloads(data: bytes, lengths: bytes, start: int, rows: Iterable[int]) -> list[bytes]:
    """Return the payloads of *rows*, which *data* holds; that of row 0 begins at *start*."""
    ends = list(accumulate(struct.unpack(f"<{len(lengths) // 4}I", lengths), initial=start))
    return [data[ends[row] : ends[row + 1]] for row in rows]


fits, payloads = (loops.fits, loops.payloads) if COMPILED else (plain_fits, plain_payloads)
