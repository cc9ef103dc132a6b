"""The archive beside the market's truth: every stored trade, and the book at random instants."""

import os
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from store.answers import Trades
from store.history import Archive, InHole
from tests.simulator.process import Simulator
from tests.system.test_end_to_end import certified_sides, orders, sides, without_ids
from venue.decimals import text

Ids = set[int]


@contextmanager
def archive_of(environment: Mapping[str, str]) -> Iterator[Archive]:
    """Open the archive as a person does when the logger has stopped."""
    with patch.dict(os.environ, environment), Archive() as archive:
        yield archive


class Compared:
    """What was compared of one security, and what was found."""

    def __init__(self) -> None:
        self.trades = self.instants = self.in_holes = 0
        self.lost: list[str] = []
        self.doubled: list[str] = []
        self.wrong: list[str] = []


def missing_ids(rows: Sequence[Mapping[str, Any]], feed: str) -> Ids:
    """Return the ids that the ledger's *rows* say are missing of ``book`` or ``trades``."""
    found: Ids = set()
    for row in rows:
        if (row["feed"] == "trades") == (feed == "trades") and row["state"] != "healed":
            last_id = row["first_id"] if row["last_id"] is None else row["last_id"]
            found |= set(range(row["first_id"], last_id + 1))
    return found


def compare(
    archive: Archive, simulator: Simulator, security: str, rng: random.Random, instants: int
) -> Compared:
    """Compare what is stored of *security* with the truth."""
    compared = Compared()
    rows = archive.gaps(security)
    _trades(archive, simulator, security, missing_ids(rows, "trades"), compared)
    spans = [span for span in archive.coverage(security) if span.feed != "trades"]
    for _ in range(instants):
        time_ns = rng.randrange(spans[0].from_ns, spans[-1].to_ns)
        _instant(archive, simulator, security, time_ns, rows, compared)
    return compared


def _trades(archive: Archive, simulator: Simulator, security: str, missing: Ids, compared: Compared) -> None:
    stored: dict[int, dict[str, Any]] = {}
    for batch in archive.trades(security, 0, "latest", gaps="include"):
        if not isinstance(batch, Trades):
            continue
        rows = batch.rows
        for i, trade_id in enumerate(rows.ids.tolist()):
            if trade_id in stored:
                compared.doubled.append(f"{security}: trade {trade_id}")
            stored[trade_id] = {
                "id": trade_id,
                "time_ns": int(rows.times_ns[i]),
                "price": text(int(rows.prices[i]), batch.price_scale),
                "size": text(int(rows.sizes[i]), batch.size_scale),
                "side": ("buy", "sell")[rows.sides[i]],
            }
    venue, _, symbol = security.partition(":")
    true = simulator.truth_trades(venue, symbol, from_id=min(stored), to_id=max(stored))
    for trade in true:
        found = stored.pop(trade["id"], None)
        if found is None:
            if trade["id"] not in missing:
                compared.lost.append(f"{security}: trade {trade['id']}")
        elif found != trade:
            compared.wrong.append(f"{security}: {found} is {trade}")
        else:
            compared.trades += 1
    compared.wrong += [f"{security}: nobody made {trade}" for trade in stored.values()]


def _instant(
    archive: Archive,
    simulator: Simulator,
    security: str,
    time_ns: int,
    rows: Sequence[Mapping[str, Any]],
    compared: Compared,
) -> None:
    venue, _, symbol = security.partition(":")
    try:
        book = archive.book_at(security, time_ns)
    except InHole as hole:
        named = [row for row in rows if row["feed"] != "trades" and row["from"] <= time_ns <= row["to"]]
        if not named:
            compared.lost.append(f"{security} at {time_ns}: {hole}")
        compared.in_holes += 1
        return
    assert book is not None
    true = simulator.truth_book(venue, symbol, time_ns=time_ns, ms=100)
    same = book.update_id == true["update_id"] and sides(book) == certified_sides(book, true)
    if same and book.orders is not None:
        held = [tuple(row) for side in ("bids", "asks") for row in true["orders"][side]]
        same = orders(book) == (without_ids(held) if book.named else held)
    if not same:
        compared.wrong.append(f"{security} at {time_ns}: book {book.update_id} is {true['update_id']}")
    compared.instants += 1
