"""A small market, recorded by the real book and conditioner, and the truth about it folded by hand.

``Market`` feeds updates to book.bookfeed.BookFeed, whose messages go through condition.conditioner to the
documents that a store gets.  Beside that it keeps, by the plainest possible means, every state that the book
ever had: ``at`` is the definition of the book at T, word for word.
"""

import random
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from book.bookfeed import BookFeed
from book.compare import Beyond
from book.outlet import Outlet
from book.sync import Update
from book.trades import Print, TradeFeed
from book.windows import Windows
from condition.conditioner import Conditioner
from venue.api import BookSnapshot, DepthUpdate, OrderEvent, OrderKind, OrderSnapshot, Side
from wire.messages import Answer, Document, Policy, Synced
from wire.runs import Begin

T0 = 1_800_000_000_000_000_000
S = 1_000_000_000
WINDOW_NS = 10 * S
LINE = "binance/a"


@dataclass(frozen=True)
class State:
    """The book after one update."""

    effective_ns: int
    update_id: int
    chain: int
    bids: list[tuple[int, int]]
    asks: list[tuple[int, int]]
    orders: list[tuple[int, int, int, bytes]] = field(default_factory=list)
    """Side, price, size and id, in queue order."""


class NoBook(Exception):
    """The definition gives none; the text says why."""


