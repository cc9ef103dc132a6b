"""The trades of one security: each id once, in order, with its effective time and window.

trade id                       outcome
the next one, or the first     sent
beyond the next one            Hole (both ends known), a new chain entry; sent
at or before the last          dropped and counted: a duplicate, or late; it stays in the journal

Trade ids are contiguous at Binance and Coinbase (protocols.md 2.9; 1.4 by every capture).
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, NamedTuple

from book.bookfeed import Windows
from book.clock import SILENT_TICKS
from book.depth import packed
from book.holes import Ledger
from book.outlet import Outlet
from book.recording import Recording
from book.scales import Column, Finer, Refused, Scales, exact, factor, raised
from venue.numbers import at_scale
from wire.messages import Trades
from wire.names import epoch_of


class Print(NamedTuple):
    """One trade as a record brought it."""

    id: int
    time_ns: int
    price: str
    size: str
    side: int
    position: int
    recv_ns: int
    connection: int


class Source(NamedTuple):
    """Where the last trade came from."""

    epoch: int
    connection: int
    time_ns: int


class Prints(NamedTuple):
    """Trades whose ids follow one another, as columns."""

    ids: Sequence[int]
    times_ns: Sequence[int]
    received_ns: Sequence[int]
    sides_u1: bytes
    prices: Column
    sizes: Column
    first: Source
    last: Source


class Tape:
    """Which trade ids have come: duplicates, holes."""

    def __init__(self, last_id: int | None = None) -> None:
        self.last_id = last_id
        self.repeated = 0

    def follows(self, trade_id: int) -> bool | None:
        """Take *trade_id*: True if it is next, False if ids before it are missing, None if it is not new."""
        last, is_new = self.last_id, self.last_id is None or trade_id > self.last_id
        if not is_new:
            self.repeated += 1
            return None
        self.last_id = trade_id
        return last is None or trade_id == last + 1


class TradeFeed:
    """The tape and its open window."""

    def __init__(self, outlet: Outlet, windows: Windows) -> None:
        self.windows = windows
        self.recording = Recording(outlet, windows.window_ns, "trades")
        self.ledger = Ledger(outlet, "trades")
        self.tape = Tape()
        self.scales = Scales()
        self.refused = 0
        self._source = Source(0, 0, 0)
        self._sent_id: int | None = None
        self._broken: tuple[int | None, str] = (None, "")
        """Why ids after this one will be missing, where it is known beforehand."""
        self._held: list[Print] = []
        self._held_ticks = 0
        self._outlet = outlet

    @property
    def low_position(self) -> int | None:
        """Return the position of the trade that is held."""
        return self._held[0].position if self._held else None

    def take(self, prints: Sequence[Print], *, waited: bool = False) -> None:
        """Send those of *prints* that are new."""
        fresh = [*self._held, *(each for each in prints if self.tape.follows(each.id) is not None)]
        if not fresh:
            return
        effective = self.recording.clock.settle([each.time_ns for each in fresh], None, waited=waited)
        settled, self._held = fresh[: len(effective)], fresh[len(effective) :]
        self._held_ticks = 0
        begin = 0
        for end in range(1, len(settled) + 1):
            if end == len(settled) or settled[end].id != settled[end - 1].id + 1:
                self._write(settled[begin:end], effective[begin:end])
                begin = end

    def take_run(self, prints: Prints, decimals: int) -> bool:
        """Do the same with trades whose numbers have *decimals*, where each simply follows the one before.

        Else leave everything as it is and say False: they have to be taken one by one.
        """
        ids, clock, last_id = prints.ids, self.recording.clock, self.tape.last_id
        follow = tuple(ids) == tuple(range(ids[0], ids[0] + len(ids)))
        if self._held or not follow or (last_id is not None and ids[0] <= last_id):
            return False
        prices = at_scale(prints.prices, decimals, self.scales.price)
        sizes = at_scale(prints.sizes, decimals, self.scales.size)
        if prices is None or sizes is None or not clock.is_near(prints.times_ns):
            return False
        self.tape.last_id = ids[-1]
        self._held_ticks = 0
        self._emit(prints._replace(prices=prices, sizes=sizes), clock.settle(prints.times_ns, None))
        return True

    def settle_held(self) -> None:
        """Send the trade that is held as if its clock were right: no next one will tell."""
        self.take([], waited=True)

    def broken(self, cause: str) -> None:
        """Note that ids which are missing next are missing for *cause*."""
        self._broken = (self.tape.last_id, cause)

    def raise_scales(self, scales: Scales) -> None:
        """Go on at scales not below *scales*: those of the trades, whatever the book's are.

        Raises:
            Refused: beyond what 64 bits hold.
        """
        factor(0, max(scales.price, scales.size))
        self.scales = raised(self.scales, scales)

    def tick(self) -> None:
        """Let a second pass without a trade."""
        self._held_ticks += 1
        if self._held and self._held_ticks >= SILENT_TICKS:
            self.settle_held()
        self.recording.tick()
        if self.recording.is_quiet:
            self.recording.cut(None, final=False)
        elif self.recording.is_silent:
            self.finish()

    def finish(self) -> None:
        """Cut the open window for good though no later one has begun."""
        self.recording.finish(None)

    def _write(self, prints: list[Print], effective: list[int]) -> None:
        """Send *prints*, whose ids follow one another; one by one where one needs finer scales."""
        try:
            self._send(prints, effective)
        except (Finer, Refused):
            for one, effective_ns in zip(prints, effective, strict=True):
                self._write_one(one, effective_ns)

    def _write_one(self, one: Print, effective_ns: int) -> None:
        try:
            while True:
                try:
                    self._send([one], [effective_ns])
                except Finer as finer:
                    self.raise_scales(finer.scales)
                else:
                    return
        except Refused:
            # the next trade finds this id missing: its hole is the row
            self.refused += 1

    def _send(self, prints: list[Print], effective: list[int]) -> None:
        prices, sizes = exact([each.price for each in prints], [each.size for each in prints], self.scales)
        columns = Prints(
            [each.id for each in prints],
            [each.time_ns for each in prints],
            [each.recv_ns for each in prints],
            bytes(each.side for each in prints),
            prices,
            sizes,
            _source(prints[0]),
            _source(prints[-1]),
        )
        self._emit(columns, effective)

    def _emit(self, prints: Prints, effective: list[int]) -> None:
        """Send *prints*, at the tape's scales, window by window."""
        self._check_continuity(prints, effective[0])
        ids, begin, count = prints.ids, 0, len(effective)
        while begin < count:
            start_ns = self.recording.window_of(effective[begin])
            if start_ns != self.recording.start_ns:
                self.recording.cut(None, final=True)
                self.recording.open(start_ns, "trades", 0)
            end = bisect_left(effective, start_ns + self.windows.window_ns, begin)
            self._outlet.emit(
                Trades,
                start_ns=start_ns,
                price_scale=self.scales.price,
                size_scale=self.scales.size,
                ids=packed(ids[begin:end]),
                times_ns=packed(prints.times_ns[begin:end]),
                effective_ns=packed(effective[begin:end]),
                received_ns=packed(prints.received_ns[begin:end]),
                sides_u1=prints.sides_u1[begin:end],
                prices=prints.prices[begin:end].tobytes(),
                sizes=prints.sizes[begin:end].tobytes(),
            )
            self.recording.extend(ids[begin], ids[end - 1], None, effective[end - 1])
            begin = end
        self._source = prints.last
        self._sent_id = ids[-1]

    def _check_continuity(self, prints: Prints, effective_ns: int) -> None:
        """Write the row of the ids that are missing before *prints*, and begin a new chain entry."""
        first_id = prints.ids[0]
        if self._sent_id is None or first_id == self._sent_id + 1:
            return
        source, first = self._source, prints.first
        if self._broken[0] == self._sent_id:
            cause = self._broken[1]
        elif source.epoch != first.epoch:
            cause = "own_restart"
        else:
            cause = "venue" if source.connection == first.connection else "network"
        start_ns = self.recording.window_of(self.recording.clock.last_ns or effective_ns)
        self.ledger.whole(self._sent_id + 1, first_id - 1, source.time_ns, first.time_ns, start_ns, cause)
        self.recording.close_entry(None)

    def dump(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {
            "recording": self.recording.dump(),
            "ledger": self.ledger.dump(),
            "last_id": self.tape.last_id,
            "repeated": self.tape.repeated,
            "refused": self.refused,
            "scales": (self.scales.price, self.scales.size),
            "source": tuple(self._source),
            "sent_id": self._sent_id,
            "broken": self._broken,
            "held": [tuple(each) for each in self._held],
            "held_ticks": self._held_ticks,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Become what ``dump`` returned."""
        self.recording.load(state["recording"])
        self.ledger.load(state["ledger"])
        self.tape = Tape(state["last_id"])
        self.tape.repeated, self.refused = state["repeated"], state["refused"]
        self.scales = Scales(*state["scales"])
        self._source, self._sent_id = Source(*state["source"]), state["sent_id"]
        self._broken = (state["broken"][0], state["broken"][1])
        self._held = [Print(*each) for each in state["held"]]
        self._held_ticks = state["held_ticks"]


def _source(one: Print) -> Source:
    return Source(epoch_of(one.position), one.connection, one.time_ns)
