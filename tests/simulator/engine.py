"""A small matching engine with price-time priority, which tells what it does as Coinbase's ``full`` does.

what comes in   what it says
limit           received, a match per maker (done when the maker is used up), then open or done
market          received, matches, done; by size or by funds
cancel          done (canceled)
modify          change (modify_order): a smaller size keeps its place, all else goes to the back
stop            activate; later, when the last trade reaches its price, as a market order
own order met   self-trade prevention ``dc``: the smaller is canceled, the larger decremented (change, STP)

Prices and sizes are integers in units of the instrument's scales, funds in units of price times size.
"""

from dataclasses import dataclass
from enum import IntEnum

import msgspec

from tests.simulator.queues import BUY, SELL, Op, Queues, Row


class Kind(IntEnum):
    """Type of a message of the full channel."""

    RECEIVED = 0
    OPEN = 1
    MATCH = 2
    DONE = 3
    CHANGE = 4
    ACTIVATE = 5


class Message(msgspec.Struct, frozen=True):
    """One thing that happened to an order; of a match *order* and *side* are the maker's.

    *op* says what it does to the resting order, *rest* the size that rests afterwards, and
    *level* the price it rested at (of a MOVE: before).
    """

    kind: Kind
    order: int
    side: int
    op: Op = Op.NONE
    level: int = 0
    rest: int = 0
    price: int | None = None
    size: int | None = None
    old_price: int | None = None
    old_size: int | None = None
    funds: int | None = None
    old_funds: int | None = None
    reason: str = ""
    taker: int = 0
    trade: int = 0


@dataclass
class _Taker:
    """An order on its way through the book."""

    order: int
    owner: int
    side: int
    size: int | None
    funds: int | None = None
    limit: int | None = None
    canceled: bool = False

    def takes(self, price: int) -> bool:
        """Say whether it would trade at *price*."""
        if self.canceled or self.size == 0 or self.wants(price) == 0:
            return False
        return self.limit is None or (price <= self.limit if self.side == BUY else price >= self.limit)

    def wants(self, price: int) -> int:
        """Return the size it can take at *price*."""
        by_funds = None if self.funds is None else self.funds // price
        if self.size is None:
            return by_funds or 0
        return self.size if by_funds is None else min(self.size, by_funds)

    def use(self, size: int, price: int) -> None:
        """Take off what was traded or decremented."""
        if self.size is not None:
            self.size -= size
        if self.funds is not None:
            self.funds -= size * price


@dataclass(frozen=True)
class Stop:
    """A stop order that waits for the last trade to reach *price*."""

    owner: int
    side: int
    price: int
    size: int


