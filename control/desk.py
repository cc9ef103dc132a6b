"""The desk: takes requests, hands them on, and remembers who waits for what.

Pure: requests, beats, replies and ticks go in; what the shell must do comes out, in order.

command              answered
list status uptime   at once
processes ping
remove policy        at once, after the new desired state is kept
add                  when a line of each security says subscribed, or all refused, or after 5 s: pending
book                 when its maintainer replies, or after 5 s: ``no_answer``
snapshot             when a line of each venue concerned has replied, or after 5 s
reset                when every line concerned has replied, or after 5 s
restart              when all of the stage are back, or one is not after 30 s; of control itself at once
terminate            at once; then everything stops

A security that its venue refuses while its ``add`` waits leaves the desired state again.
"""

import math
from collections.abc import Collection
from typing import Any

import msgspec

from control import registry
from control.effects import Answer, Ask, Effect, Keep, Now, Say, StopAll, StopSelf
from control.health import Board, ingester_of
from control.protocol import BadCall, Call, answered, failed, parse
from control.restarting import CONTROL, DATABASE, STAGES, Restarting, ending, processes_of
from wire.messages import Beat, Desired, Policy, Reply, Request, Wanted
from wire.names import venue_of, venue_of_line
from wire.times import iso

WAIT_S = 5.0
"""What a person waits gladly; the work goes on after it."""

MAX_WAITING = 256
"""Callers who wait at once: one each is usual, and what comes beyond is refused."""


class _Adding(msgspec.Struct):
    """An ``add`` that waits for its lines: each security's row once known."""

    rows: dict[str, dict[str, Any]]
    waiting: dict[str, Wanted]


class _Asking(msgspec.Struct):
    """A call handed on to processes: who has not replied, and what the others said."""

    waiting: set[str]
    results: dict[str, Any] = {}
    errors: list[tuple[str, str]] = []


class _Pending(msgspec.Struct):
    caller: bytes
    call: Call
    until_s: float
    work: _Adding | _Asking | Restarting


