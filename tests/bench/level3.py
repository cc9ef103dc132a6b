"""An L3 book at full size: what an order event costs its worker, and what a resting order takes in memory.

``ORDERS`` rest from the start (tests/simulator draws them, and what follows); then every message of the
``full`` feed goes from its group through the maintainer to the messages it sends, hash and trades on.
Snapshot, first image and first events are not timed: they come once.
"""

import ctypes
import gc
import os
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import msgspec
from rich.console import Console

from book.maintainer import Maintainer
from condition.conditioner import Conditioner
from ingest.recorder import GROUP_BYTES, GROUP_ROWS
from journal.group import unpack_group
from store.documents import to_bson
from store.process import unpack_document
from tests.bench.figures import Figure, show
from tests.bench.stages import RECIPE, Runs, timed
from tests.journaled import Journal, instrument_body
from tests.simulator.coinbase_source import SyntheticCoinbase
from venue import VENUES
from wire.messages import Answer, Document, pack, pack_all, unpack, unpack_all
from wire.names import BUCKETS

EVENTS_BAR = 100_000
"""Order events a second that one worker has to work off."""

BYTES_BAR = 200
"""Of memory that an order which rests may take."""

ORDERS = 110_000
EVENTS = 100_000
HEAD = 2_000
"""Events before the first that is timed."""

ROUNDS = 3
LEVELS = 28_500
"""Of each side, to begin with: they make somewhat more than so many orders."""

_LINE, _FEED, _PRODUCT = "coinbase/a", "full", "BTC-USD"
_SECURITY = f"coinbase:{_PRODUCT}"
_START_NS = 1_723_161_254_000_000_000
_STEP_NS = 10_000_000
_PER_SECOND = 2_000.0
_PRIVATE = b'{"type":"activate"'
"""Of stop orders, which only their owner is told of: no step of the sequence."""

_LATE_NS = 3_000_000
"""From the exchange's time to the receipt of a step of the market."""


class Stream(NamedTuple):
    """A journal of one L3 security."""

    base: list[bytes]
    """Groups up to the snapshot."""
    head: list[bytes]
    tail: list[bytes]
    """What is timed."""
    orders: int
    levels: int
    events: int


