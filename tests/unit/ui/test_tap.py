"""A consumer of the live tap runs on history unchanged: real sockets, a real database."""

import threading
import time
from pathlib import Path
from typing import Any

import msgpack
import pytest
import zmq
from pymongo.database import Database

from book import live
from store.history import Archive
from store.paced import Pace
from tests.embedded import Server, free_port
from tests.unit.book.test_tapbook import follows, shown
from tests.unit.store.recorded import LINE, Market, S, lively
from tests.unit.store.test_commands import obl
from tests.unit.store.test_exporting import Obl
from tests.unit.store.test_history import store
from ui.tap import Tap
from wire.times import iso

pytestmark = pytest.mark.mongo

__all__ = ["obl"]

DEADLINE_S = 30.0


def endpoint() -> str:
    return f"tcp://127.0.0.1:{free_port()}"


def in_order(message: dict[str, Any]) -> dict[str, Any]:
    """Return *message* with the levels of an update by price, as they are stored."""
    sides = {name: sorted(message[name]) for name in ("bids", "asks") if name in message}
    return message | sides


class Serving:
    """``Archive.serve`` in a thread."""

    def __init__(
        self, server: Server, database: str, security: str, speed: float, at: str, gaps: Any
    ) -> None:
        self.messages: int | None = None

        def run() -> None:
            with Archive(server.uri, database) as archive:
                self.messages = archive.serve(security, 0, "latest", speed, at, gaps)

        self.thread = threading.Thread(target=run)
        self.thread.start()


@pytest.mark.parametrize("kind", ["l2", "l3"])
def test_the_archive_gives_the_messages_that_the_tap_gave(
    mongo_server: Server, mongo: Database[Any], kind: str
) -> None:
    made = Market("binance:BTCUSDT", 5, kind=kind)
    made.snapshot()
    for number in range(60):
        made.update(S // 3)
        if number % 4 == 0:
            made.trade()
    messages = made.outlet.take({LINE: 2})
    said = [msgpack.unpackb(body) for each in messages for body in live.tapped(each)]
    made.outlet._messages = messages  # they go on to the store
    store(mongo, made.documents())
    at = endpoint()
    serving = Serving(mongo_server, mongo.name, made.security, 0, at, "include")
    socket = zmq.Context.instance().socket(zmq.SUB)
    try:
        socket.rcvtimeo = int(DEADLINE_S * 1000)
        socket.subscribe(live.topic(made.security))
        socket.connect(at)
        heard = []
        while not heard or heard[-1].get("update_id") != made.states[-1].update_id:
            topic, body = socket.recv_multipart()
            assert topic == b"binance:BTCUSDT|"
            heard.append(msgpack.unpackb(body))
    finally:
        socket.close(0)
        serving.thread.join(DEADLINE_S)
    for what in ("changes", "order", "trade"):
        ours, theirs = ([in_order(each) for each in told if each["type"] == what] for told in (heard, said))
        # (history begins with the book after the first update)
        assert ours == [each for each in theirs if each.get("update_id") != made.states[0].update_id]


@pytest.mark.parametrize("kind", ["l2", "l3"])
def test_one_that_comes_late_joins_without_a_hole(
    mongo_server: Server, mongo: Database[Any], kind: str
) -> None:
    made = lively("binance:BTCUSDT", 21, kind=kind)
    store(mongo, made.documents())
    states = {state.update_id: state for state in made.states}
    first, last = (made.visible_ns(each) for each in (made.states[0], made.states[-1]))
    at = endpoint()
    speed = (last - first) / 1e9 / 3  # three seconds
    serving = Serving(mongo_server, mongo.name, made.security, speed, at, "include")
    handed: list[list[dict[str, Any]]] = [[], []]
    with Tap(made.security, endpoint=at) as early:
        while not handed[0]:
            handed[0] += [each for each in [early.next(DEADLINE_S)] if each]
        with Tap(made.security, endpoint=at) as late:
            until_s = time.monotonic() + DEADLINE_S
            for tap, messages in ((early, handed[0]), (late, handed[1])):
                while tap.book.update_id != made.states[-1].update_id:
                    message = tap.next(DEADLINE_S)
                    assert message is not None, f"nothing came until {until_s}"
                    messages.append(message)
                    if tap.book.is_live:
                        assert tap.book.rows() == shown(states[tap.book.update_id or 0])
    serving.thread.join(DEADLINE_S)
    assert serving.messages
    for messages in handed:
        follows(messages)
    assert len(handed[1]) <= len(handed[0]) + 1


def test_the_pace_is_that_of_the_moments() -> None:
    real, fast, at_once = Pace(1), Pace(10), Pace(0)
    assert [pace.wait_s(5 * S, 100.0) for pace in (real, fast, at_once)] == [0, 0, 0]
    assert [pace.wait_s(15 * S, 101.0) for pace in (real, fast, at_once)] == [9, 0, 0]
    assert [pace.wait_s(35 * S, 101.0) for pace in (real, fast, at_once)] == [29, 2, 0]


def test_replay_takes_its_time_and_serves(
    obl: Obl, mongo: Database[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Market("binance:BTCUSDT", 5)
    made.snapshot()
    for _ in range(5):
        made.update(S)
    store(mongo, made.documents())
    words = ("replay", "btcusdt", iso(made.states[0].effective_ns), "latest", "--json")
    begun_s = time.monotonic()
    at_pace = obl(*words, "--speed", "20")[1]
    assert time.monotonic() - begun_s >= 4 / 20
    assert at_pace == obl(*words)[1]
    code, _, error = obl(*words, "--serve", "tcp://nowhere")
    assert (code, "name one as tcp" in error) == (2, True)