class Engine:
    """The book of one market and the rules that change it."""

    def __init__(self, first_trade: int = 1) -> None:
        self.book = Queues()
        self.owners: dict[int, int] = {}
        self.stops: dict[int, Stop] = {}
        self.last_price: int | None = None
        self.next_trade = first_trade
        self._orders = 0

    def limit(self, owner: int, side: int, price: int, size: int) -> list[Message]:
        """Match what crosses, rest the remainder."""
        order = self._new()
        out = [Message(Kind.RECEIVED, order, side, price=price, size=size)]
        taker = _Taker(order, owner, side, size, limit=price)
        self._match(taker, out)
        left = taker.size or 0
        if taker.canceled:
            out.append(Message(Kind.DONE, order, side, price=price, size=left, reason="canceled"))
        elif left == 0:
            out.append(Message(Kind.DONE, order, side, price=price, size=0, reason="filled"))
        else:
            self.owners[order] = owner
            self._do(out, Message(Kind.OPEN, order, side, Op.PLACE, price, left, price=price, size=left))
        return out

    def market(
        self, owner: int, side: int, size: int | None = None, funds: int | None = None, order: int = 0
    ) -> list[Message]:
        """Match against the best prices until *size* or *funds* are used up or the book is empty."""
        order = order or self._new()
        out = [Message(Kind.RECEIVED, order, side, size=size, funds=funds)]
        taker = _Taker(order, owner, side, size, funds)
        self._match(taker, out)
        best = self.book.best(1 - side)
        unfilled = taker.canceled or best is None
        out.append(Message(Kind.DONE, order, side, reason="canceled" if unfilled else "filled"))
        return out

    def cancel(self, order: int) -> list[Message]:
        """Take a resting order off the book."""
        out: list[Message] = []
        self._cancel(self.book.orders[order], out)
        return out

    def modify(self, order: int, price: int, size: int) -> list[Message]:
        """Give a resting order another price or size; nothing where it would cross or stay as it is."""
        row = self.book.orders[order]
        best = self.book.best(1 - row.side)
        crosses = best is not None and (price >= best if row.side == BUY else price <= best)
        if crosses or (price, size) == (row.price, row.size):
            return []
        op = Op.RESIZE if price == row.price and size < row.size else Op.MOVE
        out: list[Message] = []
        change = Message(
            Kind.CHANGE,
            order,
            row.side,
            op,
            row.price,
            size,
            price=price,
            size=size,
            old_price=row.price,
            old_size=row.size,
            reason="modify_order",
        )
        self._do(out, change)
        return out

    def stop(self, owner: int, side: int, price: int, size: int) -> list[Message]:
        """Keep a stop order until the last trade reaches *price* (at or above for a buy)."""
        order = self._new()
        self.stops[order] = Stop(owner, side, price, size)
        return [Message(Kind.ACTIVATE, order, side, price=price, size=size, taker=owner)]

    def forget(self, order: int) -> list[Message]:
        """Cancel a stop order that was never reached; it does not rest on the book."""
        stop = self.stops.pop(order)
        return [Message(Kind.DONE, order, stop.side, price=stop.price, size=stop.size, reason="canceled")]

    def release(self) -> list[Message]:
        """Send the first stop order that is due as a market order."""
        last = self.last_price
        if last is None:
            return []
        for order, stop in self.stops.items():
            if last >= stop.price if stop.side == BUY else last <= stop.price:
                del self.stops[order]
                return self.market(stop.owner, stop.side, stop.size, order=order)
        return []

    def _new(self) -> int:
        self._orders += 1
        return self._orders

    def _do(self, out: list[Message], message: Message) -> None:
        """Apply the message's operation to the book and say it."""
        price = message.price if message.op is Op.MOVE and message.price is not None else message.level
        self.book.apply(message.op, message.order, message.side, price, message.rest)
        if message.op is Op.REMOVE:
            del self.owners[message.order]
        out.append(message)

    def _cancel(self, row: Row, out: list[Message]) -> None:
        done = Message(
            Kind.DONE,
            row.order,
            row.side,
            Op.REMOVE,
            row.price,
            price=row.price,
            size=row.size,
            reason="canceled",
        )
        self._do(out, done)

    def _match(self, taker: _Taker, out: list[Message]) -> None:
        other = SELL if taker.side == BUY else BUY
        while True:
            price = self.book.best(other)
            if price is None or not taker.takes(price):
                return
            maker = self.book.first(other, price)
            if self.owners[maker.order] == taker.owner:
                self._prevent(taker, maker, out)
            else:
                self._trade(taker, maker, out)

    def _trade(self, taker: _Taker, maker: Row, out: list[Message]) -> None:
        size = min(taker.wants(maker.price), maker.size)
        rest = maker.size - size
        match = Message(
            Kind.MATCH,
            maker.order,
            maker.side,
            Op.RESIZE if rest else Op.REMOVE,
            maker.price,
            rest,
            price=maker.price,
            size=size,
            taker=taker.order,
            trade=self.next_trade,
        )
        self.next_trade += 1
        self.last_price = maker.price
        taker.use(size, maker.price)
        self._do(out, match)
        if not rest:
            done = Message(Kind.DONE, maker.order, maker.side, price=maker.price, size=0, reason="filled")
            out.append(done)

    def _prevent(self, taker: _Taker, maker: Row, out: list[Message]) -> None:
        """Keep an owner from trading with itself: decrement the larger, cancel the smaller, both if equal."""
        wants = taker.wants(maker.price)
        if maker.size > wants:
            taker.canceled = True
            change = Message(
                Kind.CHANGE,
                maker.order,
                maker.side,
                Op.RESIZE,
                maker.price,
                maker.size - wants,
                price=maker.price,
                size=maker.size - wants,
                old_size=maker.size,
                reason="STP",
            )
            self._do(out, change)
            return
        self._cancel(maker, out)
        if maker.size == wants:
            taker.canceled = True
            return
        old_size, old_funds = taker.size, taker.funds
        taker.use(maker.size, maker.price)
        out.append(
            Message(
                Kind.CHANGE,
                taker.order,
                taker.side,
                price=taker.limit,
                size=taker.size,
                old_size=old_size,
                funds=taker.funds,
                old_funds=old_funds,
                reason="STP",
            )
        )
