"""The store and its database as real processes; the test plays the conditioner and control."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zmq

from store.connection import connect
from tests.embedded import free_port
from wire.endpoints import Endpoints
from wire.messages import Answer, Beat, Document, pack, unpack
from wire.names import BUCKETS, bucket_of
from wire.settings import Settings, load_settings

DEADLINE_S = 60
S = 1_000_000_000
QUEUED = 4
"""As many as a conditioner queues for a writer of a bucket."""


def eventually(what: str, seen: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        found = seen()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"never happened: {what}")


class Host:
    """One installation: its settings, its processes, and the conditioner's side of the sockets."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.environ = os.environ | {
            "DATA_DIR": str(folder / "data"),
            "MONGODB_EMBEDDED_PORT": str(free_port()),
            "LOGLEVEL": "Info",
            **settings,
        }
        self.settings: Settings = load_settings(self.environ)
        self.log = folder / "log"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.context = zmq.Context()
        self.endpoints = Endpoints(self.settings)
        documents = [self.endpoints.documents(bucket) for bucket in range(BUCKETS)]
        self.push = [self._bound(zmq.PUSH, endpoint) for endpoint in documents]
        self.answers = self._bound(zmq.PULL, self.endpoints.answers(0))
        self.beats = self._bound(zmq.ROUTER, self.endpoints.beats())
        self.said: list[tuple[str, tuple[Any, ...]]] = []

    def _bound(self, kind: int, endpoint: str) -> Any:
        socket = self.context.socket(kind)
        socket.linger = 0
        socket.set_hwm(QUEUED)
        socket.sndtimeo = DEADLINE_S * 1000
        socket.bind(endpoint)
        return socket

    def start(self, *words: str, **environ: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            started = subprocess.Popen(
                [sys.executable, "-m", *words], env=self.environ | environ, stdout=log, stderr=log
            )
        self.processes.append(started)
        return started

    def database(self) -> subprocess.Popen[bytes]:
        started = self.start("store.database")
        eventually("the database answers", self._answers_ping)
        return started

    def _answers_ping(self) -> bool:
        try:
            with connect(self.settings, serverSelectionTimeoutMS=100) as client:
                client[self.settings.mongodb_database].list_collection_names()
        except Exception:  # noqa: BLE001 whatever it is, it does not answer yet
            return False
        return True

    def send(self, *documents: Document) -> None:
        for document in documents:
            try:
                self.push[bucket_of(document.security)].send(pack(document))
            except zmq.Again:
                codes = [each.poll() for each in self.processes]
                raise AssertionError(f"nobody takes documents: {codes} {self.log.read_text()}") from None

    def hear(self, word: str, count: int) -> set[tuple[Any, ...]]:
        """Return what was answered with *word* once it is *count* different documents."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            heard = {key for each, key in self.said if each == word}
            if len(heard) >= count:
                return heard
            left = deadline - time.monotonic()
            assert left > 0, f"{len(heard)} of {count} {word}: {self.log.read_text()[-2000:]}"
            self._hear(left)

    def settled(self, documents: list[Document]) -> set[tuple[str, int]]:
        """Return what was answered for good once all *documents* are."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            final = {key for word, key in self.said if word in ("stored", "had")}
            missing = keys(documents) - final
            if not missing:
                return final
            left = deadline - time.monotonic()
            assert left > 0, f"{len(missing)} are not settled: {self.log.read_text()[-2000:]}"
            self._hear(left)

    def _hear(self, seconds: float) -> None:
        if self.answers.poll(int(seconds * 1000)):
            answer = unpack(self.answers.recv())
            assert isinstance(answer, Answer)
            for name in Answer.__struct_fields__:
                self.said += [(name, key) for key in getattr(answer, name)]

    def health(self, seen: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """Return the body of the first beat of the store of which *seen* holds."""
        deadline = time.monotonic() + DEADLINE_S
        while self.beats.poll(max(0, int((deadline - time.monotonic()) * 1000))):
            beat = unpack(self.beats.recv_multipart()[1])
            if isinstance(beat, Beat) and seen(beat.health):
                return beat.health
        raise AssertionError(f"no such beat: {self.log.read_text()[-2000:]}")

    def logged(self, event: str) -> list[str]:
        """Return the lines of the processes' log that tell *event*."""
        return [line for line in self.log.read_text().splitlines() if f"event={event}" in line]

    def document(self, number: int, covered: int = 1, **fields: Any) -> Document:
        security = f"binance:S{number % 5}"
        name = f"{security}|changes|{number}"
        made = {"body": bytes(2000), "rows": number} | fields
        return Document("changes", name, security, number * S, covered, made, self.endpoints.answers(0))

    def stored(self) -> dict[str, int]:
        with connect(self.settings) as client:
            found = client[self.settings.mongodb_database].changes.find({}, {"covered": 1})
            return {each["_id"]: each["covered"] for each in found}

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait(DEADLINE_S)
        self.context.destroy(0)


def keys(documents: list[Document]) -> set[tuple[str, int]]:
    return {(each.id, each.covered) for each in documents}
