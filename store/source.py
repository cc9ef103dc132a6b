"""What the analyses need of an archive: the answers that they are made of."""

from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

from store.answers import Answer, Changes, Gap, Gaps, OrderEvents, Trades
from store.blocks import Blocks

Moment = int | str | datetime


class Source(Protocol):
    """store.history.Archive, as far as it is needed."""

    @property
    def blocks(self) -> Blocks:
        """Return where the blocks lie."""
        ...

    def newest_book(self, security: str) -> int:
        """Return the effective time of the last stored update."""
        ...

    def replay(
        self, security: str, start: Moment, end: Moment, *, trades: bool = False, gaps: Gaps = "error"
    ) -> Iterator[Answer]:
        """Yield the book at *start*, then what happened before *end*."""
        ...

    def changes(
        self, security: str, start: Moment, end: Moment, gaps: Gaps = "error"
    ) -> Iterator[Changes | Gap]:
        """Yield the changes of levels."""
        ...

    def orders(
        self, security: str, start: Moment, end: Moment, gaps: Gaps = "error"
    ) -> Iterator[OrderEvents | Gap]:
        """Yield the order events."""
        ...

    def trades(
        self, security: str, start: Moment, end: Moment, gaps: Gaps = "error"
    ) -> Iterator[Trades | Gap]:
        """Yield the trades."""
        ...


def over(gaps: Gaps) -> Gaps:
    """Return how to read for an answer that itself leaves out what lies in holes: it must hear of them."""
    return "error" if gaps == "error" else "include"
