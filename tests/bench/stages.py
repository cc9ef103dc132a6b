"""The stages as their processes run them, each over the whole of what the one before gave.

stage      in                     measured                                                    out
floor      the same frames        msgspec, typed, and nothing else                            (levels)
ingest     a socket               read, split, route, sequence, journal, publish, syncs       (journal)
book       groups                 unpack_group, Maintainer, pack_all                          batches
condition  batches                unpack_all, Conditioner with its codec, pack, answers       documents
store      documents              unpack, BSON, bulk writes of what waits                     (database)
transport  groups to documents    every hop once over ipc, both ends, ZeroMQ's threads too

CPU is ``process_time`` (user and system, all threads) of this process.  Groups are what an ingester makes
at saturation: up to ``recorder.GROUP_BYTES`` of frames.
"""

import gc
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from cProfile import Profile
from itertools import chain
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec
import zmq

from book.maintainer import Maintainer
from book.windows import Recipe
from condition.conditioner import Conditioner
from ingest.recorder import GROUP_BYTES, GROUP_ROWS
from journal.group import unpack_group
from store.documents import to_bson
from store.outcome import Verdict
from store.process import unpack_document
from store.waiting import Entry, Waiting
from store.writer import Writer as StoreWriter
from tests.bench.market import SNAPSHOT_LEVELS, Market
from tests.embedded import Server
from tests.journaled import Journal, instrument_body
from venue import VENUES
from wire.messages import Answer, Desired, Document, Policy, Wanted, pack, pack_all, unpack, unpack_all
from wire.names import BUCKETS
from wire.runs import RunMessage

LINE = "binance/a"
FEED = "depth"
WINDOW_SECONDS = 10
RECIPE = Recipe(WINDOW_SECONDS * 1_000_000_000, 600, 3600)

BATCH_DOCUMENTS = 16
"""What is waiting when a window of a handful of securities ends."""

Made = TypeVar("Made")


class Beside:
    """What each run of a stage costs in times of the decode floor, decoded just before and just after it.

    A shared machine has twice its speed in some moments: neighbours in time are disturbed alike, so
    the median of their ratios is steady within a tenth, where the ratio of each one's least is not.
    """

    def __init__(self, decode: Callable[[], float]) -> None:
        """*decode* returns the CPU seconds of the floor."""
        self._decode = decode
        self._before_s = 0.0
        self.ratios: list[float] = []

    def begin(self) -> None:
        """Decode before a run."""
        self._before_s = self._decode()

    def note(self, cpu_s: float) -> None:
        """Decode after a run that cost *cpu_s*, and note the ratio."""
        self.ratios.append(2 * cpu_s / (self._before_s + self._decode()))


class Runs(NamedTuple):
    """How often a stage runs, what it is measured beside, and what watches it."""

    repeats: int
    beside: Beside | None = None
    profiler: Profile | None = None


def timed(
    runs: Runs, prepare: Callable[[], AbstractContextManager[Callable[[], Made]]]
) -> tuple[float, Made]:
    """Return the least CPU seconds of what *prepare* gives, prepared anew each time, and what it made.

    The least, for what disturbs a run only ever adds.  What the bench itself holds is kept from the
    garbage collector, for the processes have no such thing.
    """
    best = float("inf")
    for _ in range(runs.repeats):
        with prepare() as run:
            if runs.beside:
                runs.beside.begin()
            cpu_s, made = _once(run, runs.profiler)
            if runs.beside:
                runs.beside.note(cpu_s)
            best = min(best, cpu_s)
    return best, made


def _once(run: Callable[[], Made], profiler: Profile | None) -> tuple[float, Made]:
    gc.collect()
    gc.freeze()
    started = time.process_time()
    made = profiler.runcall(run) if profiler else run()
    cpu_s = time.process_time() - started
    gc.unfreeze()
    return cpu_s, made


# --- the floor ----------------------------------------------------------------------------------


class _Depth(msgspec.Struct):
    e: str
    E: int
    s: str
    U: int
    u: int
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]


class _DepthFrame(msgspec.Struct):
    stream: str
    data: _Depth


class _Trade(msgspec.Struct):
    e: str
    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool


class _TradeFrame(msgspec.Struct):
    stream: str
    data: _Trade


