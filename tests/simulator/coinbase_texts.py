"""The messages of the ``full`` channel as Coinbase writes them (protocols.md 2.6)."""

import msgspec

from tests.simulator.engine import Kind, Message
from tests.simulator.history import Traded
from tests.simulator.market import Event, Market
from tests.simulator.queues import Op
from tests.simulator.source import Json
from tests.simulator.texts import fixed, iso_us, order_uuid, plain

SIDES = ("buy", "sell")

PROFILE = "30000727-d308-cf50-7b1c-c06deb1934fc"
"""Of the account whose stop orders the authenticated feed shows."""


class _Words:
    """Writes the numbers of one market."""

    def __init__(self, market: Market) -> None:
        one = market.instrument
        self._market, self._scales = market, (one.price_scale, one.size_scale)

    def price(self, value: int | None) -> str:
        """Return a price with all decimals of its increment."""
        return fixed(value or 0, self._scales[0], self._scales[0])

    def size(self, value: int | None) -> str:
        """Return a size; nothing is written as 0."""
        return fixed(value, self._scales[1], self._scales[1]) if value else "0"

    def funds(self, value: int | None) -> str:
        """Return an amount of quote currency."""
        return plain(value or 0, sum(self._scales))

    def order(self, number: int) -> str:
        """Return an order's id."""
        return order_uuid(self._market.salt, number)


def full_message(market: Market, event: Event) -> bytes:
    """Return the message of the full channel that says *event*."""
    words, message = _Words(market), event.message
    if message.kind is Kind.ACTIVATE:
        return msgspec.json.encode(_activate(market, words, event))
    body: Json = {"type": message.kind.name.lower(), "side": SIDES[message.side]}
    match message.kind:
        case Kind.RECEIVED:
            _received(words, message, body)
        case Kind.OPEN:
            body["price"] = words.price(message.price)
            body["remaining_size"] = words.size(message.size)
        case Kind.MATCH:
            _match(words, message.order, message.taker, body)
            body["trade_id"] = message.trade
            body["price"], body["size"] = words.price(message.price), words.size(message.size)
        case Kind.DONE:
            body["reason"] = message.reason
            # A market order's done has neither.
            if message.price is not None:
                body["price"] = words.price(message.price)
                body["remaining_size"] = words.size(message.size)
        case Kind.CHANGE:
            _change(words, message, body)
    if message.kind is not Kind.MATCH:
        body["order_id"] = words.order(message.order)
    body["product_id"] = market.instrument.symbol
    body["time"] = iso_us(event.time_ns)
    body["sequence"] = event.number
    return msgspec.json.encode(body)


def match_body(market: Market, trade: Traded, kind: str) -> Json:
    """Return a trade in the fields of a match; its sequence is not kept, so the newest stands for it."""
    words = _Words(market)
    body: Json = {"type": kind, "side": SIDES[trade.side], "trade_id": trade.id}
    _match(words, trade.maker, trade.taker, body)
    body |= {"price": words.price(trade.price), "size": words.size(trade.size)}
    return body | {
        "product_id": market.instrument.symbol,
        "sequence": market.history.number_at(trade.time_ns),
        "time": iso_us(trade.time_ns),
    }


def rest_trade(market: Market, trade: Traded) -> Json:
    """Return a row of ``/products/<id>/trades``; side is the maker's."""
    words = _Words(market)
    return {
        "trade_id": trade.id,
        "side": SIDES[trade.side],
        "size": words.size(trade.size),
        "price": words.price(trade.price),
        "time": iso_us(trade.time_ns),
    }


def _match(words: _Words, maker: int, taker: int, body: Json) -> None:
    body["maker_order_id"], body["taker_order_id"] = words.order(maker), words.order(taker)


def _received(words: _Words, message: Message, body: Json) -> None:
    body["order_type"] = "market" if message.price is None else "limit"
    if message.price is not None:
        body["price"] = words.price(message.price)
    if message.size is not None:
        body["size"] = words.size(message.size)
    if message.funds is not None:
        body["funds"] = words.funds(message.funds)


def _change(words: _Words, message: Message, body: Json) -> None:
    body["reason"] = message.reason
    if message.old_size is not None:
        body["old_size"], body["new_size"] = words.size(message.old_size), words.size(message.size)
    if message.old_funds is not None:
        body["old_funds"], body["new_funds"] = words.funds(message.old_funds), words.funds(message.funds)
    if message.reason == "modify_order":
        body["old_price"], body["new_price"] = words.price(message.old_price), words.price(message.price)
    elif message.price is not None:
        body["price"] = words.price(message.price)
    elif message.op is Op.NONE and message.order % 2:
        # Of a market order the price is null or absent.
        body["price"] = None


def _activate(market: Market, words: _Words, event: Event) -> Json:
    message = event.message
    return {
        "type": "activate",
        "product_id": market.instrument.symbol,
        "timestamp": f"{event.time_ns // 1_000_000_000}.{event.time_ns // 1_000 % 1_000_000:06d}",
        "user_id": "12",
        "profile_id": PROFILE,
        "order_id": words.order(message.order),
        "stop_type": "entry" if SIDES[message.side] == "buy" else "loss",
        "side": SIDES[message.side],
        "stop_price": words.price(message.price),
        "size": words.size(message.size),
        "private": True,
    }
