"""Compaction for tests: an hour is 60 seconds here, so that a small market has many spans."""

import re
from collections.abc import Iterable
from typing import Any

from pymongo.database import Database

from store.blocks import Blocks
from store.compaction import Compacted, Compactor
from store.history import Archive
from store.writer import Writer
from tests.unit.store.recorded import WINDOW_NS, S
from wire.messages import Document

KINDS = ("changes", "orders", "trades")
GRID_S = 60


def grid(mongo: Database[Any]) -> None:
    """Make the database one whose spans are short."""
    made = {"window_seconds": WINDOW_NS // S, "compact_seconds": GRID_S, "version": 1}
    mongo["format"].replace_one({"_id": "format"}, made, upsert=True)


def compactor(mongo: Database[Any], after_s: float = 0) -> Compactor:
    writer = Writer(mongo, "recorder", WINDOW_NS // S)
    writer.prepare()
    return Compactor(mongo, writer, Blocks(mongo, WINDOW_NS, GRID_S), int(after_s * S))


def compact(mongo: Database[Any], security: str, after_s: float = 0) -> list[Compacted]:
    done = list(compactor(mongo, after_s).run(security))
    assert not [each for each in done if each.skipped]
    return done


def blocks_of(mongo: Database[Any], security: str) -> list[dict[str, Any]]:
    """Return all blocks, without what differs between two lines."""
    found = [each for kind in KINDS for each in mongo[kind].find({"security": security})]
    for each in found:
        each.pop("receipts", None)
        each.pop("receipts_crc32c", None)
    return sorted(found, key=lambda each: str(each["_id"]))


def plain(value: Any) -> Any:
    """Return an answer of the archive as something that can be compared."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "_asdict"):
        return {name: plain(each) for name, each in value._asdict().items()}
    if hasattr(value, "__dataclass_fields__"):
        return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    return value


def said(question: Any) -> Any:
    """Return what the archive answers: rows, or the error."""
    try:
        answer = question()
        return plain(list(answer) if isinstance(answer, Iterable) else answer)
    except Exception as error:  # noqa: BLE001 whatever it is, it has to be the same
        # (only the document that a line names may be another)
        return type(error).__name__, re.sub(r"\|\d{10}(\|m\d+)?\b", "|", str(error))


def rows_of(answers: Any) -> list[Any]:
    """Return the rows of batches one after the other: where one batch ends is no part of an answer."""
    if isinstance(answers, tuple):
        return list(answers)
    rows: list[Any] = []
    for each in answers:
        if "rows" not in each:
            rows.append({name: value for name, value in each.items() if name != "row"})
            continue
        scales = {name: value for name, value in each.items() if name.endswith("scale")}
        columns = dict(each["rows"])
        if "bid_counts" in columns:
            levels = list(zip(columns.pop("prices"), columns.pop("sizes"), strict=True))
            ends, begin = [], 0
            for bids, asks in zip(columns["bid_counts"], columns["ask_counts"], strict=True):
                ends.append(levels[begin : begin + bids + asks])
                begin += bids + asks
            columns["levels"] = ends
            columns["visible"] = each["visible_ns"]
        rows += [(scales, *row) for row in zip(*columns.values(), strict=True)]
    return rows


def everything(archive: Archive, security: str, instants: list[int]) -> dict[str, Any]:
    """Return all that readers can be told of *security* at and between *instants*."""
    found: dict[str, Any] = {}
    low, high = min(instants), max(instants) + 1
    for time_ns in instants:
        found["at", time_ns] = said(lambda t=time_ns: archive.book_at(security, t, verify=True))
    for a, b in ((low, high), (min(instants[:2]), max(instants[:2]))):
        for name in ("changes", "orders", "trades"):
            read = getattr(archive, name)
            found[name, a, b] = rows_of(said(lambda r=read, a=a, b=b: r(security, a, b, "include")))
        found["replay", a, b] = said(
            lambda a=a, b=b: archive.replay(security, a, b, trades=True, gaps="include")
        )
    found["error"] = rows_of(said(lambda: archive.trades(security, low, high)))
    found["gaps"] = said(lambda: archive.gaps(security))
    spans = said(lambda: archive.coverage(security))
    found["coverage"] = [{k: v for k, v in span.items() if k != "documents"} for span in spans]
    return found


def put(mongo: Database[Any], documents: list[Document]) -> None:
    from tests.unit.store.test_history import store

    store(mongo, documents)
