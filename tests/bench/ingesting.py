"""The bench's ingest stage: from a socket to the journal and its live copy, by the ingester's own parts."""

import select
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from random import Random

import zmq

from ingest.actions import Dial
from ingest.connection import Connection, Lost
from ingest.intake import Intake
from ingest.link import Subscription
from ingest.recorder import Recorder
from ingest.session import Session
from journal.writer import Writer
from tests.bench.market import Market
from tests.bench.stages import FEED, LINE, Runs, timed
from venue import VENUES
from wire.loop import Loop
from wire.messages import Policy, Wanted

SYNC_MS = 100
"""As JOURNAL_SYNC_MS is unless set."""


def _as_websocket(market: Market) -> bytes:
    """Return the frames as a venue sends them."""
    stream = bytearray()
    for arrival in market.arrivals:
        if not arrival.is_snapshot:
            size = len(arrival.data)
            head = struct.pack(">BB", 0x81, size) if size < 126 else struct.pack(">BBH", 0x81, 126, size)
            stream += head + arrival.data
    return bytes(stream)


def _session(market: Market) -> Session:
    """Return a session that records all of the market on connection 1."""
    wanted = [Wanted(f"binance:{symbol}", (Policy(),), 1) for symbol in market.symbols]
    subscription = Subscription(FEED, 100, None)
    session = Session(VENUES["binance"], subscription, Random(1), 0, rotate_ns=10**18, remembered=wanted)
    session.tick(1, "1")
    dialed = next(action.connection for action in session.take() if isinstance(action, Dial))
    session.opened(dialed, 2)
    session.tick(3, "1")
    session.take()
    return session


_SUBSCRIBER = """
import sys, zmq
socket = zmq.Context().socket(zmq.SUB)
socket.connect(sys.argv[1])
socket.subscribe(b"")
while True:
    socket.recv()
"""


@contextmanager
def _subscriber(publisher: zmq.Socket[bytes], endpoint: str) -> Iterator[None]:
    """Have another process subscribe to all that *publisher* sends."""
    with subprocess.Popen([sys.executable, "-c", _SUBSCRIBER, endpoint]) as process:
        try:
            publisher.recv()
            yield
        finally:
            process.kill()


def ingest(market: Market, runs: Runs, *, heard: bool = False) -> float:
    """Return the CPU seconds from a socket to the journal and its live copy.

    Another process, whose CPU does not count, writes the frames to the socket; where it is *heard* one more
    receives the live copy, else that is let go at once.
    """
    stream = _as_websocket(market)

    @contextmanager
    def prepare() -> Iterator[Callable[[], None]]:
        with tempfile.TemporaryDirectory(prefix="obl-bench-") as folder:
            writer = Writer(Path(folder) / "journal", LINE, segment_bytes=1 << 26, now_ns=time.time_ns)
            loop, session = Loop(), _session(market)
            endpoint = f"ipc://{folder}/frames"
            publisher = loop.socket(zmq.XPUB if heard else zmq.PUB, bind=endpoint, linger_ms=0)
            recorder = Recorder(loop, writer, publisher, sync_ms=SYNC_MS, on_refused=sys.exit)
            intake = Intake(loop, VENUES["binance"], FEED, recorder, session, linger_ms=5)
            (Path(folder) / "stream").write_bytes(stream)
            ours, theirs = socket.socketpair()
            listening = _subscriber(publisher, endpoint) if heard else nullcontext()
            with listening, ours, subprocess.Popen(["cat", f"{folder}/stream"], stdout=theirs):
                theirs.close()
                yield lambda: _read_all(Connection(ours), intake, session, recorder)
            publisher.close()
            loop.close()

    return timed(runs, prepare)[0]


def _read_all(connection: Connection, intake: Intake, session: Session, recorder: Recorder) -> None:
    """Do what an ingester does with a connection until its end."""
    poller = select.poll()
    poller.register(connection.fileno(), select.POLLIN)
    with suppress(Lost):
        while True:
            poller.poll()
            now = time.monotonic_ns()
            messages, _ = connection.read()
            session.heard(1, now)
            intake.take(1, messages, time.time_ns(), now)
    intake.settle()
    recorder.close()
