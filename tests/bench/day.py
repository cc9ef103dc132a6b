"""Days that the bench reads back: written by the maintainer, the conditioner and the store, then compacted.

The capture (tests.bench.market) is repeated with its times and ids moved on; one more update between two
turns brings the levels near the market back to those of the snapshot, so that the book goes on without a hole
and never crosses.  Windows, images and the grid are the defaults.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec
from pymongo.database import Database

from book.maintainer import Maintainer
from condition.conditioner import Conditioner
from ingest.recorder import GROUP_ROWS
from journal.group import unpack_group
from store.blocks import Blocks
from store.compaction import Compactor
from store.documents import NS_PER_S, to_bson
from store.waiting import Entry, Waiting
from store.writer import Writer
from tests.bench import stages
from tests.bench.market import Market, market
from tests.journaled import Journal, instrument_body
from tests.simulator.coinbase_source import SyntheticCoinbase
from venue import VENUES
from wire.messages import Document
from wire.names import BUCKETS

GRID_S = 3600
AFTER_S = 7200
"""COMPACT_SECONDS and COMPACT_AFTER of the settings."""

PRODUCT = "BTC-USD"
LEVELS = 28_500
"""Of each side of the L3 book, to begin with: they make somewhat more than 110,000 orders."""

_MS = 1_000_000
_STEP_NS = 10_000_000
_PRIVATE = b'{"type":"activate"'
_TAIL = b'"b":'


# --- L2 --------------------------------------------------------------------------------------


class _Update(NamedTuple):
    recv_ns: int
    time_ms: int
    first_id: int
    last_id: int
    levels: bytes
    """What follows the ids in the frame."""


class _Turn(NamedTuple):
    """One round of the capture, which ends with the book that it began with."""

    snapshot_id: int
    snapshot: bytes
    recv_ns: int
    updates: list[_Update]
    length_ms: int


def groups(feed: Market, hours: float) -> Iterator[bytes]:
    """Yield the groups of a line that recorded *feed* again and again, for *hours*."""
    [symbol] = feed.symbols
    security, turn = f"binance:{symbol}", _turn(feed)
    journal = Journal(stages.LINE, per_group=GROUP_ROWS)
    journal.start(turn.recv_ns)
    journal.add(turn.recv_ns, security, stages.FEED)
    journal.rest(turn.recv_ns, security, instrument_body("binance", symbol), what="instrument")
    journal.rest(turn.recv_ns, security, turn.snapshot, levels=stages.SNAPSHOT_LEVELS)
    ids = turn.updates[-1].last_id - turn.snapshot_id
    front = b'{"stream":"%s@depth@100ms","data":{"e":"depthUpdate","E":%%d,"s":"%s","U":%%d,"u":%%d,'
    front = front % (symbol.lower().encode(), symbol.encode())
    for number in range(max(1, round(hours * 3600_000 / turn.length_ms))):
        by_ms, by_id = number * turn.length_ms, number * ids
        for recv_ns, time_ms, first_id, last_id, levels in turn.updates:
            frame = front % (time_ms + by_ms, first_id + by_id, last_id + by_id) + levels
            journal.frame(recv_ns + by_ms * _MS, security, frame)
        yield from _taken(journal)
    journal.flush()
    yield from _taken(journal)


def _turn(feed: Market) -> _Turn:
    body = next(each for each in feed.arrivals if each.is_snapshot).data
    snapshot = msgspec.json.decode(body)
    snapshot_id = snapshot["lastUpdateId"]
    held: tuple[dict[str, str], dict[str, str]] = ({}, {})
    updates = []
    for arrival in feed.arrivals:
        if arrival.is_snapshot or b"@depth" not in arrival.data[:40]:
            continue
        data = msgspec.json.decode(arrival.data)["data"]
        if data["u"] <= snapshot_id:
            continue
        first_id = max(data["U"], snapshot_id + 1) if not updates else data["U"]
        levels = arrival.data[arrival.data.index(_TAIL) :]
        updates.append(_Update(arrival.recv_ns, data["E"], first_id, data["u"], levels))
        for side, rows in zip(held, (data["b"], data["a"]), strict=True):
            side.update(dict(rows))
    last = updates[-1]
    updates.append(
        _Update(
            last.recv_ns + 100 * _MS,
            last.time_ms + 100,
            last.last_id + 1,
            last.last_id + 1,
            _back(snapshot, held),
        )
    )
    length_ms = updates[-1].time_ms - updates[0].time_ms + 100
    return _Turn(snapshot_id, body, updates[0].recv_ns, updates, length_ms)


def _back(snapshot: dict[str, Any], held: tuple[dict[str, str], dict[str, str]]) -> bytes:
    """Return the levels of the update that leads back to *snapshot* after the levels *held* were changed."""
    sides = []
    for changed, name, sign in ((held[0], "bids", -1), (held[1], "asks", 1)):
        rows = dict(snapshot[name])
        farthest = max(sign * float(price) for price in rows)
        gone = {price: "0.00000000" for price in changed if sign * float(price) <= farthest}
        sides.append(sorted((gone | rows).items(), key=lambda row: sign * float(row[0])))
    return msgspec.json.encode({"b": sides[0], "a": sides[1]})[1:] + b"}"


def _taken(journal: Journal) -> list[bytes]:
    found, journal.groups = journal.groups, []
    return found


# --- L3 --------------------------------------------------------------------------------------


def orders(seconds: float, per_second: float, start_ns: int) -> Iterator[bytes]:
    """Yield the groups of a line that recorded an L3 market of full size."""
    security = f"coinbase:{PRODUCT}"
    venue = SyntheticCoinbase([PRODUCT], 1, levels=[LEVELS], rate=per_second, start_ns=start_ns)
    journal = Journal("coinbase/a", per_group=GROUP_ROWS)
    journal.start(start_ns)
    journal.add(start_ns, security, "full")
    journal.rest(start_ns, security, instrument_body("coinbase", PRODUCT, size_scale=8), what="instrument")
    journal.rest(start_ns, security, venue.book(PRODUCT, 3, start_ns))
    for now_ns in range(start_ns + _STEP_NS, start_ns + int(seconds * NS_PER_S), _STEP_NS):
        for _, frame in venue.advance(now_ns, {f"full:{PRODUCT}"}):
            if not frame.startswith(_PRIVATE):
                journal.frame(now_ns + 3 * _MS, security, frame)
        yield from _taken(journal)
    journal.flush()
    yield from _taken(journal)


# --- storing ---------------------------------------------------------------------------------


class Written(NamedTuple):
    """What was stored of a security."""

    security: str
    documents: int
    merged: int
    """Documents that compaction made."""


def written(
    database: Database[dict[str, Any]], security: str, found: Iterable[bytes], after_s: int
) -> Written:
    """Store what the stages make of the groups *found*, and merge what is older than *after_s* seconds."""
    writer = Writer(database, "bench", stages.WINDOW_SECONDS)
    writer.prepare()
    waiting, count = Waiting(), 0
    for document in _documents(found):
        waiting.take(Entry(document, to_bson(document)))
        count += 1
        if len(waiting) >= stages.BATCH_DOCUMENTS:
            stages.write(writer, waiting)
    while len(waiting):
        stages.write(writer, waiting)
    database["securities"].update_one({"_id": security}, {"$set": {"wanted": True}}, upsert=True)
    blocks = Blocks(database, stages.RECIPE.window_ns, GRID_S)
    merged = [
        each.documents_after for each in Compactor(database, writer, blocks, after_s * NS_PER_S).run(security)
    ]
    return Written(security, count, sum(merged))


def _documents(found: Iterable[bytes]) -> Iterator[Document]:
    maintainer = Maintainer(VENUES, stages.RECIPE, range(BUCKETS))
    for bucket in range(BUCKETS):
        maintainer.begin(bucket, 1)
    recipe = stages.RECIPE
    core = Conditioner(window_ns=recipe.window_ns, reply_to="ipc://answers", token=1, lines=frozenset())
    for number, data in enumerate(found):
        messages = [m for output in maintainer.feed(unpack_group(data)) for m in output.messages]
        if messages:
            yield from stages.taken(core, messages, number)


def level2(hours: float) -> tuple[str, Iterator[bytes]]:
    """Return the L2 security, and its groups."""
    feed = market(1)
    return f"binance:{feed.symbols[0]}", groups(feed, hours)
