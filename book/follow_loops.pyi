from collections.abc import Sequence

from book.following import Followed, Printed
from book.table import Column
from book.table_loops import Ladders

class Clock:
    def __init__(self, last_ns: int, ahead_ns: int, window_ns: int, start_ns: int, limit_ns: int) -> None: ...

class BookPlace:
    def __init__(
        self,
        ladders: Ladders,
        last_id: int,
        leap: int,
        clock: Clock,
        price_scale: int,
        size_scale: int,
        may_cross: bool,
        nets: bool,
    ) -> None: ...
    @property
    def reached(self) -> tuple[int, int] | None: ...
    def followed(self) -> Followed | None: ...

class TapePlace:
    def __init__(self, last_id: int, clock: Clock, price_scale: int, size_scale: int) -> None: ...
    def followed(self) -> Printed | None: ...

class Follower:
    line: str
    feed: str
    connection: int
    next_position: int
    recv_ns: int
    has_taken: bool
    has_ended: bool
    book: BookPlace
    tape: TapePlace | None
    def __init__(
        self, line: str, feed: str, next_position: int, book: BookPlace, tape: TapePlace | None
    ) -> None: ...
    def end(self) -> None: ...

def follow(
    followers: list[Follower | None],
    routes: memoryview,
    rows: list[int],
    first: int,
    received_ns: memoryview,
    connections: memoryview,
    depth_at: Sequence[int],
    updates: tuple[Sequence[int], Sequence[int], Sequence[int]],
    counts: Column,
    depth_decimals: int,
    prices: Column,
    sizes: Column,
    trade_at: Sequence[int],
    trades: tuple[Sequence[int], Sequence[int]],
    sides: bytes,
    trade_decimals: int,
    trade_prices: Column,
    trade_sizes: Column,
) -> list[int]: ...
