"""What a venue module gives the rest: its messages decoded, and the requests to send.

A venue is a module with these functions, pure: bytes in, values out.  Prices and sizes stay the
exchange's own text here; venue.numbers makes exact integers of them in one place.  What reads columns
needs numpy, which an ingester, who needs neither, does not spend its start on: ``columns`` imports it.

feed            venue      book   update id
``depth``       binance    l2     U/u
``full``        coinbase   l3     sequence
``level2_batch`` coinbase  l2     none: the update's position in the journal
"""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

import msgspec

from venue.routes import Routes

if TYPE_CHECKING:
    from venue.columns import Columns

Level = tuple[str, str]
"""Price and size as the exchange wrote them: text that ``numbers.exact`` has yet to check."""

OrderRow = tuple[str, str, bytes]
"""Price, size and the 16 bytes of the order's UUID."""


class UnknownFrame(ValueError):
    """The bytes are nothing that this venue sends, or hold a value that cannot be true.

    The frame stays in the journal; nothing of it reaches a book.
    """


class Side(IntEnum):
    """Of an order, a level, or the aggressor of a trade."""

    BUY = 0
    SELL = 1


class OrderKind(IntEnum):
    """What happened to an order (stored: never renumber)."""

    RECEIVED = 0
    OPEN = 1
    DONE = 2
    MATCH = 3
    CHANGE = 4
    NOOP = 5
    """The sequence moved and no order did."""


class Reason(IntEnum):
    """Why (stored: never renumber)."""

    NONE = 0
    FILLED = 1
    CANCELED = 2
    STP = 3
    MODIFY_ORDER = 4
    OTHER = 5


class Route(msgspec.Struct, frozen=True, gc=False):
    """What an ingester needs to know of a frame: where it goes and its place in the sequence."""

    symbol: str
    """"" for what concerns no single security (acks, errors, notices)."""
    kind: str
    """``book`` ``trade`` ``snapshot`` ``heartbeat``, or ``control`` for all else (acks, errors,
    notices, and known messages that are not recorded: ``control()`` gives Ignored for those)."""
    first_id: int | None = None
    """Of a ``book``: its update ids (both None where the feed has none); of a ``trade``: its id twice."""
    last_id: int | None = None


class DepthUpdate(msgspec.Struct, frozen=True):
    """New absolute sizes of levels.  ``first_id`` is None where the feed has no ids."""

    symbol: str
    first_id: int | None
    last_id: int | None
    time_ns: int
    bids: Sequence[Level]
    asks: Sequence[Level]


class BookSnapshot(msgspec.Struct, frozen=True):
    """The whole L2 book, from REST (with an id) or as a feed's first message (``last_id`` None)."""

    symbol: str
    last_id: int | None
    time_ns: int | None
    bids: Sequence[Level]
    asks: Sequence[Level]
    limit: int
    """Levels a side that were asked for; 0: all.  A side with ``limit`` rows was cut off."""


class OrderSnapshot(msgspec.Struct, frozen=True):
    """The whole L3 book from REST; rows best first, in queue order inside a price."""

    symbol: str
    last_id: int
    bids: Sequence[OrderRow]
    asks: Sequence[OrderRow]
    auction: bool


class Trade(msgspec.Struct, frozen=True):
    """One trade; ``side`` is the aggressor's."""

    symbol: str
    id: int
    time_ns: int
    price: str
    size: str
    side: Side


class OrderEvent(msgspec.Struct, frozen=True):
    """One message of an L3 feed; the fields as in wire.runs.Orders, text where a number.

    ``side`` is that of the order ``order_id``: of a match the maker's, so the aggressor's is the
    other.  ``time_ns`` is 0 where a message of a new type came without a time.
    """

    symbol: str
    id: int
    time_ns: int
    kind: OrderKind
    side: Side
    order_id: bytes
    reason: Reason = Reason.NONE
    price: str | None = None
    size: str | None = None
    old_price: str | None = None
    old_size: str | None = None
    funds: str | None = None
    trade_id: int | None = None
    taker_id: bytes = b""


class Ignored(msgspec.Struct, frozen=True):
    """A known message that changes no book and is no trade; ``why`` is its type."""

    symbol: str
    why: str


Decoded = DepthUpdate | BookSnapshot | Trade | OrderEvent | Ignored


class Ack(msgspec.Struct, frozen=True):
    """The venue confirmed a (un)subscription; ``id`` is the request's, where the venue repeats it.

    ``symbols`` is the total state where the venue sends that, else None.
    """

    id: int | None
    symbols: frozenset[str] | None = None


class Refused(msgspec.Struct, frozen=True):
    """The venue said no; ``text`` is safe to show."""

    id: int | None
    text: str


class Reconnect(msgspec.Struct, frozen=True):
    """The venue asks for a new connection now."""

    text: str


Control = Ack | Refused | Reconnect | Ignored


class RestRequest(msgspec.Struct, frozen=True):
    """A GET to make: path with query, and what it takes of the venue's budget."""

    path: str
    weight: int
    headers: Mapping[str, str] = {}


class Instrument(msgspec.Struct, frozen=True):
    """What the venue says of a symbol."""

    symbol: str
    status: str
    """``trading`` ``halted`` ``auction`` ``delisted``"""
    price_scale: int
    size_scale: int


