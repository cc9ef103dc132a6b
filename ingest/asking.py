"""The REST requests of one line: what is asked next, under the venue's budget, and what came of it.

What a line asks for are instruments (ingest.listing), snapshots (ingest.snapshots) and old trades
(ingest.backfill), in this order: a security waits for the first, and trades leave room in the budget for the
next break of sequence.  At most ``MOST_ASKED`` requests are under way.

answer              budget                       the question
200                 the venue's own count        answered
429, 418, 403       closed as told               asked again when it opens
5xx, 451, none      as it is                     asked again after a back-off
400, 404            as it is                     instruments: unknown symbol; others: after a back-off
"""

import math
from collections.abc import Collection, Iterable, Sequence
from itertools import count
from random import Random
from typing import NamedTuple

from ingest.actions import Ask, Record, Say
from ingest.audits import Audits
from ingest.backfill import Backfill
from ingest.budget import Bucket
from ingest.listing import Finding, Listing, Question
from ingest.security import Security
from ingest.snapshots import DEPTHS, Need, State
from journal.payload import Command
from venue.api import Venue

NS_PER_SECOND = 1_000_000_000

MOST_ASKED = 4
"""Enough to hide their round trips, few enough to stop when a 429 comes."""

WIDE_SHARE = 0.25
"""Part of the budget that the widest snapshots, or old trades, leave for the next break of sequence."""

MOST_NOTED = 4096
"""Securities whose last request is remembered: no more can be asked for within a gap."""

_CLOSING = (403, 418, 429)


class Answer(NamedTuple):
    """What a REST request brought; a body was journalled before."""

    status: int
    """HTTP's; 0: no answer, and ``problem`` says why."""
    body: bytes
    problem: str = ""
    snapshot_id: int | None = None
    """Of a depth body that could be read; of one that could not, ``problem`` says why."""
    retry_after_s: float | None = None
    used_weight: int | None = None


