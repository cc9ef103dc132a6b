"""The stages as their processes run them, each over the whole of what the one before gave.

stage      in                     measured                                                    out
floor      depth frames           msgspec, typed, and nothing else                            (levels)
ingest     websocket bytes        split, route, sequence, pack_group, write, one sync         (journal)
book       groups                 unpack_group, Maintainer, pack_all                          batches
condition  batches                unpack_all, Conditioner with its codec, pack, answers       documents
store      documents              unpack, BSON, bulk writes of what waits                     (database)
transport  groups to documents    every hop once over ipc, both ends, ZeroMQ's threads too

CPU is ``process_time`` (user and system, all threads) of this process.
"""

import gc
import os
import struct
import tempfile
import time
from collections.abc import Callable, Iterable
from cProfile import Profile
from pathlib import Path
from random import Random
from typing import NamedTuple, TypeVar

import msgspec
import zmq

from book.maintainer import Maintainer
from book.security import Recipe
from condition.conditioner import Conditioner
from ingest.actions import Dial
from ingest.framing import Splitter
from ingest.link import Subscription
from ingest.session import Session
from journal.group import Kind, unpack_group
from journal.writer import Writer
from store.documents import to_bson
from store.outcome import Verdict
from store.process import unpack_documents
from store.waiting import Entry, Waiting
from store.writer import Writer as StoreWriter
from tests.bench.market import SNAPSHOT_LEVELS, Market
from tests.embedded import Server
from tests.journaled import Journal, instrument_body
from venue import VENUES
from wire.messages import Answer, Document, Policy, Wanted, pack, pack_all, unpack, unpack_all
from wire.names import BUCKETS

LINE = "binance/a"
FEED = "depth"
WINDOW_SECONDS = 10
RECIPE = Recipe(WINDOW_SECONDS * 1_000_000_000, 600, 3600)

GROUP_FRAMES = 64
"""A linger of 5 ms at 12,800 frames a second: where speed matters, groups are this large."""

READ_BYTES = 256 * 1024
"""What the ingester asks of a socket at once."""

BATCH_DOCUMENTS = 16
"""What is waiting when a window of a handful of securities ends."""

Made = TypeVar("Made")


class Runs(NamedTuple):
    """How often a stage runs, and what watches it."""

    repeats: int
    profiler: Profile | None = None


def timed(runs: Runs, prepare: Callable[[], Callable[[], Made]]) -> tuple[float, Made]:
    """Return the least CPU seconds of what *prepare* returns, prepared anew each time, and what it made.

    The least, for what disturbs a run only ever adds.
    """
    best = float("inf")
    for _ in range(runs.repeats):
        run = prepare()
        gc.collect()
        started = time.process_time()
        made = runs.profiler.runcall(run) if runs.profiler else run()
        best = min(best, time.process_time() - started)
    return best, made


# --- the floor ----------------------------------------------------------------------------------


class _Depth(msgspec.Struct):
    e: str
    E: int
    s: str
    U: int
    u: int
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]


class _Frame(msgspec.Struct):
    stream: str
    data: _Depth


def floor(market: Market, runs: Runs) -> tuple[float, int, int]:
    """Return CPU seconds, level changes and depth frames of decoding alone."""
    frames = [each.data for each in market.arrivals if b"@depth" in each.data[:40]]
    decode = msgspec.json.Decoder(_Frame).decode

    def run() -> int:
        levels = 0
        for frame in frames:
            data = decode(frame).data
            levels += len(data.b) + len(data.a)
        return levels

    cpu_s, levels = timed(runs, lambda: run)
    return cpu_s, levels, len(frames)


# --- ingest -------------------------------------------------------------------------------------


def _as_websocket(market: Market) -> list[bytes]:
    """Return the frames as a socket gives them: one stream, cut where a read ends."""
    stream = bytearray()
    for arrival in market.arrivals:
        if not arrival.is_snapshot:
            size = len(arrival.data)
            head = struct.pack(">BB", 0x81, size) if size < 126 else struct.pack(">BBH", 0x81, 126, size)
            stream += head + arrival.data
    return [bytes(stream[at : at + READ_BYTES]) for at in range(0, len(stream), READ_BYTES)]


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


def ingest(market: Market, runs: Runs) -> float:
    """Return the CPU seconds from websocket bytes to the journal."""
    reads = _as_websocket(market)

    def prepare() -> Callable[[], None]:
        folder = tempfile.TemporaryDirectory(prefix="obl-bench-")
        writer = Writer(Path(folder.name), LINE, segment_bytes=1 << 26, now_ns=time.time_ns)
        session, splitter, route = _session(market), Splitter(), VENUES["binance"].route
        names = {symbol: f"binance:{symbol}" for symbol in market.symbols}

        def run() -> None:
            rows: list[tuple[int, str, int, bytes]] = []
            for data in reads:
                now = time.monotonic_ns()
                recv_ns = time.time_ns()
                for _, payload in splitter.feed(data):
                    found = route(payload, FEED)
                    rows.append((recv_ns, names[found.symbol], 1, payload))
                    session.frame(1, found, payload, now)
                    if len(rows) >= GROUP_FRAMES:
                        writer.append(Kind.FRAME, rows)
                        rows = []
            if rows:
                writer.append(Kind.FRAME, rows)
            writer.sync()
            writer.close()
            folder.cleanup()

        return run

    return timed(runs, prepare)[0]


