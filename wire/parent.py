"""Processes die with supervisord, so that no orphan holds a port or a folder."""

import ctypes
import os
import signal
import sys

SUPERVISOR = "OBL_SUPERVISOR"
"""Set by obl-run, which becomes supervisord: the pid that every process of the logger is a child of."""

_PR_SET_PDEATHSIG = 1


def die_with_supervisor() -> None:
    """Have the kernel kill this process when its parent ends; end at once if supervisord had ended before."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    supervisor = os.environ.get(SUPERVISOR, "")
    if supervisor.isdecimal() and os.getppid() != int(supervisor):
        sys.exit(1)
