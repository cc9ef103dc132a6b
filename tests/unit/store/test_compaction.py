"""Compaction changes no answer, wherever it ends; what it writes depends on the blocks alone."""

from functools import partial
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pymongo.database import Database
from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
    register,
)

from store.blocks import BOOK_KINDS
from store.history import Archive
from store.verify import verify
from tests.embedded import Server
from tests.unit.book.play import START
from tests.unit.store.compacting import KINDS, blocks_of, compact, everything, grid, put
from tests.unit.store.recorded import Market, S, lively
from tests.unit.store.test_healed import FIRST, LAST, filled, ids_read, kept
from tests.unit.store.test_history import assert_is_true, instants
from tests.unit.store.test_ranges import seamed

pytestmark = pytest.mark.mongo

_numbers = count()

slow = settings(
    max_examples=2,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
HOW = pytest.mark.parametrize(
    "how",
    [
        {},
        {"every_ms": 1000},
        {"kind": "l3"},
        {"kind": "l3", "every_ms": 2000},
        {"kind": "l3", "ids": "noids"},
        {"kind": "l3", "ids": "turns"},
    ],
    ids=["every update", "net per second", "orders", "orders netted", "without ids", "with and without ids"],
)


@pytest.fixture
def archive(mongo_server: Server, mongo: Database[Any]) -> Any:
    grid(mongo)
    with Archive(mongo_server.uri, mongo.name) as opened:
        yield opened


def fresh() -> str:
    return f"binance:C{next(_numbers)}"


def longer(security: str, seed: int, **how: Any) -> Market:
    """Return a market of several spans."""
    market = lively(security, seed, **how)
    for _ in range(30):
        market.update(7 * S)
        if market.random.random() < 0.3:
            market.trade(skip=market.random.choice([0, 0, 3]))
    return market


@HOW
@slow
@given(seed=st.integers(0, 2**32))
@example(seed=1)  # (no hole among its trades)
def test_every_answer_is_the_same_before_and_after(
    archive: Archive, mongo: Database[Any], how: dict[str, Any], seed: int
) -> None:
    market = longer(fresh(), seed, **how)
    put(mongo, market.documents())
    moments = instants(market)[-6:]
    before = everything(archive, market.security, moments)
    tally = verify(archive.blocks, market.security)
    done = compact(mongo, market.security)
    assert sum(each.documents_after for each in done) < sum(each.documents_before for each in done)
    after = everything(archive, market.security, moments)
    for question, answer in before.items():
        assert after[question] == answer, question
    found = verify(archive.blocks, market.security)
    assert (found.first_bad, found.proven, found.unverifiable) == (None, tally.proven, tally.unverifiable)
    assert not compact(mongo, market.security)


def test_a_feed_without_ids_reads_on_over_its_seams(archive: Archive, mongo: Database[Any]) -> None:
    security, documents = seamed()
    put(mongo, documents)
    moments = [each.start_ns + by * S for each in documents for by in (0, 5)]
    before = everything(archive, security, moments)
    [done] = compact(mongo, security)
    assert (done.kind, done.spans, done.documents_before, done.documents_after) == ("changes", 1, 1, 1)
    assert everything(archive, security, moments) == before
    found = verify(archive.blocks, security)
    assert (found.first_bad, found.proven, found.unverifiable) == (None, 0, 10)


@slow
@given(seed=st.integers(0, 2**32))
def test_wherever_it_ends_readers_take_each_id_once_and_the_next_pass_goes_on(
    archive: Archive, mongo: Database[Any], seed: int
) -> None:
    market = longer(fresh(), seed)
    documents = market.documents()
    put(mongo, documents)
    moments = instants(market)[-4:]
    before = everything(archive, market.security, moments)
    proven = verify(archive.blocks, market.security).proven
    blocks = [each for each in documents if each.collection in KINDS]
    compact(mongo, market.security)
    merged = blocks_of(mongo, market.security)
    # any of the small blocks may still, or again, be there
    for chosen in (blocks, market.random.sample(blocks, len(blocks) // 2)):
        put(mongo, chosen)
        assert everything(archive, market.security, moments) == before
        found = verify(archive.blocks, market.security)
        assert (found.first_bad, found.proven) == (None, proven)
        compact(mongo, market.security)
        assert blocks_of(mongo, market.security) == merged


@slow
@given(seed=st.integers(0, 2**32))
def test_what_is_written_is_a_function_of_the_blocks(
    archive: Archive, mongo: Database[Any], seed: int
) -> None:
    market = longer(fresh(), seed)
    documents = market.documents()
    blocks = [each for each in documents if each.collection in KINDS]
    newest = {
        kind: max(each.start_ns for each in blocks if each.collection == kind)
        for kind in {b.collection for b in blocks}
    }
    late = [each for each in blocks if each.start_ns < newest[each.collection]]
    late = market.random.sample(late, len(late) // 3)
    put(mongo, [each for each in documents if each not in late])
    compact(mongo, market.security)
    put(mongo, late)
    compact(mongo, market.security)
    in_two = blocks_of(mongo, market.security)
    for kind in KINDS:
        mongo[kind].delete_many({"security": market.security})
    put(mongo, documents)
    compact(mongo, market.security)
    assert blocks_of(mongo, market.security) == in_two


def test_a_damaged_merged_block_is_made_anew_once_a_rebuild_brought_its_blocks_back(
    archive: Archive, mongo: Database[Any]
) -> None:
    market = longer(fresh(), 5)
    documents = market.documents()
    put(mongo, documents)
    compact(mongo, market.security)
    whole = blocks_of(mongo, market.security)
    bad = mongo["changes"].find_one({"security": market.security, "_id": {"$regex": "m60$"}}) or {}
    mongo["changes"].update_one({"_id": bad["_id"]}, {"$set": {"body": bad["body"][:-1] + b"?"}})
    assert verify(archive.blocks, market.security).bad
    assert not compact(mongo, market.security)
    put(mongo, documents)
    compact(mongo, market.security)
    assert blocks_of(mongo, market.security) == whole
    assert verify(archive.blocks, market.security).first_bad is None


def test_a_book_starts_from_an_image_inside_the_merged_block_before(
    archive: Archive, mongo: Database[Any]
) -> None:
    market = Market(fresh(), 9, images_s=50)
    market.snapshot()
    for _ in range(80):
        market.update(3 * S)
    put(mongo, market.documents())
    compact(mongo, market.security)
    for state in market.states[::4]:
        assert_is_true(archive, market, state.effective_ns)
    middle = market.states[40].effective_ns
    assert verify(archive.blocks, market.security, middle, middle + S).first_bad is None


class Asked(CommandListener):
    """Counts what a client asks its server."""

    def __init__(self) -> None:
        self.count = 0

    def started(self, event: CommandStartedEvent) -> None:
        self.count += event.command_name == "find"

    def succeeded(self, event: CommandSucceededEvent) -> None:
        pass

    def failed(self, event: CommandFailedEvent) -> None:
        pass


def test_the_book_at_a_moment_takes_few_questions(mongo_server: Server, mongo: Database[Any]) -> None:
    asked = Asked()
    register(asked)  # (for the clients to come; nobody else reads it)
    grid(mongo)
    market = Market(fresh(), 9, images_s=50)
    market.snapshot()
    for _ in range(200):
        market.update(1 * S)
    put(mongo, market.documents())
    with Archive(mongo_server.uri, mongo.name) as archive:
        for most in (8, 10):
            for state in market.states[5:-5:12]:
                asked.count = 0
                assert_is_true(archive, market, state.effective_ns)
                assert asked.count <= most
            compact(mongo, market.security)


@slow
@given(seed=st.integers(0, 2**32))
def test_the_blocks_around_a_moment_are_the_same_with_their_documents(
    archive: Archive, mongo: Database[Any], seed: int
) -> None:
    market = longer(fresh(), seed, kind=["l2", "l3"][seed % 2])
    documents = market.documents()
    put(mongo, documents)
    blocks = archive.blocks
    for again in ([], market.random.sample(documents, len(documents) // 3)):
        compact(mongo, market.security)
        put(mongo, again)
        for time_ns in instants(market):
            found = blocks.whole_before(market.security, BOOK_KINDS, time_ns)
            assert [block for block, _ in found] == blocks.before(market.security, BOOK_KINDS, time_ns)
            assert all(document["_id"] == block.id and document["body"] for block, document in found)


@pytest.mark.parametrize("missing", [[], [14], [8, 9, 13], list(range(8, 20))])
def test_trades_that_filled_a_hole_are_merged_where_they_belong(
    archive: Archive, mongo: Database[Any], missing: list[int]
) -> None:
    security = kept(mongo, filled([i for i in range(FIRST, LAST + 1) if i not in missing]))
    pieces = {"security": security, "_id": {"$regex": r"\|h\d+$"}}
    late = list(mongo["trades"].find(pieces))
    assert len(late) >= (len(missing) < LAST + 1 - FIRST)
    ids = ids_read(archive, security, 0, 100, "include")
    before = everything(archive, security, [START + n * S for n in range(2, 60, 7)])
    proven = verify(archive.blocks, security).proven
    compact(mongo, security)
    merged = mongo["trades"].count_documents({"security": security, "_id": {"$regex": r"\|m\d+$"}})
    assert (mongo["trades"].count_documents(pieces), merged) == (0, 1)
    for again in range(2):
        assert ids_read(archive, security, 0, 100, "include") == ids
        assert everything(archive, security, [START + n * S for n in range(2, 60, 7)]) == before
        found = verify(archive.blocks, security)
        assert (found.first_bad, found.proven) == (None, proven)
        if late and not again:
            mongo["trades"].insert_many(late)  # (a rebuild brings them back)
    compact(mongo, security)
    assert mongo["trades"].count_documents(pieces) == 0


def test_blocks_with_order_ids_and_without_stay_apart(archive: Archive, mongo: Database[Any]) -> None:
    market = Market(fresh(), 3, kind="l3", ids="turns")
    market.snapshot()
    for _ in range(40):
        market.update(3 * S)
    put(mongo, market.documents())
    compact(mongo, market.security)
    merged = mongo["orders"].find({"security": market.security, "_id": {"$regex": r"\|m\d+$"}})
    assert {each.get("order_ids", True) for each in merged} == {True, False}
    for state in market.states[::3]:
        assert_is_true(archive, market, state.effective_ns)
    assert verify(archive.blocks, market.security).first_bad is None


@slow
@given(seed=st.integers(0, 2**32))
def test_headers_that_are_read_in_wider_steps_where_few_lie_are_the_same(
    archive: Archive, mongo: Database[Any], seed: int
) -> None:
    market = longer(fresh(), seed)
    documents = market.documents()
    put(mongo, documents)
    compact(mongo, market.security)
    for again in ([], market.random.sample(documents, len(documents) // 4)):
        put(mongo, again)
        low, high = documents[0].start_ns, market.states[-1].effective_ns
        read = partial(archive.blocks.between, market.security, BOOK_KINDS, low, high, whole=True)
        known = list(read())
        with pytest.MonkeyPatch.context() as patched:
            for at_once, widest in ((1, 1), (8, 1), (8, 4), (16, 16), (24, 2)):
                patched.setattr("store.blocks.HEADERS_AT_ONCE", at_once)
                patched.setattr("store.blocks.WIDEST", widest)
                assert list(read()) == known