def groups_of(market: Market) -> list[bytes]:
    """Return the groups of a line that recorded the market from its start."""
    journal = Journal(LINE, per_group=GROUP_FRAMES)
    start_ns = market.arrivals[0].recv_ns
    journal.start(start_ns)
    for symbol in market.symbols:
        journal.add(start_ns, f"binance:{symbol}", FEED)
        journal.rest(start_ns, f"binance:{symbol}", instrument_body("binance", symbol), what="instrument")
    for recv_ns, symbol, data, is_snapshot in market.arrivals:
        if is_snapshot:
            journal.rest(recv_ns, f"binance:{symbol}", data, levels=SNAPSHOT_LEVELS)
        else:
            journal.frame(recv_ns, f"binance:{symbol}", data)
    journal.flush()
    return journal.groups


# --- book, condition ----------------------------------------------------------------------------


def book(groups: list[bytes], runs: Runs) -> tuple[float, list[bytes]]:
    """Return the CPU seconds of the maintainer, and the batches it sends."""

    def prepare() -> Callable[[], list[bytes]]:
        maintainer = Maintainer(VENUES, RECIPE, range(BUCKETS))
        for bucket in range(BUCKETS):
            maintainer.begin(bucket, 1)

        def run() -> list[bytes]:
            batches = []
            for data in groups:
                messages = [m for output in maintainer.feed(unpack_group(data)) for m in output.messages]
                if messages:
                    batches.append(pack_all(messages))
            return batches

        return run

    return timed(runs, prepare)


def condition(batches: list[bytes], runs: Runs) -> tuple[float, list[bytes]]:
    """Return the CPU seconds of the conditioner, and the documents it sends."""

    def prepare() -> Callable[[], list[bytes]]:
        core = Conditioner(window_ns=RECIPE.window_ns, reply_to="ipc://answers", token=1, lines=frozenset())

        def run() -> list[bytes]:
            documents = []
            for number, data in enumerate(batches):
                core.take(unpack_all(data), number)  # type: ignore[arg-type]
                stored = []
                for document in core.outbox.due():
                    documents.append(pack(document))
                    core.outbox.sent(document, number)
                    stored.append((document.id, document.covered))
                if stored:
                    answer = unpack(pack(Answer(stored=tuple(stored))))
                    core.answer(answer, number)  # type: ignore[arg-type]
            return documents

        return run

    return timed(runs, prepare)


# --- store --------------------------------------------------------------------------------------


class Stored(NamedTuple):
    """What the database was given."""

    cpu_s: float
    server_cpu_s: float
    documents: int
    bson_bytes: dict[str, int]
    """Per collection, of the versions that were written last."""
    levels: int
    """Level changes in them."""


def store(documents: list[bytes], runs: Runs) -> Stored:
    """Return what storing costs here and in the server; each run in a database of its own."""
    with tempfile.TemporaryDirectory(prefix="obl-bench-") as folder:
        server = Server(Path(folder) / "db")
        server.start()
        try:
            return _store(server, documents, runs)
        finally:
            server.kill()


def _store(server: Server, documents: list[bytes], runs: Runs) -> Stored:
    server_s = float("inf")
    names = iter(range(runs.repeats))
    client = server.client()

    def prepare() -> Callable[[], list[Entry]]:
        writer = StoreWriter(client[f"bench_{next(names)}"], "bench", WINDOW_SECONDS)
        writer.prepare()

        def run() -> list[Entry]:
            nonlocal server_s
            before, waiting, taken = _cpu_of(server.pid), Waiting(), []
            for data in documents:
                for document in unpack_documents(data):
                    taken.append(Entry(document, to_bson(document)))
                    waiting.take(taken[-1])
                if len(waiting) >= BATCH_DOCUMENTS:
                    _write(writer, waiting)
            while len(waiting):
                _write(writer, waiting)
            server_s = min(server_s, _cpu_of(server.pid) - before)
            return taken

        return run

    cpu_s, entries = timed(runs, prepare)
    client.close()
    newest: dict[str, Entry] = {entry.document.id: entry for entry in entries}
    sizes: dict[str, int] = {}
    for entry in newest.values():
        sizes[entry.document.collection] = sizes.get(entry.document.collection, 0) + len(entry.data)
    levels = sum(_levels(entry.document) for entry in newest.values())
    return Stored(cpu_s, server_s, len(entries), sizes, levels)


def _write(writer: StoreWriter, waiting: Waiting) -> None:
    batch = waiting.batch()
    outcomes = list(zip(batch, writer.put(batch), strict=True))
    bad = [outcome for _, outcome in outcomes if outcome.verdict not in (Verdict.STORED, Verdict.HAD)]
    if bad:
        raise RuntimeError(f"the database did not store a document: {bad[0].reason}")
    for answer in waiting.settle(outcomes).values():
        pack(answer)


def _levels(document: Document) -> int:
    return int(document.fields.get("levels", 0)) if document.collection == "changes" else 0


def _cpu_of(pid: int) -> float:
    """Return the CPU seconds that another process has used (proc(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --- transport ----------------------------------------------------------------------------------


def transport(hops: Iterable[list[bytes]], runs: Runs) -> float:
    """Return the CPU seconds that sending and receiving every message once costs, over ipc."""

    def prepare() -> Callable[[], None]:
        folder = tempfile.TemporaryDirectory(prefix="obl-")
        context = zmq.Context()
        sender, receiver = context.socket(zmq.PUSH), context.socket(zmq.PULL)
        sender.bind(f"ipc://{folder.name}/bench")
        receiver.connect(f"ipc://{folder.name}/bench")

        def run() -> None:
            for messages in hops:
                for data in messages:
                    sender.send(data)
                    receiver.recv()
            context.destroy(linger=0)
            folder.cleanup()

        return run

    return timed(runs, prepare)[0]
