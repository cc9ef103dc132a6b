"""Rounds of checkpoints, packed in one go."""

from collections.abc import Iterable, Mapping
from typing import Any

from book.checkpoint import Packing
from wire.runs import Marks


def pack_round(
    buckets: Iterable[int],
    read: Mapping[str, int],
    done: Mapping[str, Marks],
    states: Iterable[Mapping[str, Any]],
) -> bytes:
    """Return the round of the securities whose ``dump`` are *states*."""
    packing = Packing(buckets, read, done)
    for state in states:
        packing.add(state)
    return packing.data()
