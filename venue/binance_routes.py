"""Where many frames of the combined stream go, by the compiled loop; the twin is ``binance.plain_routes``."""

from collections.abc import Sequence
from functools import partial

from venue.routes import Routes, Run

try:
    from venue.binance_routes_loops import routes
except ImportError:
    COMPILED = False
else:
    COMPILED = True


_make_run = partial(tuple.__new__, Run)  # a third of the time of Run(...)


def compiled(frames: Sequence[bytes]) -> Routes | None:
    """Say where *frames* go; None also where the twin may know better, or nothing was compiled."""
    found = routes(frames) if COMPILED else None
    return None if found is None else Routes(found[0], list(map(_make_run, found[1])))
