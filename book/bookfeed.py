"""The book of one security: ready updates are timed, applied, cut into windows, and sent.

event                              outcome
the first update on a snapshot     Changes or Orders, then an Image: a chain has started; its hole is closed
an update                          Changes or Orders
first update of a later window     the Image of the old window's end, if one is due; Cut; then the update
first update under another mode    an Image of the new kind after it (policy from orders to changes, or named)
a gap                              Hole, open; the chain ends
an update that cannot be true      the same, cause ``desync``: it and what follows wait for a new snapshot
a value that does not fit 64 bits  the same, cause ``venue``: what it brought is lost
command ``snapshot``               Image of the book as it is
an audit                           Audit; a wider certified range ends the entry: the next update has an Image

An update whose exchange time is an hour ahead of the one before is held until it is known whether
its clock was wrong (book.clock).
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from book import following
from book.audit import Auditor
from book.clock import SILENT_TICKS
from book.compare import Audited, Beyond
from book.depth import Batch as DepthBatch
from book.depth import Depth, Span, Unclear, packed
from book.hash import finish
from book.holes import Ledger
from book.orderflow import Batch as OrderBatch
from book.orderflow import OrderFlow
from book.outlet import Outlet, earliest
from book.recording import Recording
from book.run import Run
from book.scales import Finer, Refused, Scales, raised
from book.sync import Update
from book.table import Rows
from book.windows import Windows
from venue.leap import LEAP
from wire.runs import Audit, Changes, Marks, equal_pct

Batch = DepthBatch | OrderBatch

MOST_DIFFERENCES = 1000
"""Of one audit that are stored; how many there were is said."""


class Stopped(NamedTuple):
    """Updates from *again* on were not applied: the book is only good up to the one before."""

    cause: str
    again: list[Update]


class BookFeed:
    """The book, its chain and its open window."""

    def __init__(
        self, outlet: Outlet, windows: Windows, kind: str, decode: Callable[[Update], Update]
    ) -> None:
        self.windows = windows
        self.book: Depth | OrderFlow = OrderFlow() if kind == "l3" else Depth()
        self.ledger = Ledger(outlet, "book")
        self.recording = Recording(outlet, windows.window_ns, "")
        self.last_id: int | None = None
        """Of the last update that was sent; None before the first chain."""
        self.time_ns = 0
        self.refused = 0
        self.desyncs = 0
        self.auditor = Auditor()
        self.audit_pct: float | None = None
        """What the newest audit found to be equal."""
        self.starting: int | None = None
        """The snapshot's id, while its chain waits for its first update."""
        self.in_chain = False
        self._effective_ns = 0
        self._image_id: int | None = None
        self._image_wanted = False
        self._held: list[Update] = []
        self._held_ticks = 0
        self._outlet = outlet
        self._decode = decode

    @property
    def lows(self) -> Marks:
        """Return of each line the position of the earliest update that is held."""
        return earliest((update.line, update.position) for update in self._held) if self._held else {}

    def base(self, snapshot_id: int) -> None:
        """Start a chain after the snapshot with *snapshot_id*, which the book has become."""
        self.starting = snapshot_id
        self.in_chain = False
        self._held = []

    def take(
        self, ready: Sequence[Update], next_ns: int | None = None, *, waited: bool = False
    ) -> Stopped | None:
        """Apply *ready*, in id order, and send it; say where and why it had to stop.

        *next_ns* is the exchange time of an update known to come after them, across a gap.
        """
        updates = [*self._held, *ready]
        if not updates or not (ready or waited or next_ns is not None):
            return None
        times, received = [update.time_ns for update in updates], [update.recv_ns for update in updates]
        effective = self.recording.clock.settle(times, received, next_ns, waited=waited)
        if len(effective) < len(updates):
            self._held, self._held_ticks = updates[len(effective) :], 0
        else:
            self._held = []
        updates = [update if update.decoded else self._decode(update) for update in updates[: len(effective)]]
        stopped = self._write(updates, effective) if updates else None
        if stopped is not None:
            stopped.again.extend(self._held)
            self._held = []
        return stopped

    def take_run(self, run: Run) -> Stopped | None:
        """Do the same with updates that came as columns and follow one another."""
        clock, times_ns = self.recording.clock, run.columns.times_ns
        is_near = not self._held and clock.is_near(times_ns)
        if is_near and (batch := self.book.prepare_run(run)) is not None:
            stop = self._apply(batch, clock.follow(times_ns))
            return None if stop == len(times_ns) else Stopped("desync", run.updates(stop))
        return self.take(run.updates())

    def place(self, last_id: int) -> "following.BookPlace | None":
        """Return where updates after *last_id* go on from the open window; None: they are to be looked at."""
        book, start_ns = self.book, self.recording.start_ns
        if start_ns is None or self.last_id != last_id or not isinstance(book, Depth):
            return None
        ladders, clock = book.levels.ladders, self.recording.following(self.windows.alike_until(start_ns))
        if ladders is None or clock is None or self._held or self._image_wanted or self.starting is not None:
            return None
        kept = book.scales.price, book.scales.size, book.may_cross, self.recording.nets
        return following.BookPlace(ladders, last_id, LEAP, clock, *kept)

    def followed(self, followed: following.Followed) -> int:
        """Send what went to the book's ``place``; return the last id."""
        absent, windows = followed
        book, recording, last_id = self.book, self.recording, 0
        if isinstance(book, Depth):
            book.absent_deletes += absent
        for sums, first_id, last_id, self.time_ns, self._effective_ns, columns in windows:
            if sums is not None:
                self._turn(recording.window_of(self._effective_ns), partial(finish, sums))
            self._outlet.emit_rows(Changes, recording.start_ns or 0, book.scales, *columns)
            recording.extend(first_id, last_id, self._image_id, self._effective_ns)
        self.last_id = last_id
        return last_id

    def break_chain(self, cause: str) -> None:
        """End the chain and open a row of the ledger, unless nothing was ever recorded."""
        self.recording.close_entry(self.book.hash if self.in_chain else None)
        self.in_chain = False
        self.starting = None
        if self.last_id is not None:
            start_ns = self.recording.window_of(self.recording.clock.last_ns or 0)
            self.ledger.open(self.last_id + 1, self.time_ns, start_ns, cause)

    def seam(self, snapshot_id: int, cause: str) -> None:
        """End the chain of a feed without ids: another connection's begins."""
        self.recording.close_entry(self.book.hash if self.in_chain else None)
        if self.last_id is not None:
            start_ns = self.recording.window_of(self.recording.clock.last_ns or 0)
            self.ledger.seam(snapshot_id, self.time_ns, start_ns, cause)

    def image(self) -> bool:
        """Send an image of the book as it is, if there is a chain; what follows starts from it."""
        if not self.in_chain or self.last_id is None or self.recording.clock.last_ns is None:
            return False
        self._send_image(self.recording.window_of(self._effective_ns))
        self.recording.close_entry(self.book.hash)
        return True

    def audited(self, audited: Audited) -> None:
        """Send what an audit of the book as it is came to."""
        if self.last_id is None:
            return
        scales, found = audited.scales, audited.comparison
        shown = found.differences[:MOST_DIFFERENCES]
        self.audit_pct = equal_pct(found.equal, found.levels)
        self._outlet.emit(
            Audit,
            start_ns=self.recording.window_of(self._effective_ns),
            update_id=self.last_id,
            time_ns=self.time_ns,
            book=self.book.KIND,
            price_scale=scales.price,
            size_scale=scales.size,
            certified=audited.certified,
            levels=found.levels,
            equal=found.equal,
            misplaced=found.misplaced,
            sides_u1=bytes(each.side for each in shown),
            prices=packed([each.price for each in shown]),
            ours=packed([each.ours for each in shown]),
            theirs=packed([each.theirs for each in shown]),
            order_ids=b"".join(each.order_id for each in shown),
        )

    def widen(self, scales: Scales, beyond: Beyond) -> None:
        """Take the levels that a snapshot vouches for beyond the certified range; an image follows.

        The image is that of the next update: there may be one of the last already, without them.

        Raises:
            Refused: the book would not fit 64 bits at *scales*; it is as it was.
        """
        if not isinstance(self.book, Depth):
            return
        self.raise_scales(scales)
        self.recording.close_entry(self.book.hash)
        rows = Rows(beyond.keys, beyond.sizes, np.array((0, len(beyond.keys))))
        self.book.levels.apply(rows, may_cross=True)
        self.book.levels.certified = beyond.certified
        self._image_wanted = True

    def forget(self) -> None:
        """Let the book go, its windows being cut; what was final stays final, and ids stay known."""
        scales = self.book.scales
        self.book = OrderFlow() if isinstance(self.book, OrderFlow) else Depth()
        self.book.rescale(scales)
        self.starting, self.in_chain, self.auditor = None, False, Auditor()
        self._image_id, self._image_wanted, self._held = None, False, []

    def follow(self, before: "BookFeed") -> None:
        """Go on where *before*, of another feed, ended: ids do not compare, windows do."""
        self.recording.finals = before.recording.finals
        self.recording.clock.last_ns = before.recording.clock.last_ns
        self.book.rescale(before.book.scales)
        if before.last_id is not None:
            self.ledger.rows = before.ledger.rows
            start_ns = self.recording.window_of(before.recording.clock.last_ns or 0)
            self.ledger.seam(before.last_id + 1, before.time_ns, start_ns, "removed")

    def settle_held(self) -> Stopped | None:
        """Apply the update that is held as if its clock were right: no next one will tell."""
        return self.take([], waited=True)

    def tick(self) -> Stopped | None:
        """Let a second pass without an update."""
        stopped = None
        self._held_ticks += 1
        if self._held and self._held_ticks >= SILENT_TICKS:
            stopped = self.settle_held()
        self.recording.tick()
        if self.recording.is_quiet:
            self.recording.cut(self.book.hash, final=False)
        elif self.recording.is_silent:
            self.finish()
        return stopped

    def finish(self) -> None:
        """Cut the open window for good though no later one has begun."""
        start_ns = self.recording.start_ns
        if start_ns is None:
            return
        if self.in_chain and self.windows.image_due(start_ns, start_ns + self.windows.window_ns):
            self._send_image(start_ns)
        self.recording.finish(self.book.hash)

    def raise_scales(self, scales: Scales) -> None:
        """Go on at scales not below *scales*.

        Raises:
            Refused: the book would not fit 64 bits; it is as it was.
        """
        scales = raised(self.book.scales, scales)
        if scales != self.book.scales:
            self.book.rescale(scales)

    def _write(self, updates: list[Update], effective: list[int]) -> Stopped | None:
        """Send *updates*, whole if it can be; else one by one: the update that needs it raises a scale."""
        try:
            batch = self.book.prepare(updates)
        except (Finer, Refused, Unclear):
            for n, update in enumerate(updates):
                stopped = self._write_one(update, effective[n])
                if stopped is not None:
                    stopped.again.extend(updates[n + 1 :])
                    return stopped
            return None
        stop = self._apply(batch, effective)
        return None if stop == len(updates) else Stopped("desync", updates[stop:])

    def _write_one(self, update: Update, effective_ns: int) -> Stopped | None:
        try:
            while True:
                try:
                    batch = self.book.prepare([update])
                    break
                except Finer as finer:
                    self.raise_scales(finer.scales)
        except Refused:
            self.refused += 1
            return Stopped("venue", [])
        return None if self._apply(batch, [effective_ns]) else Stopped("desync", [update])

    def _apply(self, batch: Batch, effective: list[int]) -> int:
        """Apply and send the updates of *batch*; return where it stopped."""
        begin, count = 0, len(effective)
        while begin < count:
            start_ns = self.recording.window_of(effective[begin])
            if start_ns != self.recording.start_ns:
                self._turn(start_ns, self.book.hash)
            end = bisect_left(effective, start_ns + self.windows.window_ns, begin)
            first = self.starting is not None or self._image_wanted
            end = begin + 1 if first else end
            next_id = self.starting if self.starting is not None else self.last_id
            first_id = 0 if next_id is None else next_id + 1
            span = Span(start_ns, first_id, effective[begin:end], self.recording.nets)
            stop = self._apply_span(batch, begin, end, span)
            if stop > begin:
                last = batch.last_ids[stop - 1], batch.times_ns[stop - 1], effective[stop - 1]
                self._note(*last, span.first_id, is_first=first)
            if stop < end:
                self.desyncs += 1
                return stop
            begin = end
        return count

    def _apply_span(self, batch: Batch, begin: int, end: int, span: Span) -> int:
        if self._image_wanted or self.starting is not None:
            self.recording.close_entry(self.book.hash if self.in_chain else None)
        return self.book.apply(batch, begin, end, span, self._outlet)  # type: ignore[arg-type]

    def _note(self, last_id: int, time_ns: int, effective_ns: int, first_id: int, *, is_first: bool) -> None:
        """Note what was sent; the first update of a chain is followed by its image."""
        if is_first:
            self._image_id = last_id
        self.recording.extend(first_id, last_id, self._image_id, effective_ns)
        self.last_id, self.time_ns, self._effective_ns = last_id, time_ns, effective_ns
        if self.starting is not None:
            self.ledger.close(self.starting, time_ns)
            self.starting, self.in_chain = None, True
        if is_first:
            self._image_wanted = False
            self._send_image(self.recording.window_of(effective_ns))

    def _turn(self, start_ns: int, book_hash: Callable[[], bytes]) -> None:
        """Cut the open window, whose book ends with *book_hash*, and open that of *start_ns*."""
        recording = self.recording
        if recording.start_ns is not None:
            if self.in_chain and self.windows.image_due(recording.start_ns, start_ns):
                self._send_image(recording.start_ns)
            recording.cut(book_hash, final=True)
        policy = self.windows.policy(start_ns)
        last_id = self.last_id if self.starting is None else self.starting
        if self.book.enter(policy, last_id or 0) and recording.feed:
            self._image_wanted = True
        recording.open(start_ns, self.book.feed, policy.every_ms)

    def _send_image(self, start_ns: int) -> None:
        if self.last_id is None or self._image_wanted:
            return
        self.book.image(self._outlet, self.last_id, self.time_ns, self._effective_ns, start_ns)
        self._image_id = self.last_id

    def dump(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {
            "kind": self.book.KIND,
            "book": self.book.dump(),
            "ledger": self.ledger.dump(),
            "recording": self.recording.dump(),
            "last_id": self.last_id,
            "time_ns": self.time_ns,
            "effective_ns": self._effective_ns,
            "refused": self.refused,
            "desyncs": self.desyncs,
            "auditor": self.auditor.dump(),
            "audit_pct": self.audit_pct,
            "starting": self.starting,
            "in_chain": self.in_chain,
            "hash": self.book.hash() if self.in_chain else b"",
            "image_id": self._image_id,
            "image_wanted": self._image_wanted,
            "held": [tuple(update[:-1]) for update in self._held],
            "held_ticks": self._held_ticks,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Become what ``dump`` returned."""
        self.book.load(state["book"])
        self.ledger.load(state["ledger"])
        self.recording.load(state["recording"])
        self.last_id, self.time_ns = state["last_id"], state["time_ns"]
        self._effective_ns = state["effective_ns"]
        self.refused, self.desyncs = state["refused"], state["desyncs"]
        if "auditor" in state:  # a checkpoint of an earlier version has none
            self.auditor.load(state["auditor"])
            self.audit_pct = state["audit_pct"]
        self.starting, self.in_chain = state["starting"], state["in_chain"]
        self._image_id, self._image_wanted = state["image_id"], state["image_wanted"]
        self._held = [Update(*update) for update in state["held"]]
        self._held_ticks = state["held_ticks"]
