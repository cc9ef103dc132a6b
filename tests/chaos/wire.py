"""Faults of the wire and of REST, drawn from a seed and ordered from the simulated exchanges.

accident       what happens                                                        costs on one line
drop           some frames of one kind never come                                  them
spoil          frames come truncated, undecodable, with a price NaN or a size -1   them
reorder        a frame comes after the next one                                    it
duplicate      frames come twice                                                   nothing
delay          a second or two late, in order                                      nothing
noise          a text frame that no exchange sends                                 nothing
garbage        bytes that are no websocket frame                                   the connection
half open      nothing comes or is answered any more                               the connection
close          the connection is cut, or closed in order                           the connection
shutdown       Binance says that it will close (make before break); Coinbase       nothing; all connections
               says an error and closes
stale late     the next REST book is old, or long on its way                       nothing
wrong          the next REST book, an audit's, has a bid that nobody made          nothing
refused        the next REST books are answered 503, 429 or 418 (Retry-After)      nothing

On one line a frame is dropped with each stale, late or refused book, so that a resync meets it.
"""

import random
from typing import Any

from tests.chaos.accidents import PATIENCE_S, Accident, exchange_moves_on
from tests.simulator.process import Simulator
from tests.system.running import Logger

SYMBOLS = {"binance": "BTCUSDT", "coinbase": "BTC-USD"}
FRAMES = {
    "binance": ("btcusdt@depth", "btcusdt@trade"),
    "coinbase": ('"type":"open"', '"type":"done"', '"type":"match"'),
}
"""What frames hold that are hit; the first is always of the book."""

BOOK_PATHS = {"binance": "/api/v3/depth", "coinbase": "/products/BTC-USD/book"}
REFUSALS = {"binance": ((503, None), (429, 2), (418, 3)), "coinbase": ((503, None), (429, 2))}
LOSING = {"drop", "spoil", "reorder", "garbage", "half open", "close", "stale", "late", "refused"}
"""What may cost data where there is one line."""

_ON_FRAMES = {"drop": "drop_frames", "spoil": "spoil", "reorder": "reorder", "duplicate": "duplicate"}
_ON_BOOKS = {
    "stale": "stale_snapshot",
    "late": "late_snapshot",
    "wrong": "wrong_snapshot",
    "refused": "status",
}
KINDS = (
    *("drop", "drop", "spoil", "spoil", "reorder", "duplicate", "delay", "noise", "garbage"),
    *("half open", "close", "shutdown", "stale", "late", "wrong", "refused"),
)


def loses(accident: Accident) -> bool:
    """Say whether *accident* to the only line may cost data."""
    return accident.what in LOSING or (accident.what, accident.venue) == ("shutdown", "coinbase")


def drawn_wire(rng: random.Random, kind: str, *, one_line: bool) -> Accident:
    """Return an accident of *kind*; where there are two lines it meets one of them."""
    venue = rng.choice(sorted(SYMBOLS))
    if kind == "shutdown" and not one_line:
        venue = "binance"  # Coinbase closes all connections at once: that is a hole of the exchange's
    pick = 0 if one_line else rng.randint(1, 2)
    return Accident(kind, (), venue, _fields(rng, kind, venue), pick)


def _fields(rng: random.Random, kind: str, venue: str) -> dict[str, Any]:
    match kind:
        case "drop" | "spoil" | "reorder" | "duplicate":
            most = {"drop": 5, "spoil": 2, "reorder": 1, "duplicate": 30}[kind]
            how = (
                {"text": rng.choice(["nan", "negative", "truncated", "undecodable"])}
                if kind == "spoil"
                else {}
            )
            return {"n": rng.randint(1, most), "symbol": rng.choice(FRAMES[venue]), **how}
        case "delay":
            return {"ms": rng.randint(100, 2000)}
        case "noise":
            return {
                "text": rng.choice(["no JSON", "{}", "[1,2", '{"stream":"btcusdt@trade","data":{}}', "0"])
            }
        case "garbage":
            return {"base64": rng.choice(["/////w==", "iP8=", "g38="]), "raw": True}
        case "close":
            return {"code": rng.choice([0, 1001, 1011])}
        case "stale" | "late":
            return {"ms": rng.randint(500, 2500), "n": rng.randint(1, 2)}
        case "refused":
            code, retry_after = rng.choice(REFUSALS[venue])
            return {
                "code": code,
                "n": rng.randint(1, 2),
                "retry_after": retry_after,
                "path": BOOK_PATHS[venue],
            }
        case _:
            return {}


def happen_on_wire(accident: Accident, logger: Logger, simulator: Simulator) -> None:
    """Order *accident* and return when it has happened."""
    what, venue, fields = accident.what, accident.venue, dict(accident.fields)
    if what in _ON_BOOKS:
        simulator.fault(venue, _ON_BOOKS[what], **fields)
        if what == "wrong":
            wait = lambda: simulator.get(venue, "/sim/rest")[venue] == 0  # noqa: E731
            logger.eventually(f"{venue} is asked for a book", wait, PATIENCE_S)
            return
        if accident.pick:
            return
        what, fields = "drop", {"n": 1, "symbol": FRAMES[venue][0]}
    number = _connection(logger, simulator, accident)
    kind = _ON_FRAMES.get(what) or {
        "delay": "delay_ms",
        "noise": "garbage",
        "half open": "half_open",
        "shutdown": "shutdown_notice",
    }.get(what, what)
    simulator.fault(venue, kind, connection=number, **fields)
    if what in _ON_FRAMES:
        gone = lambda: not any(one["pending"] for one in simulator.connections(venue))  # noqa: E731
        logger.eventually(f"{what} has happened", gone, PATIENCE_S)
    elif what == "delay":
        exchange_moves_on(simulator, 2)
        simulator.fault(venue, kind, connection=number, ms=0)


def _connection(logger: Logger, simulator: Simulator, accident: Accident) -> int:
    """Return the number of the connection that is meant (0: all), once there are any."""

    def heard() -> list[int]:
        return sorted(one["connection"] for one in hearing(simulator, accident.venue))

    logger.eventually(f"{accident.venue} has a connection", lambda: bool(heard()), PATIENCE_S)
    numbers = heard()
    return numbers[accident.pick % len(numbers)] if accident.pick else 0


def hearing(simulator: Simulator, venue: str) -> list[Any]:
    """Return the connections of *venue* that are sent what they subscribed to."""
    found = simulator.connections(venue)
    return [one for one in found if one["keys"] and one["sent"]["frames"] and not one["half_open"]]


def lines_are_up(simulator: Simulator, lines: int) -> bool:
    """Say whether each line of each venue has a connection that is sent the market."""
    return all(len(hearing(simulator, venue)) >= lines for venue in SYMBOLS)
