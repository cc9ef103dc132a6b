"""The way of a frame: to the journal under the security it names, then to the session.

frame                          journal              session
book, snapshot, control, ...   under its security   its route
trade                          under its security   (nothing: trades are never asked for again)
unknown                        under no security    nothing; counted, one line of the log in 10 s

All frames of one read go together, so that each costs a few calls less.  The session hears of none of them
before all are in the open group: what it journals or asks for comes after them.
"""

from collections.abc import Iterable

from ingest.framing import Incoming, Opcode
from ingest.recorder import Recorder
from ingest.session import Session
from journal.group import Row
from venue.api import Route, UnknownFrame, Venue
from wire.log import log
from wire.names import EVERY_SECURITY

NS_PER_SECOND = 1_000_000_000

GARBAGE_LINE_NS = 10 * NS_PER_SECOND
"""Frames that cannot be routed are all journalled; one in this time is worth a line."""

MOST_NAMES = 1 << 16
"""A venue that invents symbols does not fill our memory."""

_SHOWN_BYTES = 80
_LAST_OF_DATA = int(Opcode.BINARY)


class Intake:
    """Of one line."""

    def __init__(self, venue: Venue, feed: str, recorder: Recorder, session: Session) -> None:
        self._venue = venue
        self._feed = feed
        self._recorder = recorder
        self._session = session
        self._names: dict[str, str] = {"": EVERY_SECURITY}
        self.garbage = 0
        """Frames that could not be routed."""
        self._garbage_said = 0

    def take(self, number: int, messages: Iterable[Incoming], recv_ns: int, now: int) -> None:
        """Take what connection *number* brought at once.

        Raises:
            DiskRefused: the journal did not take a group; nothing of it was published.
        """
        route_of, feed, names = self._venue.route, self._feed, self._names
        rows: list[Row] = []
        told: list[tuple[Route, bytes]] = []
        for opcode, payload in messages:
            if opcode > _LAST_OF_DATA:
                if opcode == Opcode.PING:
                    self._session.pinged(number, payload)
                continue
            try:
                route = route_of(payload, feed)
            except UnknownFrame as error:
                self._count_garbage(number, payload, error, now)
                rows.append((recv_ns, EVERY_SECURITY, number, payload))
                continue
            symbol = route.symbol
            rows.append((recv_ns, names.get(symbol) or self._name(symbol), number, payload))
            if route.kind != "trade":
                told.append((route, payload))
        self._recorder.frames(rows)
        tell = self._session.frame
        for route, payload in told:
            tell(number, route, payload, now)

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
