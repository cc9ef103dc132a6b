"""Reads frames, and gives the book and the tape what they say: updates and prints with their place."""

from collections.abc import Sequence

from book.bookfeed import Stopped
from book.joined import Joined
from book.run import Run
from book.source import Source
from book.sync import Update
from book.tape import Print
from book.trades import Prints, TradeFeed
from journal.frames import Frames
from journal.group import Record
from venue.api import (
    BookSnapshot,
    DepthUpdate,
    Ignored,
    OrderEvent,
    OrderKind,
    Trade,
    UnknownFrame,
    Venue,
)
from venue.columns import Columns
from wire.names import epoch_of

FEW_FRAMES = 2
"""Fewer are decoded one by one in less time than all at once."""

FIRST_TRADES = 8
"""Trades that are taken by themselves first while no tape has begun, then twice as many, and so on."""


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


def trade_run(frames: Frames, columns: Columns, begin: int = 0) -> tuple[Prints, int]:
    """Return the trades of *frames* from *begin* on that came as columns, and their numbers' decimals."""
    count = len(columns.trade_at)
    trades = columns.trade if not begin else columns.trade.part(begin, count)
    brought = frames.at(columns.trade_at[begin:])
    prints = Prints(
        trades.ids,
        trades.times_ns,
        brought.received_ns,
        trades.sides_u1,
        trades.prices,
        trades.sizes,
        brought.connections,
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


def take(
    records: Frames,
    columns: Columns | None,
    venue: Venue,
    feed: str,
    joined: Joined,
    trades: TradeFeed,
) -> int:
    """Work off frames, of which *columns* tells where that is known; return how many cannot be read."""
    found = columns or columns_of(records.payloads, venue, feed)
    if found is None:
        return _singly(records, venue, feed, joined, trades)
    _together(records, found, venue, feed, joined, trades)
    return 0


def _together(
    records: Frames, columns: Columns, venue: Venue, feed: str, joined: Joined, trades: TradeFeed
) -> None:
    """Work off frames all at once, where they simply follow."""
    begin, few, count = 0, FIRST_TRADES, len(columns.trade_at)
    while begin < count and not trades.take_run(*trade_run(records, columns, begin)):
        # (where a tape begins what comes after its first few may simply follow)
        end = count if trades.has_begun else min(count, begin + few)
        trades.take([_print(records[n], venue, feed) for n in columns.trade_at[begin:end]])
        begin, few = end, 2 * few
    if columns.depth_at:
        joined.take_run(depth_run(records, columns))
    if columns.event_at:
        joined.take_run(event_run(records, columns))


def _print(record: Record, venue: Venue, feed: str) -> Print:
    decoded = venue.decode(record.payload, feed)
    prints: list[Print] = []
    if isinstance(decoded, Trade | OrderEvent):
        sort(record, decoded, [], prints)
    if not prints:
        raise TypeError("a trade is no trade any more")
    return prints[0]


def _singly(records: Sequence[Record], venue: Venue, feed: str, joined: Joined, trades: TradeFeed) -> int:
    """Work off frames one by one; return how many cannot be read, or are of no such feed."""
    updates: list[Update] = []
    prints: list[Print] = []
    strangers = DepthUpdate if joined.traits.book == "l3" else OrderEvent
    unknown = 0
    for record in records:
        try:
            decoded = venue.decode(record.payload, feed)
        except UnknownFrame:
            unknown += 1
            if joined.may_have_lost(record):
                joined.take(updates)
                updates = []
                joined.stop(Stopped("venue", []))
            continue
        if isinstance(decoded, strangers):
            unknown += 1  # of the feed that was recorded before, still on its way
        elif isinstance(decoded, BookSnapshot):
            joined.take(updates)
            updates = []
            joined.feed_snapshot(record, decoded)
        else:
            sort(record, decoded, updates, prints)
    if prints:
        trades.take(prints)
    joined.take(updates)
    return unknown
