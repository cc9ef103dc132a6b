"""Turns a capture into the journal groups that an ingester would have written for it.

record                     where
EPOCH, connection open     at the start
COMMAND add, instrument    then, for each security
FRAME                      *per_group* frames a group
REST depth                 where the capture has its body
TICK                       each second of receive time
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec

from journal.group import Group, Kind, pack_group, unpack_group
from journal.payload import Command, Connection, Epoch, Rest, pack
from journal.rows import Row
from tests import captures
from venue import VENUES
from venue.api import UnknownFrame
from wire.messages import Policy
from wire.names import EVERY_SECURITY, position_at

NS_PER_SECOND = 1_000_000_000
_TIMES = re.compile(rb'"(?:E|time)":"?([0-9TZ:.-]+)')


class Journal:
    """Builds the groups of one line in one epoch."""

    def __init__(self, line: str, epoch: int = 1, *, per_group: int = 16) -> None:
        self.line = line
        self.groups: list[bytes] = []
        self.position = position_at(epoch, 0)
        self._per_group = per_group
        self._rows: list[Row] = []
        self._ticked_ns = 0

    def frame(self, recv_ns: int, security: str, payload: bytes, connection: int = 1) -> None:
        """Add a frame, and the ticks that were due before it."""
        self.ticks_until(recv_ns)
        self._rows.append((recv_ns, security, connection, payload))
        if len(self._rows) >= self._per_group:
            self.flush()

    def other(
        self,
        kind: Kind,
        recv_ns: int,
        security: str = EVERY_SECURITY,
        payload: bytes = b"",
        connection: int = 0,
    ) -> None:
        """Add a record of another kind: a group of its own."""
        self.flush()
        self._pack(kind, [(recv_ns, security, connection, payload)])

    def ticks_until(self, recv_ns: int) -> None:
        """Add a tick for each second that has passed."""
        if not self._ticked_ns:
            self._ticked_ns = recv_ns
        while recv_ns - self._ticked_ns >= NS_PER_SECOND:
            self._ticked_ns += NS_PER_SECOND
            self.other(Kind.TICK, self._ticked_ns)

    def flush(self) -> None:
        """Close the open group of frames."""
        if self._rows:
            rows, self._rows = self._rows, []
            self._pack(Kind.FRAME, rows)

    def start(self, recv_ns: int, reason: str = "first") -> None:
        """Add the epoch and the connection that begin a line."""
        self.other(Kind.EPOCH, recv_ns, payload=pack(Epoch(0, reason)))
        self.other(Kind.CONNECTION, recv_ns, payload=pack(Connection("open", "")), connection=1)

    def add(
        self,
        recv_ns: int,
        security: str,
        feed: str,
        policies: tuple[Policy, ...] = (Policy(),),
        since_ns: int = 1,
    ) -> None:
        """Add the command that starts *security*."""
        self.other(Kind.COMMAND, recv_ns, security, pack(Command("add", feed, 100, policies, since_ns)))

    def command(self, recv_ns: int, security: str, what: str, policies: tuple[Policy, ...] = ()) -> None:
        """Add another command."""
        self.other(Kind.COMMAND, recv_ns, security, pack(Command(what, "", 100, policies, 1)))

    def rest(
        self,
        recv_ns: int,
        security: str,
        body: bytes,
        *,
        what: str = "depth",
        cause: str = "subscribe",
        levels: int = 0,
    ) -> None:
        """Add the answer to a GET."""
        self.ticks_until(recv_ns)
        self.other(Kind.REST, recv_ns, security, pack(Rest(what, cause, 200, recv_ns, "/", levels, body)))

    def _pack(self, kind: Kind, rows: list[Row]) -> None:
        data = pack_group(self.line, kind, self.position, max(row[0] for row in rows), rows)
        self.groups.append(data)
        self.position += len(rows)


def line_of(name: str) -> str:
    """Return the line that would have recorded the capture *name*."""
    return f"{name.partition('_')[0]}/a"


def feed_of(name: str) -> str:
    """Return the feed of the capture *name*."""
    if name.startswith("binance"):
        return "depth"
    return "full" if "_full_" in name else "level2_batch"


def groups_of_capture(
    name: str,
    symbols: Sequence[str],
    per_group: int = 16,
    *,
    policy: Policy | None = None,
    instruments: bool = True,
    until: int | None = None,
) -> list[bytes]:
    """Return the groups of capture *name* for *symbols*; *until*: only so many of its lines."""
    line, feed = line_of(name), feed_of(name)
    venue = VENUES[line.partition("/")[0]]
    journal = Journal(line, per_group=per_group)
    frames = list(_timed(name))[:until]
    start_ns = frames[0][0]
    journal.start(start_ns)
    for symbol in symbols:
        security = f"{venue.NAME}:{symbol}"
        journal.add(start_ns, security, feed, (policy or Policy(),))
        if instruments:
            journal.rest(
                start_ns, security, instrument_body(venue.NAME, symbol), what="instrument", cause="subscribe"
            )
    for recv_ns, frame in frames:
        if frame.src == "http":
            security, levels = _asked(venue.NAME, frame.url or "", symbols)
            journal.rest(recv_ns, security, frame.data, levels=levels)
            continue
        try:
            symbol = venue.route(frame.data, feed).symbol
        except UnknownFrame:
            symbol = ""
        journal.frame(recv_ns, f"{venue.NAME}:{symbol}" if symbol else EVERY_SECURITY, frame.data)
    journal.flush()
    return journal.groups


def unpacked(groups: Sequence[bytes]) -> list[Group]:
    """Return *groups* as a reader gets them."""
    return [unpack_group(data) for data in groups]


def instrument_body(
    venue: str, symbol: str, price_scale: int = 2, size_scale: int = 5, status: str = ""
) -> bytes:
    """Return what the venue would say of *symbol*."""
    tick, step = (f"{10**-scale:.{scale}f}" for scale in (price_scale, size_scale))
    if venue == "coinbase":
        product = {
            "id": symbol,
            "quote_increment": tick,
            "base_increment": step,
            "status": "online",
            "auction_mode": status == "auction",
            "trading_disabled": status == "halted",
        }
        return msgspec.json.encode(product)
    filters = [{"filterType": "PRICE_FILTER", "tickSize": tick}, {"filterType": "LOT_SIZE", "stepSize": step}]
    binance_status = {"": "TRADING", "halted": "HALT", "auction": "AUCTION_MATCH"}[status]
    return msgspec.json.encode(
        {"symbols": [{"symbol": symbol, "status": binance_status, "filters": filters}]}
    )


def _asked(venue: str, url: str, symbols: Sequence[str]) -> tuple[str, int]:
    symbol = next(each for each in symbols if each in url)
    limit = re.search(r"limit=([0-9]+)", url)
    return f"{venue}:{symbol}", int(limit.group(1)) if limit else 0


def _timed(name: str) -> Iterator[tuple[int, captures.Frame]]:
    """Yield the frames with a receive time: the recorder's, or where it kept none the exchange's own."""
    recv_ns = next(time_ns for time_ns in map(_time_of, captures.frames(name)) if time_ns)
    for frame in captures.frames(name):
        recv_ns = max(recv_ns, _time_of(frame))
        yield recv_ns, frame


def _time_of(frame: captures.Frame) -> int:
    return frame.recv_ns or _exchange_ns(frame.data)


def _exchange_ns(frame: bytes) -> int:
    found = _TIMES.search(frame)
    if found is None:
        return 0
    text = found.group(1)
    if text.isdigit():
        return int(text) * 1_000_000
    moment = msgspec.json.decode(b'"' + text + b'"', type=datetime)
    return int(moment.timestamp() * 1_000_000) * 1000
