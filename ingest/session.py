"""What one line knows and wants: events in, actions out (ingest.actions), no clock and no socket.

A security of the desired state:

state        event                                          next         journal, and what is asked
(none)       desired                                        PENDING      the venue is asked about the symbol
PENDING      the venue lists it, or is silent for 3 s       PENDING      ``add``; it is subscribed
PENDING      the venue does not know it                     REFUSED      ``remove``, if it had been added
PENDING      confirmed by an ack or its first frame         SUBSCRIBED   its snapshot (ingest.snapshots)
PENDING      its subscription is refused                    REFUSED      tried again after a back-off
SUBSCRIBED   its connection is lost                         PENDING      the snapshot, once subscribed again
SUBSCRIBED   a break of sequence, wish, command             SUBSCRIBED   a snapshot
any          another policy is desired                      (same)       ``policy``
any          desired no more, or begun anew (``since_ns``)  (none)       ``remove``; it is unsubscribed

A security that the journal had added before a restart (``Remember``) is not asked about first: ``add`` and
its subscription come at once.

Connections are ingest.shard's, what one connection sends is ingest.link's, REST requests and their
budget are ingest.asking's.  Times are monotonic nanoseconds.
"""

from collections.abc import Iterable, Sequence
from random import Random
from typing import Any, Literal

from ingest.actions import Action, Ask, Dial, Hang, Record, Remember, Say, Send
from ingest.asking import Answer, Asking
from ingest.link import Link, Subscription
from ingest.security import Security, State
from ingest.shard import Shard
from ingest.snapshots import DEPTHS
from journal.payload import Command, Connection
from venue.api import Ack, Ignored, Reconnect, Refused, Route, UnknownFrame, Venue
from venue.routes import Run
from wire.messages import Wanted
from wire.names import EVERY_SECURITY, symbol_of, venue_of

NS_PER_SECOND = 1_000_000_000

CONFIRM_NS = 3 * NS_PER_SECOND
"""Recording does not wait longer for the REST interface to confirm a symbol."""

MOST_NAMED = 10
"""Securities that a line of the log names."""