class Floor(NamedTuple):
    """What decoding alone costs, and how much there is to decode."""

    cpu_s: float
    level_changes: int
    depth_frames: int


def floor(market: Market, runs: Runs) -> Floor:
    """Return what it costs to decode all frames, each by the decoder of its kind."""
    frames = [each.data for each in market.arrivals if not each.is_snapshot]
    depths = [frame for frame in frames if b"@depth" in frame[:40]]
    trades = [frame for frame in frames if b"@trade" in frame[:40]]
    decode_depth = msgspec.json.Decoder(_DepthFrame).decode
    decode_trade = msgspec.json.Decoder(_TradeFrame).decode

    def run() -> int:
        levels = 0
        for frame in depths:
            data = decode_depth(frame).data
            levels += len(data.b) + len(data.a)
        for frame in trades:
            decode_trade(frame)
        return levels

    cpu_s, levels = timed(runs, lambda: nullcontext(run))
    return Floor(cpu_s, levels, len(depths))


# --- groups ---------------------------------------------------------------------------------------


def groups_of(market: Market) -> list[bytes]:
    """Return the groups of a line that recorded the market from its start."""
    journal = Journal(LINE, per_group=GROUP_ROWS)
    start_ns, held = market.arrivals[0].recv_ns, 0
    journal.start(start_ns)
    for symbol in market.symbols:
        journal.add(start_ns, f"binance:{symbol}", FEED)
        journal.rest(start_ns, f"binance:{symbol}", instrument_body("binance", symbol), what="instrument")
    for recv_ns, symbol, data, is_snapshot in market.arrivals:
        if is_snapshot:
            journal.rest(recv_ns, f"binance:{symbol}", data, levels=SNAPSHOT_LEVELS)
            continue
        journal.frame(recv_ns, f"binance:{symbol}", data)
        held += len(data)
        if held >= GROUP_BYTES:
            journal.flush()
            held = 0
    journal.flush()
    return journal.groups


# --- book, condition ----------------------------------------------------------------------------


def book(groups: list[bytes], runs: Runs, recipe: Recipe = RECIPE) -> tuple[float, list[bytes]]:
    """Return the CPU seconds of the maintainer, and the batches it sends."""

    def prepare() -> AbstractContextManager[Callable[[], list[bytes]]]:
        maintainer = Maintainer(VENUES, recipe, range(BUCKETS))
        for bucket in range(BUCKETS):
            maintainer.begin(bucket, 1)

        def run() -> list[bytes]:
            batches = []
            for data in groups:
                messages = [m for output in maintainer.feed(unpack_group(data)) for m in output.messages]
                if messages:
                    batches.append(pack_all(messages))
            # (what simply followed is said with the next tick, which is still to come)
            waited = [m for security in maintainer.securities.values() for m in security.flush()]
            return [*batches, pack_all(waited)] if waited else batches

        return nullcontext(run)

    return timed(runs, prepare)


def condition(batches: list[bytes], runs: Runs, recipe: Recipe = RECIPE) -> tuple[float, list[list[bytes]]]:
    """Return the CPU seconds of the conditioner, and the documents it sends after each batch."""

    def prepare() -> AbstractContextManager[Callable[[], list[list[bytes]]]]:
        core = Conditioner(window_ns=recipe.window_ns, reply_to="ipc://answers", token=1, lines=frozenset())

        def run() -> list[list[bytes]]:
            return [
                list(map(pack, taken(core, unpack_all(data), number)))  # type: ignore[arg-type]
                for number, data in enumerate(batches)
            ]

        return nullcontext(run)

    return timed(runs, prepare)


def taken(core: Conditioner, messages: Iterable[RunMessage], number: int) -> list[Document]:
    """Return the documents that are due after *messages*, which are answered as stored."""
    core.take(messages, number)
    documents = list(core.outbox.due())
    for document in documents:
        core.outbox.sent(document, number)
    if documents:
        answer = unpack(pack(Answer(stored=tuple((each.id, each.covered) for each in documents))))
        core.answer(answer, number)  # type: ignore[arg-type]
    return documents


# --- store --------------------------------------------------------------------------------------


