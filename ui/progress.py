"""Tells a person at a terminal how far long work has come: one line on stderr, written over and over."""

import sys
import time
from types import TracebackType
from typing import Self

_EVERY_S = 0.2
_CLEAR = "\r\x1b[K"


class Progress:
    """A line that is gone at the end; nothing where stderr is no terminal."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._next_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()

    def tell(self, text: str) -> None:
        """Show *text*, at most a few times a second."""
        now_s = time.monotonic()
        if self._shown and now_s >= self._next_s:
            self._next_s = now_s + _EVERY_S
            sys.stderr.write(f"{_CLEAR}{text}")
            sys.stderr.flush()