class Desk:
    """Holds the desired state and the calls that wait."""

    def __init__(
        self,
        desired: Desired,
        board: Board,
        window_ns: int,
        every_ms: int,
        started: Now,
        supervised: Collection[str] = (),
    ) -> None:
        """*supervised* are the processes that are started again when they end."""
        self.desired = desired
        self.board = board
        self._window_ns = window_ns
        self._every_ms = every_ms
        self._started = started
        self._supervised = supervised
        self._pending: dict[int, _Pending] = {}
        self._next_id = 1

    # --- what comes in -----------------------------------------------------------------------

    def request(self, caller: bytes, data: bytes, now: Now) -> list[Effect]:
        """Take a request of *caller*."""
        try:
            call = parse(data)
        except BadCall as bad:
            return [Answer(caller, failed(bad.id, bad.code, str(bad)))]
        try:
            match call.command:
                case "add":
                    return self._add(caller, call, now)
                case "remove" | "policy":
                    return self._change(caller, call, now)
                case "book" | "snapshot" | "reset":
                    return self._hand_on(caller, call, now)
                case "restart":
                    return self._restart(caller, call, now)
                case _:
                    return self._tell(caller, call, now)
        except registry.UnknownSecurity as error:
            return [Answer(caller, failed(call.id, "unknown_security", str(error)))]
        except (registry.TooMany, registry.Unfitting, BadCall) as error:
            code = error.code if isinstance(error, BadCall) else "bad_argument"
            return [Answer(caller, failed(call.id, code, str(error)))]

    def not_kept(self, before: Desired, caller: bytes, data: bytes, why: str) -> list[Effect]:
        """Go back to *before*: the disk did not take what this request of *caller* made of it."""
        self.desired = before
        call = parse(data)
        for number, pending in list(self._pending.items()):
            if (pending.caller, pending.call) == (caller, call):
                del self._pending[number]
        return [Answer(caller, failed(call.id, "refused", why))]

    def beat(self, beat: Beat, now: Now) -> list[Effect]:
        """Take note of a process's beat, and answer whom it concerns."""
        self.board.hear(beat, now.s)
        effects: list[Effect] = []
        for security in sorted(self.board.held_elsewhere() & set(registry.names(self.desired))):
            effects += self._keep(registry.remove(self.desired, security))
            reason = "another recorder writes it to this database: use one of your own (MONGODB_DATABASE)"
            effects.append(Say(f'event=removed security={security} reason="{reason}"'))
        for number, pending in list(self._pending.items()):
            if isinstance(pending.work, _Adding):
                effects += self._look(number, pending, pending.work, now)
        return effects

    def reply(self, reply: Reply) -> list[Effect]:
        """Take a process's reply to what was handed on to it."""
        pending = self._pending.get(reply.id)
        if pending is None or not isinstance(pending.work, _Asking):
            return []
        if reply.process not in pending.work.waiting:
            return []
        pending.work.waiting.discard(reply.process)
        if reply.ok:
            pending.work.results[reply.process] = reply.result
        else:
            pending.work.errors.append(("refused", reply.error))
        return self._finish(reply.id, pending, pending.work)

    def unreachable(self, process: str, number: int) -> list[Effect]:
        """Take note that request *number* could not be handed to *process*."""
        pending = self._pending.get(number)
        if pending is None or not isinstance(pending.work, _Asking):
            return []
        pending.work.waiting.discard(process)
        pending.work.errors.append(("unreachable", f"{process} is not running: obl processes shows why"))
        return self._finish(number, pending, pending.work)

    def tick(self, now: Now) -> list[Effect]:
        """Answer whoever has waited long enough."""
        effects: list[Effect] = []
        for number, pending in list(self._pending.items()):
            if isinstance(pending.work, Restarting):
                effects += self._go_on(number, pending, pending.work, now)
            if pending.until_s > now.s:
                continue
            match pending.work:
                case _Adding() as adding:
                    for security, wanted in adding.waiting.items():
                        _, reason = self.board.lines_word(wanted, now.s)
                        row = _row(security, "pending")
                        adding.rows[security] = {**row, "reason": reason} if reason else row
                    adding.waiting.clear()
                    effects += self._added(number, pending, adding)
                case _Asking() as asking:
                    silent = " ".join(sorted(asking.waiting))
                    asking.errors.append(("no_answer", f"{silent} did not answer within {WAIT_S:.0f} s"))
                    asking.waiting.clear()
                    effects += self._finish(number, pending, asking)
                case Restarting():
                    pass
        return effects

    # --- adding ------------------------------------------------------------------------------

    def _add(self, caller: bytes, call: Call, now: Now) -> list[Effect]:
        rows: dict[str, dict[str, Any]] = {}
        waiting: dict[str, Wanted] = {}
        possible = []
        for security in call.securities:
            if self.board.workers.ingesters(security):
                possible.append(security)
            else:
                rows[security] = _row(security, "error", self._no_venue(security))
        self._room()
        registry.check_every(call.every_ms, self._window_ns)
        policy = call.change.of(Policy(self._every_ms))
        added = registry.add(self.desired, possible, policy, whole_ms(now.ns))
        effects = self._keep(added)
        for security in possible:
            waiting[security] = registry.find(self.desired, security)
        adding = _Adding(rows, waiting)
        pending = _Pending(caller, call, now.s + WAIT_S, adding)
        return effects + self._look(self._wait(pending), pending, adding, now)

    def _look(self, number: int, pending: _Pending, adding: _Adding, now: Now) -> list[Effect]:
        """See which of the added securities their lines have spoken of."""
        effects: list[Effect] = []
        for security, wanted in list(adding.waiting.items()):
            word, reason = self.board.lines_word(wanted, now.s)
            if word == "refused":
                adding.rows[security] = _row(security, "error", reason or "the venue refused it")
                if wanted in self.desired.securities:
                    effects += self._keep(registry.remove(self.desired, security))
                    effects.append(Say(f'event=refused security={security} reason="{reason}"'))
            elif word == "subscribed":
                adding.rows[security] = _row(security, self.board.state(wanted, now.s))
            else:
                continue
            del adding.waiting[security]
        if not adding.waiting:
            effects += self._added(number, pending, adding)
        return effects

    def _added(self, number: int, pending: _Pending, adding: _Adding) -> list[Effect]:
        del self._pending[number]
        rows = [adding.rows[security] for security in pending.call.securities]
        if len(rows) == 1 and not rows[0]["ok"]:
            security, error = rows[0]["security"], rows[0]["error"]
            text = error if error.startswith(security) else f"{security}: {error}"
            data = failed(pending.call.id, "unknown_security", text)
        else:
            data = answered(pending.call.id, rows)
        return [Answer(pending.caller, data)]

    def _no_venue(self, security: str) -> str:
        venues = " ".join(dict.fromkeys(venue_of_line(line) for line in self.board.workers.lines))
        return f"{security}: there is no venue {venue_of(security)!r} here: one of {venues}"

    # --- removing and policies ---------------------------------------------------------------

    def _change(self, caller: bytes, call: Call, now: Now) -> list[Effect]:
        registry.check_every(call.every_ms, self._window_ns)
        desired = self.desired
        rows = []
        for security in call.securities:
            try:
                if call.command == "remove":
                    desired = registry.remove(desired, security)
                    rows.append(_row(security, "removed"))
                else:
                    desired = self._with_policy(desired, security, call, now)
                    rows.append(_policy_row(registry.find(desired, security)))
            except registry.UnknownSecurity as error:
                if len(call.securities) == 1:
                    raise
                rows.append(_row(security, "error", str(error)))
        return [*self._keep(desired), Answer(caller, answered(call.id, rows))]

    def _with_policy(self, desired: Desired, security: str, call: Call, now: Now) -> Desired:
        newest_ns = self.board.newest_ns(security) or now.ns
        from_ns = registry.first_window_ns(newest_ns, self._window_ns)
        return registry.with_policy(desired, security, call.change, from_ns)

    def _keep(self, desired: Desired) -> list[Effect]:
        if desired == self.desired:
            return []
        self.desired = desired
        return [Keep(desired)]

    # --- handing on --------------------------------------------------------------------------

    def _hand_on(self, caller: bytes, call: Call, now: Now) -> list[Effect]:
        parts = self._parts(call, now)
        self._room()
        number = self._wait(_Pending(caller, call, now.s + WAIT_S, _Asking(set(parts))))
        return [Ask(process, Request(number, call.command, args)) for process, args in parts.items()]

    def _parts(self, call: Call, now: Now) -> dict[str, dict[str, Any]]:
        """Return what is asked of which process."""
        if call.command == "reset":
            lines = self.board.workers.lines
            parts = {
                ingester_of(line): {"venue": venue_of_line(line)}
                for line in lines
                if call.venue in ("", venue_of_line(line))
            }
            if not parts:
                venues = " ".join(dict.fromkeys(venue_of_line(line) for line in lines))
                raise BadCall("bad_argument", f"there is no venue {call.venue!r} here: one of {venues}")
            return parts
        for security in call.securities:
            registry.find(self.desired, security)
        if call.command == "book":
            security = call.securities[0]
            args = {"security": security, "depth": call.depth, "orders": call.orders}
            return {self.board.workers.maintainer(security): args}
        securities = call.securities or tuple(registry.names(self.desired))
        if not securities:
            raise BadCall("unknown_security", "nothing is recorded: obl add starts it")
        grouped = self.board.by_line(securities, now.s)
        return {process: {"securities": names} for process, names in grouped.items()}

    def _finish(self, number: int, pending: _Pending, asking: _Asking) -> list[Effect]:
        if asking.waiting:
            return []
        del self._pending[number]
        call = pending.call
        if asking.errors:
            code = asking.errors[0][0]
            message = "; ".join(text for _, text in asking.errors)
            return [Answer(pending.caller, failed(call.id, code, message))]
        if call.command == "book":
            result = next(iter(asking.results.values()))
        else:
            result = [{"process": process, "result": asking.results[process]} for process in asking.results]
        return [Answer(pending.caller, answered(call.id, result))]

    # --- restarting --------------------------------------------------------------------------

    def _restart(self, caller: bytes, call: Call, now: Now) -> list[Effect]:
        known = [*self.board.workers.names(), CONTROL, DATABASE]
        named = processes_of(call.process, known)
        if not named:
            stages = " ".join(STAGES)
            raise BadCall(
                "bad_argument", f"there is no {call.process!r} here: {stages}, or one of obl processes"
            )
        if lost := [name for name in named if name not in self._supervised]:
            raise BadCall(
                "refused", f"{' '.join(lost)}: not run by our supervisord, so nobody would start it again"
            )
        if any(isinstance(pending.work, Restarting) for pending in self._pending.values()):
            raise BadCall("refused", "another restart is under way: try again when it is done")
        if named == [CONTROL]:
            return [Answer(caller, answered(call.id, [{"process": CONTROL, "ok": True}])), StopSelf()]
        self._room()
        restarting = Restarting(named)
        pending = _Pending(caller, call, math.inf, restarting)
        return self._go_on(self._wait(pending), pending, restarting, now)

    def _go_on(self, number: int, pending: _Pending, restarting: Restarting, now: Now) -> list[Effect]:
        steps = restarting.step(self.board, self.desired, now)
        if not restarting.done:
            return [ending(step, number) for step in steps]
        del self._pending[number]
        return [Answer(pending.caller, answered(pending.call.id, restarting.rows))]

    # --- telling -----------------------------------------------------------------------------

    def _tell(self, caller: bytes, call: Call, now: Now) -> list[Effect]:
        result: Any
        match call.command:
            case "list":
                result = self.board.listed(self.desired, now.s)
            case "status":
                result = self.board.status(self.desired, now.s, now.ns, now.free_bytes, now.reserve_bytes)
            case "processes":
                result = self.board.processes(now.s)
            case "uptime":
                result = {
                    "uptime_s": round(now.s - self._started.s, 3),
                    "since": iso(whole_ms(self._started.ns)),
                }
            case "terminate":
                return [Answer(caller, answered(call.id, {"stopping": True})), StopAll()]
            case _:
                result = {"pong": True, "time": iso(whole_ms(now.ns))}
        return [Answer(caller, answered(call.id, result))]

    # --- waiting -----------------------------------------------------------------------------

    def _room(self) -> None:
        if len(self._pending) >= MAX_WAITING:
            raise BadCall("refused", f"{MAX_WAITING} callers are waiting already: try again in 5 s")

    def _wait(self, pending: _Pending) -> int:
        number, self._next_id = self._next_id, self._next_id + 1
        self._pending[number] = pending
        return number


def whole_ms(moment_ns: int) -> int:
    """Return *moment_ns* without what no person needs."""
    return moment_ns // 1_000_000 * 1_000_000


def _row(security: str, state: str, error: str = "") -> dict[str, Any]:
    row = {"security": security, "ok": not error, "state": state}
    return {**row, "error": error} if error else row


def _policy_row(wanted: Wanted) -> dict[str, Any]:
    policy = wanted.policies[-1]
    return {
        "security": wanted.security,
        "ok": True,
        "policy": registry.policy_text(policy),
        "images_s": policy.images_s or None,
        "orders": registry.orders_text(policy),
        "from": iso(policy.from_ns),
    }