class Stored(NamedTuple):
    """What storing cost."""

    cpu_s: float
    server_cpu_s: float
    documents: int


class Sizes(NamedTuple):
    """What the database is given."""

    bson_bytes: dict[str, int]
    """Per collection, of the versions that are written last."""
    levels: int
    """Level changes in them."""


def store(turns: list[list[bytes]], runs: Runs) -> Stored:
    """Return what storing the documents costs here and in the server; each run in a database of its own."""
    with tempfile.TemporaryDirectory(prefix="obl-bench-") as folder:
        server = Server(Path(folder) / "db")
        server.start()
        try:
            return _store(server, list(chain.from_iterable(turns)), runs)
        finally:
            server.kill()


def _store(server: Server, documents: list[bytes], runs: Runs) -> Stored:
    server_s = float("inf")
    names = iter(range(runs.repeats))
    client = server.client()
    securities = sorted({unpack_document(data).security for data in documents})
    desired = Desired(1, tuple(Wanted(security, (Policy(),), 1) for security in securities))

    def prepare() -> AbstractContextManager[Callable[[], list[Entry]]]:
        writer = StoreWriter(client[f"bench_{next(names)}"], "bench", WINDOW_SECONDS)
        # (as the process does before the first document; what is kept it asks once in 10 s)
        writer.prepare()
        writer.write_securities(desired)
        writer.put([])

        def run() -> list[Entry]:
            nonlocal server_s
            before = cpu_of(server.pid)
            taken = store_all(writer, documents)
            server_s = min(server_s, cpu_of(server.pid) - before)
            return taken

        return nullcontext(run)

    cpu_s, entries = timed(runs, prepare)
    client.close()
    return Stored(cpu_s, server_s, len(entries))


def store_all(writer: StoreWriter, documents: list[bytes]) -> list[Entry]:
    """Store *documents* as the process does, a batch at a time; return what was stored."""
    waiting, taken = Waiting(), []
    for data in documents:
        document = unpack_document(data)
        taken.append(Entry(document, to_bson(document)))
        waiting.take(taken[-1])
        if len(waiting) >= BATCH_DOCUMENTS:
            write(writer, waiting)
    while len(waiting):
        write(writer, waiting)
    return taken


def sizes(turns: list[list[bytes]]) -> Sizes:
    """Return how large the documents are in the database."""
    newest = {document.id: document for document in map(unpack_document, chain.from_iterable(turns))}
    by_collection: dict[str, int] = {}
    for document in newest.values():
        size = len(to_bson(document))
        by_collection[document.collection] = by_collection.get(document.collection, 0) + size
    return Sizes(by_collection, sum(map(_levels, newest.values())))


def write(writer: StoreWriter, waiting: Waiting) -> None:
    """Store the next batch of what is *waiting*."""
    batch = waiting.batch()
    outcomes = list(zip(batch, writer.put(batch), strict=True))
    bad = [outcome for _, outcome in outcomes if outcome.verdict not in (Verdict.STORED, Verdict.HAD)]
    if bad:
        raise RuntimeError(f"the database did not store a document: {bad[0].reason}")
    for answer in waiting.settle(outcomes).values():
        pack(answer)


def _levels(document: Document) -> int:
    return int(document.fields.get("levels", 0)) if document.collection == "changes" else 0


def cpu_of(pid: int) -> float:
    """Return the CPU seconds that another process has used (proc(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --- transport ----------------------------------------------------------------------------------


def transport(turns: Iterable[list[bytes]], runs: Runs) -> float:
    """Return the CPU seconds that sending and receiving every message once costs, over ipc.

    What a process sends in one turn goes together.
    """

    @contextmanager
    def prepare() -> Iterator[Callable[[], None]]:
        with tempfile.TemporaryDirectory(prefix="obl-") as folder:
            context = zmq.Context()
            sender, receiver = context.socket(zmq.PUSH), context.socket(zmq.PULL)
            sender.bind(f"ipc://{folder}/bench")
            receiver.connect(f"ipc://{folder}/bench")

            def run() -> None:
                for messages in turns:
                    for data in messages:
                        sender.send(data)
                    for _ in messages:
                        receiver.recv()

            yield run
            context.destroy(linger=0)

    return timed(runs, prepare)[0]
