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

On one line a frame is dropped with each stale, late or refused book, so that a resync meets it.  A fault of
frames has happened when the frames have met it; where its connection ends before, the next one meets it.
"""

import random
from functools import partial
from typing import Any

from tests.chaos.accidents import Accident
from tests.chaos.scene import Scene
from tests.simulator.process import Simulator

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
    *("half open", "close", "shutdown", "stale", "late", "refused"),
)


def loses(accident: Accident) -> bool:
    """Say whether *accident* to the only line may cost data."""
    return accident.what in LOSING or (accident.what, accident.venue) == ("shutdown", "coinbase")


def drawn_wire(rng: random.Random, kind: str) -> Accident:
    """Return an accident of *kind*."""
    venue = rng.choice(sorted(SYMBOLS))
    return Accident(kind, (), venue, _fields(rng, kind, venue))


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


def happen_on_wire(accident: Accident, scene: Scene) -> None:
    """Order *accident*, and return when the frames have met it."""
    what, venue, fields = accident.what, accident.venue, dict(accident.fields)
    simulator = scene.simulator
    if what in _ON_BOOKS:
        simulator.fault(venue, _ON_BOOKS[what], **fields)
        if what == "wrong":
            wait = lambda: simulator.get(venue, "/sim/rest")[venue] == 0  # noqa: E731
            scene.eventually(f"{venue} is asked for a book", wait)
            return
        if scene.lines > 1:
            return
        what, fields = "drop", {"n": 1, "symbol": FRAMES[venue][0]}
    if what == "shutdown":
        simulator.fault(venue, "shutdown_notice")
    elif what in _ON_FRAMES:
        scene.eventually(f"{what} has happened", partial(_meet, scene, venue, _ON_FRAMES[what], fields))
    else:
        kind = {"delay": "delay_ms", "noise": "garbage", "half open": "half_open"}.get(what, what)
        hit = _hit(scene, venue)
        _order(simulator, venue, kind, hit, fields)
        if what == "delay":
            scene.after(2, partial(_order, simulator, venue, kind, hit, {"ms": 0}))


def _order(simulator: Simulator, venue: str, kind: str, hit: list[int], fields: dict[str, Any]) -> None:
    for number in hit:
        simulator.fault(venue, kind, connection=number, **fields)


def _meet(scene: Scene, venue: str, kind: str, fields: dict[str, Any]) -> bool:
    """Say whether the frames of a connection have met the fault; not where it ended before."""
    hit = set(_hit(scene, venue))
    _order(scene.simulator, venue, kind, sorted(hit), fields)
    left: dict[int, int] = {}

    def is_over() -> bool:
        found = {one["connection"]: one["pending"] for one in scene.simulator.connections(venue)}
        left.clear()
        left.update({number: found[number] for number in hit if number in found})
        return not any(left.values())

    scene.eventually(f"{kind} is over", is_over)
    return bool(left)


def _hit(scene: Scene, venue: str) -> list[int]:
    """Return the connections that are meant, once there are any: all, but for one that is spared."""
    found: list[int] = []

    def are_there() -> bool:
        numbers = [one["connection"] for one in hearing(scene.simulator, venue)]
        found[:] = sorted(number for number in numbers if number != scene.spared.get(venue))
        return bool(found)

    scene.eventually(f"{venue} has a connection", are_there)
    return found


def spare(scene: Scene, rng: random.Random) -> None:
    """Choose the connections that nothing happens to."""
    for venue in SYMBOLS:
        scene.spared[venue] = rng.choice([one["connection"] for one in hearing(scene.simulator, venue)])


def hearing(simulator: Simulator, venue: str) -> list[Any]:
    """Return the connections of *venue* that are sent what they subscribed to."""
    found = simulator.connections(venue)
    return [one for one in found if one["keys"] and one["sent"]["frames"] and not one["half_open"]]


def lines_are_up(simulator: Simulator, lines: int) -> bool:
    """Say whether each line of each venue has one connection, which is sent the market."""
    return all(len(hearing(simulator, venue)) == lines for venue in SYMBOLS)
