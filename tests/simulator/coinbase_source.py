"""A synthetic Coinbase Exchange: what its feed and REST bodies say of the markets (protocols.md 2.4 to 2.9).

channel       what
full          every message, sequence +1 each; ``activate`` without one
matches       the match messages, the same sequence
level2_50     net levels every 50 ms (``level2_batch`` by its other name)
ticker        one per match; its side is the taker's
heartbeat     each second
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import msgspec

from tests.simulator import truth
from tests.simulator.batches import Batch, Batches
from tests.simulator.coinbase_texts import full_message, match_body, rest_trade
from tests.simulator.engine import Kind
from tests.simulator.instrument import coinbase
from tests.simulator.market import Event, Market
from tests.simulator.queues import BUY, SELL, Queues
from tests.simulator.source import TICK_S, Frame, Json
from tests.simulator.texts import NS, fixed, iso_ns, iso_us, plain

MS = 1_000_000
SIDES = ("buy", "sell")


class _Product:
    def __init__(self, market: Market, start_ns: int) -> None:
        self.market = market
        self.batches = Batches(50 * MS, start_ns, market.number)
        self.heartbeat_ns = start_ns // NS * NS + NS


class SyntheticCoinbase:
    """Markets that move while time passes."""

    greedy = False
    tick_s = TICK_S

    def __init__(
        self,
        products: Sequence[str],
        seed: int,
        *,
        levels: Sequence[int],
        rate: float,
        start_ns: int,
        open_for_s: int = 0,
    ):
        self.symbols = products
        self._products = {
            product: _Product(
                Market(
                    replace(coinbase(product), open_for_s=open_for_s),
                    seed,
                    levels=count,
                    rate=rate,
                    start_ns=start_ns,
                    all_count=True,
                ),
                start_ns,
            )
            for product, count in zip(products, levels, strict=True)
        }

    def market(self, product: str) -> Market:
        """Return the market of *product*."""
        return self._products[product].market

    def advance(self, now_ns: int, wanted: Collection[str]) -> list[Frame]:
        """Let everything happen that is due, and return the frames of the *wanted* channels."""
        out: list[Frame] = []
        for one in self._products.values():
            self._advance(one, now_ns, wanted, out)
        return out

    def halt(self, symbol: str, halted: bool, now_ns: int) -> None:
        """Stop or go on trading the product *symbol*."""
        self.market(symbol).halt(halted, now_ns)

    def greeting(self, channel: str, product: str) -> bytes | None:
        """Return the level2 snapshot as of the last batch, or the last match."""
        one = self._products[product]
        if channel == "level2_50":
            return _level2_snapshot(one)
        if channel == "matches":
            kept = one.market.trades
            last = kept.between(kept.last, kept.last)
            return msgspec.json.encode(match_body(one.market, last[0], "last_match")) if last else None
        return None

    def book(self, product: str, level: int, at_ns: int) -> bytes:
        """Return the REST body: 1 the best, 2 all levels, 3 all orders."""
        market = self.market(product)
        number = market.history.number_at(at_ns)
        then = market.book if number == market.number else market.history.book_at(number)
        return msgspec.json.encode(
            {
                "bids": _rest_side(market, then, BUY, level),
                "asks": _rest_side(market, then, SELL, level),
                "sequence": number,
                "auction_mode": False,
                "auction": None,
                "time": iso_ns(market.history.time_of(number)),
            }
        )

    def info(self, product: str) -> Json:
        """Return the product's REST entry."""
        return product_info(product, halted=self.market(product).halted)

    def rest_trades(self, product: str, before: int | None, after: int | None, limit: int) -> list[Json]:
        """Return trades, newest first: with id > *before*, or < *after*; always the newest page of those."""
        kept = self.market(product).trades
        last = kept.last if after is None else min(kept.last, after - 1)
        first = max(last - limit + 1, kept.first if before is None else before + 1)
        return [rest_trade(self.market(product), trade) for trade in reversed(kept.between(first, last))]

    def truth(self, what: str, query: Mapping[str, str]) -> Json:
        """Answer for the book, the trades or the range of ids of a product."""
        one = self._products[query["symbol"].upper()]
        market = one.market
        if what == "trades":
            return truth.trades(market, query, 1_000)
        if what == "range":
            return truth.extent(market)
        if what == "moment":
            return truth.moment(market, query)
        number = truth.number_asked(market, query)
        if number is None and query.get("feed") == "level2_batch":
            time_ns, number = one.batches.last_at(int(query["time_ns"]))
            return truth.book(market, number, time_ns)
        if number is None:
            number = market.history.number_at(int(query["time_ns"]))
        return truth.book(market, number, market.history.time_of(number), with_orders=True)

    def _advance(self, one: _Product, now_ns: int, wanted: Collection[str], out: list[Frame]) -> None:
        market, product = one.market, one.market.instrument.symbol
        while True:
            timer_ns = min(one.batches.next_ns, one.heartbeat_ns)
            if market.due(min(now_ns, timer_ns)):
                for event in market.step():
                    one.batches.touch(event.message)
                    _publish(one, event, wanted, out)
            elif timer_ns > now_ns:
                return
            elif one.batches.next_ns <= timer_ns:
                batch = one.batches.close(market.number)
                if batch is not None and f"level2_50:{product}" in wanted:
                    out.append((f"level2_50:{product}", _l2update(market, batch)))
            else:
                if f"heartbeat:{product}" in wanted:
                    out.append((f"heartbeat:{product}", _heartbeat(market, one.heartbeat_ns)))
                one.heartbeat_ns += NS


