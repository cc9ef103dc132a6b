"""Turns decoded frames into what the book and the tape take: updates and prints with their record's place."""

from collections.abc import Sequence

from book.run import Run
from book.source import Source
from book.sync import Update
from book.tape import Print
from book.trades import Prints
from journal.frames import Frames
from journal.group import Record
from venue.api import DepthUpdate, Ignored, OrderEvent, OrderKind, Trade, Venue
from venue.columns import Columns
from wire.names import epoch_of

FEW_FRAMES = 8
"""Fewer are decoded one by one in less time than all at once."""


def columns_of(frames: Sequence[bytes], venue: Venue, feed: str) -> Columns | None:
    """Return what *frames* say together; None where they are to be decoded one by one."""
    return None if len(frames) < FEW_FRAMES else venue.columns(frames, feed)


def depth_run(frames: Frames, columns: Columns) -> Run:
    """Return the depth updates of *frames* that came as columns."""
    return Run(frames.at(columns.depth_at), columns.depth)


def event_run(frames: Frames, columns: Columns) -> Run:
    """Return the order events of *frames* that came as columns."""
    if columns.events is None:
        raise ValueError("columns without order events")
    return Run(frames.at(columns.event_at), columns.events)


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
        record.line,
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
        record.line,
    )


def trade_run(frames: Frames, columns: Columns) -> tuple[Prints, int]:
    """Return the trades of *frames* that came as columns, and the decimals of their numbers."""
    trades, brought = columns.trade, frames.at(columns.trade_at)
    prints = Prints(
        trades.ids,
        trades.times_ns,
        brought.received_ns,
        trades.sides_u1,
        trades.prices,
        trades.sizes,
        _source(brought, 0),
        _source(brought, -1),
    )
    return prints, trades.decimals


def _source(frames: Frames, place: int) -> Source:
    return Source(frames.line, epoch_of(frames.positions[place]), frames.connections[place])


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
        record.line,
    )


def sort(
    record: Record,
    decoded: DepthUpdate | OrderEvent | Trade | Ignored,
    updates: list[Update],
    prints: list[Print],
) -> None:
    """Put what a frame says to the updates, the trades, or both (a match of the L3 feed)."""
    match decoded:
        case DepthUpdate():
            updates.append(depth_update(record, decoded))
        case OrderEvent():
            updates.append(order_event(record, decoded))
            matched = match(record, decoded) if decoded.kind == OrderKind.MATCH else None
            if matched is not None:
                prints.append(matched)
        case Trade():
            prints.append(trade(record, decoded))
        case Ignored():
            pass
