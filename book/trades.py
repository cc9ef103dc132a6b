"""The trades of one security: each id once, in order, with its effective time and window.

Which trade comes next is book.tape's; here is what becomes of it:

a trade                             outcome
whose id follows the one before     sent
whose id does not                   Hole (both ends known), a new chain entry; sent
whose id cannot be true             refused, and counted (venue.leap)
an hour ahead of the one before     held until the next one tells whether its clock was wrong (book.clock)
inside a hole                       kept until the hole is filled (book.healing), then sent (book.healed)
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, NamedTuple

from book import following, healed
from book.clock import SILENT_TICKS
from book.depth import packed
from book.healing import Filled, Healing, Row
from book.holes import Ledger
from book.outlet import Outlet, earliest
from book.recording import Recording
from book.scales import Column, Finer, Refused, Scales, exact, factor, raised
from book.source import Source
from book.tape import Print, Tape
from book.windows import Windows
from venue.decimals import is_number
from venue.leap import Leaps
from venue.numbers import at_scale
from wire.runs import Marks, Trades


class Prints(NamedTuple):
    """Trades of one line whose ids follow one another, as columns."""

    ids: Sequence[int]
    times_ns: Sequence[int]
    received_ns: Sequence[int]
    sides_u1: bytes
    prices: Column
    sizes: Column
    connections: Sequence[int]
    """Which of the line's brought each."""
    first: Source
    last: Source


