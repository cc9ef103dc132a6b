"""What control asks of the supervisord above it, over its Unix socket.

Only our own supervisord counts: one that started the whole logger from supervisord.conf, whose
programs start again whenever they end.
"""

import os
from pathlib import Path
from typing import Any

from wire.log import log

_SOCKET = "supervisor.sock"
_RUNNING = "RUNNING"


class Supervisor:
    """The supervisord whose socket lies in *runtime_dir*."""

    def __init__(self, runtime_dir: Path) -> None:
        self._signalled: dict[str, int] = {}
        self._again: set[str] = set()
        self._children: dict[str, int] = {}
        self._path = runtime_dir / _SOCKET

    def pid(self) -> int:
        """Return the pid of the supervisord that started this process, 0 where none did."""
        parent = os.getppid()
        try:
            found = b"supervisord" in Path(f"/proc/{parent}/cmdline").read_bytes()
        except OSError:
            found = False
        return parent if found and os.environ.get("SUPERVISOR_ENABLED") else 0

    def child(self, process: str) -> int:
        """Return the pid of *process*, 0 where it does not run; from /proc, so that nothing is waited for."""
        if not self._is(self._children.get(process, 0), process):
            self._children[process] = next((pid for pid in self._pids() if self._is(pid, process)), 0)
        return self._children[process]

    def _pids(self) -> list[int]:
        try:
            return [
                int(pid) for pid in Path(f"/proc/{self.pid()}/task/{self.pid()}/children").read_text().split()
            ]
        except OSError:  # (no supervisord, or a kernel that does not tell)
            return []

    def _is(self, pid: int, process: str) -> bool:
        """Whether supervisord started *pid* as *process*."""
        try:
            return f"SUPERVISOR_PROCESS_NAME={process}".encode() in Path(
                f"/proc/{pid}/environ"
            ).read_bytes().split(b"\0")
        except OSError:
            return False

    def runs_again(self, process: str) -> bool:
        """Return whether *process* runs as another one than that which was last sent a signal."""
        if process in self._signalled:
            running = {row["name"]: row["pid"] for row in self._rows() if row["statename"] == _RUNNING}
            if running.get(process, 0) not in (0, self._signalled[process]):
                del self._signalled[process]
                self._again.add(process)
        return process in self._again

    def send(self, process: str, signal: str) -> None:
        """Send *signal* (``TERM``, ``KILL``) to *process*; what keeps it from that is logged."""
        for row in self._rows():
            if row["name"] == process:
                self._signalled[process] = row["pid"]
                self._again.discard(process)
                self._call("signalProcess", f"{row['group']}:{process}", signal)

    def _rows(self) -> list[dict[str, Any]]:
        return self._call("getAllProcessInfo") or []

    def _call(self, method: str, *arguments: str) -> Any:
        if not self.pid():
            return None
        from control import supervisor_calls  # (the libraries cost half of control's start)

        try:
            return supervisor_calls.call(self._path, method, *arguments)
        except supervisor_calls.FAILURES as error:
            log.warning(
                'event=supervisord_refused call="%s %s" reason="%s"', method, " ".join(arguments), error
            )
            return None
