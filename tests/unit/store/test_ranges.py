"""What happened between two moments, whatever is asked for; nothing across a hole unless told."""

from itertools import count, pairwise
from typing import Any

import pytest
from pymongo.database import Database

from book.bookfeed import BookFeed
from book.outlet import Outlet
from book.sync import Update
from book.windows import Windows
from condition.conditioner import Conditioner
from store import shapes
from store.answers import Book, Changes, Gap, OrderEvents, Trades
from store.history import Archive, InHole
from tests.embedded import Server
from tests.unit.store.recorded import T0, WINDOW_NS, Market, S
from tests.unit.store.test_history import levels, store
from venue.api import BookSnapshot, DepthUpdate
from wire.messages import Answer, Document, Policy, Synced
from wire.names import position_at
from wire.runs import Begin

pytestmark = pytest.mark.mongo

_numbers = count()


def fresh(venue: str = "binance") -> str:
    return f"{venue}:R{next(_numbers)}"


@pytest.fixture
def archive(mongo_server: Server, mongo: Database[Any]) -> Any:
    with Archive(mongo_server.uri, mongo.name) as opened:
        yield opened


def holed(kind: str = "l2") -> Market:
    """Return a market of twenty updates, two seconds apart, with a hole after ten and trades throughout."""
    market = Market(fresh(), 5, kind=kind)
    market.snapshot()
    for number in range(20):
        if number == 10:
            market.snapshot(missing=4)
        market.update(2 * S)
        market.trade(skip=3 if number == 15 else 0)
    return market


def kinds(answers: Any) -> list[str]:
    return [type(answer).__name__ for answer in answers]


def test_a_range_over_a_hole_is_refused_and_the_row_is_named(archive: Archive, mongo: Database[Any]) -> None:
    market = holed()
    store(mongo, market.documents())
    low, high = market.states[0].effective_ns, market.states[-1].effective_ns
    for read in (archive.replay, archive.changes, archive.trades):
        with pytest.raises(
            InHole, match=r"ledger row binance:R\d+\|(book|trades)\|\d+, cause (network|venue)"
        ):
            list(read(market.security, low, high))


def test_a_range_that_ends_or_begins_inside_a_hole_is_refused_too(
    archive: Archive, mongo: Database[Any]
) -> None:
    market = holed()
    store(mongo, market.documents())
    before, after = market.states[9].effective_ns, market.states[10].effective_ns
    start, end = market.states[0].effective_ns, market.states[14].effective_ns
    with pytest.raises(InHole):
        list(archive.changes(market.security, start, before + S))
    with pytest.raises(InHole):
        list(archive.changes(market.security, before + S, end))
    with pytest.raises(InHole):
        list(archive.replay(market.security, before + S, end))
    assert kinds(archive.changes(market.security, start, before))[-1] == "Changes"
    assert list(archive.changes(market.security, after + 1, end)) != []


def test_a_replay_that_may_reads_on_with_the_hole_and_the_next_image(
    archive: Archive, mongo: Database[Any]
) -> None:
    market = holed()
    store(mongo, market.documents())
    low, high = market.states[2].effective_ns, market.states[-1].effective_ns + 1
    passed = list(archive.replay(market.security, low, high, gaps="include"))
    again = [place for place, answer in enumerate(passed) if isinstance(answer, Book)]
    assert len(again) == 2
    assert isinstance(passed[again[1] - 1], Gap)
    left_out = list(archive.replay(market.security, low, high, gaps="exclude"))
    assert kinds(left_out) == [name for name in kinds(passed) if name != "Gap"]
    ids = [last for each in passed if isinstance(each, Changes) for last in each.rows.last_ids.tolist()]
    assert ids == [s.update_id for n, s in enumerate(market.states) if n > 2 and n != 10]


def test_a_replay_from_before_the_first_update_begins_with_the_first_image(
    archive: Archive, mongo: Database[Any]
) -> None:
    market = holed()
    store(mongo, market.documents())
    first, *_ = archive.replay(market.security, T0 - S, T0 + 9 * S, gaps="include")
    assert isinstance(first, Book)
    assert first.update_id == market.states[0].update_id


def test_trades_come_with_the_replay_window_by_window(archive: Archive, mongo: Database[Any]) -> None:
    market = holed()
    store(mongo, market.documents())
    low, high = market.states[2].effective_ns, market.states[9].effective_ns
    answers = list(archive.replay(market.security, low, high, trades=True))
    starts = [each.start_ns for each in answers if isinstance(each, Changes | Trades)]
    assert starts == sorted(starts)
    ids = [trade for each in answers if isinstance(each, Trades) for trade in each.rows.ids.tolist()]
    assert ids == [3, 4, 5, 6, 7, 8, 9]


