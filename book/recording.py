"""The open window of one feed of one security: its chain entries, and when it is cut.

event                                        outcome
first update of a later window               Cut, final; the window opens
``QUIET_TICKS`` ticks without an update      Cut, not final: stored as it stands, replaced if more comes
``SILENT_TICKS`` ticks without an update     Cut, final; the next window's start is the floor of what comes
the security is removed                      Cut, final, with the same floor

A chain entry is (first_id, last_id, image_id, hash).  A new one begins with a window, after a
hole, and after an image made inside the window; an entry's hash is taken when it closes.
"""

from collections.abc import Callable
from typing import Any

from book import following
from book.clock import AHEAD_NS, QUIET_TICKS, SILENT_TICKS, EffectiveTime
from book.outlet import Outlet
from wire.runs import Chain, Cut

NoHash = b""


class Recording:
    """What is being written of one feed."""

    def __init__(self, outlet: Outlet, window_ns: int, feed: str) -> None:
        self.clock = EffectiveTime()
        self.feed = feed
        self.start_ns: int | None = None
        """Of the open window."""
        self.finals: dict[str, int] = {}
        """The newest final window of each feed."""
        self.silent = 0
        """Ticks since the last update."""
        self.every_ms = 0
        self._outlet = outlet
        self._window_ns = window_ns
        self._chains: list[Chain] = []
        self._entry_open = False

    def window_of(self, effective_ns: int) -> int:
        """Return the start of the window that *effective_ns* falls into."""
        return effective_ns - effective_ns % self._window_ns

    def open(self, start_ns: int, feed: str, every_ms: int) -> None:
        """Begin the window that starts at *start_ns*, the one before being cut."""
        self.start_ns, self.feed, self.every_ms = start_ns, feed, every_ms

    @property
    def nets(self) -> bool:
        """Say whether the open window is stored net."""
        return self.every_ms > 0

    def following(self, limit_ns: int) -> "following.Clock | None":
        """Return the clock of what simply follows before *limit_ns*; None where no window is open."""
        if self.start_ns is None or self.clock.last_ns is None:
            return None
        return following.Clock(self.clock.last_ns, AHEAD_NS, self._window_ns, self.start_ns, limit_ns)

    def extend(self, first_id: int, last_id: int, image_id: int | None, effective_ns: int) -> None:
        """Note that updates *first_id* to *last_id* were sent, the last at *effective_ns*."""
        if self._entry_open:
            first_id, _, image_id, _ = self._chains.pop()
        self._chains.append((first_id, last_id, image_id, NoHash))
        self._entry_open = True
        self.clock.reached(effective_ns)
        self.silent = 0

    def close_entry(self, book_hash: Callable[[], bytes] | None) -> None:
        """End the entry: a hole or an image follows.  *book_hash* gives the hash; None: the feed has none."""
        if self._entry_open:
            first_id, last_id, image_id, _ = self._chains.pop()
            self._chains.append((first_id, last_id, image_id, book_hash() if book_hash else NoHash))
            self._entry_open = False

    def cut(self, book_hash: Callable[[], bytes] | None, *, final: bool) -> None:
        """Say that what was sent of the open window may be written."""
        if self.start_ns is None or not self._chains:
            return
        chains = list(self._chains)
        if self._entry_open:
            chains[-1] = (*chains[-1][:3], book_hash() if book_hash else NoHash)
        self._outlet.emit(
            Cut,
            feed=self.feed,
            start_ns=self.start_ns,
            chains=tuple(chains),
            every_ms=self.every_ms,
            final=final,
        )
        if final:
            self.finals[self.feed] = self.start_ns
            self.start_ns, self._chains, self._entry_open = None, [], False

    def finish(self, book_hash: Callable[[], bytes] | None) -> None:
        """Cut the window for good though no later one has begun: what comes falls into the next."""
        if self.start_ns is not None:
            self.clock.raise_to(self.start_ns + self._window_ns)
            self.cut(book_hash, final=True)
            self.start_ns = None

    def begun(self) -> dict[str, int]:
        """Return of each feed the newest window of which something was sent.

        A run starts from a checkpoint only when all before it is stored for good: those are final.
        """
        if self.start_ns is None or not self._chains:
            return self.finals
        return {**self.finals, self.feed: self.start_ns}

    def tick(self) -> None:
        """Count one tick of silence."""
        if self.silent < SILENT_TICKS:
            self.silent += 1

    @property
    def is_quiet(self) -> bool:
        """Say whether this tick is the one that makes the window worth storing as it stands."""
        return self.start_ns is not None and self.silent == QUIET_TICKS

    @property
    def is_silent(self) -> bool:
        """Say whether the open window has been silent long enough to be final."""
        return self.start_ns is not None and self.silent >= SILENT_TICKS

    def dump(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {
            "last_ns": self.clock.last_ns,
            "replaced": self.clock.replaced,
            "lead_ns": self.clock.lead_ns,
            "feed": self.feed,
            "start_ns": self.start_ns,
            "finals": self.finals,
            "silent": self.silent,
            "every_ms": self.every_ms,
            "chains": self._chains,
            "entry_open": self._entry_open,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Become what ``dump`` returned."""
        self.clock = EffectiveTime(state["last_ns"])
        self.clock.replaced, self.clock.lead_ns = state["replaced"], state.get("lead_ns")
        self.feed, self.start_ns, self.finals = state["feed"], state["start_ns"], state["finals"]
        self.silent, self.every_ms = state["silent"], state["every_ms"]
        self._chains = [(a, b, c, d) for a, b, c, d in state["chains"]]
        self._entry_open = state["entry_open"]
