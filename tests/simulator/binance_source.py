"""A synthetic Binance: what its streams and REST bodies say of the markets (protocols.md 1.4, 1.5).

stream                     period
``<s>@depth@100ms``        100 ms of exchange time
``<s>@depth``              1000 ms
``<s>@trade``              at once

Keys with ``!us`` at their end give the same with times in microseconds.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import msgspec

from tests.simulator import truth
from tests.simulator.batches import Batch, Batches
from tests.simulator.engine import Kind
from tests.simulator.history import Traded
from tests.simulator.instrument import binance
from tests.simulator.market import Event, Market
from tests.simulator.queues import BUY, SELL, Queues
from tests.simulator.source import TICK_S, Frame, Json
from tests.simulator.texts import fixed

MS, US = 1_000_000, 1_000
DIGITS = 8
"""Decimals of every price and size that Binance sends."""

PERIODS_MS = {100: "@depth@100ms", 1000: "@depth"}


class _Symbol:
    """One market with its two batched streams."""

    def __init__(self, market: Market, start_ns: int) -> None:
        self.market = market
        self.stream = market.instrument.symbol.lower()
        self.batches = {
            ms: Batches(ms * MS, start_ns, market.number, phase_ns=market.instrument.first_trade % ms * MS)
            for ms in PERIODS_MS
        }


class SyntheticBinance:
    """Markets that move while time passes."""

    greedy = False
    tick_s = TICK_S

    def __init__(
        self,
        symbols: Sequence[str],
        seed: int,
        *,
        levels: Sequence[int],
        rate: float,
        start_ns: int,
        open_for_s: int = 0,
    ):
        self.symbols = symbols
        self._symbols = {
            symbol: _Symbol(
                Market(
                    replace(binance(symbol), open_for_s=open_for_s),
                    seed,
                    levels=count,
                    rate=rate,
                    start_ns=start_ns,
                    all_count=False,
                ),
                start_ns,
            )
            for symbol, count in zip(symbols, levels, strict=True)
        }

    def market(self, symbol: str) -> Market:
        """Return the market of *symbol*."""
        return self._symbols[symbol].market

    def advance(self, now_ns: int, wanted: Collection[str]) -> list[Frame]:
        """Let everything happen that is due, and return the frames of the *wanted* streams."""
        out: list[Frame] = []
        for one in self._symbols.values():
            self._advance(one, now_ns, wanted, out)
        return out

    def halt(self, symbol: str, halted: bool, now_ns: int) -> None:
        """Stop or go on trading *symbol*."""
        self.market(symbol).halt(halted, now_ns)

    def depth(self, symbol: str, limit: int, at_ns: int) -> bytes:
        """Return the REST body with at most *limit* levels a side."""
        market = self.market(symbol)
        number = market.history.number_at(at_ns)
        book = market.book if number == market.number else market.history.book_at(number)
        return msgspec.json.encode(
            {
                "lastUpdateId": number,
                "bids": _levels(market, book, BUY, limit),
                "asks": _levels(market, book, SELL, limit),
            }
        )

    def info(self, symbol: str) -> Json:
        """Return the symbol's entry of exchangeInfo."""
        market = self.market(symbol)
        return symbol_info(symbol, halted=market.halted)

    def rest_trades(self, symbol: str, from_id: int | None, limit: int) -> list[Json]:
        """Return trades, oldest first: the newest *limit*, or those from *from_id* on."""
        market = self.market(symbol)
        kept = market.trades
        first = kept.last - limit + 1 if from_id is None else from_id
        return [_rest_trade(market, trade) for trade in kept.between(first, first + limit - 1)]

    def truth(self, what: str, query: Mapping[str, str]) -> Json:
        """Answer for the book, the trades or the range of ids of a symbol."""
        one = self._symbols[query["symbol"].upper()]
        if what == "trades":
            return truth.trades(one.market, query, MS)
        if what == "range":
            return truth.extent(one.market) | {"first_event_ns": one.batches[100].last_at(0)[0]}
        if what == "moment":
            return truth.moment(one.market, query)
        number, time_ns = truth.number_asked(one.market, query), 0
        if number is None:
            time_ns, number = one.batches[int(query.get("ms", "100"))].last_at(int(query["time_ns"]))
        else:
            time_ns = one.market.history.time_of(number)
        return truth.book(one.market, number, time_ns)

    def _advance(self, one: _Symbol, now_ns: int, wanted: Collection[str], out: list[Frame]) -> None:
        market = one.market
        while True:
            period, batches = min(one.batches.items(), key=lambda item: item[1].next_ns)
            # An event at the very moment a batch ends is in it: E is not before the event.
            if market.due(min(now_ns, batches.next_ns)):
                self._step(one, wanted, out)
            elif batches.next_ns <= now_ns:
                batch = batches.close(market.number)
                if batch is not None:
                    _publish(f"{one.stream}{PERIODS_MS[period]}", wanted, out, market, batch)
            else:
                return

    def _step(self, one: _Symbol, wanted: Collection[str], out: list[Frame]) -> None:
        for event in one.market.step():
            for batches in one.batches.values():
                batches.touch(event.message)
            if event.message.kind is Kind.MATCH:
                for key, unit in ((f"{one.stream}@trade", MS), (f"{one.stream}@trade!us", US)):
                    if key in wanted:
                        out.append((key, _trade(one.market, event, unit)))