def test_a_replay_that_may_reads_on_says_where_trades_are_missing(
    archive: Archive, mongo: Database[Any]
) -> None:
    market = holed()
    store(mongo, market.documents())
    low, high = market.states[0].effective_ns, market.states[-1].effective_ns + 1
    included = list(archive.replay(market.security, low, high, trades=True, gaps="include"))
    gaps = [(each.feed, each.first_id, each.last_id) for each in included if isinstance(each, Gap)]
    assert gaps == [("book", *market.holes[0]), ("trades", 16, 18)]
    lines = list(shapes.replay(included))
    place = next(n for n, line in enumerate(lines) if line.get("feed") == "trades")
    assert [line["id"] for line in lines[:place] if line["type"] == "trade"] == list(range(1, 16))
    assert next(line["id"] for line in lines[place:] if line["type"] == "trade") == 19
    excluded = archive.replay(market.security, low, high, trades=True, gaps="exclude")
    assert not any(isinstance(each, Gap) for each in excluded)


def test_the_changes_of_an_l3_security_are_folded_from_its_orders(
    archive: Archive, mongo: Database[Any]
) -> None:
    market = Market(fresh(), 9, kind="l3")
    market.snapshot()
    for _ in range(60):
        market.update(S // 2)
    store(mongo, market.documents())
    start, end = market.states[10].effective_ns + 1, market.states[50].effective_ns + 1
    sides: tuple[dict[int, int], dict[int, int]] = (
        dict(market.states[10].bids),
        dict(market.states[10].asks),
    )
    states = {state.update_id: state for state in market.states}
    seen = []
    for batch in archive.changes(market.security, start, end):
        assert isinstance(batch, Changes)
        rows, begin = batch.rows, 0
        columns = (rows.last_ids, rows.bid_counts, rows.ask_counts)
        for update_id, bids, asks in zip(*(column.tolist() for column in columns), strict=True):
            for n in range(begin, begin + bids + asks):
                side = sides[int(n >= begin + bids)]
                side.pop(int(rows.prices[n]), None)
                if rows.sizes[n]:
                    side[int(rows.prices[n])] = int(rows.sizes[n])
            begin += bids + asks
            true = states[update_id]
            assert (sorted(sides[0].items(), reverse=True), sorted(sides[1].items())) == (
                true.bids,
                true.asks,
            )
            seen.append(update_id)
    assert seen == [state.update_id for state in market.states[11:51]]
    events = list(archive.orders(market.security, start, end))
    assert all(isinstance(each, OrderEvents) for each in events)
    assert [i for each in events if isinstance(each, OrderEvents) for i in each.rows.ids.tolist()] == seen


# --- a feed without ids ----------------------------------------------------------------------


def seamed() -> tuple[str, list[Document]]:
    """Return a security of a feed without ids that was recorded over two connections."""
    security = fresh("coinbase")
    outlet = Outlet(security, {"coinbase/a": 1})
    outlet.start(1)
    outlet.emit(Begin, book="l2", has_ids=False, windows={})
    feed = BookFeed(outlet, Windows(WINDOW_NS, 60, (Policy(),)), "l2", lambda update: update)
    feed.recording.feed = "changes"
    for connection in (1, 2):
        first = position_at(1, 100 * connection)
        if connection == 2:
            feed.seam(first, "network")
        bids = [("10.00", str(connection))]
        feed.book.replace(BookSnapshot("X", None, None, bids, [("11.00", "1")], 0), first)
        feed.base(first)
        for number in range(1, 6):
            position, time_ns = first + 3 * number, T0 + (100 * connection + number) * S
            moved = DepthUpdate("X", None, None, time_ns, [("9.00", str(number))], [])
            feed.take(
                [Update(position, position, position, time_ns, time_ns, connection, b"", "coinbase/a", moved)]
            )
    feed.finish()
    core = Conditioner(window_ns=WINDOW_NS, reply_to="a", token=1, lines=frozenset(["coinbase/a"]))
    core.synced(Synced("coinbase/a", 1 << 60))
    documents = []
    for message in outlet.take({"coinbase/a": 2}):
        core.take([message], 0)
        for document in list(core.outbox.due()):
            documents.append(document)
            core.answer(Answer(stored=(document.key,)), 0)
    return security, documents


def test_a_seam_is_read_over_and_called_unverifiable(archive: Archive, mongo: Database[Any]) -> None:
    security, documents = seamed()
    store(mongo, documents)
    between = archive.book_at(security, T0 + 150 * S, verify=True)
    after = archive.book_at(security, "latest", verify=True)
    assert between is not None
    assert after is not None
    for book, number in ((between, 1), (after, 2)):
        assert (book.update_id, book.continuity, book.stale) == (None, "unverifiable", False)
        assert levels(book.bids) == [(10, number), (9, 5)]
    [span] = archive.coverage(security)
    assert (span.first_id, span.last_id, span.rows) == (None, None, 10)
    assert [row["state"] for row in archive.gaps(security)] == ["unverifiable"]


def test_a_replay_over_a_seam_gives_the_book_of_the_new_connection(
    archive: Archive, mongo: Database[Any]
) -> None:
    security, documents = seamed()
    store(mongo, documents)
    answers = list(archive.replay(security, T0 + 102 * S, T0 + 300 * S))
    assert kinds(answers) == ["Book", "Changes", "Book", "Changes"]
    books = [answer for answer in answers if isinstance(answer, Book)]
    assert [levels(book.bids)[0] for book in books] == [(10, 1), (10, 2)]
    times = [book.effective_ns for book in books]
    assert all(earlier < later for earlier, later in pairwise(times))
