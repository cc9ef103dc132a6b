"""``python -m tests.bench.sizes``: what the captures need, as BSON bytes of whole documents.

figure            of
fresh             the documents of 10 s windows, as the conditioner makes them
compacted         the same after condition.merging, which store.compaction writes

Beside them the same changes as others keep them: the exchange's own JSON with zstd -19, one document per
update with prices as keys (the original logger's), and Parquet with zstd -19 of the same columns (where
pyarrow is installed).  Ends with 1 where a figure is above its bar.
"""

import io
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, NamedTuple

import bson
import msgspec
import numpy as np
import zstandard
from rich.console import Console
from rich.table import Table

from book.maintainer import Maintainer
from condition.codec import ChangeColumns
from condition.conditioner import Conditioner
from condition.merging import (
    Part,
    Span,
    divided,
    joined,
    ladder,
    merged,
    span_of,
    taken,
    united,
    weights_of,
    within,
)
from journal.group import unpack_group
from store.compaction import terms_of
from store.documents import READING, to_bson
from store.headers import header
from store.pieces import pieces_of
from tests import captures
from tests.bench.stages import RECIPE
from tests.journaled import groups_of_capture
from venue import VENUES
from wire.messages import Answer, Document, Policy
from wire.names import BUCKETS
from wire.runs import Chain

