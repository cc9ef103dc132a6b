"""The host's clock as the logger's processes see it: ``clock/sitecustomize`` reads the file written here."""

import struct
from pathlib import Path

SHIM = Path(__file__).parent / "clock"


class HostClock:
    """How far the logger's processes are from the true time."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "clock-offset"
        self._offset_ns = 0
        self._path.write_bytes(bytes(8))

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to see the steps."""
        return {"PYTHONPATH": str(SHIM), "OBL_TEST_CLOCK": str(self._path)}

    def step(self, seconds: float) -> None:
        """Set the clock forward, or back; all processes see it with their next look."""
        self._offset_ns += int(seconds * 1e9)
        with self._path.open("r+b") as file:  # in place: it is mapped
            file.write(struct.pack("<q", self._offset_ns))
