"""What the venue says of the symbols: asked when one is added, and hourly of all.

event                                    symbol becomes
want                                     asked for, with up to 49 others in one request
answer, it is in it                      known
answer, it is not in it                  unknown
refused (400, 404), several asked for    asked for again in two halves
refused (400, 404), alone                unknown
any other failure                        asked for again after a back-off
an hour later                            asked for again, what is known of it standing meanwhile
"""

from collections import deque
from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from ingest.backoff import Backoff
from venue.api import Instrument, RestRequest, UnknownFrame, Venue

NS_PER_SECOND = 1_000_000_000

HOUR_NS = 3600 * NS_PER_SECOND

MOST_SYMBOLS = 50
"""In one request: keeps its path under 2 kB, and finding a bad one among them under 12 requests."""

_FIRST_WAIT_NS = NS_PER_SECOND
_LONGEST_WAIT_NS = 60 * NS_PER_SECOND
_REFUSALS = (400, 404)


class Question(NamedTuple):
    """A request, the symbols it asks for and why."""

    symbols: tuple[str, ...]
    cause: str
    request: RestRequest


class Finding(NamedTuple):
    """What an answer says."""

    known: dict[str, Instrument]
    unknown: dict[str, str]
    """Symbol and reason."""
    problem: str
    """Why there is no answer, or ``""``."""
    changed: dict[str, Instrument]
    """Of the known, those of which the venue said something else before."""


class Listing:
    """The symbols and what is known of them.  Times are monotonic nanoseconds."""

    def __init__(self, venue: Venue, rng: Random, now: int) -> None:
        self.instruments: dict[str, Instrument] = {}
        self._venue = venue
        self._symbols: set[str] = set()
        self._new: list[str] = []
        self._groups: deque[tuple[tuple[str, ...], str]] = deque()
        self._backoff = Backoff(_FIRST_WAIT_NS, _LONGEST_WAIT_NS, rng)
        self._not_before = now
        self._hourly_at = now + HOUR_NS

    def want(self, symbol: str) -> None:
        """Find out about *symbol*."""
        if symbol not in self._symbols:
            self._symbols.add(symbol)
            self._new.append(symbol)

    def forget(self, symbol: str) -> None:
        """The symbol is of no interest any more."""
        self._symbols.discard(symbol)
        self.instruments.pop(symbol, None)
        if symbol in self._new:
            self._new.remove(symbol)

    def due(self, now: int) -> Question | None:
        """Return the next question, or None; the caller asks it, or calls ``back`` with it."""
        if now >= self._hourly_at:
            self._hourly_at = now + HOUR_NS
            self._enqueue(sorted(self._symbols.difference(self._new)), "hourly")
        if self._new:
            self._enqueue(self._new, "subscribe")
            self._new = []
        while self._groups and now >= self._not_before:
            symbols, cause = self._groups.popleft()
            symbols = tuple(s for s in symbols if s in self._symbols)
            if not symbols:
                continue
            requests = self._venue.instruments_request(symbols)
            if len(requests) == 1:
                return Question(symbols, cause, requests[0])
            self._groups.extendleft(((s,), cause) for s in reversed(symbols))
        return None

    def back(self, question: Question) -> None:
        """The question could not be asked now."""
        self._groups.appendleft((question.symbols, question.cause))

    def answered(self, question: Question, status: int, body: bytes, now: int) -> Finding:
        """Take the answer; *status* 0 means that there was none."""
        symbols = tuple(s for s in question.symbols if s in self._symbols)
        if status in _REFUSALS:
            return self._refused(symbols, question.cause, status, body)
        problem = ""
        if status == 200:
            try:
                found = self._venue.instruments(body)
            except UnknownFrame as error:
                problem = f"unreadable instrument body: {error}"
            else:
                return self._found(symbols, found)
        elif status:
            problem = self._venue.refusal(status, body)
        self._groups.append((symbols, question.cause))
        self._not_before = self._backoff.failed(now)
        return Finding({}, {}, problem, {})

    def _found(self, symbols: Sequence[str], found: dict[str, Instrument]) -> Finding:
        self._backoff.succeeded()
        known = {s: found[s] for s in symbols if s in found}
        changed = {s: i for s, i in known.items() if self.instruments.get(s, i) != i}
        self.instruments.update(known)
        unknown = {s: f"{self._venue.NAME} does not list it" for s in symbols if s not in found}
        return Finding(known, unknown, "", changed)

    def _refused(self, symbols: tuple[str, ...], cause: str, status: int, body: bytes) -> Finding:
        if len(symbols) > 1:
            half = len(symbols) // 2
            self._groups.extendleft([(symbols[half:], cause), (symbols[:half], cause)])
            return Finding({}, {}, "", {})
        reason = self._venue.refusal(status, body)
        return Finding({}, dict.fromkeys(symbols, f"{self._venue.NAME} does not know it: {reason}"), "", {})

    def _enqueue(self, symbols: Sequence[str], cause: str) -> None:
        for start in range(0, len(symbols), MOST_SYMBOLS):
            self._groups.append((tuple(symbols[start : start + MOST_SYMBOLS]), cause))