class Credentials(msgspec.Struct, frozen=True):
    """Of an exchange account; never logged."""

    key: str
    secret: str
    passphrase: str

    def __repr__(self) -> str:
        return "Credentials(***)"


class Budget(msgspec.Struct, frozen=True):
    """The venue's REST allowance for one IP, as a bucket that fills at ``per_second``."""

    capacity: int
    per_second: float


class Feed(msgspec.Struct, frozen=True):
    """What a feed of a venue can do."""

    book: str
    """``l2`` or ``l3``."""
    has_ids: bool
    """False: an update's id is its position in the journal."""
    rest_base: bool
    """True: the book starts from ``snapshot_request``; False: from a snapshot in the feed itself."""
    trades: str = ""
    """What ``subscribe`` takes for the trades of this feed alone; "" where every line may have all of it."""


class Venue(Protocol):
    """The functions of a venue module."""

    NAME: str
    FEEDS: Mapping[str, Feed]
    BUDGET: Budget
    MAX_STREAMS: int
    """Symbols that one connection carries at most."""
    CONTROL_GAP_NS: int
    """Least time between two control messages of ours on one connection."""

    def feed_of(self, credentials: Credentials | None) -> str:
        """Return the best feed that these credentials open."""

    def ws_path(self) -> str:
        """Return the path and query of the websocket, to be added to scheme and host."""

    def subscribe(
        self,
        symbols: Sequence[str],
        *,
        feed: str,
        update_ms: int,
        request_id: int,
        credentials: Credentials | None = None,
        now_s: str = "",
    ) -> list[bytes]:
        """Return the frames that subscribe *symbols*; *now_s* is Unix seconds where it is signed.

        *feed* is one of ``FEEDS``, or the ``trades`` of one.

        Raises:
            ValueError: an unknown feed or pace, or credentials that cannot sign.
        """

    def unsubscribe(
        self, symbols: Sequence[str], *, feed: str, update_ms: int, request_id: int
    ) -> list[bytes]:
        """Return the frames that end the subscription of *symbols*."""

    def route(self, frame: bytes, feed: str) -> Route:
        """Say where *frame* of *feed* goes, without decoding its levels.

        A match of ``full`` is a ``book`` frame with a sequence, of ``level2_batch`` a ``trade``.

        Raises:
            UnknownFrame: nothing that this venue sends.
        """

    def control(self, frame: bytes) -> Control:
        """Decode a frame whose route is ``control``.

        Raises:
            UnknownFrame: nothing that this venue sends.
        """

    def decode(self, frame: bytes, feed: str) -> Decoded:
        """Decode a frame of *feed*.

        Every number in it has been checked, but for the levels of a DepthUpdate or snapshot:
        those are pairs of text, no price among them is zero, and ``numbers.exact`` refuses (BadNumber)
        what is not digits with at most one dot.

        Raises:
            UnknownFrame: nothing that this venue sends, or a value that cannot be true.
        """

    def columns(self, frames: Sequence[bytes], feed: str) -> "Columns | None":
        """Return what all of *frames* say at once: of each exactly what ``decode`` says, only much faster.

        None where one of them is something else, cannot be true, or is merely not written in the usual
        way: then each is to be decoded by itself, so that a bad one does not disturb its neighbours.
        """

    def routes(self, frames: Sequence[bytes], feed: str) -> Routes | None:
        """Return where all of *frames* go at once: of each exactly what ``route`` says, only much faster.

        None where one of them is neither an update of the book with ids nor a trade, or is merely not
        written in the usual way: then each is to be routed by itself.
        """

    def snapshot_request(self, symbol: str, feed: str, levels: int) -> RestRequest:
        """Return the request for the whole book, at least *levels* a side where it is cut off.

        *levels* 0 asks for as many as there are.  What it weighs depends on *feed* and *levels* alone.

        Raises:
            ValueError: the base of this feed does not come over REST (``FEEDS``).
        """

    def snapshot(self, symbol: str, feed: str, body: bytes, levels: int) -> BookSnapshot | OrderSnapshot:
        """Decode the body that answers ``snapshot_request``.

        Raises:
            UnknownFrame: no such body.
        """

    def instruments_request(self, symbols: Sequence[str]) -> list[RestRequest]:
        """Return the requests that tell what the venue says of *symbols*.

        One unknown symbol may make the venue refuse the whole request: ask again one by one.
        """

    def instruments(self, body: bytes) -> dict[str, Instrument]:
        """Decode a body that answers ``instruments_request``; what it does not name is unknown there.

        Raises:
            UnknownFrame: no such body.
        """

    def trades_request(self, symbol: str, first_id: int, last_id: int) -> RestRequest:
        """Return the request for the trades *first_id* to *last_id*, or for one page of them."""

    def trades(self, symbol: str, body: bytes) -> list[Trade]:
        """Decode a body that answers ``trades_request``, in id order; others may be among them.

        Raises:
            UnknownFrame: no such body.
        """

    def refusal(self, status: int, body: bytes) -> str:
        """Return one line that says what an HTTP error of this venue means and what to do."""
