"""Trades that filled a hole are read where they belong, in the order of their ids, each once."""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import pytest
from pymongo.database import Database

from condition.conditioner import Conditioner
from store.history import Archive, InHole
from store.verify import verify
from tests.embedded import Server
from tests.unit.book.play import START, S, Story
from tests.unit.book.test_healing import answer, body, holed
from tests.unit.store.test_history import store
from wire.messages import Answer, Document, Synced
from wire.runs import RunMessage

pytestmark = pytest.mark.mongo

_numbers = count()
FIRST, LAST = 8, 19


@pytest.fixture
def archive(mongo_server: Server, mongo: Database[Any]) -> Iterator[Archive]:
    with Archive(mongo_server.uri, mongo.name) as opened:
        yield opened


def documents(said: Sequence[RunMessage]) -> list[Document]:
    core = Conditioner(window_ns=10 * S, reply_to="a", token=1, lines=frozenset(["binance/a"]))
    core.synced(Synced("binance/a", 1 << 60))
    made = []
    for message in said:
        core.take([message], 0)
        for document in list(core.outbox.due()):
            made.append(document)
            core.answer(Answer(stored=(document.key,)), 0)
    return made


def named(found: list[Document], security: str) -> list[Document]:
    """Return *found* as those of another security: the tests share a database."""
    return [
        Document(
            each.collection,
            each.id.replace(each.security, security),
            security,
            each.start_ns,
            each.covered,
            each.fields,
            each.reply_to,
        )
        for each in found
    ]


def kept(mongo: Database[Any], story: Story, *, order: int = 1) -> str:
    """Store what *story* comes to; return the security."""
    security = f"binance:H{next(_numbers)}"
    store(mongo, named(documents(story.said()), security)[::order])
    return security


def filled(ids: Sequence[int]) -> Story:
    """Return a story of trades 1 to 30, two seconds apart, of which 8 to 19 came late: only *ids* of them."""
    story = Story().begin()
    for trade_id in (*range(1, FIRST), *range(LAST + 1, 31)):
        story.trade(2 * trade_id, trade_id)
    times = {trade_id: story.at(2 * trade_id) for trade_id in ids}
    for n in range(4):
        page = next((i for i in range(FIRST, LAST + 1) if i not in ids), FIRST)
        answer(story, 62 + n, body(ids, times), (page, LAST))
    return story.quiet_until(70)


def ids_read(archive: Archive, security: str, low: float, high: float, gaps: Any = "error") -> list[Any]:
    answers = archive.trades(security, START + int(low * S), START + int(high * S), gaps)
    found: list[Any] = []
    for each in answers:
        found += each.rows.ids.tolist() if hasattr(each, "rows") else [(each.first_id, each.last_id)]
    return found


@pytest.mark.parametrize("order", [1, -1])
def test_a_healed_hole_is_read_over_in_the_order_of_ids(
    archive: Archive, mongo: Database[Any], order: int
) -> None:
    security = kept(mongo, filled(range(FIRST, LAST + 1)), order=order)
    assert ids_read(archive, security, 0, 100) == list(range(1, 31))
    for low in range(0, 62, 3):
        for high in range(low + 1, 62, 7):
            expected = [i for i in range(1, 31) if low <= 2 * i < high]
            assert ids_read(archive, security, low, high) == expected, (low, high)
    assert verify(archive.blocks, security).first_bad is None
    [row] = archive.gaps(security)
    assert (row["first_id"], row["last_id"], row["state"], row["covered"]) == (FIRST, LAST, "healed", 2)
    [span] = archive.coverage(security)
    assert (span.first_id, span.last_id, span.rows) == (1, 30, 30)
    stored = mongo["trades"].count_documents({"security": security})
    assert span.documents == stored
    ids = [each["_id"] for each in mongo["trades"].find({"security": security})]
    seconds = START // S + 20
    assert f"{security}|trades|{seconds}|h10" in ids
    assert mongo["trades"].find_one({"_id": f"{security}|trades|{seconds}|h10"})["covered"] == 5  # type: ignore[index]


@pytest.mark.parametrize("missing", [{14}, {8}, {19}, {8, 9, 13}, {10, 15, 16, 19}, set(range(8, 20))])
def test_what_is_still_missing_of_a_hole_is_in_the_ledger_and_nothing_else(
    archive: Archive, mongo: Database[Any], missing: set[int]
) -> None:
    security = kept(mongo, filled([i for i in range(FIRST, LAST + 1) if i not in missing]))
    firsts = sorted(i for i in missing if i - 1 not in missing)
    runs = [(i, next(n for n in range(i, 40) if n + 1 not in missing)) for i in firsts]
    open_rows = [row for row in archive.gaps(security) if row["state"] != "healed"]
    assert [(row["first_id"], row["last_id"]) for row in open_rows] == runs
    first, last = runs[0]
    name = rf"ids {first} to {last} are missing \(ledger row {security}\|trades\|{first}, cause"
    with pytest.raises(InHole, match=name):
        ids_read(archive, security, 0, 100)
    spans = [(span.first_id, span.last_id) for span in archive.coverage(security)]
    assert [i for a, b in spans if a and b for i in range(a, b + 1)] == [
        i for i in range(1, 31) if i not in missing
    ]
    found = ids_read(archive, security, 0, 100, "include")
    assert [each for each in found if isinstance(each, tuple)] == runs
    assert [each for each in found if isinstance(each, int)] == [i for i in range(1, 31) if i not in missing]
    assert ids_read(archive, security, 0, 2 * first - 2) == list(range(1, first - 1))
    tally = verify(archive.blocks, security)
    assert (tally.bad, tally.proven, tally.first_bad) == (0, 30 - len(missing), None)


def test_a_hole_inside_one_window_is_filled_inside_it(archive: Archive, mongo: Database[Any]) -> None:
    story = holed(8, 9, begin=1, end=2).trade(3, 11)
    times = {8: story.at(1.2), 9: story.at(1.6)}
    answer(story, 4, body([8, 9], times), (8, 9))
    security = kept(mongo, story.trade(35, 12).quiet_until(45))
    assert ids_read(archive, security, 0, 100) == [7, 8, 9, 10, 11, 12]
    assert ids_read(archive, security, 1.5, 3) == [9, 10]
    [span] = archive.coverage(security)
    assert (span.rows, span.documents) == (6, mongo["trades"].count_documents({"security": security}))


def test_a_range_that_ends_before_a_window_with_a_filled_hole_is_whole(
    archive: Archive, mongo: Database[Any]
) -> None:
    story = Story().begin().trade(1, 6).trade(11, 7).trade(15, 10)
    answer(story, 16, body([8, 9], {8: story.at(12), 9: story.at(13)}), (8, 9))
    security = kept(mongo, story.quiet_until(30))
    assert ids_read(archive, security, 0, 5) == [6]
    assert ids_read(archive, security, 0, 30) == [6, 7, 8, 9, 10]
