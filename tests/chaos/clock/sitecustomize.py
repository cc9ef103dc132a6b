"""A clock that can be stepped, for processes that run with this folder in PYTHONPATH.

Python imports a module of this name when it starts.  ``time.time`` and ``time.time_ns`` then add the
nanoseconds that the file named by ``OBL_TEST_CLOCK`` holds at that moment (8 bytes, signed, little-endian),
as if somebody had set the host's clock.  The monotonic clocks go on, as they do then.
"""

import mmap
import os
import struct
import time


def _step_with(path: str) -> None:
    with open(path, "rb") as file:  # noqa: PTH123  nothing is imported here that a process would not import
        offset = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
    true, true_ns, read = time.time, time.time_ns, struct.Struct("<q").unpack_from
    time.time = lambda: true() + read(offset)[0] / 1e9
    time.time_ns = lambda: true_ns() + read(offset)[0]


if "OBL_TEST_CLOCK" in os.environ:
    _step_with(os.environ["OBL_TEST_CLOCK"])
