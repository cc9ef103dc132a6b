"""Processes die with supervisord, so that no orphan holds a port or a folder."""

import ctypes
import os
import signal
import sys

SUPERVISOR = "OBL_SUPERVISOR"
"""Set by obl-run, which becomes supervisord: the pid that every process of the logger is a child of."""

_PR_SET_PDEATHSIG = 1


def follow_parent() -> None:
    """Have the kernel kill this process when its parent ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def die_with_supervisor() -> None:
    """Do that, and end at once if supervisord ended before the kernel was told."""
    follow_parent()
    supervisor = os.environ.get(SUPERVISOR, "")
    if supervisor.isdecimal() and os.getppid() != int(supervisor):
        sys.exit(1)
