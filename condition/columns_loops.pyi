from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Int64s: TypeAlias = npt.NDArray[np.int64]

def is_constant(values: Int64s) -> bool: ...
def common_step(values: Int64s) -> int: ...
def decimal_step(values: Int64s, most: int) -> int: ...
def ones(values: Int64s) -> int: ...
def varints(values: Int64s) -> bytes: ...
def levels(
    prices: Int64s, sizes: Int64s, bid_counts: Int64s, ask_counts: Int64s
) -> tuple[int, int, bytes, bytes, bytes, bytes, bytes, bytes] | None: ...
def interleaved(
    bid_counts: Int64s,
    ask_counts: Int64s,
    bases: tuple[int, int],
    bid_tops: Int64s,
    ask_tops: Int64s,
    bid_steps: Int64s,
    ask_steps: Int64s,
    kept: Int64s,
    held: Int64s,
    prices: Int64s,
    sizes: Int64s,
) -> None: ...
def container(data: bytes, at: int) -> list[tuple[int, int, bytes]] | None: ...
