"""Puts what the archive answers with into the order of time, row by row; pure.

Answers come window by window, the book's before the trades'.  Inside a window the book's rows are in order
already, and trades are sorted in among them.
"""

from collections.abc import Callable, Iterable, Iterator
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import TypeVar

from store.answers import Answer, Changes, Gap, OrderEvents, Trades

T = TypeVar("T")
Timed = tuple[int, T]
"""A row and the moment from which it is part of the book."""


def by_time(
    answers: Iterable[Answer], rows: Callable[[Answer], Iterable[Timed[T]]], *, trades_first: bool = False
) -> Iterator[Timed[T]]:
    """Yield the *rows* of each answer in order of time; of the same moment the book's first.

    With *trades_first* the trades of a moment come before what the book did in it.
    """
    for _, together in groupby(_numbered(answers), key=itemgetter(0)):
        booked: list[Timed[T]] = []
        traded: list[Timed[T]] = []
        for _, answer in together:
            if isinstance(answer, Trades) or (isinstance(answer, Gap) and answer.feed == "trades"):
                traded += rows(answer)
                continue
            for moment_ns, row in rows(answer):
                booked.append((max(moment_ns, booked[-1][0] if booked else 0), row))
        streams = (traded, booked) if trades_first else (booked, traded)
        yield from merge(*streams, key=itemgetter(0))


def _numbered(answers: Iterable[Answer]) -> Iterator[tuple[int, Answer]]:
    """Yield each answer with the start of its window; a book or a hole goes with what follows it."""
    waiting: list[Answer] = []
    for answer in answers:
        waiting.append(answer)
        if isinstance(answer, Changes | OrderEvents | Trades):
            yield from ((answer.start_ns, each) for each in waiting)
            waiting = []
    yield from ((0, each) for each in waiting)