ETH_2024 = "binance_spot_ETHUSDT_20240808"
THREE_2021 = "binance_spot_BTCUSDT_ETHUSDT_DOTUSDT_20210404"
L3_2016 = "coinbase_full_BTC-USD_20160312"
GRID_S = 3600
LENGTHS = ladder(GRID_S, RECIPE.window_ns // 1_000_000_000)
S = 1_000_000_000


class Figure(NamedTuple):
    """One line of the table."""

    what: str
    per: str
    bytes: int
    count: int
    bar: float | None = None

    @property
    def each(self) -> float:
        """Return the bytes of one."""
        return self.bytes / self.count

    @property
    def passed(self) -> bool:
        """Whether it is not above its bar."""
        return self.bar is None or self.each <= self.bar


# --- documents -----------------------------------------------------------------------------------


def documents(groups: Sequence[bytes]) -> list[Document]:
    """Return the final documents that the stages make of *groups*."""
    maintainer = Maintainer(VENUES, RECIPE, range(BUCKETS))
    core = Conditioner(window_ns=RECIPE.window_ns, reply_to="", token=1, lines=frozenset())
    outputs = [output for bucket in range(BUCKETS) for output in maintainer.begin(bucket, 1)]
    for data in groups:
        outputs += maintainer.feed(unpack_group(data))
    outputs += maintainer.cut_open()
    newest: dict[str, Document] = {}
    for output in outputs:
        core.take(output.messages, 0)
        for document in list(core.outbox.due()):
            newest[document.id] = document
            core.answer(Answer(stored=((document.id, document.covered),)), 0)
    return list(newest.values())


def of_kind(found: Iterable[Document], kind: str) -> list[Document]:
    """Return the documents of one collection."""
    return [each for each in found if each.collection == kind]


def compacted(found: Sequence[Document], kind: str) -> list[Document]:
    """Return what the blocks of *kind* are merged into."""
    spans: dict[Span, list[Document]] = defaultdict(list)
    for each in of_kind(found, kind):
        spans[span_of(each.start_ns, GRID_S)].append(each)
    made = []
    for span, blocks in spans.items():
        stored = [bson.decode(to_bson(each), READING) for each in blocks]
        parts = [Part(terms_of(header(kind, each)), p.rows) for each in stored for p in pieces_of(kind, each)]
        chains = joined((*chain,) for each in blocks for chain in each.fields["chains"])
        for terms in {part.terms for part in parts}:
            whole = Part(terms, united(part for part in parts if part.terms == terms))
            windows = {start: [weight] for start, weight in weights_of(whole, RECIPE.window_ns).items()}
            for leaf in divided(span, LENGTHS, windows):
                block = merged(blocks[0].security, kind, leaf, chains, within(whole, leaf))
                made.append(
                    Document(
                        kind, block.id, blocks[0].security, leaf.start_ns, block.covered, block.fields, ""
                    )
                )
    return made


def size(found: Iterable[Document]) -> int:
    """Return the BSON bytes of *found*."""
    return sum(len(to_bson(each)) for each in found)


def total(found: Iterable[Document], field: str) -> int:
    """Return the sum of a header's *field*."""
    return sum(int(each.fields[field]) for each in found)


def illiquid() -> tuple[list[Document], list[Document], int]:
    """Return one in ten updates of DOTUSDT, one a second: fresh, merged, and how many level changes."""
    three = documents(groups_of_capture(THREE_2021, ["BTCUSDT", "ETHUSDT", "DOTUSDT"]))
    found = [each for each in of_kind(three, "changes") if each.security == "binance:DOTUSDT"]
    stored = [bson.decode(to_bson(each), READING) for each in found]
    parts = [Part(terms_of(p.block), p.rows) for each in stored for p in pieces_of("changes", each)]
    whole = united(parts)
    rows = taken(whole, np.arange(0, len(whole.times_ns), 10))
    if not isinstance(rows, ChangeColumns):
        raise TypeError("no changes")
    span = span_of(found[0].start_ns, GRID_S)
    times = span.start_ns + S * np.arange(len(rows.times_ns), dtype=np.int64)
    last_ids = np.cumsum(rows.last_ids - rows.first_ids + 1) + 1_000_000
    first_ids = np.append(1_000_001, last_ids[:-1] + 1)
    slow = rows._replace(
        first_ids=first_ids,
        last_ids=last_ids,
        times_ns=times,
        effective_ns=times,
        received_ns=times + rows.received_ns - rows.times_ns,
    )
    chain = (int(first_ids[0]), int(last_ids[-1]), int(first_ids[0]), bytes(range(16)))
    part = Part(parts[0].terms, slow)
    windows = [Span(start, 10) for start in weights_of(part, RECIPE.window_ns)]
    fresh, after = ([_of("DOTUSDT", each, chain, part) for each in spans] for spans in (windows, [span]))
    return fresh, after, len(slow.prices)


def _of(symbol: str, span: Span, chain: Chain, part: Part) -> Document:
    security = f"binance:{symbol}"
    block = merged(security, "changes", span, [chain], within(part, span))
    return Document("changes", block.id, security, span.start_ns, block.covered, block.fields, "")


# --- as others keep it ---------------------------------------------------------------------------


def raw_json(name: str, mark: bytes) -> int:
    """Return the bytes of the capture's frames that hold *mark*, with zstd -19."""
    lines = b"\n".join(each.data for each in captures.frames(name) if mark in each.data[:40])
    return len(zstandard.ZstdCompressor(level=19).compress(lines))


def price_keyed(name: str, mark: bytes) -> int:
    """Return the BSON bytes of one document per update, prices as keys: as the original logger kept them."""
    found = 0
    for frame in captures.frames(name):
        if mark not in frame.data[:40]:
            continue
        data = msgspec.json.decode(frame.data)["data"]
        sides = {
            side: {price.replace(".", ","): float(held) for price, held in data[key]}
            for side, key in (("asks", "a"), ("bids", "b"))
        }
        document = {
            "_id": bson.ObjectId(),
            "type": "orderbook",
            "DateTime": datetime.fromtimestamp(data["E"] / 1000, UTC),
            "timestamp": data["E"],
            "symbol": data["s"],
            "orberbook": sides,
        }
        found += len(bson.encode(document))
    return found


def parquet(rows: ChangeColumns) -> int | None:
    """Return the bytes of a Parquet file of *rows*, one line a level; None where pyarrow is absent."""
    try:
        arrow, files = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        return None
    counts = rows.bid_counts + rows.ask_counts
    pairs = np.stack((rows.bid_counts, rows.ask_counts), axis=1).ravel()
    columns: dict[str, Any] = {
        name: np.repeat(getattr(rows, name), counts)
        for name in ("first_ids", "last_ids", "times_ns", "effective_ns", "received_ns")
    }
    columns["side"] = np.repeat(np.tile(np.array([0, 1], np.int8), len(counts)), pairs)
    columns |= {"price": rows.prices, "size": rows.sizes}
    written = io.BytesIO()
    files.write_table(arrow.table(columns), written, compression="zstd", compression_level=19)
    return len(written.getvalue())


# --- the table -----------------------------------------------------------------------------------


def figures() -> list[Figure]:
    """Return all of them."""
    exact = documents(groups_of_capture(ETH_2024, ["ETHUSDT"]))
    blocks = of_kind(exact, "changes")
    levels = total(blocks, "levels")
    merged_blocks = compacted(exact, "changes")
    change = "level change"
    found = [
        Figure("ETHUSDT 2024, every update, 10 s windows", change, size(blocks), levels, 3.2),
        Figure("the same, compacted", change, size(merged_blocks), levels, 2.6),
    ]
    for every_ms, bar in ((1000, 1.4), (10_000, 0.6)):
        netted = documents(groups_of_capture(ETH_2024, ["ETHUSDT"], policy=Policy(every_ms=every_ms)))
        fresh, after = of_kind(netted, "changes"), compacted(netted, "changes")
        per = "original level change"
        found.append(Figure(f"net per {every_ms // 1000} s, 10 s windows", per, size(fresh), levels))
        found.append(Figure("the same, compacted", per, size(after), levels, bar))
    trades = of_kind(exact, "trades")
    found += [
        Figure("trades, 10 s windows", "trade", size(trades), total(trades, "rows")),
        Figure("the same, compacted", "trade", size(compacted(exact, "trades")), total(trades, "rows"), 4.0),
    ]
    found += [_image(exact, "L2", 3.5)]
    full = documents(groups_of_capture(L3_2016, ["BTC-USD"]))
    events = of_kind(full, "orders")
    found += [
        Figure("Coinbase L3 2016, ids, 10 s windows", "order event", size(events), total(events, "rows")),
        Figure(
            "the same, compacted", "order event", size(compacted(full, "orders")), total(events, "rows"), 10.0
        ),
        _image(full, "L3", 22.0),
    ]
    bare = documents(groups_of_capture(L3_2016, ["BTC-USD"], policy=Policy(order_ids=False)))
    events = of_kind(bare, "orders")
    found += [
        Figure("Coinbase L3 2016, no ids, 10 s windows", "order event", size(events), total(events, "rows")),
        Figure(
            "the same, compacted", "order event", size(compacted(bare, "orders")), total(events, "rows"), 3.0
        ),
        _image(bare, "L3", 2.0),
    ]
    fresh, after, rare = illiquid()
    found += [
        Figure("DOTUSDT 2021, a tenth, one a second", change, size(fresh), rare),
        Figure("the same, compacted", change, size(after), rare, 12.0),
    ]
    return found + _others(merged_blocks, levels)


def _image(found: Sequence[Document], book: str, bar: float) -> Figure:
    image = of_kind(found, "images")[-1]
    rows = total([image], "bids") + total([image], "asks")
    return Figure(
        f"image of {rows:,} {'levels' if book == 'L2' else 'orders'}", book, size([image]), rows, bar
    )


def _others(blocks: Sequence[Document], levels: int) -> list[Figure]:
    mark, change = b"ethusdt@depth", "level change"
    found = [
        Figure("ETHUSDT 2024 as JSON, zstd -19", change, raw_json(ETH_2024, mark), levels),
        Figure("as one document per update, prices as keys", change, price_keyed(ETH_2024, mark), levels),
    ]
    stored = [bson.decode(to_bson(each), READING) for each in blocks]
    rows = united(Part(terms_of(p.block), p.rows) for each in stored for p in pieces_of("changes", each))
    size_bytes = parquet(rows) if isinstance(rows, ChangeColumns) else None
    if size_bytes is not None:
        found.append(Figure("as Parquet, zstd -19, the same columns", change, size_bytes, levels))
    return found


def show(found: Sequence[Figure], console: Console) -> None:
    """Print the table."""
    table = Table(title="bytes, everything in the documents counted")
    for name in ("what", "per"):
        table.add_column(name)
    for name in ("count", "bytes", "bytes each", "bar", ""):
        table.add_column(name, justify="right")
    for each in found:
        bar = "" if each.bar is None else f"{each.bar:g}"
        verdict = "" if each.bar is None else "pass" if each.passed else "FAIL"
        table.add_row(
            each.what, each.per, f"{each.count:,}", f"{each.bytes:,}", f"{each.each:.2f}", bar, verdict
        )
    console.print(table)


def main() -> int:
    """Print the figures and return the exit code."""
    if not captures.FOLDER.is_dir():
        Console().print(f"no recorded captures here: {captures.FOLDER} is absent")
        return 0
    found = figures()
    show(found, Console())
    return 0 if all(each.passed for each in found) else 1


if __name__ == "__main__":
    sys.exit(main())
