"""The way of a frame: to the journal under the security it names, then to the session.

frame                          journal              session
book, snapshot, control, ...   under its security   its route
trade                          under its security   (nothing: trades are never asked for again)
unknown                        under no security    nothing; counted, one line of the log in 10 s

A read is stamped at once, and waits with those after it for the linger, or until they are ``GROUP_BYTES``:
each small read by itself, of a thousand a second, would cost as much as all of a linger.  Then the frames of
one connection go together, by the venue's ``routes`` where they are all updates and trades; the session is
told what the updates of a security say together, and of each only where that does not go on from what came
before.  It hears of none of them before all are journalled: what it journals or asks for comes after them.
"""

from collections.abc import Sequence
from itertools import chain, groupby
from operator import attrgetter
from typing import NamedTuple

from ingest.framing import Control, Message, Opcode
from ingest.recorder import GROUP_BYTES, Recorder
from ingest.session import Session
from journal.rows import Rows
from venue.api import Route, UnknownFrame, Venue
from wire.log import log
from wire.loop import Loop
from wire.names import EVERY_SECURITY

NS_PER_SECOND = 1_000_000_000

GARBAGE_LINE_NS = 10 * NS_PER_SECOND
"""Frames that cannot be routed are all journalled; one in this time is worth a line."""

MOST_NAMES = 1 << 16
"""A venue that invents symbols does not fill our memory."""

_SHOWN_BYTES = 80


class _Read(NamedTuple):
    """What a connection brought at once."""

    number: int
    frames: list[bytes]
    recv_ns: int
    now: int


class Intake:
    """Of one line."""

    def __init__(
        self, loop: Loop, venue: Venue, feed: str, recorder: Recorder, session: Session, *, linger_ms: int
    ) -> None:
        self._loop = loop
        self._venue = venue
        self._feed = feed
        self._recorder = recorder
        self._session = session
        self._linger_s = linger_ms / 1000
        self._reads: list[_Read] = []
        self._held_bytes = 0
        self._lingers = False
        self._names: dict[str, str] = {"": EVERY_SECURITY}
        self.garbage = 0
        """Frames that could not be routed."""
        self._garbage_said = 0

    def take(self, number: int, messages: Sequence[Message], recv_ns: int, now: int) -> None:
        """Take what connection *number* brought at once.

        Raises:
            DiskRefused: the journal did not take a group; nothing of it was published.
        """
        frames = [message for message in messages if isinstance(message, bytes)]
        if len(frames) != len(messages):
            self._take_controls(number, messages)
        if not frames:
            return
        self._reads.append(_Read(number, frames, recv_ns, now))
        self._held_bytes += sum(map(len, frames))
        if not self._linger_s or self._held_bytes >= GROUP_BYTES:
            self.settle()
        elif not self._lingers:
            self._lingers = True
            self._loop.once(self._linger_s, self._lingered)

    def settle(self) -> None:
        """Journal what came, and tell the session of it.

        Raises:
            DiskRefused: as ``take``.
        """
        reads, self._reads, self._held_bytes = self._reads, [], 0
        for _, together in groupby(reads, attrgetter("number")):
            self._journal(list(together))

    def _lingered(self) -> None:
        self._lingers = False
        self.settle()

    def _journal(self, reads: list[_Read]) -> None:
        """Work off what one connection brought."""
        number, _, _, now = reads[-1]
        frames = list(chain.from_iterable(read.frames for read in reads))
        recv_ns = list(chain.from_iterable([read.recv_ns] * len(read.frames) for read in reads))
        routes = self._venue.routes(frames, self._feed)
        if routes is None:
            self._one_by_one(number, frames, recv_ns, now)
            return
        names = self._names
        securities = [names.get(symbol) or self._name(symbol) for symbol in routes.symbols]
        self._recorder.frames(Rows(recv_ns, securities, [number] * len(frames), frames))
        broken = self._session.broken(number, routes.runs)
        if not broken:
            return
        runs = {run.symbol: [run] for run in routes.runs}
        for symbol, frame in zip(routes.symbols, frames, strict=True):
            if symbol in broken and (route := self._venue.route(frame, self._feed)).kind != "trade":
                self._session.frame(number, route, frame, now)
                # (of what only began anew the rest mostly goes on from its first)
                broken -= {symbol} - self._session.broken(number, runs[symbol])

    def _take_controls(self, number: int, messages: Sequence[Message]) -> None:
        for message in messages:
            if isinstance(message, Control) and message.opcode == Opcode.PING:
                self._session.pinged(number, message.payload)

    def _one_by_one(self, number: int, frames: list[bytes], recv_ns: list[int], now: int) -> None:
        """Work off frames among which there is one that is no update and no trade, or not as usual."""
        securities: list[str] = []
        told: list[tuple[Route, bytes]] = []
        for frame in frames:
            try:
                route = self._venue.route(frame, self._feed)
            except UnknownFrame as error:
                self._count_garbage(number, frame, error, now)
                securities.append(EVERY_SECURITY)
                continue
            securities.append(self._names.get(route.symbol) or self._name(route.symbol))
            if route.kind != "trade":
                told.append((route, frame))
        self._recorder.frames(Rows(recv_ns, securities, [number] * len(frames), frames))
        for route, frame in told:
            self._session.frame(number, route, frame, now)

    def _name(self, symbol: str) -> str:
        """Return the name of a symbol that is new here."""
        name = f"{self._venue.NAME}:{symbol}" if symbol else EVERY_SECURITY
        if len(self._names) < MOST_NAMES:
            self._names[symbol] = name
        return name

    def _count_garbage(self, number: int, payload: bytes, error: UnknownFrame, now: int) -> None:
        self.garbage += 1
        if self.garbage == 1 or now - self._garbage_said >= GARBAGE_LINE_NS:
            self._garbage_said = now
            log.warning(
                'event=unknown_frame connection=%d count=%d reason="%s" frame=%r',
                number,
                self.garbage,
                error,
                payload[:_SHOWN_BYTES],
            )
