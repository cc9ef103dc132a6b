from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Int64s: TypeAlias = npt.NDArray[np.int64]

def newest(sides: Int64s, prices: Int64s, places: Int64s) -> int: ...
