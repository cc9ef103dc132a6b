"""Turns decoded frames into what the book and the tape take: updates and prints with their record's place."""

from book.sync import Update
from book.trades import Print
from journal.group import Record
from venue.api import DepthUpdate, OrderEvent, Trade


def depth_update(record: Record, decoded: DepthUpdate) -> Update:
    """Return the update; without ids of its own it has the record's position."""
    first_id = record.position if decoded.first_id is None else decoded.first_id
    last_id = record.position if decoded.last_id is None else decoded.last_id
    return _update(record, first_id, last_id, decoded)


def order_event(record: Record, decoded: OrderEvent) -> Update:
    """Return the event as an update of one id."""
    return _update(record, decoded.id, decoded.id, decoded)


def _update(record: Record, first_id: int, last_id: int, decoded: DepthUpdate | OrderEvent) -> Update:
    return Update(
        first_id,
        last_id,
        record.position,
        decoded.time_ns,
        record.recv_ns,
        record.connection,
        record.payload,
        decoded,
    )


def trade(record: Record, decoded: Trade) -> Print:
    """Return the trade."""
    return Print(
        decoded.id,
        decoded.time_ns,
        decoded.price,
        decoded.size,
        decoded.side,
        record.position,
        record.recv_ns,
        record.connection,
    )


def match(record: Record, event: OrderEvent) -> Print | None:
    """Return the trade that a match of the L3 feed is; the side there is the maker's."""
    if event.trade_id is None or event.price is None or event.size is None:
        return None
    return Print(
        event.trade_id,
        event.time_ns,
        event.price,
        event.size,
        1 - event.side,
        record.position,
        record.recv_ns,
        record.connection,
    )
