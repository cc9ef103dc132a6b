"""A real book worker over real sockets: it sends runs, takes them back to *done*, goes on after its end."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
import zmq

from book.process import BookService
from journal.group import Kind
from journal.payload import Command, Rest, pack
from journal.writer import Writer
from tests.unit.book.play import NAME, START, depth, ints, snapshot, trade
from wire.endpoints import Endpoints
from wire.loop import Loop
from wire.messages import Done, Needed, Policy, Subscribe, unpack, unpack_all
from wire.messages import pack as pack_message
from wire.names import bucket_of
from wire.runs import Begin, Changes, Hole, RunMessage
from wire.settings import Settings, load_settings

BUCKET = bucket_of(NAME)
DEADLINE_MS = 10_000


class World:
    """A journal with its publisher, and a conditioner's ends of the sockets."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.said: list[RunMessage] = []
        self.endpoints = Endpoints(settings)
        self.context: zmq.Context[Any] = zmq.Context()
        self.writer = Writer(
            settings.data_dir / "journal" / "binance-a",
            "binance/a",
            segment_bytes=1 << 20,
            now_ns=lambda: START,
        )
        self.frames = self.context.socket(zmq.PUB)
        self.frames.bind(self.endpoints.frames("binance/a"))
        self.batches = self.context.socket(zmq.PULL)
        self.batches.bind(self.endpoints.batches(0))
        self.run = self.context.socket(zmq.PUSH)
        self.run.connect(self.endpoints.run(BUCKET))
        self.done = self.context.socket(zmq.PUB)
        self.done.bind(self.endpoints.done(BUCKET))
        self.needed = self.context.socket(zmq.SUB)
        self.needed.subscribe(b"")
        self.needed.connect(self.endpoints.needed(BUCKET))
        self.tap = self.context.socket(zmq.SUB)
        self.tap.subscribe(f"{NAME}|".encode())
        self.tap.connect(self.endpoints.tap(BUCKET))
        for socket in (self.batches, self.needed, self.tap):
            socket.rcvtimeo = DEADLINE_MS

    def append(self, kind: Kind, payload: bytes = b"", security: str = NAME, at: float = 0) -> None:
        row = (START + int(at * 1e9), security, 1, payload)
        self.frames.send(self.writer.append(kind, [row]))

    def add(self) -> None:
        self.append(Kind.COMMAND, pack(Command("add", "depth", 100, (Policy(),), 1)))
        self.append(Kind.REST, pack(Rest("depth", "subscribe", 200, 0, "/", 0, snapshot(10))))

    def update(self, update_id: int, at: float, size: str = "2") -> None:
        time_ns = START + int(at * 1e9)
        self.append(Kind.FRAME, depth("XUSDT", update_id, update_id, time_ns, [("10", size)]), at=at)

    def tick(self, at: float) -> None:
        self.append(Kind.TICK, b"", "", at)

    def subscribe(self, token: int, run: int = 0) -> None:
        self.run.send(pack_message(Subscribe(BUCKET, self.endpoints.batches(0), token, run)))

    def until(self, last_id: int, run_after: int = 0) -> list[RunMessage]:
        """Return the run newer than *run_after* up to the update with *last_id*; its numbers have no hole."""
        reached = False
        while not reached:
            for message in unpack_all(self.batches.recv()):
                assert isinstance(message, RunMessage)
                if message.run <= run_after:
                    continue
                if isinstance(message, Begin):
                    self.said = []
                self.said.append(message)
                reached = reached or (
                    isinstance(message, Changes) and message.last_ids.endswith(last_id.to_bytes(8, "little"))
                )
        assert [each.number for each in self.said] == list(range(len(self.said)))
        return self.said

    def close(self) -> None:
        self.writer.close()
        self.context.destroy(0)


class Worker:
    """A book worker in a thread of its own."""

    def __init__(self, world: World) -> None:
        self._loop = Loop()
        self._service = BookService(self._loop, world.settings, world.endpoints, 0)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self._loop.run()
        self._service.close()
        self._loop.close()

    def ask(self, args: dict[str, Any]) -> dict[str, Any]:
        return self._service._book(args)

    def stop(self) -> None:
        self._loop.stop()
        self._thread.join()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    made = World(load_settings({"DATA_DIR": str(tmp_path / "d"), "CHECKPOINT_SECONDS": "1"}))
    yield made
    made.close()


