"""One loop per process: it waits on all sockets, timers and signals, and never blocks elsewhere.

A process is single-threaded: the loop waits on all its sockets, calls back what is readable, then the
first timer that is due, then the idle callbacks: what has come does not wait for several timers.  Clocks here
are monotonic and serve only the timers.
"""

import heapq
import signal
import socket as sockets
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Any

import zmq

Socket = zmq.Socket[bytes]

LINGER_MS = 2000
"""What a closing process still waits for its last messages: supervisord gives it 10 s in all."""

HIGH_WATER = 1000
"""Messages in a socket's queue unless told: bounded, so that a dead peer costs no memory."""

_RECEIVERS = frozenset({int(zmq.SUB), int(zmq.PULL)})

_LONGEST_WAIT_MS = 60_000

_OUT = int(zmq.POLLOUT)  # a flag of an enum costs a call each time that it meets a number


class CannotRun(Exception):
    """The process cannot start, and trying again will not help: one line, exit code 2."""


class Timer:
    """A callback that is due now and then."""

    __slots__ = ("active", "callback", "seconds")

    def __init__(self, seconds: float | None, callback: Callable[[], object]) -> None:
        self.seconds = seconds
        self.callback = callback
        self.active = True

    def cancel(self) -> None:
        """Never call again."""
        self.active = False


class Loop:
    """Waits on sockets and timers.

    Callbacks should take a bounded number of messages and return; a socket that is still readable is
    called again on the next turn.  An exception of a callback ends the process.
    """

    def __init__(self) -> None:
        self.context: zmq.Context[Socket] = zmq.Context()
        self._sockets: list[Socket] = []
        self._poller = zmq.Poller()
        self._readers: dict[Any, Callable[[], object]] = {}
        self._writers: dict[Any, Callable[[], object]] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._numbers = count()
        self._idles: list[Callable[[], bool | None]] = []
        self._posted: deque[Callable[[], object]] = deque()
        self._stopping = False
        self._signals: dict[signal.Signals, Any] = {}
        self._wakeup = -1
        self._woken, self._waker = sockets.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self.on_readable(self._woken.fileno(), self._wake)

    def socket(
        self,
        kind: int,
        *,
        bind: str = "",
        connect: str = "",
        high_water: int = HIGH_WATER,
        linger_ms: int = LINGER_MS,
    ) -> Socket:
        """Return a socket that closes with bounded linger and queues at most *high_water* messages.

        *linger_ms* 0 is for what is said again each second: a peer that is gone need not be waited for.
        What only receives does not linger: its subscriptions, for a peer that has ended, are no message.

        Raises:
            CannotRun: *bind* is in use or not an address of this host.
        """
        made = self.context.socket(kind)
        # the context knows its sockets weakly only: one that nobody holds would close on its own
        self._sockets = [*(each for each in self._sockets if not each.closed), made]
        made.set_hwm(high_water)
        made.linger = 0 if kind in _RECEIVERS else linger_ms
        if bind:
            try:
                made.bind(bind)
            except zmq.ZMQError as error:
                made.close(0)
                raise CannotRun(f"cannot listen on {bind}: {zmq.strerror(error.errno or 0)}") from error
        if connect:
            made.connect(connect)
        return made

    def on_readable(self, source: Socket | int, callback: Callable[[], object]) -> None:
        """Call back each turn while *source* (a ZeroMQ socket or file descriptor) can be read."""
        self._readers[source] = callback
        self._watch(source)

    def on_writable(self, source: Socket | int, callback: Callable[[], object]) -> None:
        """Call back each turn while *source* can be written; ``off_writable`` it when nothing is left."""
        self._writers[source] = callback
        self._watch(source)

    def off(self, source: Socket | int) -> None:
        """Stop watching *source*; to be called before it is closed."""
        self._readers.pop(source, None)
        self._writers.pop(source, None)
        self._watch(source)

    def off_writable(self, source: Socket | int) -> None:
        """Stop waiting for room in *source*."""
        self._writers.pop(source, None)
        self._watch(source)

    def every(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Call back every *seconds*, first after that time; calls that are missed are left out."""
        return self._add(seconds, Timer(seconds, callback))

    def once(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Call back once, after *seconds*."""
        return self._add(seconds, Timer(None, callback))

    def idle(self, callback: Callable[[], bool | None]) -> None:
        """Call back at the end of each turn; True asks for another turn at once."""
        self._idles.append(callback)

    def post(self, callback: Callable[[], object]) -> None:
        """Call back on the next turn; the one method besides ``stop`` for other threads."""
        self._posted.append(callback)
        self._nudge()

    def stop(self) -> None:
        """End ``run`` after this turn."""
        self._stopping = True
        self._nudge()

    def catch_signals(self) -> None:
        """Let SIGTERM and SIGINT stop the loop from now on, even before it runs (main thread only)."""
        if self._signals or threading.current_thread() is not threading.main_thread():
            return
        self._wakeup = signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            self._signals[number] = signal.signal(number, lambda *_: self.stop())

    def run(self) -> None:
        """Turn until stopped."""
        self.catch_signals()
        again = False
        while not self._stopping:
            again = self._turn(0 if again else self._wait_ms())

    def close(self) -> None:
        """Close all sockets, waiting for their last messages: LINGER_MS where a socket has no own linger."""
        self._restore_signals()
        self.context.destroy()
        self._woken.close()
        self._waker.close()

    def _turn(self, wait_ms: int) -> bool:
        for source, event in self._poller.poll(wait_ms):
            if event & _OUT and (write := self._writers.get(source)):
                write()
            if event & ~_OUT and (read := self._readers.get(source)):
                read()
        if self._timers and self._timers[0][0] <= (now := time.monotonic()) and not self._stopping:
            self._fire(now)
        again = False
        for callback in self._idles:
            if callback():
                again = True
        return again

    def _wait_ms(self) -> int:
        if not self._timers:
            return _LONGEST_WAIT_MS
        left_s = self._timers[0][0] - time.monotonic()
        # rounded up: a turn that wakes too early would turn in vain
        return min(int(left_s * 1000) + 1, _LONGEST_WAIT_MS) if left_s > 0 else 0

    def _fire(self, now: float) -> None:
        due, _, timer = heapq.heappop(self._timers)
        if not timer.active:
            return
        if timer.seconds is not None:
            late = max(due + timer.seconds, now)
            heapq.heappush(self._timers, (late, next(self._numbers), timer))
        timer.callback()

    def _add(self, seconds: float, timer: Timer) -> Timer:
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._numbers), timer))
        return timer

    def _watch(self, source: Socket | int) -> None:
        flags = (zmq.POLLIN if source in self._readers else 0) | (
            zmq.POLLOUT if source in self._writers else 0
        )
        if flags:
            self._poller.register(source, flags)
        elif source in self._poller:
            self._poller.unregister(source)

    def _nudge(self) -> None:
        with suppress(OSError):  # full: it is awake already
            self._waker.send(b"\0")

    def _wake(self) -> None:
        with suppress(BlockingIOError):
            self._woken.recv(4096)
        for _ in range(len(self._posted)):
            self._posted.popleft()()

    def _restore_signals(self) -> None:
        if self._signals:
            signal.set_wakeup_fd(self._wakeup)
        for number, action in self._signals.items():
            signal.signal(number, action)
        self._signals.clear()
