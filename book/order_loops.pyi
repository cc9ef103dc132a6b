from collections.abc import Sequence

from book.hash import Column

class Orders:
    unknown: int
    sums: tuple[int, int]
    def __init__(self, dead_levels: int) -> None: ...
    @property
    def count(self) -> int: ...
    def weigh(self, seeds: Sequence[int], weights: Sequence[Sequence[int]]) -> None: ...
    def apply(
        self,
        kinds: bytes,
        sides: bytes,
        order_ids: bytes,
        prices: Column,
        sizes: Column,
        event_ids: Column,
        begin: int,
        end: int,
        may_cross: bool,
        fold: bool,
    ) -> tuple[int, int, bytes, bytes]: ...
    def one(
        self, kind: int, side: int, order_id: bytes, price: int, size: int, event_id: int, may_cross: bool
    ) -> tuple[int, list[tuple[int, int, int, int]]]: ...
    def add(
        self, side: int, price: int, size: int, order_id: bytes, placed_id: int, certain: bool
    ) -> bool: ...
    def add_all(
        self,
        bids: int,
        prices: Column,
        sizes: Column,
        order_ids: bytes,
        placed_ids: Column,
        certain: bytes,
        worst_first: bool,
    ) -> bool: ...
    def crossed(self) -> bool: ...
    def levels(self) -> tuple[int, bytes, bytes]: ...
    def rows(self, depth: int) -> tuple[int, bytes, bytes, bytes, bytes, bytes]: ...
    def place(self, order_id: bytes) -> tuple[int, int, int, int, bool, int, int] | None: ...
    def rescale(self, price_by: int, size_by: int) -> None: ...
