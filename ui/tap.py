"""Follows the book of one security: joined at any time, without a hole.

    from ui.tap import Tap
    with Tap("binance:BTCUSDT") as tap:              # of the running logger
        for message in tap:                          # image, changes, order, trade, gap, audit
            bids, asks = tap.book.rows()

The first message of the book is an image; each changes or order message after it follows the one before by
its ids.  Where the socket dropped something a ``gap`` (cause ``tap``) names it, and an image comes again.

    with Tap("binance:BTCUSDT", endpoint="tcp://127.0.0.1:7000") as tap:   # of ``obl replay --serve``
"""

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Self

import msgpack
import zmq

from book.live import topic
from book.tapbook import Message, TapBook
from control.client import ControlError, Failed
from wire.endpoints import Endpoints
from wire.names import bucket_of, parse_security
from wire.settings import load_settings

QUEUED = 100_000
"""Messages that the socket keeps while nobody takes them; what comes then is dropped, and seen by the ids."""

ASK_AGAIN_S = 0.5
QUIET_S = 2.0
"""A market may be silent: after so long the book is asked for though nothing came."""

_POLL_MS = 100

Ask = Callable[[str, dict[str, Any]], Any]
"""Asks the running logger: a command of control and its arguments."""


class Tap:
    """A subscription.  Not to be used by two threads."""

    def __init__(self, security: str, *, endpoint: str | None = None, ask: Ask | None = None) -> None:
        """Subscribe at *endpoint*; without one to the logger that the environment's settings name.

        Raises:
            BadSetting, BadSecurity: an argument is none.
        """
        self.security = parse_security(security)
        self.book = TapBook()
        self._ask = ask
        if endpoint is None:
            endpoint = Endpoints(load_settings(os.environ)).tap(bucket_of(self.security))
            self._ask = ask or _ask_control
        self._ready: deque[Message] = deque()
        self._asked_s = time.monotonic()
        self._context: zmq.Context[Any] = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.set_hwm(QUEUED)
        self._socket.subscribe(topic(self.security))
        self._socket.connect(endpoint)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave."""
        self._context.destroy(0)

    def __iter__(self) -> Iterator[Message]:
        """Yield messages without end; ``book`` is as it is after each."""
        while True:
            message = self.next(60.0)
            if message is not None:
                yield message

    def next(self, seconds: float) -> Message | None:
        """Return the next message, None where none comes within *seconds*.

        ``book`` is then as it is after that message, or after others that came together with it.

        Raises:
            ControlError: the logger cannot be asked for its book.
        """
        until_s = time.monotonic() + seconds
        while not self._ready:
            if self._socket.poll(_POLL_MS):
                body = self._socket.recv_multipart()[1]
                self._ready.extend(self.book.take(msgpack.unpackb(body)))
            if not self._ready:
                self._join()
            if not self._ready and time.monotonic() >= until_s:
                return None
        return self._ready.popleft()

    def _join(self) -> None:
        """Ask for the book where only that is missing, and not too often."""
        now_s = time.monotonic()
        wait_s = ASK_AGAIN_S if self.book.is_waiting_for_base else QUIET_S
        if self._ask is None or self.book.is_live or now_s < self._asked_s + wait_s:
            return
        self._asked_s = now_s
        try:
            answer = self._ask("book", {"security": self.security, "orders": True})
        except Failed:  # it has no book yet
            return
        self._ready.extend(self.book.base(answer))
        if not self.book.has_ids:
            self._ask("snapshot", {"securities": [self.security]})  # the image that comes of it joins


def _ask_control(command: str, args: dict[str, Any]) -> Any:
    from ui.live import ask

    return ask(command, args)


__all__ = ["ControlError", "Tap"]