def stream(orders: int = ORDERS, events: int = EVENTS) -> Stream:
    """Return *events* of a market in which about *orders* rest."""
    venue = SyntheticCoinbase(
        [_PRODUCT],
        1,
        levels=[LEVELS * orders // ORDERS],
        rate=_PER_SECOND,
        start_ns=_START_NS,
    )
    journal = Journal(_LINE, per_group=GROUP_ROWS)
    journal.start(_START_NS)
    journal.add(_START_NS, _SECURITY, _FEED)
    journal.rest(_START_NS, _SECURITY, instrument_body("coinbase", _PRODUCT, size_scale=8), what="instrument")
    journal.rest(_START_NS, _SECURITY, venue.book(_PRODUCT, 3, _START_NS))
    book = venue.market(_PRODUCT).book
    resting = len(book.orders), sum(map(len, book.prices))
    base, heads = len(journal.groups), 0
    now_ns, told, held = _START_NS, 0, 0
    while told < HEAD + events:
        now_ns += _STEP_NS
        for _, frame in venue.advance(now_ns, {f"{_FEED}:{_PRODUCT}"}):
            if frame.startswith(_PRIVATE):
                continue
            journal.frame(now_ns + _LATE_NS, _SECURITY, frame)
            told, held = told + 1, held + len(frame)
            if held >= GROUP_BYTES or told == HEAD:
                journal.flush()
                held = 0
            if told == HEAD:
                heads = len(journal.groups)
    journal.flush()
    groups = journal.groups
    return Stream(groups[:base], groups[base:heads], groups[heads:], *resting, told - HEAD)


def measure(*, quick: bool = False) -> list[Figure]:
    """Return what an L3 security of full size costs."""
    told, runs = stream(events=EVENTS // 5 if quick else EVENTS), Runs(1 if quick else ROUNDS)
    book_s, batches = book(told, runs)
    condition_s, documents = _condition(_work(_fed([])[0], [*told.base, *told.head]), batches, runs)
    blocks = [each for each in map(unpack_document, documents) if each.collection == "orders"]
    newest = {each.id: each for each in blocks}.values()
    stored = sum(len(to_bson(each)) for each in newest) / max(1, sum(each.covered for each in newest))
    resting = f"{told.orders:,} orders rest on {told.levels:,} levels; {told.events:,} events."
    return [
        Figure("a book worker", told.events / book_s, "events/s", bar=EVENTS_BAR, least=True, note=resting),
        Figure("book, of an event", 1e6 * book_s / told.events, "us"),
        Figure("conditioner, of an event", 1e6 * condition_s / told.events, "us"),
        Figure("stored, of an event", stored, "bytes"),
        Figure("memory of a resting order", _memory(told), "bytes", bar=BYTES_BAR),
    ]


def _fed(groups: list[bytes]) -> tuple[Maintainer, list[bytes]]:
    maintainer = Maintainer(VENUES, RECIPE, range(BUCKETS))
    for bucket in range(BUCKETS):
        maintainer.begin(bucket, 1)
    return maintainer, _work(maintainer, groups)


def _work(maintainer: Maintainer, groups: list[bytes]) -> list[bytes]:
    """Return the batches that *groups* come to."""
    batches = []
    for data in groups:
        messages = [m for output in maintainer.feed(unpack_group(data)) for m in output.messages]
        if messages:
            batches.append(pack_all(messages))
    return batches


def book(told: Stream, runs: Runs) -> tuple[float, list[bytes]]:
    """Return the CPU seconds of a maintainer whose book is of full size, and the batches it sends."""

    def prepare() -> AbstractContextManager[Callable[[], list[bytes]]]:
        maintainer, _ = _fed([*told.base, *told.head])
        feed = maintainer.securities[_SECURITY]
        if feed.shown_state != "live":
            raise RuntimeError(f"the L3 security is {feed.shown_state}")
        return nullcontext(partial(_work, maintainer, told.tail))

    return timed(runs, prepare)


def _condition(head: list[bytes], batches: list[bytes], runs: Runs) -> tuple[float, list[bytes]]:
    def prepare() -> AbstractContextManager[Callable[[], list[bytes]]]:
        core = Conditioner(window_ns=RECIPE.window_ns, reply_to="ipc://answers", token=1, lines=frozenset())
        _conditioned(core, head)
        return nullcontext(partial(_conditioned, core, batches))

    return timed(runs, prepare)


def _conditioned(core: Conditioner, batches: list[bytes]) -> list[bytes]:
    documents: list[bytes] = []
    for number, data in enumerate(batches):
        core.take(unpack_all(data), number)  # type: ignore[arg-type]
        due: list[Document] = list(core.outbox.due())
        for document in due:
            documents.append(pack(document))
            core.outbox.sent(document, number)
        if due:
            answer = pack(Answer(stored=tuple((each.id, each.covered) for each in due)))
            core.answer(unpack(answer), number)  # type: ignore[arg-type]
    return documents


def _memory(told: Stream) -> float:
    """Return the bytes that a process of its own grows by for each order that rests."""
    with tempfile.NamedTemporaryFile(prefix="obl-bench-") as file, get_context("spawn").Pool(1) as pool:
        file.write(msgspec.msgpack.encode([told.base, told.head]))
        file.flush()
        return pool.apply(_grown, (file.name,)) / told.orders


def _grown(name: str) -> int:
    """Return the bytes that the snapshot and the events after it leave behind."""
    base, head = msgspec.msgpack.decode(Path(name).read_bytes(), type=list[list[bytes]])
    maintainer, _ = _fed(base[:-1])
    before = _resident()
    _work(maintainer, [base[-1], *head])
    return _resident() - before


def _resident() -> int:
    """Return the bytes of memory of this process, what was freed being given back (proc(5), statm)."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    show("L3", measure(), Console())