def product_info(product: str, *, halted: bool) -> Json:
    """Return a REST product entry that tells the scales."""
    one = coinbase(product)
    return {
        "id": product,
        "base_currency": one.base,
        "quote_currency": one.quote,
        "quote_increment": plain(one.tick, one.price_scale),
        "base_increment": plain(one.lot, one.size_scale),
        "display_name": product.replace("-", "/"),
        "min_market_funds": "1",
        "margin_enabled": False,
        "post_only": False,
        "limit_only": False,
        "cancel_only": False,
        "status": "online",
        "status_message": "",
        "trading_disabled": halted,
        "fx_stablecoin": False,
        "max_slippage_percentage": "0.02000000",
        "auction_mode": False,
        "high_bid_limit_percentage": "",
    }


def _publish(one: _Product, event: Event, wanted: Collection[str], out: list[Frame]) -> None:
    product = one.market.instrument.symbol
    if f"full:{product}" in wanted:
        out.append((f"full:{product}", full_message(one.market, event)))
    if event.message.kind is not Kind.MATCH:
        return
    if f"matches:{product}" in wanted:
        out.append((f"matches:{product}", full_message(one.market, event)))
    if f"ticker:{product}" in wanted:
        out.append((f"ticker:{product}", _ticker(one.market, event)))


def _level(market: Market, book: Queues, side: int, price: int) -> tuple[str, str]:
    one = market.instrument
    size = fixed(book.size_at(side, price), one.size_scale, one.size_scale)
    return fixed(price, one.price_scale, one.price_scale), size


def _level2_snapshot(one: _Product) -> bytes:
    """Return the book as of the last batch, so that the next batch follows it without a hole."""
    market = one.market
    time_ns, number = one.batches.last_at(one.batches.next_ns)
    book = market.history.book_at(number)
    return msgspec.json.encode(
        {
            "type": "snapshot",
            "product_id": market.instrument.symbol,
            "asks": [_level(market, book, SELL, price) for price in book.best_first(SELL)],
            "bids": [_level(market, book, BUY, price) for price in book.best_first(BUY)],
            "time": iso_us(time_ns),
        }
    )


def _l2update(market: Market, batch: Batch) -> bytes:
    changes = []
    for side, price in batch.touched:
        text, size = _level(market, market.book, side, price)
        # Both spellings of nothing occur on the real feed.
        gone = "0" if price % 2 else size
        changes.append((SIDES[side], text, size if market.book.size_at(side, price) else gone))
    return msgspec.json.encode(
        {
            "type": "l2update",
            "product_id": market.instrument.symbol,
            "changes": changes,
            "time": iso_us(batch.time_ns),
        }
    )


def _heartbeat(market: Market, time_ns: int) -> bytes:
    return msgspec.json.encode(
        {
            "type": "heartbeat",
            "last_trade_id": market.trades.last,
            "product_id": market.instrument.symbol,
            "sequence": market.number,
            "time": iso_us(time_ns),
        }
    )


def _ticker(market: Market, event: Event) -> bytes:
    one, message, book = market.instrument, event.message, market.book
    bid, ask = book.best(BUY), book.best(SELL)
    return msgspec.json.encode(
        {
            "type": "ticker",
            "sequence": event.number,
            "product_id": one.symbol,
            "price": fixed(message.price or 0, one.price_scale, one.price_scale),
            "best_bid": fixed(bid or 0, one.price_scale, one.price_scale),
            "best_ask": fixed(ask or 0, one.price_scale, one.price_scale),
            "side": SIDES[1 - message.side],
            "time": iso_us(event.time_ns),
            "trade_id": message.trade,
            "last_size": fixed(message.size or 0, one.size_scale, one.size_scale),
        }
    )


def _rest_side(market: Market, book: Queues, side: int, level: int) -> list[list[str | int]]:
    """Return REST rows, without trailing zeros as in real bodies; level 1 and 2 end in the order count."""
    if level == 3:
        return [list(row) for row in truth.orders(market, book, side)]
    one = market.instrument
    rows: list[list[str | int]] = []
    for price in book.best_first(side):
        size = plain(book.size_at(side, price), one.size_scale)
        rows.append([plain(price, one.price_scale), size, len(book.levels[side][price])])
        if level == 1:
            break
    return rows