class TradeFeed:
    """The tape and its open window."""

    def __init__(self, outlet: Outlet, windows: Windows, *, has_ids: bool = True) -> None:
        self.windows = windows
        self.recording = Recording(outlet, windows.window_ns, "trades")
        self.ledger = Ledger(outlet, "trades")
        self.tape = Tape()
        self.healing = Healing()
        self.scales = Scales()
        self.refused = 0
        self._last = Source("", 0, 0)
        self._last_ns = 0
        """Where the last trade that was sent came from, and its exchange time."""
        self._sent_id: int | None = None
        self._broken: tuple[int | None, str] = (None, "")
        """Why ids after this one will be missing, where it is known beforehand."""
        self._held: list[Print] = []
        self._held_ticks = 0
        self._leaps = Leaps()
        self._has_ids = has_ids
        """Else they are ours, and none is too far beyond another."""
        self._outlet = outlet

    @property
    def lows(self) -> Marks:
        """Return of each line the position of the earliest trade that is kept or held."""
        waiting = [*self.tape.kept, *self._held]
        return earliest((each.line, each.position) for each in waiting) if waiting else {}

    @property
    def has_begun(self) -> bool:
        """Say whether there is a trade that another can follow."""
        return self.tape.last_id is not None

    def take(self, prints: Sequence[Print]) -> None:
        """Send those of *prints* that are new, and next, or fill a hole."""
        taken: list[Print] = []
        reached = self.tape.reached
        for each in prints:
            # one that is no trade must not keep away what another connection brings whole
            is_whole = is_number(each.price) and is_number(each.size)
            if is_whole and (not self._has_ids or self._leaps.takes(each.line, each.id, each.id, reached)):
                taken.append(each)
                reached = each.id if reached is None else max(reached, each.id)
            else:
                self.refused += 1
        if taken and self.healing.concerns(min(each.id for each in taken)):
            self.heal(taken)
        self._send_ready(self.tape.offer(taken))

    def heal(self, prints: Sequence[Print]) -> None:
        """Take old trades: what of *prints* falls into a hole."""
        self._filled(self.healing.take(prints))

    def tried(self) -> None:
        """Note that the page that is asked for was answered, and is still not there."""
        self._filled(self.healing.tried())

    def _filled(self, holes: Sequence[Filled]) -> None:
        for hole in holes:
            self.refused += healed.send(hole, self._outlet, self.recording, self.ledger, self.scales)

    def closed(self, line: str, connection: int, reason: str, recv_ns: int) -> None:
        """Work off the end of a connection."""
        self.tape.connections.closed(line, connection, reason)
        self._send_ready(self.tape.drain(recv_ns))

    def new_epoch(self, line: str, epoch: int, recv_ns: int) -> None:
        """Work off the start of another epoch of *line*."""
        self.tape.connections.new_epoch(line, epoch)
        self._send_ready(self.tape.drain(recv_ns))

    def _send_ready(self, ready: Sequence[Print], *, waited: bool = False) -> None:
        if not ready and not waited:
            return
        fresh = [*self._held, *ready]
        if not fresh:
            return
        times, received = [each.time_ns for each in fresh], [each.recv_ns for each in fresh]
        effective = self.recording.clock.settle(times, received, None, waited=waited)
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
        ids, clock, tape = prints.ids, self.recording.clock, self.tape
        if self._held or tape.last_id is None or prints.last.line in self._leaps.lines:
            return False
        if tuple(ids) != tuple(range(ids[0], ids[0] + len(ids))):
            return False
        if self.healing.concerns(ids[0]):
            return False
        brought = ids, prints.connections, prints.last.line
        if tape.repeats(*brought):
            return True
        if not tape.is_next(ids[0]):
            return False
        prices = at_scale(prints.prices, decimals, self.scales.price)
        sizes = at_scale(prints.sizes, decimals, self.scales.size)
        if prices is None or sizes is None or not clock.is_near(prints.times_ns):
            return False
        tape.follow(*brought)
        self._held_ticks = 0
        self._emit(prints._replace(prices=prices, sizes=sizes), clock.follow(prints.times_ns))
        return True

    def place(self, line: str) -> "following.TapePlace | None":
        """Return where trades of *line* go on that simply follow; None where they are to be looked at."""
        tape, clock = self.tape, self.recording.following(following.NEVER_NS)
        if clock is None or tape.last_id is None or self._sent_id != tape.last_id:
            return None
        if self._held or tape.kept or line in self._leaps.lines:
            return None
        return following.TapePlace(tape.last_id, clock, self.scales.price, self.scales.size)

    def followed(self, printed: following.Printed, source: Source) -> None:
        """Send what *source* brought to the tape's ``place``."""
        recording = self.recording
        for is_new, first_id, last_id, self._last_ns, effective_ns, columns in printed:
            if is_new:
                self._turn(recording.window_of(effective_ns))
            self._outlet.emit_rows(Trades, recording.start_ns or 0, self.scales, *columns)
            recording.extend(first_id, last_id, None, effective_ns)
            self._sent_id = last_id
        self.tape.follow((self._sent_id or 0,), (source.connection,), source.line)
        self._held_ticks, self._last = 0, source

    def settle_held(self) -> None:
        """Send the trade that is held as if its clock were right: no next one will tell."""
        self._send_ready([], waited=True)

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

    def tick(self, recv_ns: int) -> None:
        """Let a second pass without a trade."""
        self._send_ready(self.tape.drain(recv_ns))
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
            [each.connection for each in prints],
            prints[0].source,
            prints[-1].source,
        )
        self._emit(columns, effective)

    def _emit(self, prints: Prints, effective: list[int]) -> None:
        """Send *prints*, at the tape's scales, window by window."""
        self._check_continuity(prints, effective[0])
        ids, begin, count = prints.ids, 0, len(effective)
        while begin < count:
            start_ns = self.recording.window_of(effective[begin])
            if start_ns != self.recording.start_ns:
                self._turn(start_ns)
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
        self._last, self._last_ns = prints.last, prints.times_ns[-1]
        self._sent_id = ids[-1]

    def _turn(self, start_ns: int) -> None:
        """Cut the open window and open the one that starts at *start_ns*."""
        self.recording.cut(None, final=True)
        self.recording.open(start_ns, "trades", 0)

    def _check_continuity(self, prints: Prints, effective_ns: int) -> None:
        """Write the row of the ids that are missing before *prints*, and begin a new chain entry."""
        first_id = prints.ids[0]
        if self._sent_id is None or first_id == self._sent_id + 1:
            return
        known, cause = self._broken
        if known != self._sent_id:
            cause = self.tape.connections.cause(self._last, prints.first)
        before_ns = self.recording.clock.last_ns or effective_ns
        start_ns = self.recording.window_of(before_ns)
        row = Row(self._sent_id + 1, first_id - 1, self._last_ns, prints.times_ns[0], start_ns, cause)
        self.ledger.whole(row)
        self.recording.close_entry(None)
        if cause != "removed":  # (nobody wanted those)
            self._filled(self.healing.open(row, before_ns, effective_ns))

    def dump(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {
            "recording": self.recording.dump(),
            "ledger": self.ledger.dump(),
            "tape": self.tape.dump(),
            "healing": self.healing.dump(),
            "leaps": self._leaps.dump(),
            "refused": self.refused,
            "scales": (self.scales.price, self.scales.size),
            "last": tuple(self._last),
            "last_ns": self._last_ns,
            "sent_id": self._sent_id,
            "broken": self._broken,
            "held": [tuple(each) for each in self._held],
            "held_ticks": self._held_ticks,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Become what ``dump`` returned."""
        self.recording.load(state["recording"])
        self.ledger.load(state["ledger"])
        self.tape.load(state["tape"])
        self.healing.load(state.get("healing", []))
        self._leaps.load(state.get("leaps", [{}, []]))
        self.refused, self.scales = state["refused"], Scales(*state["scales"])
        self._last, self._last_ns = Source(*state["last"]), state["last_ns"]
        self._sent_id = state["sent_id"]
        self._broken = (state["broken"][0], state["broken"][1])
        self._held = [Print(*each) for each in state["held"]]
        self._held_ticks = state["held_ticks"]
