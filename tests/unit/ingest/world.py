"""A venue, its network and a clock for one Session: what it sends is answered as Binance would.

Every symbol's ids go up by two each 100 ms; each open connection that subscribed it gets the update.
Faults are fields that a test sets.
"""

import json
from random import Random
from typing import NamedTuple

from ingest.actions import Action, Ask, Dial, Hang, Record, Say, Send
from ingest.asking import MOST_ASKED, Answer
from ingest.link import Subscription
from ingest.session import Session
from venue import binance
from venue.api import Route
from wire.messages import Policy, Wanted

MS = 1_000_000
S = 1000 * MS
TURN = 50 * MS


def wanted(*symbols: str, since_ns: int = 1, every_ms: int = 0) -> list[Wanted]:
    return [Wanted(f"binance:{s}", (Policy(every_ms=every_ms),), since_ns) for s in symbols]


class Sent(NamedTuple):
    """A frame that the session sent."""

    at: int
    connection: int
    kind: str
    payload: bytes


class World:
    """Runs a session; ``journal`` and ``sent`` hold what it did."""

    def __init__(
        self,
        remembered: list[Wanted] | None = None,
        *,
        seed: int = 1,
        rotate_s: int = 82_800,
        audit_s: int = 0,
    ) -> None:
        self.now = 0
        self.session = Session(
            binance,
            Subscription("depth", 100, None),
            Random(seed),
            0,
            rotate_ns=rotate_s * S,
            audit_ns=audit_s * S,
            remembered=remembered or [],
        )
        self.actions: list[tuple[int, Action]] = []
        self.sent: list[Sent] = []
        self.asked: list[tuple[int, Ask]] = []
        self.journal: list[tuple[str, str, int, int, int]] = []
        """(kind, security, connection, first id, last id); a REST body (``body``) has its id twice."""
        self.streams: dict[int, set[str]] = {}
        self.half_open: set[int] = set()
        self.known = {"BTCUSDT", "ETHUSDT", "BNBUSDT"}
        self.quiet: set[str] = set()
        self.ids = dict.fromkeys(self.known, 1000)
        self.drop: dict[str, int] = {}
        self.status: dict[str, str] = {}
        self.dials = True
        self.rest = "ok"
        self.acks = True
        self.refuses = ""
        self.closed_until = 0
        self._dialing: list[tuple[int, int]] = []
        self._asks: list[tuple[int, Ask]] = []

    def desire(self, securities: list[Wanted]) -> None:
        self.session.desired(securities, self.now)
        self._do()

    def run(self, seconds: float) -> None:
        end = self.now + int(seconds * S)
        while self.now < end:
            self.now += TURN
            self._network()
            if self.now % (100 * MS) == 0:
                self._market()
            self.session.tick(self.now, "0")
            self._do()

    def cut(self, reason: str = "cut") -> None:
        for number in list(self.streams):
            del self.streams[number]
            self.session.lost(number, reason, self.now)
        self._do()

    def stall(self) -> None:
        """Nothing comes from the open connections any more, not even a pong."""
        self.half_open |= set(self.streams)

    # --- the venue -----------------------------------------------------------------------

    def _network(self) -> None:
        for at, number in [d for d in self._dialing if d[0] <= self.now]:
            self._dialing.remove((at, number))
            if self.dials:
                self.streams[number] = set()
                self.session.opened(number, self.now)
            else:
                self.session.lost(number, "connection refused", self.now)
        for at, ask in [a for a in self._asks if a[0] <= self.now]:
            self._asks.remove((at, ask))
            answer = self._answer(ask)
            if answer.snapshot_id is not None:
                self.journal.append(("body", ask.securities[0], 0, answer.snapshot_id, answer.snapshot_id))
            self.session.answered(ask, answer, self.now)
        self._do()

    def _market(self) -> None:
        for symbol in self.known - self.quiet:
            first, last = self.ids[symbol] + 1, self.ids[symbol] + 2
            self.ids[symbol] = last
            if self.drop.get(symbol, 0):
                self.drop[symbol] -= 1
                continue
            for number, symbols in list(self.streams.items()):
                if symbol in symbols and number not in self.half_open:
                    self.session.heard(number, self.now)
                    self.journal.append(("update", f"binance:{symbol}", number, first, last))
                    self.session.frame(number, Route(symbol, "book", first, last), b"", self.now)

    def _answer(self, ask: Ask) -> Answer:
        match self.rest:
            case "none":
                return Answer(0, b"", "no answer")
            case "429":
                self.closed_until = self.now + 20 * S
                return Answer(429, b'{"code":-1003,"msg":"too much"}', retry_after_s=20.0)
            case "500":
                return Answer(500, b"")
            case "garbage":
                return Answer(200, b"{", "not a depth")
        if ask.what == "instrument":
            symbols = [name.partition(":")[2] for name in ask.securities]
            if not self.known.issuperset(symbols):
                return Answer(400, b'{"code":-1121,"msg":"Invalid symbol."}')
            return Answer(
                200,
                json.dumps({"symbols": [_info(s, self.status.get(s, "TRADING")) for s in symbols]}).encode(),
            )
        found = self.ids.get(ask.securities[0].partition(":")[2])
        if found is None:
            return Answer(400, b'{"code":-1121,"msg":"Invalid symbol."}')
        return Answer(200, b"", "", found - (2000 if self.rest == "stale" else 0))

    def _do(self) -> None:
        while actions := self.session.take():
            for action in actions:
                self.actions.append((self.now, action))
                self._act(action)

    def _act(self, action: Action) -> None:
        match action:
            case Dial():
                self._dialing.append((self.now + 100 * MS, action.connection))
            case Hang():
                self.streams.pop(action.connection, None)
                self._dialing = [d for d in self._dialing if d[1] != action.connection]
            case Send():
                self.sent.append(Sent(self.now, action.connection, action.kind, action.payload))
                self._hear(action)
            case Ask():
                assert self.now >= self.closed_until, "asked although the venue said to wait"
                self._asks.append((self.now + 150 * MS, action))
                assert len(self._asks) <= MOST_ASKED
                self.asked.append((self.now, action))
            case Record():
                what = action.payload.what
                self.journal.append((what, action.security, action.connection, 0, 0))
            case _:
                pass

    def _hear(self, send: Send) -> None:
        number = send.connection
        if number not in self.streams or number in self.half_open:
            return
        if send.kind == "ping":
            self.session.heard(number, self.now)
        if send.kind != "text":
            return
        message = json.loads(send.payload)
        symbols = {stream.partition("@")[0].upper() for stream in message["params"]}
        if self.refuses and self.refuses in symbols:
            answer = {"code": 2, "msg": "Invalid request", "id": message["id"]}
        else:
            answer = {"result": None, "id": message["id"]}
            if message["method"] == "SUBSCRIBE":
                self.streams[number] |= symbols
            else:
                self.streams[number] -= symbols
        if self.acks:
            self.session.frame(number, Route("", "control"), json.dumps(answer).encode(), self.now)

    # --- what is checked -----------------------------------------------------------------

    def whats(self, security: str) -> list[str]:
        """Return the commands journalled for *security*."""
        return [w for w, s, *_ in self.journal if s == security and w not in ("body", "update")]

    def said(self) -> list[str]:
        return [action.text for _, action in self.actions if isinstance(action, Say)]

    def state(self, symbol: str) -> str:
        return str(self.session.health()["securities"][f"binance:{symbol}"]["state"])

    def joined(self, symbol: str) -> bool:
        """Whether a snapshot and what follows it, without a hole, give the book of this moment."""
        records = [r for r in self.journal if r[1] == f"binance:{symbol}" and r[0] in ("update", "body")]
        last = None
        seen: list[tuple[int, int]] = []
        for kind, _, _, first, final in records:
            if kind == "body":
                last = final if last is None else max(last, final)
                for begin, end in seen:
                    if begin <= last + 1:
                        last = max(last, end)
                    else:
                        last = None
                        break
            else:
                seen.append((first, final))
                if last is not None and first > last + 1:
                    last = None
                    seen = [(first, final)]
                elif last is not None:
                    last = max(last, final)
                elif len(seen) > 1 and first > seen[-2][1] + 1:
                    seen = [(first, final)]
        return last == self.ids[symbol] or (symbol in self.quiet and last is not None)


def _info(symbol: str, status: str = "TRADING") -> dict[str, object]:
    filters = [
        {"filterType": "PRICE_FILTER", "tickSize": "0.01000000"},
        {"filterType": "LOT_SIZE", "stepSize": "0.00001000"},
    ]
    return {"symbol": symbol, "status": status, "filters": filters}
