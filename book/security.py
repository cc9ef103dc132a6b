"""One security: what the records of its line that concern it come to, message by message.

record                     outcome
COMMAND add                starts; with another ``since_ns`` than before: removed and started anew
COMMAND remove             once no line records it (book.presence) the open windows are cut for good; only its
                           last ids and times are kept
COMMAND policy             rules from the windows it names on
COMMAND snapshot           an image, where the book does not come over REST (else its body makes one)
COMMAND asked              updates are kept for the body that comes: an audit
FRAME                      updates through book.sync to book.bookfeed; trades to book.trades
REST depth                 the base of a new chain while one is needed; cause ``command``: an image; an audit
REST trades                fill holes among the trades (book.backfill)
REST instrument            scales are raised to the venue's; halts and auctions are known
CONNECTION closed, EPOCH   what only that connection could have brought is missing
TICK                       time passes: quiet and silent windows, what was kept too long

Records come in the order into which book.merge put the venue's lines.  Nothing here reads a clock.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from book import backfill, following, reading
from book.bookfeed import BookFeed
from book.joined import Joined
from book.outlet import Outlet, earliest
from book.presence import Presence
from book.scales import Refused, Scales
from book.source import Source
from book.sync import State
from book.trades import TradeFeed
from book.windows import Recipe
from journal.frames import Frames
from journal.group import Record
from journal.payload import Command, Connection, Rest
from venue.api import Feed, UnknownFrame, Venue
from venue.columns import Columns
from wire.messages import Policy
from wire.names import epoch_of, symbol_of
from wire.runs import Begin, Mark, Marks, RunMessage


class Security:
    """The state of one security."""

    def __init__(self, name: str, venue: Venue, recipe: Recipe, born: Marks) -> None:
        self.name = name
        self.born = born
        """The positions when it was first named: with no checkpoint it starts there."""
        self._positions = born
        self.state = "removed"
        self.feed = ""
        self.since_ns = 0
        self._since_before_ns = -1
        self.status = "trading"
        self.unknown_frames = self._recv_ns = 0
        self.outlet = Outlet(name, born)
        self.presence = Presence()
        self._symbol = symbol_of(name)
        self._venue = venue
        self._recipe = recipe
        self._policies: tuple[Policy, ...] = (Policy(),)
        self.written_joined = self._joined_of("", Feed("l2", True, True))
        """This, and ``written_trades``: without what simply followed since the last ``settle``."""
        self.written_trades = TradeFeed(self.outlet, self._recipe.windows("l2", self._policies))
        self._follower: following.Follower | None = None

    # --- what it is made of, with all that came written down ---

    @property
    def joined(self) -> Joined:
        """Return its book, and the rule that joins it."""
        self.settle()
        return self.written_joined

    @property
    def trades(self) -> TradeFeed:
        """Return its trades."""
        self.settle()
        return self.written_trades

    @property
    def positions(self) -> Marks:
        """Return of each line the position of the next record that it has not seen."""
        self.settle()
        return self._positions

    @property
    def recv_ns(self) -> int:
        """Return when the last record that concerned it was received, one that has simply followed too."""
        follower = self._follower
        return follower.recv_ns if follower is not None and follower.has_taken else self._recv_ns

    @property
    def reached(self) -> tuple[int | None, int]:
        """Return id and exchange time of its last update, of one that has simply followed too."""
        written, follower = self.written_joined.book, self._follower
        return (follower and follower.book.reached) or (written.last_id, written.time_ns)

    @property
    def book(self) -> BookFeed:
        """Return its book."""
        return self.joined.book

    @property
    def traits(self) -> Feed:
        """Return what its feed can do."""
        return self.written_joined.traits

    # --- what the maintainer calls, each for one record or the frames of one group ---

    def follower(self, line: str) -> "following.Follower | None":
        """Return where frames of *line* go that simply follow; None: each is to be looked at."""
        follower = self._follower
        is_missing, joined = follower is None and self.state != "removed", self.written_joined
        if is_missing and (book := joined.place(line)) is not None:
            place = self.feed, self._positions.get(line, 0), book, self.written_trades.place(line)
            self._follower = follower = following.Follower(line, *place)
        return follower if follower is not None and follower.line == line else None

    def settle(self) -> None:
        """Write down what simply followed since this was last called."""
        follower, self._follower = self._follower, None
        if follower is not None:
            if follower.has_taken:
                self._write_down(follower)
            follower.end()

    def _write_down(self, follower: "following.Follower") -> None:
        line, position = follower.line, follower.next_position
        self.outlet.read(line, position)
        source = Source(line, epoch_of(position - 1), follower.connection)
        if follower.tape is not None and (printed := follower.tape.followed()) is not None:
            self.written_trades.followed(printed, source)
        if (followed := follower.book.followed()) is not None:
            self.written_joined.followed(followed, source)
        self._recv_ns = follower.recv_ns
        self._positions = {**self._positions, line: position}

    def read(self, line: str, position: int) -> None:
        """Note that records of *line* before *position* are worked off next."""
        self.settle()
        self.outlet.read(line, position)

    def frames(self, records: Frames, columns: Columns | None = None) -> None:
        """Work off the frames of one group; *columns* is what they say, where that is known."""
        if self.state == "removed":
            return
        places = self.joined, self.trades
        self.unknown_frames += reading.take(records, columns, self._venue, self.feed, *places)
        self._recv_ns = records.received_ns[-1]

    def rest(self, record: Record, rest: Rest) -> None:
        """Work off the answer to a GET."""
        is_ok, is_recorded = rest.status == HTTPStatus.OK, self.state != "removed"
        if rest.what == "instrument" and is_ok:
            self._instrument(rest.body)
        elif rest.what == "depth" and is_ok and is_recorded:
            self.joined.rest_snapshot(record, rest)
        elif rest.what == "trades" and is_recorded:
            backfill.answered(self.trades, record, rest, self._venue, self._symbol)

    def command(self, record: Record, command: Command) -> None:
        """Work off a change of the set of securities."""
        match command.what:
            case "add":
                self._add(record.line, command)
            case "remove":
                self.presence.removed(record.line)
                self._leave(record.line)
                self._remove_if_unrecorded()
            case "policy":
                self._rule(command.policies)
            case "snapshot" | "asked":
                self.joined.commanded(record, command.what)
            case _:
                pass
        self._recv_ns = record.recv_ns

    def connection(self, record: Record, connection: Connection) -> None:
        """Work off the start or the end of a connection."""
        if self.state == "removed":
            return
        if connection.what == "open":
            self._expect(record.line)
            return
        self.joined.closed(record, connection.reason)
        self.trades.closed(record.line, record.connection, connection.reason, record.recv_ns)

    def epoch(self, record: Record) -> None:
        """Work off the start of another epoch."""
        if self.state == "removed":
            return
        self.presence.new_epoch(record.line)
        self.joined.new_epoch(record)
        self.trades.new_epoch(record.line, epoch_of(record.position), record.recv_ns)

    def tick(self, record: Record) -> None:
        """Let a second pass."""
        if self.state == "removed":
            if self.outlet.has_begun:
                self.outlet.emit(Mark)
            return
        self._recv_ns = record.recv_ns
        lines, passes = self.presence.lines, self.presence.tick(record.line)
        for line in lines - self.presence.lines:
            self._leave(line)
        if self._remove_if_unrecorded():
            return
        if passes:
            self.joined.tick(record)
            self.trades.tick(record.recv_ns)
        self.outlet.emit(Mark)

    def lost(self) -> None:
        """Work off that records which are to come cannot be read from the journal any more."""
        if self.state != "removed":
            self.joined.lost()
            self.trades.broken("disk")

    def cut_open(self) -> None:
        """Cut the open windows as they stand: the worker ends, and what follows replaces them."""
        self.book.recording.cut(self.book.book.hash, final=False)
        self.trades.recording.cut(None, final=False)

    def take(self, line: str, position: int) -> list[RunMessage]:
        """Return what the records of *line* before *position* came to."""
        self._positions = {**self.positions, line: position}
        return self.flush()

    def flush(self) -> list[RunMessage]:
        """Return what all records so far came to."""
        joined, trades, lows = self.joined.lows(), self.trades.lows, self.positions
        if joined or trades:
            lows = earliest([*lows.items(), *joined.items(), *trades.items()])
        return self.outlet.take(lows)

    def begin(self, run: int) -> None:
        """Start *run*: what follows goes on from here."""
        self.outlet.take(self.outlet.lows)
        self.outlet.start(run)
        if self.feed:
            self._begin()
            self.joined.begun()

    @property
    def wishes_snapshot(self) -> bool:
        """Say whether only a new snapshot helps, and none seems to be on its way."""
        return self.state != "removed" and self.written_joined.wishes_snapshot

    @property
    def shown_state(self) -> str:
        """Return the state as ``obl status`` names it."""
        if self.state == "removed":
            return "removed"
        joined = self.written_joined  # (what simply follows changes none of this)
        if joined.ids_went_back:
            return "error"
        if self.status == "halted":
            return "halted"
        if joined.book.in_chain and joined.sync.state is State.LIVE:
            return "live"
        return "gap" if joined.book.ledger.is_open else "syncing"

    # --- what happens inside ---

    def _joined_of(self, feed: str, traits: Feed) -> Joined:
        windows = self._recipe.windows(traits.book, self._policies)
        return Joined(self.outlet, windows, self._venue, self._symbol, feed, traits)

    def _use_feed(self, feed: str, traits: Feed) -> None:
        """Start with an empty book of *feed*; what was final stays final."""
        before = self.book
        self.feed = feed
        self.written_joined = self._joined_of(feed, traits)
        self.book.follow(before)

    def _add(self, line: str, command: Command) -> None:
        traits = self._venue.FEEDS.get(command.feed)
        if traits is None or command.since_ns == self._since_before_ns:
            return  # (the line has yet to hear that this recording ended and another one began)
        is_recorded = self.state != "removed"
        if is_recorded and command.feed != self.feed and self.presence.repeats(line):
            return  # another line has started again with another feed; this one will
        if is_recorded and (command.since_ns != self.since_ns or command.feed != self.feed):
            self._remove()
        self.presence.added(line)
        if self.state != "removed":
            self._expect(line)
            self._rule(command.policies)
            return
        if command.since_ns != self.since_ns:
            self._since_before_ns = self.since_ns
        if command.policies:
            self._policies = command.policies
        is_other = command.feed != self.feed
        if is_other:
            self._use_feed(command.feed, traits)
        self.state, self.since_ns = "added", command.since_ns
        self._shape()
        if is_other or not self.outlet.has_begun:
            self._begin()
        self._expect(line)
        self.book.book.may_cross |= self.status == "auction"
        if not is_other:
            self.book.break_chain("removed")

    def _leave(self, line: str) -> None:
        self.joined.leave(line)
        self.trades.tape.connections.leave(line)

    def _expect(self, line: str) -> None:
        self.joined.expect(line)
        self.trades.tape.connections.expect(line)

    def _rule(self, policies: Sequence[Policy]) -> None:
        """Go on by *policies*, unless another line has brought newer ones before."""
        if policies and policies[-1].from_ns >= self._policies[-1].from_ns:
            self._policies = tuple(policies)
        self._shape()

    def _remove_if_unrecorded(self) -> bool:
        if is_over := self.state != "removed" and not self.presence.recorded:
            self._remove()
        return is_over

    def _remove(self) -> None:
        self.presence.clear()
        self.book.settle_held()
        self.book.finish()
        self.trades.settle_held()
        self.trades.finish()
        self.trades.broken("removed")
        self.state = "removed"
        self.joined.forget()

    def _begin(self) -> None:
        if self.outlet.has_begun:
            self.outlet.start(self.outlet.run + 1)
        windows = {**self.book.recording.begun(), **self.trades.recording.begun()}
        self.outlet.emit(Begin, book=self.traits.book, has_ids=self.traits.has_ids, windows=windows)

    def _shape(self) -> None:
        self.book.windows = self.trades.windows = self._recipe.windows(self.traits.book, self._policies)

    def _instrument(self, body: bytes) -> None:
        try:
            instrument = self._venue.instruments(body).get(self._symbol)
        except UnknownFrame:
            return
        if instrument is None:
            return
        self.status = instrument.status
        self.book.book.may_cross = instrument.status == "auction"
        scales = Scales(instrument.price_scale, instrument.size_scale)
        try:
            self.trades.raise_scales(scales)
            self.book.raise_scales(scales)
        except Refused:
            self.unknown_frames += 1

    def dump(self) -> dict[str, Any]:
        """Return the exact state, after ``take``; msgpack packs it."""
        return {
            "name": self.name,
            "born": self.born,
            "positions": self.positions,
            "lows": self.outlet.lows,
            "state": self.state,
            "feed": self.feed,
            "since_ns": self.since_ns,
            "since_before_ns": self._since_before_ns,
            "status": self.status,
            "unknown_frames": self.unknown_frames,
            "recv_ns": self.recv_ns,
            "policies": msgspec.to_builtins(self._policies),
            "presence": self.presence.dump(),
            "joined": self.joined.dump(),
            "trades": self.trades.dump(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Become what ``dump`` returned; a run begins with ``begin``."""
        self._policies = tuple(msgspec.convert(state["policies"], tuple[Policy, ...]))
        if state["feed"]:
            self._use_feed(state["feed"], self._venue.FEEDS[state["feed"]])
        self.born, self._positions = state["born"], state["positions"]
        self.state, self.status = state["state"], state["status"]
        self.since_ns, self._since_before_ns = state["since_ns"], state["since_before_ns"]
        self.unknown_frames, self._recv_ns = state["unknown_frames"], state["recv_ns"]
        self.presence.load(state["presence"])
        self.joined.load(state["joined"])
        self.trades.load(state["trades"])
        self.outlet.lows = self.outlet.reading = state["lows"]
        self._shape()
        self.book.book.may_cross |= self.status == "auction"
