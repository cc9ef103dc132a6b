"""Values that repeat along a group: an order's side, price and size from one event to the next.

Of the members of a group, in their order, the first is the *head* and every other one *follows*: it is
stored as its difference from the one before, mostly 0.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from condition.columns import Int64s

Mask = npt.NDArray[np.bool_]


class Links(NamedTuple):
    """How the members hang together; all arrays have one value per member, sorted by group."""

    order: npt.NDArray[np.intp]
    """Where the member stands among the members as they came."""
    is_head: Mask

    def heads(self) -> Mask:
        """Return which members, as they came, are heads."""
        heads = np.empty(len(self.order), np.bool_)
        heads[self.order] = self.is_head
        return heads


def link(groups: Int64s) -> Links:
    """Return the links of members whose groups are *groups*."""
    order = np.argsort(groups, kind="stable")
    in_group = groups[order]
    return Links(order, np.concatenate(([True], in_group[1:] != in_group[:-1]))[: len(groups)])


def split(values: Int64s, links: Links) -> tuple[Int64s, Int64s]:
    """Return the heads' values and the others' differences, each in the order in which they came."""
    differences = np.empty_like(values)
    differences[links.order] = np.diff(values[links.order], prepend=np.int64(0))
    heads = links.heads()
    return values[heads], differences[~heads]


def join(heads: Int64s, differences: Int64s, links: Links) -> Int64s:
    """Return the values; the inverse of ``split``."""
    is_head = links.heads()
    mixed: npt.NDArray[Any] = np.empty(len(is_head), np.int64)
    mixed[is_head], mixed[~is_head] = heads, differences
    chained = mixed[links.order]
    starts = np.flatnonzero(links.is_head)
    sums = np.cumsum(chained)
    before = sums[starts] - chained[starts]
    values = np.empty_like(mixed)
    values[links.order] = sums - np.repeat(before, np.diff(np.append(starts, len(sums))))
    return values
