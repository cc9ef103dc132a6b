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
from rich.table import Table

from book.maintainer import Maintainer
from condition.conditioner import Conditioner
from ingest.recorder import GROUP_BYTES, GROUP_ROWS
from journal.group import unpack_group
from store.documents import to_bson
from store.process import unpack_document
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


class Level3(msgspec.Struct):
    """What an L3 security costs."""

    orders: int
    levels: int
    events: int
    book_s: float
    book_us_per_event: float
    events_per_second: float
    condition_us_per_event: float
    bson_bytes_per_event: float
    bytes_per_order: float
    events_bar: int
    bytes_bar: int
    passed: bool


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


def measure(rounds: int = ROUNDS, events: int = EVENTS) -> Level3:
    """Return what an L3 security of full size costs."""
    told = stream(events=events)
    runs = Runs(rounds)
    book_s, batches = book(told, runs)
    condition_s, documents = _condition(_work(_fed([])[0], [*told.base, *told.head]), batches, runs)
    blocks = [each for each in map(unpack_document, documents) if each.collection == "orders"]
    newest = {each.id: each for each in blocks}.values()
    stored = sum(len(to_bson(each)) for each in newest), sum(each.covered for each in newest)
    memory = _memory(told)
    rate = told.events / book_s
    return Level3(
        orders=told.orders,
        levels=told.levels,
        events=told.events,
        book_s=book_s,
        book_us_per_event=1e6 * book_s / told.events,
        events_per_second=rate,
        condition_us_per_event=1e6 * condition_s / told.events,
        bson_bytes_per_event=stored[0] / max(1, stored[1]),
        bytes_per_order=memory,
        events_bar=EVENTS_BAR,
        bytes_bar=BYTES_BAR,
        passed=rate >= EVENTS_BAR and memory <= BYTES_BAR,
    )


def measured(console: Console, *, is_quick: bool) -> Level3:
    """Measure, and print the table."""
    found = measure(1, EVENTS // 5) if is_quick else measure()
    show(found, console)
    return found


def show(found: Level3, console: Console) -> None:
    """Print the table."""
    table = Table(
        title=f"L3: {found.orders:,} orders on {found.levels:,} levels, {found.events:,} order events"
    )
    table.add_column("figure")
    for name in ("measured", "bar", ""):
        table.add_column(name, justify="right")

    def verdict(is_good: bool) -> str:
        return "pass" if is_good else "FAIL"

    rate, memory = found.events_per_second, found.bytes_per_order
    table.add_row(
        "order events/s of a book worker's CPU",
        f"{rate:,.0f}",
        f"{found.events_bar:,}",
        verdict(rate >= found.events_bar),
    )
    table.add_row("us per order event, book", f"{found.book_us_per_event:.2f}", "", "")
    table.add_row("us per order event, conditioner", f"{found.condition_us_per_event:.2f}", "", "")
    table.add_row(
        "bytes of memory per resting order",
        f"{memory:.0f}",
        f"{found.bytes_bar}",
        verdict(memory <= found.bytes_bar),
    )
    table.add_row("bytes stored per order event", f"{found.bson_bytes_per_event:.2f}", "", "")
    console.print(table)


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
    measured(Console(), is_quick=False)
