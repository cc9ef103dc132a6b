"""Tells a silent socket from a quiet market.

silent for     what happens
3 s            a ping is sent, once
7 s            the socket is dead and is replaced: not even the pong came

Anything received ends the silence, the pong too, so a quiet market is probed every 3 s and lives.
Our own pause is not the venue's silence: what was not looked at was not silent.
"""

NS_PER_SECOND = 1_000_000_000

PROBE_NS = 3 * NS_PER_SECOND
"""A Binance or Coinbase stream of one busy security is never silent so long."""

DEAD_NS = 7 * NS_PER_SECOND
"""Leaves the probe four seconds, and a reconnect inside ten."""

PAUSE_NS = 1 * NS_PER_SECOND
"""A check that comes later than this after the one before was held up on our side."""


class Liveness:
    """The silence of one socket.  Times are monotonic nanoseconds."""

    def __init__(self, now: int) -> None:
        self._heard = now
        self._checked = now
        self._probed = False

    def heard(self, now: int) -> None:
        """Bytes came."""
        self._heard = now
        self._probed = False

    def silent_ns(self, now: int) -> int:
        """Return how long nothing was heard."""
        return now - self._heard

    def check(self, now: int) -> str:
        """Return ``ping`` when a probe is due, ``dead`` when it was not answered, else ``""``."""
        paused = now - self._checked - PAUSE_NS
        if paused > 0:
            self._heard = min(now, self._heard + paused)
        self._checked = now
        if self.silent_ns(now) >= DEAD_NS:
            return "dead"
        if self.silent_ns(now) >= PROBE_NS and not self._probed:
            self._probed = True
            return "ping"
        return ""
