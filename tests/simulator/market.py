"""One instrument: its engine, its flow of orders, the number of every message, and its past.

On Binance a number (update id) counts the changes of the book; on Coinbase (sequence) every message but
``activate``, which has none.
"""

from random import Random
from typing import NamedTuple

from tests.simulator.engine import Engine, Kind, Message
from tests.simulator.flow import Flow
from tests.simulator.history import History, Traded, Trades
from tests.simulator.instrument import Instrument
from tests.simulator.queues import Op, Queues

US = 1_000


class Event(NamedTuple):
    """A message with its number (0: it has none) and exchange time."""

    number: int
    time_ns: int
    message: Message


class Market:
    """Events happen at random moments, *rate* a second on average; each has a microsecond of its own."""

    def __init__(
        self, instrument: Instrument, seed: int, *, levels: int, rate: float, start_ns: int, all_count: bool
    ) -> None:
        self.instrument = instrument
        self.salt = f"{seed}|{instrument.venue}:{instrument.symbol}"
        self.engine = Engine(instrument.first_trade)
        self._flow = Flow(self.engine, instrument, self.salt)
        self._flow.populate(levels)
        # What matched while the book was filled is not part of the market's life.
        self.engine.next_trade = instrument.first_trade
        self.history = History(self.book, instrument.first_number, start_ns)
        self.trades = Trades(instrument.first_trade)
        self._all_count = all_count
        self._gaps = Random(f"{self.salt}|times")
        self._rate = rate
        self._halted = False
        self.next_ns = start_ns
        self._schedule()

    @property
    def book(self) -> Queues:
        """The true book now."""
        return self.engine.book

    @property
    def number(self) -> int:
        """The number of the newest event."""
        return self.history.last

    @property
    def halted(self) -> bool:
        """Whether nothing happens here."""
        return self._halted

    def halt(self, halted: bool, now_ns: int) -> None:
        """Stop the flow of orders, or let it go on from *now_ns*."""
        if self._halted and not halted:
            self.next_ns = max(now_ns // US * US, self.next_ns)
            self._schedule()
        self._halted = halted

    def due(self, now_ns: int) -> bool:
        """Say whether the next event's time has come."""
        return not self._halted and self.next_ns <= now_ns

    def step(self) -> list[Event]:
        """Do the next event, at its time."""
        time_ns = self.next_ns
        self._schedule()
        events = [self._keep(time_ns, message) for message in self._flow.next()]
        self.history.settle(self.book)
        return events

    def _schedule(self) -> None:
        gap = int(self._gaps.expovariate(self._rate) * 1_000_000)
        self.next_ns = (self.next_ns // US + 1 + gap) * US

    def _keep(self, time_ns: int, message: Message) -> Event:
        number = 0
        counts = self._all_count and message.kind is not Kind.ACTIVATE
        if counts or message.op is not Op.NONE:
            price = message.price if message.op is Op.MOVE else message.level
            number = self.history.append(
                time_ns, message.op, message.order, message.side, price or 0, message.rest
            )
        if message.kind is Kind.MATCH and message.price is not None and message.size is not None:
            self.trades.append(
                Traded(
                    message.trade,
                    time_ns,
                    message.price,
                    message.size,
                    message.side,
                    message.order,
                    message.taker,
                )
            )
        return Event(number, time_ns, message)
