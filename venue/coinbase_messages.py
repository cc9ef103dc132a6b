"""Coinbase's messages with its own field names, and what they mean here (protocols.md 2.6, 2.8)."""

from typing import Annotated, Literal

import msgspec

from venue.api import (
    BookSnapshot,
    DepthUpdate,
    Ignored,
    Level,
    OrderEvent,
    OrderKind,
    Reason,
    Side,
    Trade,
)
from venue.checks import check_number, check_prices, check_texts, order_uuid, refuse_zero_prices
from venue.times import nanoseconds

_SIDES = {"buy": Side.BUY, "sell": Side.SELL}
_REASONS = {
    "filled": Reason.FILLED,
    "canceled": Reason.CANCELED,
    "STP": Reason.STP,
    "modify_order": Reason.MODIFY_ORDER,
}
_SideName = Literal["buy", "sell"]
_Symbol = Annotated[str, msgspec.Meta(min_length=1)]
_Id = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Sequence = _Id | Annotated[str, msgspec.Meta(pattern=r"\A[0-9]{1,18}\Z")]
"""A number; text in a frame of 2021 and in the ``level3`` channel."""


class _Message(msgspec.Struct, tag_field="type"):
    product_id: _Symbol


class _Event(_Message):
    sequence: _Sequence
    time: str


class Received(_Event, tag="received"):
    """An order was accepted; a market order has no price, and a size or funds or both."""

    order_id: str
    side: _SideName
    price: str | None = None
    size: str | None = None
    funds: str | None = None


class Open(_Event, tag="open"):
    """What is left of an order rests on the book from now on."""

    order_id: str
    side: _SideName
    price: str
    remaining_size: str


class Done(_Event, tag="done"):
    """An order is over; a market order's has neither price nor remaining_size."""

    order_id: str
    side: _SideName
    reason: str
    price: str | None = None
    remaining_size: str | None = None


class Match(_Event, tag="match"):
    """A trade; ``side`` is the maker's."""

    trade_id: _Id
    maker_order_id: str
    taker_order_id: str
    side: _SideName
    price: str
    size: str


class Change(_Event, tag="change"):
    """An order became smaller by self-trade prevention (STP), or was amended (modify_order)."""

    order_id: str
    side: _SideName
    reason: str = ""
    price: str | None = None
    old_price: str | None = None
    new_price: str | None = None
    old_size: str | None = None
    new_size: str | None = None
    new_funds: str | None = None


class Update(_Message, tag="l2update"):
    """New absolute sizes of levels of ``level2_batch``."""

    changes: list[tuple[_SideName, str, str]]
    time: str


class Snapshot(_Message, tag="snapshot"):
    """The whole book, the first message of ``level2_batch``."""

    bids: list[Level]
    asks: list[Level]
    time: str | None = None


class Channel(msgspec.Struct):
    """Products of one channel."""

    name: str
    product_ids: list[str] = []


class Subscriptions(msgspec.Struct, tag_field="type", tag="subscriptions"):
    """What is subscribed in all, after each subscribe and unsubscribe."""

    channels: list[Channel]


class Error(msgspec.Struct, tag_field="type", tag="error"):
    """The venue said no, or is about to close the connection."""

    message: str = ""
    reason: str = ""


class AnyMessage(msgspec.Struct):
    """A message of another type, of which only this is read."""

    type: str
    product_id: str = ""
    sequence: _Sequence | None = None
    time: str | None = None


Known = Received | Open | Done | Match | Change | Update | Snapshot
"""What a recorded message is."""


def full(message: Known) -> OrderEvent | Ignored:
    """Translate a message of the ``full`` feed.

    Raises:
        UnknownFrame, BadTime: a value that cannot be true.
    """
    match message:
        case Received():
            return _event(
                message,
                OrderKind.RECEIVED,
                message.order_id,
                price=message.price,
                size=message.size,
                funds=message.funds,
            )
        case Open():
            return _event(
                message, OrderKind.OPEN, message.order_id, price=message.price, size=message.remaining_size
            )
        case Done():
            return _event(
                message,
                OrderKind.DONE,
                message.order_id,
                reason=_REASONS.get(message.reason, Reason.OTHER),
                price=message.price,
                size=message.remaining_size,
            )
        case Match():
            return _event(
                message,
                OrderKind.MATCH,
                message.maker_order_id,
                price=message.price,
                size=message.size,
                trade_id=message.trade_id,
                taker_id=order_uuid(message.taker_order_id),
            )
        case Change():
            return _event(
                message,
                OrderKind.CHANGE,
                message.order_id,
                reason=_REASONS.get(message.reason, Reason.OTHER),
                # modify_order has no price but an old and a new one; STP of a market order has none at all
                price=message.new_price if message.new_price is not None else message.price,
                size=message.new_size,
                old_price=message.old_price,
                old_size=message.old_size,
                funds=message.new_funds,
            )
        case Update() | Snapshot():
            return Ignored(message.product_id, kind_of(message))


def _event(
    message: Received | Open | Done | Match | Change,
    kind: OrderKind,
    order_id: str,
    *,
    reason: Reason = Reason.NONE,
    price: str | None = None,
    size: str | None = None,
    old_price: str | None = None,
    old_size: str | None = None,
    funds: str | None = None,
    trade_id: int | None = None,
    taker_id: bytes = b"",
) -> OrderEvent:
    check_texts(prices=(price, old_price), sizes=(size, old_size, funds))
    return OrderEvent(
        message.product_id,
        int(message.sequence),
        nanoseconds(message.time),
        kind,
        _SIDES[message.side],
        order_uuid(order_id),
        reason,
        price,
        size,
        old_price,
        old_size,
        funds,
        trade_id,
        taker_id,
    )


def level2(message: Known, frame: bytes) -> DepthUpdate | BookSnapshot | Trade | Ignored:
    """Translate a message of the ``level2_batch`` feed, decoded from *frame*.

    Raises:
        UnknownFrame, BadTime: a value that cannot be true.
    """
    match message:
        case Update(product_id=symbol, changes=changes, time=time):
            bids = [(price, size) for side, price, size in changes if side == "buy"]
            asks = [(price, size) for side, price, size in changes if side == "sell"]
            refuse_zero_prices(bids, asks)
            return DepthUpdate(symbol, None, None, nanoseconds(time), bids, asks)
        case Match():
            check_number(message.price, above_zero=True)
            check_number(message.size)
            return Trade(
                message.product_id,
                message.trade_id,
                nanoseconds(message.time),
                message.price,
                message.size,
                Side.BUY if message.side == "sell" else Side.SELL,
            )
        case Snapshot(product_id=symbol, bids=bids, asks=asks, time=at):
            check_prices(frame, bids, asks)
            return BookSnapshot(symbol, None, nanoseconds(at) if at else None, bids, asks, limit=0)
        case Received() | Open() | Done() | Change():
            return Ignored(message.product_id, kind_of(message))


def kind_of(message: Known) -> str:
    """Return the ``type`` of *message*."""
    return str(message.__struct_config__.tag)