def test_a_worker_replays_the_journal_goes_live_and_starts_again_from_done(world: World) -> None:
    world.add()
    world.update(11, 0.1)
    worker = Worker(world)
    try:
        world.subscribe(token=1)
        first = world.until(11)
        world.update(12, 0.2)
        assert isinstance(world.until(12)[0], Changes) or len(first) > 1
        assert worker.ask({"security": NAME, "depth": 1})["bids"] == [["10", "2"]]
        # Nothing is done yet, so a new run of it begins where the security was named.
        world.subscribe(token=2)
        second = world.until(12, run_after=first[0].run)
        assert [type(each).__name__ for each in second[:3]] == ["Begin", "Changes", "Image"]
    finally:
        worker.stop()


def test_after_its_end_a_worker_goes_on_from_its_checkpoint(world: World) -> None:
    world.add()
    for n in range(20):
        world.update(11 + n, float(n))
        world.tick(float(n))
    worker = Worker(world)
    try:
        world.subscribe(token=1)
        run = world.until(30)[0].run
    finally:
        worker.stop()
    world.update(31, 20.0)
    worker = Worker(world)
    try:
        done = Done(BUCKET, {NAME: {"binance/a": world.writer.next_position - 1}})
        first_id = 11
        while first_id == 11:  # until the publisher of done has been heard, a run begins with all
            world.done.send(pack_message(done))
            world.subscribe(token=run)
            said = world.until(31, run_after=run)
            run = said[0].run
            first_id = min(ints(each.first_ids)[0] for each in said if isinstance(each, Changes))
        assert first_id == 31
    finally:
        worker.stop()


def test_a_run_is_newer_than_the_newest_that_is_known_though_the_clock_was_set_back(world: World) -> None:
    world.add()
    world.update(11, 0.1)
    ahead = time.time_ns() + 10**18
    worker = Worker(world)
    try:
        world.subscribe(token=1, run=ahead)
        assert world.until(11, run_after=ahead)[0].run == ahead + 1
    finally:
        worker.stop()


def test_bad_bytes_in_the_journal_are_a_row_with_cause_disk(world: World) -> None:
    world.add()
    world.update(11, 0.1)
    place = world.writer.size_bytes
    world.update(12, 0.2)
    world.update(13, 0.3)
    world.append(Kind.REST, pack(Rest("depth", "gap", 200, 0, "/", 0, snapshot(13))))
    world.update(14, 0.4)
    (segment,) = (world.settings.data_dir / "journal" / "binance-a").glob("*.obj")
    with segment.open("r+b") as file:
        file.seek(place + 60)
        file.write(b"!!!!")
    worker = Worker(world)
    try:
        world.subscribe(token=1)
        (row, _) = [each for each in world.until(14) if isinstance(each, Hole)]
        assert (row.feed, row.first_id, row.cause) == ("book", 12, "disk")
    finally:
        worker.stop()


def test_the_live_tap_tells_an_update_once_though_a_run_repeats_it(world: World) -> None:
    worker = Worker(world)
    try:
        needed = unpack(world.needed.recv())
        assert isinstance(needed, Needed)
        world.add()
        n = 11
        while not world.tap.poll(50):  # until the subscription has arrived
            world.update(n, n / 10)
            n += 1
        world.subscribe(token=1)
        world.until(n - 1)
        world.append(Kind.FRAME, trade("XUSDT", 5, START + int(n * 1e8)), at=n / 10)
        told = []
        while not told or told[-1]["type"] != "trade":
            topic, body = world.tap.recv_multipart()
            assert topic == f"{NAME}|".encode()
            told.append(msgpack.unpackb(body))
        ids = [each["update_id"] for each in told if each["type"] == "changes"]
        assert ids == sorted(set(ids))
        assert told[-1] | {"time": "", "recv_time": ""} == {
            "type": "trade",
            "id": 5,
            "time": "",
            "recv_time": "",
            "price": "10.5",
            "size": "1",
            "side": "sell",
        }
    finally:
        worker.stop()


def test_a_security_that_is_not_recorded_is_refused(world: World) -> None:
    worker = Worker(world)
    try:
        with pytest.raises(Exception, match="not recorded"):
            worker.ask({"security": "binance:NONE"})
    finally:
        worker.stop()
