"""The book at any moment is the brute-force fold of the updates up to it, or an error that says why not."""

from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.database import Database

from store.documents import READING, to_bson
from store.history import Archive, Damaged, InHole, NotStored, UnknownSecurity
from store.waiting import Entry
from store.writer import Writer
from tests.embedded import Server
from tests.unit.store.recorded import T0, WINDOW_NS, Market, NoBook, S, lively
from wire.messages import Document

pytestmark = pytest.mark.mongo

_numbers = count()


def fresh() -> str:
    return f"binance:T{next(_numbers)}"


def store(database: Database[Any], documents: list[Document]) -> None:
    writer = Writer(database, "recorder", WINDOW_NS // S)
    writer.prepare()
    batch: dict[str, Entry] = {}
    for document in [*documents, None]:
        if batch and (document is None or document.name in batch):
            outcomes = writer.put(list(batch.values()))
            assert {outcome.verdict.value for outcome in outcomes} <= {"stored", "had"}, outcomes
            batch = {}
        if document is not None:
            batch[document.name] = Entry(document, to_bson(document))


@pytest.fixture
def archive(mongo_server: Server, mongo: Database[Any]) -> Any:
    with Archive(mongo_server.uri, mongo.name) as opened:
        yield opened


def instants(market: Market) -> list[int]:
    """Moments where something could go wrong: at, before and after each update and each window's border."""
    times = {state.effective_ns + by for state in market.states for by in (-1, 0, 1)}
    times |= {time + by for time in times for by in (WINDOW_NS - time % WINDOW_NS, -(time % WINDOW_NS))}
    times |= {market.visible_ns(state) + by for state in market.states for by in (-1, 0)}
    return [*market.random.sample(sorted(times), min(len(times), 12)), market.states[-1].effective_ns]


def levels(rows: Any, size: int = 1) -> list[tuple[int, int]]:
    return [(price, size) for price, size in rows.tolist()]


def assert_is_true(archive: Archive, market: Market, time_ns: int) -> None:
    try:
        true = market.at(time_ns)
    except NoBook as why:
        expected = InHole if str(why) == "hole" else NotStored
        with pytest.raises(expected):
            archive.book_at(market.security, time_ns)
        return
    book = archive.book_at(market.security, time_ns, verify=True)
    assert book is not None
    assert (book.update_id, book.price_scale, book.size_scale) == (true.update_id, 2, 2)
    assert (levels(book.bids), levels(book.asks)) == (true.bids, true.asks)
    assert (book.continuity, book.stale) == ("proven", False)
    if book.orders is not None:
        names = [row.tobytes() for row in book.orders.order_ids]
        in_order = sorted(true.orders, key=lambda row: (row[0], row[1] if row[0] else -row[1]))
        if book.named:
            # each order has one name as long as it has one at all, and no other order has it
            ids = [order_id for *_, order_id in in_order]
            called = [market.called.setdefault(*each) for each in zip(names, ids, strict=True)]
            assert (called, len(set(names))) == (ids, len(names))
            names = ids
        queue = list(zip(book.orders.prices.tolist(), book.orders.sizes.tolist(), names, strict=True))
        assert queue == [(price, size, name) for _, price, size, name in in_order]


slow = settings(
    max_examples=5,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"every_ms": 1000},
        {"every_ms": 10000},
        {"kind": "l3"},
        {"kind": "l3", "every_ms": 2000},
        {"kind": "l3", "ids": "noids"},
        {"kind": "l3", "ids": "turns"},
    ],
    ids=[
        "every update",
        "net per second",
        "net per window",
        "orders",
        "orders netted",
        "orders without ids",
        "orders with ids and without",
    ],
)
@slow
@given(seed=st.integers(0, 2**32))
def test_the_book_at_any_moment_is_the_fold_of_the_updates_up_to_it(
    archive: Archive, mongo: Database[Any], how: dict[str, Any], seed: int
) -> None:
    market = lively(fresh(), seed, **how)
    documents = market.documents()
    market.random.shuffle(documents)
    store(mongo, documents)
    for time_ns in instants(market):
        assert_is_true(archive, market, time_ns)


