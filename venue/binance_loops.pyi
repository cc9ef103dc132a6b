from collections.abc import Sequence

class Depths:
    at: list[int]
    first_ids: list[int]
    last_ids: list[int]
    times_ns: list[int]
    @property
    def decimals(self) -> int: ...
    @property
    def columns(self) -> tuple[bytes, bytes, bytes]: ...

class Trades:
    at: list[int]
    ids: list[int]
    times_ns: list[int]
    sides: bytearray
    @property
    def decimals(self) -> int: ...
    @property
    def columns(self) -> tuple[bytes, bytes]: ...

def parse(frames: Sequence[bytes], last_ms: int) -> tuple[Depths, Trades] | None: ...