class Market:
    """One security; ``kind`` is ``l2`` or ``l3``.

    *ids*: its orders are stored with the exchange's ids (``full``), without (``noids``), or first so and then
    so, two windows each (``turns``).
    """

    def __init__(
        self,
        security: str,
        seed: int,
        *,
        kind: str = "l2",
        every_ms: int = 0,
        images_s: int = 30,
        ids: str = "full",
    ) -> None:
        self.security = security
        self.random = random.Random(seed)
        self.kind, self.every_ms = kind, every_ms
        self.time_ns, self.effective_ns, self.next_id = T0, 0, 1000
        self.states: list[State] = []
        self.holes: list[tuple[int, int]] = []
        self.trades: list[Print] = []
        self._chain = 0
        self._levels: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self._orders: list[tuple[int, int, int, bytes]] = []
        turns = range(400 if ids == "turns" else 1)
        policies = [Policy(every_ms, 0, T0 + 2 * n * WINDOW_NS, ids == "full" or n % 2 == 1) for n in turns]
        self.called: dict[bytes, bytes] = {}
        """The id of each order by the name that a reader saw."""
        windows = Windows(WINDOW_NS, images_s, tuple(policies))
        self.outlet = Outlet(security, {LINE: 1})
        self.feed = BookFeed(self.outlet, windows, kind, lambda update: update)
        self.feed.recording.feed = self.feed.book.feed
        self.tape = TradeFeed(self.outlet, windows)
        self.outlet.start(1)
        self.outlet.emit(Begin, book=kind, has_ids=True, windows={})
        self.tape.recording.feed = "trades"

    # --- what may happen ---------------------------------------------------------------------

    def snapshot(self, missing: int = 0) -> None:
        """Start a chain, *missing* ids after the last one."""
        if self.states:
            self.feed.break_chain("network")
            if missing:
                self.holes.append((self.next_id, self.next_id + missing - 1))
        self.next_id += missing
        self._chain += 1
        snapshot_id = self.next_id - 1
        if self.kind == "l2":
            self._levels = tuple(  # type: ignore[assignment]
                {self._price(side): self.random.randint(1, 9) for _ in range(8)} for side in (0, 1)
            )
            sides = [[(_text(p), _text(s)) for p, s in rows.items()] for rows in self._levels]
            taken: Any = BookSnapshot("X", snapshot_id, None, sides[0], sides[1], 0)
        else:
            self._orders = [self._new_order(n % 2) for n in range(8)]
            rows = [
                [(_text(p), _text(s), i) for side, p, s, i in self._orders if side == want] for want in (0, 1)
            ]
            taken = OrderSnapshot("X", snapshot_id, rows[0], rows[1], False)
        self.feed.book.replace(taken, snapshot_id)
        self.feed.base(snapshot_id)

    def update(self, step_ns: int) -> None:
        """Let the book move once, *step_ns* after the last time (which may lie before it)."""
        self.time_ns += step_ns
        self.effective_ns = max(self.effective_ns, self.time_ns)
        first_id = self.next_id
        last_id = first_id + (self.random.randint(0, 3) if self.kind == "l2" else 0)
        decoded = self._depth(first_id, last_id) if self.kind == "l2" else self._order_event(first_id)
        stopped = self.feed.take(
            [Update(first_id, last_id, 1, self.time_ns, self.time_ns + 5, 1, b"", LINE, decoded)]
        )
        assert stopped is None, "the market is wrong"
        self.next_id = last_id + 1
        bids, asks = self._sides()
        self.states.append(State(self.effective_ns, last_id, self._chain, bids, asks, list(self._orders)))

    def trade(self, skip: int = 0) -> None:
        """Let somebody trade; *skip* trade ids get lost before it."""
        last = self.trades[-1].id if self.trades else 0
        made = Print(last + 1 + skip, self.time_ns, "10.5", "0.25", len(self.trades) % 2, 1, self.time_ns, 1)
        self.trades.append(made)
        self.tape.take([made])

    def command(self) -> None:
        """Make an image where the book is."""
        self.feed.image()

    def widen(self, price: int, size: int) -> None:
        """Let a snapshot tell of a bid that the book did not know (l2)."""
        keys, sizes = np.array([-price], dtype=np.int64), np.array([size], dtype=np.int64)
        self.feed.widen(self.feed.book.scales, Beyond((price, None), keys, sizes))
        self._levels[0][price] = size

    # --- what comes of it --------------------------------------------------------------------

    def documents(self) -> list[Document]:
        """Return all documents, in the order in which a store gets them."""
        self.feed.finish()
        self.tape.finish()
        core = Conditioner(window_ns=WINDOW_NS, reply_to="a", token=1, lines=frozenset([LINE]))
        core.synced(Synced(LINE, 1 << 60))
        made = []
        for message in self.outlet.take({LINE: 2}):
            core.take([message], 0)
            for document in list(core.outbox.due()):
                made.append(document)
                core.answer(Answer(stored=(document.key,)), 0)
        return made

    def visible_ns(self, state: State) -> int:
        every = self.every_ms * 1_000_000
        return (state.effective_ns // every + 1) * every if every else state.effective_ns

    def at(self, time_ns: int) -> State:
        """Return the book at *time_ns* by the definition.

        Raises:
            NoBook: it is not stored, or lies in a hole.
        """
        if time_ns > self.states[-1].effective_ns:
            raise NoBook("later than the last")
        count = bisect_right([self.visible_ns(state) for state in self.states], time_ns)
        if not count:
            raise NoBook("earlier than the first")
        found = self.states[count - 1]
        if count < len(self.states):
            following = self.states[count]
            lost = any(found.update_id < first <= following.update_id for first, _ in self.holes)
            if following.chain != found.chain and lost:
                raise NoBook("hole")
        return found

    def _price(self, side: int) -> int:
        return self.random.randint(900, 999) if side == 0 else self.random.randint(1000, 1099)

    def _depth(self, first_id: int, last_id: int) -> DepthUpdate:
        sides: list[list[tuple[str, str]]] = []
        for side, levels in enumerate(self._levels):
            moved: dict[int, int] = {}
            for _ in range(self.random.randint(0, 3)):
                known = self.random.random() < 0.7 and levels
                price = self.random.choice(sorted(levels)) if known else self._price(side)
                moved[price] = self.random.choice([0, 0, 1, 2, 3, 50])
            for price, size in moved.items():
                levels.pop(price, None)
                if size:
                    levels[price] = size
            sides.append([(_text(price), _text(size)) for price, size in moved.items()])
        return DepthUpdate("X", first_id, last_id, self.time_ns, sides[0], sides[1])

    def _order_event(self, event_id: int) -> OrderEvent:
        what = self.random.choice(["open", "open", "done", "match", "shrink", "received"])
        if what == "open" or not self._orders:
            side, price, size, name = self._new_order(self.random.randint(0, 1))
            self._orders.append((side, price, size, name))
            return self._event(event_id, OrderKind.OPEN, side, name, price, size)
        if what == "received":
            side, price, size, name = self._new_order(0)
            return self._event(event_id, OrderKind.RECEIVED, side, name, price, size)
        place = self.random.randrange(len(self._orders))
        side, price, size, name = self._orders[place]
        if what == "done":
            del self._orders[place]
            return self._event(event_id, OrderKind.DONE, side, name, price, size)
        by = self.random.randint(1, size)
        left = size - by
        if left:
            self._orders[place] = (side, price, left, name)
        else:
            del self._orders[place]
        kind = OrderKind.MATCH if what == "match" else OrderKind.CHANGE
        return self._event(event_id, kind, side, name, price, by if what == "match" else left)

    def _event(
        self, event_id: int, kind: OrderKind, side: int, name: bytes, price: int, size: int
    ) -> OrderEvent:
        return OrderEvent(
            "X", event_id, self.time_ns, kind, Side(side), name, price=_text(price), size=_text(size)
        )

    def _new_order(self, side: int) -> tuple[int, int, int, bytes]:
        price = self.random.randint(995, 999) if side == 0 else self.random.randint(1000, 1004)
        return side, price, self.random.randint(1, 9), self.random.randbytes(16)

    def _sides(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        levels = self._levels
        if self.kind == "l3":
            levels = ({}, {})
            for side, price, size, _ in self._orders:
                levels[side][price] = levels[side].get(price, 0) + size
        return sorted(levels[0].items(), reverse=True), sorted(levels[1].items())


def lively(security: str, seed: int, **how: Any) -> Market:
    """Return a market with pauses, ties, times that go back, images, chains that join and holes."""
    market = Market(security, seed, **how)
    market.snapshot()
    draw = market.random
    for _ in range(draw.randint(1, 120)):
        what = draw.random()
        if what < 0.04 and market.states:
            market.snapshot(missing=draw.choice([0, 1, 7]))
        elif what < 0.07:
            market.command()
        elif what < 0.25:
            market.trade(skip=draw.choice([0, 0, 0, 0, 2]))
        step = draw.choice([0, 1, S // 10, S // 3, S, S, 4 * S, 11 * S, -S // 4])
        if draw.random() < 0.01:
            step = 500 * S
        market.update(step)
    return market


def _text(hundredths: int) -> str:
    return f"{hundredths // 100}.{hundredths % 100:02d}"


__all__ = ["Market", "NoBook", "State", "lively"]
