"""Seeded orders for one engine: what event number n is depends on the seed and the events before it only.

of 1000 events  what
about 400       limit orders around a price that wanders; some cross
about 400       cancels, more of them the more orders rest
110             market orders by size, by funds or by both
50              modify_order: smaller, larger, another price
10              an order that meets one of its owner's (self-trade prevention)
10              stop orders
"""

from random import Random

from tests.simulator.engine import Engine, Message
from tests.simulator.instrument import Instrument
from tests.simulator.queues import BUY, SELL

OWNERS = 400
"""So that self-trades also happen by themselves, seldom."""

MAX_STOPS = 50
"""Stop orders that wait at once; a market that never reaches them must not collect them."""

NEAR_TICKS, FAR_TICKS = 300, 60_000
"""How far from the price new orders lie: most are near, some are anywhere in the book."""


class Flow:
    """Draws the next order and gives it to the engine."""

    def __init__(self, engine: Engine, instrument: Instrument, seed: str) -> None:
        self._rng = Random(seed)
        self._engine = engine
        self._fair = float(instrument.start_price)
        self._floor = instrument.start_price / 2
        self._tick, self._lot, self._lots_log10 = instrument.tick, instrument.lot, instrument.lots_log10
        self._funds_unit = 10**instrument.size_scale
        self._orders: list[int] = []
        self._target = 0

    def populate(self, levels: int) -> list[Message]:
        """Rest orders until each side has *levels* levels."""
        out: list[Message] = []
        book = self._engine.book
        for side in (BUY, SELL):
            while len(book.prices[side]) < levels:
                out += self._rest(side, self._offset(far=0.8))
        self._target = len(book.orders)
        return out

    def next(self) -> list[Message]:
        """Do one event and return what the engine said; it may be nothing."""
        engine = self._engine
        self._fair = max(self._floor, self._fair + self._rng.gauss(0, 2) * self._tick)
        released = engine.release()
        if released:
            return released
        draw = self._rng.random()
        crowded = len(engine.book.orders) / max(1, self._target)
        if draw < 0.01:
            return self._stop()
        if draw < 0.02:
            return self._meet_own()
        if draw < 0.07:
            return self._modify()
        if draw < 0.18:
            return self._market()
        if draw < 0.18 + 0.41 * min(crowded, 1.5):
            return self._cancel()
        return self._rest(self._rng.choice((BUY, SELL)), self._offset(far=0.25))

    def _size(self) -> int:
        exponent = max(self._rng.random(), self._rng.random()) * self._lots_log10
        return max(1, int(10**exponent)) * self._lot

    def _owner(self) -> int:
        return self._rng.randrange(OWNERS)

    def _offset(self, far: float) -> int:
        reach = FAR_TICKS if self._rng.random() < far else NEAR_TICKS
        return int(self._rng.uniform(0, 1) ** 2 * reach)

    def _price(self, side: int, offset: int) -> int:
        ticks = int(self._fair) // self._tick
        ticks = ticks - offset if side == BUY else ticks + 1 + offset
        return max(1, ticks) * self._tick

    def _rest(self, side: int, offset: int) -> list[Message]:
        out = self._engine.limit(self._owner(), side, self._price(side, offset), self._size())
        if out[-1].order in self._engine.book.orders:
            self._orders.append(out[-1].order)
        return out

    def _pick(self) -> int | None:
        """Return a resting order, more often a young one; forget those that rest no more."""
        while self._orders:
            young = self._rng.random() < 0.7
            first = max(0, len(self._orders) - 500) if young else 0
            index = self._rng.randrange(first, len(self._orders))
            order = self._orders[index]
            if order in self._engine.book.orders:
                return order
            self._orders[index] = self._orders[-1]
            self._orders.pop()
        return None

    def _cancel(self) -> list[Message]:
        order = self._pick()
        return [] if order is None else self._engine.cancel(order)

    def _market(self) -> list[Message]:
        book = self._engine.book
        bid, ask = book.best(BUY), book.best(SELL)
        if bid is None or ask is None:
            return []
        side = BUY if self._fair > (bid + ask) / 2 else SELL
        if self._rng.random() < 0.3:
            side = 1 - side
        size = self._size()
        price = ask if side == BUY else bid
        draw = self._rng.random()
        # Funds are a multiple of the price's unit, as an amount of quote currency is.
        unit = self._funds_unit
        funds = max(unit, size * price // unit * unit)
        if draw < 0.5:
            return self._engine.market(self._owner(), side, size)
        return self._engine.market(self._owner(), side, size if draw > 0.9 else None, funds)

    def _modify(self) -> list[Message]:
        order = self._pick()
        if order is None:
            return []
        row = self._engine.book.orders[order]
        draw = self._rng.random()
        if draw < 0.4:
            lots = row.size // self._lot
            return self._engine.modify(order, row.price, self._rng.randint(1, lots) * self._lot)
        if draw < 0.6:
            return self._engine.modify(order, row.price, row.size + self._size())
        shift = self._rng.randint(-20, 20) * self._tick
        size = row.size if draw < 0.9 else self._size()
        return self._engine.modify(order, max(self._tick, row.price + shift), size)

    def _meet_own(self) -> list[Message]:
        """Send an order of the owner of the best order there, so that both meet."""
        book = self._engine.book
        side = self._rng.choice((BUY, SELL))
        best = book.best(1 - side)
        if best is None:
            return []
        owner = self._engine.owners[book.first(1 - side, best).order]
        draw = self._rng.random()
        if draw < 0.3:
            return self._engine.market(owner, side, self._size())
        if draw < 0.5:
            return self._engine.market(owner, side, None, self._size() * best)
        out = self._engine.limit(owner, side, best, self._size())
        if out[-1].order in book.orders:
            self._orders.append(out[-1].order)
        return out

    def _stop(self) -> list[Message]:
        if len(self._engine.stops) >= MAX_STOPS:
            return self._engine.forget(next(iter(self._engine.stops)))
        side = self._rng.choice((BUY, SELL))
        # A stop buys above the price and sells below it: the offset of the other side's limit orders.
        price = self._price(1 - side, self._rng.randint(5, 400))
        return self._engine.stop(self._owner(), side, price, self._size())
