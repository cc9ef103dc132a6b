"""What really was, as JSON: prices and sizes as decimal strings without exponent or trailing zeros."""

from collections.abc import Mapping

from tests.simulator.history import Forgotten
from tests.simulator.market import Market
from tests.simulator.queues import BUY, SELL, Queues
from tests.simulator.source import Json
from tests.simulator.texts import order_uuid, plain


def levels(market: Market, book: Queues, side: int) -> list[list[str]]:
    """Return [price, size] of every level, best first."""
    instrument = market.instrument
    totals = book.totals[side]
    return [
        [plain(price, instrument.price_scale), plain(totals[price], instrument.size_scale)]
        for price in book.best_first(side)
    ]


def orders(market: Market, book: Queues, side: int) -> list[list[str]]:
    """Return [price, size, order id] of every order, best first, in queue order."""
    instrument = market.instrument
    return [
        [
            plain(row.price, instrument.price_scale),
            plain(row.size, instrument.size_scale),
            order_uuid(market.salt, row.order),
        ]
        for row in book.rows(side)
    ]


def book(market: Market, number: int, time_ns: int, *, with_orders: bool = False) -> Json:
    """Return the true book right after update *number*, on demand with its orders."""
    then = market.history.book_at(number)
    found = {
        "symbol": market.instrument.symbol,
        "update_id": number,
        "time_ns": time_ns,
        "bids": levels(market, then, BUY),
        "asks": levels(market, then, SELL),
    }
    if with_orders:
        found["orders"] = {"bids": orders(market, then, BUY), "asks": orders(market, then, SELL)}
    return found


def trades(market: Market, query: Mapping[str, str], unit_ns: int) -> Json:
    """Return the trades from_id .. to_id (inclusive, default all kept); ``side`` is the aggressor's.

    Times are cut to *unit_ns*, as the venue's frames have them.
    """
    kept, instrument = market.trades, market.instrument
    rows = kept.between(int(query.get("from_id", kept.first)), int(query.get("to_id", kept.last)))
    return {
        "symbol": instrument.symbol,
        "trades": [
            {
                "id": row.id,
                "time_ns": row.time_ns // unit_ns * unit_ns,
                "price": plain(row.price, instrument.price_scale),
                "size": plain(row.size, instrument.size_scale),
                "side": "sell" if row.side == BUY else "buy",
            }
            for row in rows
        ],
    }


def extent(market: Market) -> Json:
    """Return the first and last ids and times for which the truth is kept."""
    history, kept = market.history, market.trades
    last_trade = kept.between(kept.last, kept.last)
    first_trade = kept.between(kept.first, kept.first)
    return {
        "symbol": market.instrument.symbol,
        "first_id": history.first,
        "last_id": history.last,
        "first_ns": history.time_of(history.first),
        "last_ns": history.time_of(history.last),
        "first_trade_id": kept.first,
        "last_trade_id": kept.last,
        "first_trade_ns": first_trade[0].time_ns if first_trade else None,
        "last_trade_ns": last_trade[0].time_ns if last_trade else None,
        "halted": market.halted,
    }


def moment(market: Market, query: Mapping[str, str]) -> Json:
    """Return when update ``update_id`` or trade ``trade_id`` was.

    Raises:
        Forgotten: it is not kept.
    """
    number = number_asked(market, query)
    if number is not None:
        return {"time_ns": market.history.time_of(number)}
    trade_id = int(query["trade_id"])
    found = market.trades.between(trade_id, trade_id)
    if not found:
        raise Forgotten(f"trade {trade_id} is not kept")
    return {"time_ns": found[0].time_ns}


def number_asked(market: Market, query: Mapping[str, str]) -> int | None:
    """Return ``update_id`` of the query, None where it is absent.

    Raises:
        Forgotten: it is not kept.
    """
    text = query.get("update_id")
    if text is None:
        return None
    number = int(text)
    if not market.history.first <= number <= market.history.last:
        raise Forgotten(f"update {number} is not in {market.history.first} .. {market.history.last}")
    return number