@slow
@given(
    seed=st.integers(0, 2**32),
    kind=st.sampled_from(["l2", "l3"]),
    ids=st.sampled_from(["full", "noids", "turns"]),
)
def test_the_replay_of_any_range_leads_from_its_first_book_to_its_last(
    archive: Archive, mongo: Database[Any], seed: int, kind: str, ids: str
) -> None:
    market = lively(fresh(), seed, kind=kind, ids=ids)
    store(mongo, market.documents())
    low, high = sorted(market.random.sample(instants(market) * 2, 2))
    shown: tuple[dict[int, int], dict[int, int]] | None = None
    for answer in archive.replay(market.security, low, high, gaps="include"):
        name = type(answer).__name__
        if name == "Book":
            shown = (dict(levels(answer.bids)), dict(levels(answer.asks)))
            orders = answer.orders
    if kind == "l2" and shown is not None:
        shown = folded(archive, market.security, low, high)
        last = [state for state in market.states if state.effective_ns < high or state.effective_ns <= low]
        assert (sorted(shown[0].items(), reverse=True), sorted(shown[1].items())) == (
            last[-1].bids,
            last[-1].asks,
        )
    assert kind == "l2" or shown is None or orders is not None


def folded(archive: Archive, security: str, low: int, high: int) -> tuple[dict[int, int], dict[int, int]]:
    shown: tuple[dict[int, int], dict[int, int]] = ({}, {})
    for answer in archive.replay(security, low, high, gaps="include"):
        match type(answer).__name__:
            case "Book":
                shown = (dict(levels(answer.bids)), dict(levels(answer.asks)))
            case "Changes":
                begin = 0
                rows = answer.rows
                for bids, asks in zip(rows.bid_counts.tolist(), rows.ask_counts.tolist(), strict=True):
                    for n in range(begin, begin + bids + asks):
                        side = shown[0 if n < begin + bids else 1]
                        side[int(rows.prices[n])] = int(rows.sizes[n])
                        if not rows.sizes[n]:
                            del side[int(rows.prices[n])]
                    begin += bids + asks
    return shown


@slow
@given(seed=st.integers(0, 2**32))
def test_every_trade_of_a_range_comes_once_and_in_order(
    archive: Archive, mongo: Database[Any], seed: int
) -> None:
    market = lively(fresh(), seed)
    market.trade()
    store(mongo, market.documents())
    low, high = sorted(market.random.sample(instants(market) * 2, 2))
    batches = list(archive.trades(market.security, low, high, gaps="exclude"))
    assert all(type(batch).__name__ in ("Trades", "Gap") for batch in batches)
    got = [trade_id for batch in batches if hasattr(batch, "rows") for trade_id in batch.rows.ids.tolist()]
    reached, expected = 0, []
    for made in market.trades:
        reached = max(reached, made.time_ns)
        expected += [made.id] if low <= reached < high else []
    assert got == expected


def quiet_market(**how: Any) -> Market:
    """Return a market with a hole: five updates, one a second, then three ids missing, then five more."""
    market = Market(fresh(), 7, **how)
    market.snapshot()
    for _ in range(5):
        market.update(S)
    market.snapshot(missing=3)
    for _ in range(5):
        market.update(3 * S)
    return market


def test_a_moment_in_a_hole_names_the_row_of_the_ledger(archive: Archive, mongo: Database[Any]) -> None:
    market = quiet_market()
    store(mongo, market.documents())
    before = market.states[4]
    row = f"{market.security}|book|{before.update_id + 1}"
    with pytest.raises(InHole, match=f"ids {before.update_id + 1} to .*{row.replace('|', '.')}.*network"):
        archive.book_at(market.security, before.effective_ns + S)
    stale = archive.book_at(market.security, before.effective_ns + S, gaps="include")
    assert stale is not None
    assert (stale.stale, stale.update_id, levels(stale.bids)) == (True, before.update_id, before.bids)
    assert archive.book_at(market.security, before.effective_ns + S, gaps="exclude") is None
    assert [(gap["first_id"], gap["cause"]) for gap in archive.gaps(market.security)] == [
        (before.update_id + 1, "network")
    ]


def test_coverage_is_what_lies_between_the_holes(archive: Archive, mongo: Database[Any]) -> None:
    market = quiet_market()
    market.trade()
    store(mongo, market.documents())
    first, last = market.states[:5], market.states[5:]
    spans = {(s.feed, s.from_ns, s.to_ns, s.last_id, s.rows) for s in archive.coverage(market.security)}
    assert spans == {
        ("book", first[0].effective_ns, first[-1].effective_ns, first[-1].update_id, 5),
        ("book", last[0].effective_ns, last[-1].effective_ns, last[-1].update_id, 5),
        ("trades", market.time_ns, market.time_ns, 1, 1),
    }


