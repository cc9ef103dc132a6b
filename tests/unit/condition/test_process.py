"""The process over real sockets: a maintainer, an ingester and a writer that this test plays."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from condition.process import SYNCED_PREFIX, ConditionService
from journal.writer import Writer
from tests.unit.condition.test_conditioner import BUCKET, LINE, SECURITY, begin, changes, cut, mark
from wire.endpoints import Endpoints
from wire.messages import Answer, Document, Done, Subscribe, Synced, pack, pack_all, unpack
from wire.service import Loop, Socket
from wire.settings import load_settings

DEADLINE_S = 15.0


class Played:
    """The peers' sockets, in the loop of the service under test."""

    def __init__(self, data_dir: Path) -> None:
        self.loop = Loop()
        settings = load_settings({"DATA_DIR": str(data_dir), "WINDOW_SECONDS": "1"})
        endpoints = Endpoints(settings)
        socket = self.loop.socket
        self.run = socket(zmq.PULL, bind=endpoints.run(BUCKET))
        self.frames = socket(zmq.PUB, bind=endpoints.frames(LINE))
        self.service = ConditionService(self.loop, settings, endpoints, 0)
        self.documents = socket(zmq.PULL, connect=endpoints.documents(BUCKET))
        self.done = socket(zmq.SUB, connect=endpoints.done(BUCKET))
        self.done.subscribe(b"")
        self.heard: dict[str, list[Any]] = {"run": [], "documents": [], "done": []}
        for name in self.heard:
            self.loop.on_readable(getattr(self, name), lambda name=name: self.hear(name))
        self.says_synced = True
        self.loop.every(0.05, self.say_synced)
        self.pushing: list[Socket] = []

    def say_synced(self) -> None:
        if self.says_synced:
            self.frames.send(SYNCED_PREFIX + pack(Synced(LINE, 1_000)))

    def hear(self, name: str) -> None:
        self.heard[name].append(unpack(getattr(self, name).recv()))

    def push(self, endpoint: str) -> Socket:
        """Return a peer's socket, kept until the end."""
        self.pushing.append(self.loop.socket(zmq.PUSH, connect=endpoint))
        return self.pushing[-1]

    def until(self, what: Callable[[], bool]) -> None:
        """Turn the loop until *what* holds."""
        limit = time.monotonic() + DEADLINE_S
        while not what():
            assert time.monotonic() < limit, f"not within {DEADLINE_S} s: {self.heard}"
            self.loop._turn(50)


@pytest.fixture
def played(tmp_path: Path) -> Iterator[Played]:
    made = Played(tmp_path)
    yield made
    made.loop.context.destroy(0)
    made.loop.close()


def test_a_window_goes_from_the_maintainer_to_the_writer_and_done_comes_back(played: Played) -> None:
    played.until(lambda: bool(played.heard["run"]))
    ask = played.heard["run"][0]
    assert isinstance(ask, Subscribe)
    assert ask.bucket == BUCKET
    batches = played.push(ask.endpoint)
    batches.send(pack_all([begin(), changes(1, 0, 1, 3), cut(2, 0, 1, 3), mark(3)]))
    played.until(lambda: bool(played.heard["documents"]))
    (document,) = played.heard["documents"]
    assert isinstance(document, Document)
    assert (document.id, document.covered) == (f"{SECURITY}|changes|0", 3)
    answers = played.push(document.reply_to)
    answers.send(pack(Answer(stored=(document.key,))))
    played.until(lambda: Done(BUCKET, {SECURITY: {LINE: 4}}) in played.heard["done"])


def test_at_its_end_it_takes_what_the_maintainer_still_sends(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("condition.process.CLOSE_SECONDS", 1.0)
    played.until(lambda: bool(played.heard["run"]))
    batches = played.push(played.heard["run"][0].endpoint)
    batches.send(pack_all([begin(), changes(1, 0, 1, 3)]))
    played.until(lambda: SECURITY in played.service._core.health())
    batches.send(pack_all([cut(2, 0, 1, 3, final=False)]))
    played.service.close()
    assert played.documents.poll(1_000), "the provisional version was handed out"


def test_a_batch_of_garbage_is_one_line_and_the_rest_goes_on(
    played: Played, caplog: pytest.LogCaptureFixture
) -> None:
    played.until(lambda: bool(played.heard["run"]))
    batches = played.push(played.heard["run"][0].endpoint)
    batches.send(b"\xc1 garbage")
    batches.send(pack_all([begin(), changes(1, 0, 1, 3), cut(2, 0, 1, 3)]))
    played.until(lambda: bool(played.heard["documents"]))
    assert [record.message.split()[0] for record in caplog.records] == ["event=bad_batch"]


def test_a_line_whose_ingester_is_away_is_synced_here_and_holds_nothing_up(
    played: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("condition.process.SILENT_S", 0.5)
    played.says_synced = False
    writer = Writer(tmp_path / "journal" / "binance-a", LINE, segment_bytes=1 << 20, now_ns=time.time_ns)
    try:
        played.until(lambda: bool(played.heard["run"]))
        batches = played.push(played.heard["run"][0].endpoint)
        batches.send(pack_all([begin(), changes(1, 0, 1, 3), cut(2, 0, 1, 3), mark(3)]))
        played.until(lambda: bool(played.heard["documents"]))
        assert [document.covered for document in played.heard["documents"]] == [3]
    finally:
        writer.close()


def test_a_journal_that_cannot_be_synced_is_one_line_and_its_documents_wait(
    played: Played, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("condition.process.SILENT_S", 0.5)
    played.says_synced = False
    played.until(lambda: bool(played.heard["run"]))
    batches = played.push(played.heard["run"][0].endpoint)
    batches.send(pack_all([begin(), changes(1, 0, 1, 3), cut(2, 0, 1, 3), mark(3)]))
    played.until(lambda: any("event=not_synced line=binance/a" in each.message for each in caplog.records))
    assert played.heard["documents"] == []
    played.says_synced = True
    played.until(lambda: bool(played.heard["documents"]))


def test_a_broken_run_is_one_line(played: Played, caplog: pytest.LogCaptureFixture) -> None:
    played.until(lambda: bool(played.heard["run"]))
    batches = played.push(played.heard["run"][0].endpoint)
    batches.send(pack_all([begin(), changes(1, 0, 1, 3), cut(2, 0, 1, 2), mark(3)]))
    played.until(lambda: bool(caplog.records))
    assert [record.message.split()[:2] for record in caplog.records] == [
        ["event=broken_run", f"security={SECURITY}"]
    ]
    asked = played.heard["run"][0].token
    played.until(lambda: played.heard["run"][-1].token == asked + 1)


def test_a_document_that_is_lost_is_sent_again_though_the_hosts_clock_was_set_back(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("condition.outbox.RESEND_NS", 100_000_000)
    played.until(lambda: bool(played.heard["run"]))
    batches = played.push(played.heard["run"][0].endpoint)
    batches.send(pack_all([begin(), changes(1, 0, 1, 3), cut(2, 0, 1, 3)]))
    played.until(lambda: bool(played.heard["documents"]))
    an_hour_ago_ns = time.time_ns() - 3_600_000_000_000
    monkeypatch.setattr("time.time_ns", lambda: an_hour_ago_ns)
    sent = len(played.heard["documents"])
    played.until(lambda: len(played.heard["documents"]) > sent)