class Session:
    """One line.  Every method may add actions; ``take`` returns them in order."""

    def __init__(
        self,
        venue: Venue,
        subscription: Subscription,
        rng: Random,
        now: int,
        *,
        rotate_ns: int,
        lines: int = 1,
        audit_ns: int = 0,
        remembered: Sequence[Wanted] = (),
    ) -> None:
        """*lines* of the venue share its REST allowance."""
        self._venue = venue
        self._subscription = subscription
        self._depth = DEPTHS[subscription.feed] if venue.FEEDS[subscription.feed].rest_base else None
        self._rng = rng
        self._rotate_ns = rotate_ns
        self._asking = Asking(venue, subscription.feed, rng, now, lines, audit_ns)
        self._securities: dict[str, Security] = {}
        self._by_symbol: dict[str, Security] = {}
        self._shards: list[Shard] = []
        self._links: dict[int, tuple[Link, Shard]] = {}
        self._connections, self._paused = 0, ""
        self._out: list[Action] = []
        self._begin([self._add(wanted, now) for wanted in remembered])

    def take(self) -> list[Action]:
        """Return the actions since the last call."""
        out, self._out = self._out, []
        return out

    # --- what is wanted ------------------------------------------------------------------

    def desired(self, wanted: Iterable[Wanted], now: int) -> None:
        """Make the securities of this venue in *wanted* the ones that are recorded."""
        ours = {w.security: w for w in wanted if venue_of(w.security) == self._venue.NAME}
        for name in [n for n in self._securities if n not in ours]:
            self._remove(self._securities[name])
        for name, each in ours.items():
            security = self._securities.get(name)
            if security is not None and security.wanted.since_ns != each.since_ns:
                self._remove(security)
                security = None
            if security is None:
                self._add(each, now)
            elif security.wanted.policies != each.policies:
                security.wanted = each
                if security.added:
                    self._remember()
                    self._command("policy", security)

    def snapshot(self, names: Iterable[str], now: int) -> list[str]:
        """Obey a command for fresh snapshots of *names*; return those that are not recorded."""
        unknown = []
        for name in names:
            security = self._securities.get(name)
            if security is None or not security.added:
                unknown.append(name)
                continue
            self._command("snapshot", security)
            if security.need is not None:
                security.need.wish("command", now)
        return unknown

    def wishes(self, names: Iterable[str], trades: Iterable[tuple[str, int, int]], now: int) -> None:
        """Heed a maintainer's wishes for snapshots, and for old trades (ingest.backfill)."""
        for name, first_id, last_id in trades:
            self._asking.backfill.wish(name, first_id, last_id, now)
        for security in (self._securities[name] for name in names if name in self._securities):
            if security.need is not None:
                security.need.wish("wish", now)
            elif security.state is State.SUBSCRIBED and not self._subscription.part:
                for shard in (s for s in self._shards if security.symbol in s.symbols):
                    shard.renew(now)

    def name_again(self) -> None:
        """Journal again what is recorded: who finds only the newest segment learns of it there."""
        for security in self._securities.values():
            if security.added:
                self._command("add", security)

    def reset(self) -> None:
        """Take new connections, without a hole."""
        for shard in self._shards:
            shard.replace("reset")

    def pause(self, reason: str) -> None:
        """Record nothing until ``resume``."""
        self._paused = reason

    def resume(self) -> None:
        """Record again."""
        self._paused = ""

    def _add(self, wanted: Wanted, now: int) -> Security:
        security = Security(wanted, symbol_of(wanted.security), self._depth, self._rng, now)
        self._securities[wanted.security] = self._by_symbol[security.symbol] = security
        self._asking.listing.want(security.symbol)
        return security

    def _begin(self, securities: Sequence[Security]) -> None:
        """Journal *securities* and give each a place on a connection."""
        for security in securities:
            security.added = True
        if securities:
            self._remember()
        most = self._venue.MAX_STREAMS
        for security in securities:
            self._command("add", security)
            shard = next((s for s in self._shards if len(s.symbols) < most), None)
            if shard is None:
                shard = Shard(self._new_link, self._overlap, self._rng, self._rotate_ns)
                self._shards.append(shard)
            shard.symbols[security.symbol] = None

    def _remove(self, security: Security) -> None:
        del self._securities[security.name]
        del self._by_symbol[security.symbol]
        self._asking.listing.forget(security.symbol)
        self._end(security)

    def _end(self, security: Security) -> None:
        """Take the security from its connection; its ``remove`` follows."""
        for shard in self._shards:
            shard.symbols.pop(security.symbol, None)
            for link in shard.links:
                link.ended(security.symbol)
        if security.added:
            security.added = False
            self._command("remove", security)
            self._remember()

    def _command(self, what: str, security: Security) -> None:
        wanted = security.wanted
        command = Command(
            what=what,
            feed=self._subscription.feed,
            update_ms=self._subscription.update_ms,
            policies=wanted.policies,
            since_ns=wanted.since_ns,
        )
        self._out.append(Record(wanted.security, 0, command))

    def _remember(self) -> None:
        self._out.append(Remember(tuple(s.wanted for s in self._securities.values() if s.added)))

    # --- connections ---------------------------------------------------------------------

    def opened(self, number: int, now: int) -> None:
        """Connection *number* is open."""
        link, shard = self._links[number]
        shard.opened(link, now)
        self._out.append(Record(EVERY_SECURITY, number, Connection(what="open", reason="")))
        self._say("info", f"event=connected connection={number}")

    def lost(self, number: int, reason: str, now: int) -> None:
        """Connection *number* was lost, or could not be opened; one that was hung up is known to be."""
        link, shard = self._links.pop(number, (None, None))
        if link is None or shard is None:
            return
        if shard.lost(link, reason, now):
            event = "disconnected" if link.open else "cannot_connect"
            self._say("warning", f'event={event} connection={number} reason="{reason}"')
        self._closed(link, reason)

    def heard(self, number: int, now: int) -> None:
        """Bytes came on connection *number*."""
        self._links[number][0].heard(now)

    def pinged(self, number: int, payload: bytes) -> None:
        """The venue sent a ping."""
        self._links[number][0].pinged(payload)

    def frame(self, number: int, route: Route, payload: bytes, now: int) -> None:
        """A frame that was journalled came on connection *number*."""
        link = self._links[number][0]
        kind, symbol = route.kind, route.symbol
        if kind == "control":
            self._control(link, payload, now)
            return
        security = self._by_symbol.get(symbol)
        if security is None or (kind != "book" and kind != "snapshot"):
            return
        if symbol not in link.delivered and link.frame(symbol):
            self._carried([symbol], link, now)
        need, first, last = security.need, route.first_id, route.last_id
        if need is None or first is None or last is None or need.continues(number, first, last):
            return
        settled = need.settled
        if not need.update(number, first, last, now) and settled:
            self._say("warning", f"event=gap security={security.name} first_id={first} connection={number}")

    def broken(self, number: int, runs: Sequence[Run]) -> set[str]:
        """Take *runs* where they go on from what came; of the symbols returned ``frame`` is to tell all."""
        broken, by_symbol, delivered = set(), self._by_symbol, self._links[number][0].delivered
        for symbol, first, last, unbroken in runs:
            if (security := by_symbol.get(symbol)) is not None:
                is_usual, need = unbroken and symbol in delivered, security.need
                if not (is_usual and (need is None or need.continues(number, first, last))):
                    broken.add(symbol)
        return broken

    def _control(self, link: Link, payload: bytes, now: int) -> None:
        try:
            control = self._venue.control(payload)
        except UnknownFrame as error:
            self._say("warning", f'event=unknown_control connection={link.number} reason="{error}"')
            return
        match control:
            case Ack():
                self._carried(link.acked(control.id), link, now)
            case Refused():
                self._refused(link, control, now)
            case Reconnect():
                self._links[link.number][1].replace("rotation")
                self._say("info", f'event=reconnect_asked connection={link.number} reason="{control.text}"')
            case Ignored():
                pass

    def _refused(self, link: Link, refused: Refused, now: int) -> None:
        symbols = link.refused(refused.id)
        if not symbols:
            self._say("warning", f'event=venue_error connection={link.number} reason="{refused.text}"')
        for symbol in symbols:
            security = self._by_symbol.get(symbol)
            if security is not None and security.refuse(refused.text, now):
                self._say("error", f'event=refused security={security.name} reason="{refused.text}"')

    def _carried(self, symbols: Sequence[str], link: Link, now: int) -> None:
        """*link* carries *symbols* from now on."""
        found = [self._by_symbol[symbol] for symbol in symbols if symbol in self._by_symbol]
        news = [security.name for security in found if security.carried()]
        for security in found:
            if security.need is not None:
                security.need.subscribed(link.number, now)
        if news:
            more = f" and {len(news) - MOST_NAMED} more" if len(news) > MOST_NAMED else ""
            names = " ".join(news[:MOST_NAMED]) + more
            self._say("info", f'event=subscribed connection={link.number} securities="{names}"')

    def _closed(self, link: Link, reason: str) -> None:
        """Journal that *link* is closed and see what it carried."""
        if link.open:
            self._out.append(Record(EVERY_SECURITY, link.number, Connection(what="closed", reason=reason)))
        others = [other for other, _ in self._links.values()]
        for symbol in link.carried | link.delivered:
            security = self._by_symbol.get(symbol)
            if security is None:
                continue
            if security.need is not None:
                security.need.closed(link.number)
            if not any(symbol in other.carried for other in others):
                security.orphaned(reason)

    def _overlap(self, symbol: str, old: int, new: int) -> bool:
        security = self._by_symbol.get(symbol)
        return security is None or security.need is None or security.need.overlap(old, new)

    def _new_link(self, now: int) -> Link:
        self._connections += 1
        return Link(self._connections, self._venue, self._subscription, now)

    # --- time ----------------------------------------------------------------------------

    def tick(self, now: int, wall_s: str) -> None:
        """Do what is due, a few times in each ``CONTROL_GAP_NS``; *wall_s* is Unix time, for signatures."""
        late = [s for s in self._securities.values() if not s.added and not s.unknown]
        self._begin([s for s in late if now - s.since >= CONFIRM_NS])
        if not self._paused:
            self._out += self._asking.due(self._securities.values(), now)
        for shard in self._shards:
            self._serve(shard, now, wall_s)

    def _serve(self, shard: Shard, now: int, wall_s: str) -> None:
        wanted = [] if self._paused else [s for s in shard.symbols if self._by_symbol[s].wants(now)]
        while (step := shard.due(wanted, now)) != (None, None, ""):
            if step.dial is not None:
                self._links[step.dial.number] = (step.dial, shard)
                self._out.append(Dial(step.dial.number))
            if step.close is not None:
                del self._links[step.close.number]
                self._out.append(Hang(step.close.number))
                reason = self._paused or step.reason
                self._say("info", f'event=closed connection={step.close.number} reason="{reason}"')
                self._closed(step.close, reason)
        for link in list(shard.links):
            outgoing, dead = link.due(wanted, now, wall_s)
            self._out += [Send(link.number, each.kind, each.payload) for each in outgoing]
            if dead:
                self._out.append(Hang(link.number))
                self.lost(link.number, dead, now)

    # --- REST ----------------------------------------------------------------------------

    def answered(self, ask: Ask, answer: Answer, now: int) -> None:
        """Take the answer to *ask*; its body was journalled before."""
        if ask.what != "instrument":
            security = self._securities.get(ask.securities[0])
            self._out += self._asking.answered(ask, answer, security, now)
            return
        finding, said = self._asking.instruments(ask, answer, now)
        self._out += said
        known = [self._by_symbol[symbol] for symbol in finding.known if symbol in self._by_symbol]
        for security in known:
            security.listed()
        self._begin([security for security in known if not security.added])
        for symbol, instrument in finding.changed.items():
            now_is = f"status={instrument.status} scales={instrument.price_scale},{instrument.size_scale}"
            self._say("info", f"event=instrument security={self._venue.NAME}:{symbol} {now_is}")
        for symbol, reason in finding.unknown.items():
            unknown = self._by_symbol.get(symbol)
            if unknown is None:
                continue
            if unknown.refuse(reason, now, unknown=True):
                self._say("error", f'event=refused security={unknown.name} reason="{reason}"')
            self._end(unknown)

    # --- health --------------------------------------------------------------------------

    def health(self) -> dict[str, Any]:
        """Return what a beat shows of the line."""
        problems = {s.problem for s in self._shards if s.problem}
        return {
            "securities": {s.name: self._shown(s) for s in self._securities.values()},
            "connections": [link.shown() for link, _ in self._links.values()],
            "connections_dialed": self._connections,
            "connection_problem": self._paused or "; ".join(sorted(problems)),
            "rest_problem": self._asking.problem,
            "state": "paused" if self._paused else "live",
        }

    def _shown(self, security: Security) -> dict[str, Any]:
        reason = security.reason or self._subscription.reason
        if security.state is not State.SUBSCRIBED:
            problem = next((s.problem for s in self._shards if security.symbol in s.symbols), "")
            reason = self._paused or security.reason or problem or self._asking.problem or "asked for"
        instrument = self._asking.listing.instruments.get(security.symbol)
        return {
            "state": security.state.value,
            "reason": reason,
            "feed": self._subscription.feed,
            "since_ns": security.wanted.since_ns,
            "book": not self._subscription.part,
            "instrument": instrument.status if instrument else "",
        }

    def _say(self, level: Literal["info", "warning", "error"], text: str) -> None:
        self._out.append(Say(level, text))