def test_a_moment_after_the_last_update_names_the_last_one(archive: Archive, mongo: Database[Any]) -> None:
    market = quiet_market()
    store(mongo, market.documents())
    last = market.states[-1]
    with pytest.raises(NotStored, match="the last stored update is of 2027-01-15T") as error:
        archive.book_at(market.security, last.effective_ns + 1)
    assert error.value.moment_ns == last.effective_ns
    latest = archive.book_at(market.security, "latest")
    assert latest is not None
    assert latest.update_id == last.update_id
    with pytest.raises(NotStored, match="first stored") as error:
        archive.book_at(market.security, T0)
    assert error.value.moment_ns == market.states[0].effective_ns


def test_an_unknown_security_is_said_to_be_unknown(archive: Archive, mongo: Database[Any]) -> None:
    store(mongo, quiet_market().documents())
    for ask in (archive.book_at, archive.trades):
        with pytest.raises(UnknownSecurity, match="nothing is stored of binance:NOBODY"):
            list(ask("nobody", T0, T0 + 1)) if ask == archive.trades else ask("nobody", T0)  # type: ignore


def test_an_empty_database_has_no_archive(archive: Archive) -> None:
    with pytest.raises(UnknownSecurity, match="holds no archive"):
        archive.book_at("btcusdt", T0)
    assert (list(archive.securities()), list(archive.gaps()), list(archive.coverage())) == ([], [], [])


@pytest.mark.parametrize("kind", ["changes", "images"])
def test_one_flipped_bit_is_an_error_that_names_the_document(
    archive: Archive, mongo: Database[Any], kind: str
) -> None:
    market = quiet_market()
    store(mongo, market.documents())
    [damaged, *_] = mongo[kind].find({"security": market.security})
    body = bytearray(damaged["body"])
    body[len(body) // 2] ^= 4
    mongo[kind].update_one({"_id": damaged["_id"]}, {"$set": {"body": bytes(body)}})
    with pytest.raises(Damaged, match=damaged["_id"].replace("|", ".")):
        archive.book_at(market.security, market.states[0].effective_ns)


def test_an_image_with_another_hash_is_found_when_asked_for(archive: Archive, mongo: Database[Any]) -> None:
    market = quiet_market()
    store(mongo, market.documents())
    mongo.images.update_many({"security": market.security}, {"$set": {"hash": bytes(16)}})
    time_ns = market.states[2].effective_ns
    assert archive.book_at(market.security, time_ns) is not None
    with pytest.raises(Damaged, match=r"image.* another hash"):
        archive.book_at(market.security, time_ns, verify=True)


def test_a_wrong_hash_is_found_when_asked_for(archive: Archive, mongo: Database[Any]) -> None:
    market = quiet_market()
    store(mongo, market.documents())
    [block] = mongo.changes.find({"security": market.security, "chains.0.0": 1000})
    chains = block["chains"]
    chains[0][3] = bytes(16)
    mongo.changes.update_one({"_id": block["_id"]}, {"$set": {"chains": chains}})
    time_ns = market.states[4].effective_ns - 1
    assert archive.book_at(market.security, time_ns) is not None
    with pytest.raises(Damaged, match="another hash"):
        archive.book_at(market.security, time_ns + 1, gaps="include", verify=True)


def test_a_block_that_is_not_stored_yet_is_not_read_over(archive: Archive, mongo: Database[Any]) -> None:
    market = Market(fresh(), 3, images_s=3600)
    market.snapshot()
    for _ in range(6):
        market.update(8 * S)
    store(mongo, market.documents())
    starts = sorted(each["start"] for each in mongo.changes.find({"security": market.security}))
    mongo.changes.delete_one({"security": market.security, "start": starts[2]})
    with pytest.raises(InHole, match="the ledger has no row"):
        archive.book_at(market.security, market.states[2].effective_ns - 4 * S)
    with pytest.raises(Damaged, match="not stored"):
        archive.book_at(market.security, market.states[-1].effective_ns)


def test_the_securities_of_an_archive_are_listed(archive: Archive, mongo: Database[Any]) -> None:
    market = quiet_market()
    store(mongo, market.documents())
    assert [each["security"] for each in archive.securities()] == [market.security]
    assert mongo.with_options(READING).changes.count_documents({}) > 0
