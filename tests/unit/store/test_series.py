"""Books, depth and best bid/ask over a range are those of ``book_at``, moment by moment, holes and all."""

from contextlib import suppress
from itertools import count
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.database import Database

from book.naming import order_texts
from store.answers import Book
from store.history import Archive, InHole, NotStored
from store.series import NO_ID, BookSample, Depth, Tops, joined
from store.times import BadTime
from store.unreadable import Unreadable
from tests.embedded import Server
from tests.unit.store.recorded import T0, Market, S, lively
from tests.unit.store.test_history import store
from tests.unit.store.test_ranges import seamed

pytestmark = pytest.mark.mongo

_numbers = count()


def fresh() -> str:
    return f"binance:Q{next(_numbers)}"


@pytest.fixture
def archive(mongo_server: Server, mongo: Database[Any]) -> Any:
    with Archive(mongo_server.uri, mongo.name) as opened:
        yield opened


slow = settings(
    max_examples=3,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

recorded = pytest.mark.parametrize(
    "how",
    [{}, {"every_ms": 1000}, {"every_ms": 10000}, {"kind": "l3"}, {"kind": "l3", "every_ms": 2000}],
    ids=["every update", "net per second", "net per window", "orders", "orders netted"],
)


def ranged(market: Market) -> tuple[int, int, int]:
    """Return a range that may begin before the first and end after the last update, and a step."""
    first, last = market.states[0].effective_ns, market.states[-1].effective_ns
    low, high = sorted(market.random.randint(first - S, last + S) for _ in range(2))
    return low, high, max(1, (high - low) // market.random.choice([1, 3, 12]))


def by_book_at(archive: Archive, market: Market, moments: range) -> list[tuple[int, Book]]:
    """Return the books at the moments that have one, a question each."""
    found = []
    for moment_ns in moments:
        try:
            book = archive.book_at(market.security, moment_ns, "include")
        except NotStored:
            continue
        assert book is not None
        found.append((moment_ns, book))
    return found


def told(sample: BookSample | Book) -> tuple[Any, ...]:
    scales = (sample.price_scale, sample.size_scale)
    about = (sample.time_ns, sample.update_id, sample.stale, sample.continuity)
    return *scales, *about, sample.bids.tolist(), sample.asks.tolist()


@recorded
@slow
@given(seed=st.integers(0, 2**32))
def test_books_depth_and_best_are_those_of_each_moment(
    archive: Archive, mongo: Database[Any], how: dict[str, Any], seed: int
) -> None:
    market = lively(fresh(), seed, **how)
    store(mongo, market.documents())
    low, high, step = ranged(market)
    true = by_book_at(archive, market, range(low, high, step))
    found = list(archive.books(market.security, low, high, f"{step}ns", "include"))
    assert [(each.moment_ns, told(each)) for each in found] == [(at, told(book)) for at, book in true]
    left = list(archive.books(market.security, low, high, f"{step}ns", "exclude"))
    assert [told(each) for each in left] == [told(each) for each in found if not each.stale]
    with suppress(InHole, NotStored):
        strict = [told(each) for each in archive.books(market.security, low, high, f"{step}ns")]
        assert strict == [told(each) for each in found]
    for levels in (1, 7):
        depth = joined(archive.depth(market.security, low, high, levels, f"{step}ns", "include"))
        assert_best_of(depth, found, levels)
    assert_holds(joined(archive.top(market.security, low, high, gaps="include")), true)
    sampled = joined(archive.top(market.security, low, high, f"{step}ns", "include"))
    assert sampled.bid_sizes.tolist() == [int(each.bids[0, 1]) if len(each.bids) else 0 for each in found]


def assert_best_of(depth: Depth, samples: list[BookSample], levels: int) -> None:
    assert depth.times_ns.tolist() == [each.moment_ns for each in samples]
    assert depth.update_ids.tolist() == [each.update_id for each in samples]
    assert depth.stale.tolist() == [each.stale for each in samples]
    assert depth.crosses_hole.tolist() == [each.crosses_hole for each in samples]
    for row, each in enumerate(samples):
        sides = (
            (depth.bid_prices, depth.bid_sizes, each.bids),
            (depth.ask_prices, depth.ask_sizes, each.asks),
        )
        for prices, sizes, book in sides:
            assert prices.shape == (len(samples), levels)
            padded = [*book[:levels].tolist(), *([[0, 0]] * (levels - len(book)))]
            assert list(map(list, zip(prices[row].tolist(), sizes[row].tolist(), strict=True))) == padded


def assert_holds(tops: Tops, books: list[tuple[int, Book]]) -> None:
    columns = (tops.bid_prices, tops.bid_sizes, tops.ask_prices, tops.ask_sizes, tops.stale)
    assert (np.diff(tops.times_ns) >= 0).all()
    for moment_ns, book in books:
        row = int(np.searchsorted(tops.times_ns, moment_ns, side="right")) - 1
        best = [(side[0].tolist() if len(side) else [0, 0]) for side in (book.bids, book.asks)]
        assert [int(column[row]) for column in columns] == [*best[0], *best[1], int(book.stale)]


def holed(**how: Any) -> Market:
    """Return twenty updates, two seconds apart, with a hole of seconds after ten."""
    market = Market(fresh(), 5, **how)
    market.snapshot()
    for number in range(20):
        if number == 10:
            market.snapshot(missing=4)
        market.update(2 * S)
    return market


def test_every_answer_says_where_it_crosses_a_hole(archive: Archive, mongo: Database[Any]) -> None:
    market = holed()
    store(mongo, market.documents())
    low, high = market.states[7].effective_ns, market.states[13].effective_ns
    depth = joined(archive.depth(market.security, low, high, 2, "1s", "include"))
    #                 updates 7  -  8  -  9  -  10 -  11 -  12 -
    stale = [int(each) for each in depth.stale]
    assert stale == [0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0]
    assert [int(each) for each in depth.crosses_hole] == [0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0]
    fewer = joined(archive.depth(market.security, low, high, 2, "5s", "include"))
    assert (fewer.stale.tolist(), fewer.crosses_hole.tolist()) == ([False, True, False], [False, True, True])
    for read in (archive.books, archive.top):
        with pytest.raises(InHole, match="ledger row"):
            list(read(market.security, low, high, every="1s"))
    with pytest.raises(InHole):
        list(archive.top(market.security, low, high))
    tops = joined(archive.top(market.security, low, high, gaps="include"))
    assert tops.stale.sum() == 1
    assert tops.times_ns[tops.stale].tolist() == [market.states[9].effective_ns]
    assert not joined(archive.top(market.security, low, high, gaps="exclude")).stale.any()


def test_a_range_ends_with_what_is_stored(archive: Archive, mongo: Database[Any]) -> None:
    market = holed()
    store(mongo, market.documents())
    start = market.states[-2].effective_ns
    depth = joined(archive.depth(market.security, start, "latest", 1, "1s"))
    assert depth.times_ns.tolist() == [start, start + S, start + 2 * S]
    assert depth.update_ids[-1] == market.states[-1].update_id
    assert not len(joined(archive.depth(market.security, T0 - 9 * S, T0, 1, "1s", "include")))
    with pytest.raises(NotStored):
        list(archive.depth(market.security, T0 - 9 * S, T0, 1, "1s"))


def test_a_row_is_in_the_book_of_its_own_moment(archive: Archive, mongo: Database[Any]) -> None:
    market = holed()
    store(mongo, market.documents())
    for state in market.states[3:-3]:  # (rows of the same window follow, so the walk stops at the moment)
        at = state.effective_ns
        samples = archive.books(market.security, at - S, at + 3 * S, "1s", "include")
        [told_then] = [told(each) for each in samples if each.moment_ns == at]
        book = archive.book_at(market.security, at, "include")
        assert book is not None
        assert told_then == told(book)


@pytest.mark.parametrize("every", ["0s", "1", "s", "-1s", "1.5s", "1 year"])
def test_a_length_of_time_has_a_unit_and_is_not_nothing(archive: Archive, every: str) -> None:
    with pytest.raises(BadTime, match="write 250ms"):
        archive.books("binance:X", 0, 1, every)


def test_a_feed_without_ids_is_read_over_its_seams_and_said_to_be_unverifiable(
    archive: Archive, mongo: Database[Any]
) -> None:
    security, documents = seamed()
    store(mongo, documents)
    depth = joined(archive.depth(security, T0 + 102 * S, T0 + 300 * S, 1, "50s"))
    assert (depth.continuity, depth.stale.any()) == ("unverifiable", False)
    assert depth.update_ids.tolist() == [NO_ID] * 3 + [NO_ID] * (len(depth) - 3)
    assert depth.bid_sizes[:, 0].tolist()[:1] == [1]
    assert depth.bid_sizes[-1, 0] == 2
    assert joined(archive.top(security, T0 + 102 * S, "latest")).continuity == "unverifiable"


# --- the place of an order -------------------------------------------------------------------


@slow
@given(seed=st.integers(0, 2**32), ids=st.sampled_from(["full", "noids"]))
def test_the_place_of_an_order_is_that_in_the_books(
    archive: Archive, mongo: Database[Any], seed: int, ids: str
) -> None:
    market = lively(fresh(), seed, kind="l3", ids=ids)
    store(mongo, market.documents())
    some = market.random.choice([state.effective_ns for state in market.states])
    book = archive.book_at(market.security, some, "include")
    assert book is not None
    assert book.orders is not None
    names = [order[3] for state in market.states for order in state.orders]
    if ids == "noids":
        names = [each.tobytes() for each in book.orders.order_ids]
    if not names:
        return
    wanted = market.random.choice(names)
    [asked] = order_texts(wanted, named=ids == "noids")
    first, last = market.states[0].effective_ns, market.states[-1].effective_ns
    found = joined(archive.queue_position(market.security, asked, first, last + 1, "include"))
    for state in market.random.sample(market.states, min(8, len(market.states))):
        held = archive.book_at(market.security, state.effective_ns, "include")
        assert held is not None
        assert held.orders is not None
        row = int(np.searchsorted(found.times_ns, state.effective_ns, side="right")) - 1
        seen = (found.prices[row], found.sizes[row], found.orders_ahead[row], found.sizes_ahead[row])
        place = [each.tobytes() for each in held.orders.order_ids]
        if wanted not in place:
            assert row < 0 or found.sizes[row] == 0
            continue
        at = place.index(wanted)
        side = slice(0, at) if at < held.orders.bids else slice(held.orders.bids, at)
        ahead = held.orders.sizes[side][held.orders.prices[side] == held.orders.prices[at]]
        mine = (held.orders.prices[at], held.orders.sizes[at])
        assert tuple(map(int, seen)) == tuple(map(int, (*mine, len(ahead), ahead.sum())))
        assert bool(found.stale[row]) == held.stale


def test_an_order_has_no_place_in_a_book_of_levels(archive: Archive, mongo: Database[Any]) -> None:
    market = holed()
    store(mongo, market.documents())
    with pytest.raises(Unreadable, match="by levels"):
        list(archive.queue_position(market.security, bytes(16), T0 + 2 * S, T0 + 4 * S))
    with pytest.raises(Unreadable, match="no order id"):
        list(archive.queue_position(market.security, "seven", T0, T0 + S))
