"""What one connection sends, no faster than the venue allows.

Every frame of ours counts: subscriptions, pings and pongs (protocols.md 1.2: Binance takes five a
second and bans who sends more).  Pongs go first, and only the newest ping is answered, as RFC 6455
5.5.3 allows; then a probe; then the subscriptions in their order.
"""

from collections import deque
from typing import Literal, NamedTuple

MOST_WAITING = 256
"""Frames that wait to be sent: a link has one request under way, of a few frames; more is a fault."""


class Outgoing(NamedTuple):
    """One websocket frame to send."""

    kind: Literal["text", "ping", "pong"]
    payload: bytes


class Pacer:
    """The frames of one connection that wait for their turn.  Times are monotonic nanoseconds."""

    def __init__(self, gap_ns: int) -> None:
        self._gap_ns = gap_ns
        self._next = 0
        self._pong: bytes | None = None
        self._ping = False
        self._texts: deque[bytes] = deque()

    def text(self, frame: bytes) -> None:
        """Send *frame* when its turn comes.

        Raises:
            OverflowError: ``MOST_WAITING`` frames wait already.
        """
        if len(self._texts) >= MOST_WAITING:
            raise OverflowError(f"{MOST_WAITING} control messages wait on one connection")
        self._texts.append(frame)

    def ping(self) -> None:
        """Probe the connection."""
        self._ping = True

    def pong(self, payload: bytes) -> None:
        """Answer a ping; an unanswered older one is forgotten."""
        self._pong = payload

    def empty(self) -> bool:
        """Say whether no text waits."""
        return not self._texts

    def due(self, now: int) -> Outgoing | None:
        """Return the frame to send now, if one waits and the gap has passed."""
        if now < self._next:
            return None
        outgoing = self._pick()
        if outgoing is not None:
            self._next = now + self._gap_ns
        return outgoing

    def _pick(self) -> Outgoing | None:
        if self._pong is not None:
            payload, self._pong = self._pong, None
            return Outgoing("pong", payload)
        if self._ping:
            self._ping = False
            return Outgoing("ping", b"")
        return Outgoing("text", self._texts.popleft()) if self._texts else None