class Asking:
    """Times are monotonic nanoseconds; *lines* of the venue share its budget, each with an equal part."""

    def __init__(
        self, venue: Venue, feed: str, rng: Random, now: int, lines: int = 1, audit_ns: int = 0
    ) -> None:
        self.listing = Listing(venue, rng, now)
        self.backfill = Backfill(rng)
        self.problem = ""
        """Why the REST interface does not answer, or ``""``."""
        self._venue = venue
        self._feed = feed
        steps = DEPTHS[feed].steps if venue.FEEDS[feed].rest_base else ()
        self._weights = {levels: venue.snapshot_request("", feed, levels).weight for levels in steps}
        """Of a request for so many levels a side; none: the feed brings its own snapshots."""
        self._bucket = Bucket(venue.BUDGET, now, lines)
        self._audits = Audits(venue, feed, audit_ns, now)
        self._room = WIDE_SHARE * venue.BUDGET.capacity / lines
        self._asked = 0
        self._free_at: dict[str, int] = {}
        self._numbers = count(1)
        self._questions: dict[int, Question] = {}

    def due(self, securities: Collection[Security], now: int) -> list[Ask | Record]:
        """Return the requests to make now, and what the journal is to say before them."""
        asks: list[Ask | Record] = []
        while self._asked < MOST_ASKED and (question := self.listing.due(now)) is not None:
            if not self._bucket.take(question.request.weight, now):
                self.listing.back(question)
                return asks
            names = tuple(f"{self._venue.NAME}:{symbol}" for symbol in question.symbols)
            ask = Ask(next(self._numbers), "instrument", question.cause, names, 0, question.request)
            self._questions[ask.number] = question
            self._asked += 1
            asks.append(ask)
        self._audits.due(securities, now)
        if self._weights and self._asked < MOST_ASKED:
            asks += self._snapshots(securities, now)
        return asks + self._trades(securities, now)

    def _trades(self, securities: Iterable[Security], now: int) -> list[Ask]:
        symbols = {s.name: s.symbol for s in securities if s.added}
        wished = self.backfill.due(symbols, now) if self._asked < MOST_ASKED else None
        if wished is None:
            return []
        name, page = wished
        request = self._venue.trades_request(symbols[name], *page)
        if self._bucket.available(now) - request.weight < self._room:
            return []
        if not self._bucket.take(request.weight, now):
            return []
        self.backfill.asked(name)
        self._asked += 1
        return [Ask(next(self._numbers), "trades", "gap", (name,), 0, request)]

    def _snapshots(self, securities: Iterable[Security], now: int) -> list[Ask | Record]:
        asks: list[Ask | Record] = []
        waiting = [
            (s.need.asked_at, s.name, s, s.need)
            for s in securities
            if s.need is not None and s.need.state is State.NEEDED and s.added
        ]
        if not self._bears_any([need for *_, need in waiting], now):
            return asks
        crowd = sum(not need.suffices for *_, need in waiting)
        for _, _, security, need in sorted(waiting, key=lambda each: each[:2]):
            if now < self._free_at.get(security.name, now) or not need.due(now):
                continue
            levels = self._step(need, crowd, now)
            if levels is None:
                continue
            if need.says(now):
                asks.append(self._asked_record(security))
            if not need.was_said(now):
                continue
            if self._asked >= MOST_ASKED or not self._bucket.take(self._weights[levels], now):
                break
            need.asked(levels, now)
            crowd -= not need.suffices
            self._asked += 1
            self._keep_apart(security.name, now)
            request = self._venue.snapshot_request(security.symbol, self._feed, levels)
            asks.append(Ask(next(self._numbers), "depth", need.cause, (security.name,), levels, request))
        return asks

    def _bears_any(self, needs: Sequence[Need], now: int) -> bool:
        """Say whether any may be asked for: a fresh set of hundreds is widened over minutes."""
        if not all(need.widening for need in needs):
            return True
        least = min((self._weights[need.steps[0]] for need in needs), default=math.inf)
        return self._bucket.available(now) - self._room >= least

    def _step(self, need: Need, crowd: int, now: int) -> int | None:
        """Return the deepest of the need's steps that the budget bears, for all the *crowd* that waits.

        None: what is there only is to become wider, and the budget must be left for who waits.
        """
        available = self._bucket.available(now)
        for levels in reversed(need.steps):
            spared = self._room if need.widening or levels == need.steps[-1] else 0
            if available - spared >= self._weights[levels] * (1 if need.suffices else crowd):
                return levels
        return None if need.widening else need.steps[0]

    def _asked_record(self, security: Security) -> Record:
        command = Command("asked", self._feed, 0, (), security.wanted.since_ns)
        return Record(security.name, 0, command)

    def _keep_apart(self, name: str, now: int) -> None:
        """Note when *name* may be asked for again, whether or not it is removed and added meanwhile."""
        if len(self._free_at) >= MOST_NOTED:
            self._free_at = {n: at for n, at in self._free_at.items() if at > now}
        self._free_at[name] = now + DEPTHS[self._feed].gap_ns

    def instruments(self, ask: Ask, answer: Answer, now: int) -> tuple[Finding, list[Say]]:
        """Take the answer to an ``instrument`` request."""
        said = self._heed(answer, now)
        question = self._questions.pop(ask.number)
        finding = self.listing.answered(question, answer.status, answer.body, now)
        if finding.problem and answer.status == 200:
            said += self._trouble(finding.problem)
        return finding, said

    def answered(self, ask: Ask, answer: Answer, security: Security | None, now: int) -> list[Say]:
        """Take the answer to another request, of *security* (None: removed meanwhile)."""
        said = self._heed(answer, now)
        if ask.what == "trades":
            self.backfill.answered(answer.status, now)
            return said
        if security is None or security.need is None:
            return said
        if answer.snapshot_id is None:
            security.need.failed(now)
            if answer.status == 200:
                said.append(
                    Say("warning", f'event=bad_snapshot security={security.name} reason="{answer.problem}"')
                )
        elif not security.need.answered(answer.snapshot_id, now):
            said.append(
                Say("info", f"event=old_snapshot security={security.name} update_id={answer.snapshot_id}")
            )
        return said

    def _heed(self, answer: Answer, now: int) -> list[Say]:
        """Heed what an answer says of the budget and of the venue's health."""
        self._asked -= 1
        if answer.used_weight is not None:
            self._bucket.used(answer.used_weight, now)
        if answer.status == 200:
            news, self.problem = bool(self.problem), ""
            return [Say("info", "event=rest_works")] if news else []
        if answer.status in _CLOSING:
            opens = self._bucket.refused(answer.status, answer.retry_after_s, now)
            reason = self._venue.refusal(answer.status, answer.body)
            return self._trouble(f"{reason}; asked again in {(opens - now) // NS_PER_SECOND} s")
        if answer.status == 0:
            return self._trouble(answer.problem)
        if answer.status not in (400, 404):
            return self._trouble(self._venue.refusal(answer.status, answer.body))
        return []

    def _trouble(self, problem: str) -> list[Say]:
        """Return a line where the problem is another one than the last."""
        news, self.problem = problem != self.problem, problem
        return [Say("warning", f'event=rest_problem reason="{problem}"')] if news else []