def symbol_info(symbol: str, *, halted: bool) -> Json:
    """Return an entry of exchangeInfo with the filters that tell the scales."""
    one = binance(symbol)
    tick, lot = fixed(one.tick, one.price_scale, DIGITS), fixed(one.lot, one.size_scale, DIGITS)
    return {
        "symbol": symbol,
        "status": "HALT" if halted else "TRADING",
        "baseAsset": one.base,
        "baseAssetPrecision": DIGITS,
        "quoteAsset": one.quote,
        "quotePrecision": DIGITS,
        "quoteAssetPrecision": DIGITS,
        "orderTypes": ["LIMIT", "MARKET", "STOP_LOSS"],
        "isSpotTradingAllowed": True,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": tick,
                "maxPrice": "1000000.00000000",
                "tickSize": tick,
            },
            {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": "9000.00000000", "stepSize": lot},
            {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True},
        ],
        "permissions": ["SPOT"],
    }


def _publish(stream: str, wanted: Collection[str], out: list[Frame], market: Market, batch: Batch) -> None:
    for key, unit in ((stream, MS), (f"{stream}!us", US)):
        if key in wanted:
            out.append((key, _depth_update(market, batch, unit)))


def _depth_update(market: Market, batch: Batch, unit: int) -> bytes:
    one, book = market.instrument, market.book
    sides: list[list[tuple[str, str]]] = []
    for side in (BUY, SELL):
        prices = sorted((price for s, price in batch.touched if s == side), reverse=side == BUY)
        sides.append(
            [
                (
                    fixed(price, one.price_scale, DIGITS),
                    fixed(book.size_at(side, price), one.size_scale, DIGITS),
                )
                for price in prices
            ]
        )
    return msgspec.json.encode(
        {
            "e": "depthUpdate",
            "E": batch.time_ns // unit,
            "s": one.symbol,
            "U": batch.first_number,
            "u": batch.last_number,
            "b": sides[BUY],
            "a": sides[SELL],
        }
    )


def _trade(market: Market, event: Event, unit: int) -> bytes:
    one, message = market.instrument, event.message
    return msgspec.json.encode(
        {
            "e": "trade",
            "E": event.time_ns // unit,
            "s": one.symbol,
            "t": message.trade,
            "p": fixed(message.price or 0, one.price_scale, DIGITS),
            "q": fixed(message.size or 0, one.size_scale, DIGITS),
            "T": event.time_ns // unit,
            "m": message.side == BUY,
            "M": True,
        }
    )


def _rest_trade(market: Market, trade: Traded) -> Json:
    one = market.instrument
    return {
        "id": trade.id,
        "price": fixed(trade.price, one.price_scale, DIGITS),
        "qty": fixed(trade.size, one.size_scale, DIGITS),
        "quoteQty": fixed(trade.price * trade.size, one.price_scale + one.size_scale, DIGITS),
        "time": trade.time_ns // MS,
        "isBuyerMaker": trade.side == BUY,
        "isBestMatch": True,
    }


def _levels(market: Market, book: Queues, side: int, limit: int) -> list[tuple[str, str]]:
    one, totals = market.instrument, book.totals[side]
    rows: list[tuple[str, str]] = []
    for price in book.best_first(side):
        if len(rows) == limit:
            break
        rows.append((fixed(price, one.price_scale, DIGITS), fixed(totals[price], one.size_scale, DIGITS)))
    return rows
