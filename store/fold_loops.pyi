from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Int64s: TypeAlias = npt.NDArray[np.int64]
Sides: TypeAlias = npt.NDArray[np.int8]

def newest(sides: Sides, prices: Int64s, places: Int64s) -> int: ...
