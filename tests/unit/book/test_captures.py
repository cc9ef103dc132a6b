"""Held to real data: what the exchanges themselves said of their books is what the maintainer has."""

import json
from decimal import Decimal
from functools import cache

import msgspec
import pytest

from book.depth import Depth
from book.maintainer import Maintainer
from book.orderflow import OrderFlow
from book.security import Security
from book.sync import State, Sync, Update
from tests import captures
from tests.journaled import groups_of_capture, unpacked
from tests.unit.book.play import copied, ints, maintainer, messages, of_type, olds, play, stored
from venue.decimals import text
from wire.messages import Policy
from wire.runs import Changes, Hole, Image, Orders, RunMessage, Trades

pytestmark = pytest.mark.captures

ETH_2024 = "binance_spot_ETHUSDT_20240808"
THREE_2021 = "binance_spot_BTCUSDT_ETHUSDT_DOTUSDT_20210404"
L3_2016 = "coinbase_full_BTC-USD_20160312"
L2_2018 = "coinbase_level2_BTC-USD_20180417"
L2_2026 = "coinbase_level2batch_BTC-USD_ETH-USD_20260707"
NO_BASE_2026 = "binance_spot_BTCUSDT_ETHUSDT_20260707"
NO_BASE_2023 = "binance_spot_BTCUSDT_nobase_20230405"


@cache
def whole(name: str, *symbols: str) -> tuple[Maintainer, list[RunMessage]]:
    """Return the maintainer after all of a capture, and all it said; for looking at only."""
    return play(groups_of_capture(name, symbols))


def top(security: Security, depth: int) -> dict[str, list[tuple[Decimal, Decimal]]]:
    book = security.book.book
    levels = book.levels if isinstance(book, Depth) else book.book.fold
    scales = levels.scales
    return {
        side: [
            (Decimal(text(p, scales.price)), Decimal(text(s, scales.size))) for p, s in rows.sorted()[:depth]
        ]
        for side, rows in (("bids", levels.bids), ("asks", levels.asks))
    }


def frames_until(name: str, sequence: int) -> int:
    """Return how many lines of the capture hold ids up to *sequence*."""
    count = 0
    for frame in captures.frames(name):
        if json.loads(frame.data)["sequence"] > sequence:
            break
        count += 1
    return count


@pytest.mark.parametrize("sequence", [760639339, 760640753])
def test_the_folded_coinbase_l3_book_is_the_exchange_s_own_at_two_sequences(sequence: int) -> None:
    groups = groups_of_capture(L3_2016, ["BTC-USD"], until=frames_until(L3_2016, sequence))
    made, _ = play(groups)
    security = made.securities["coinbase:BTC-USD"]
    theirs = msgspec.json.decode(captures.text(f"{L3_2016}.book_at_{sequence}.json"))
    expected = {
        side: [(Decimal(str(price)), Decimal(str(size))) for price, size in theirs[side]]
        for side in ("bids", "asks")
    }
    assert security.book.last_id == sequence
    assert top(security, 50) == expected


def test_every_sequenced_event_of_the_l3_feed_is_written_and_its_match_is_a_trade() -> None:
    made, said = whole(L3_2016, "BTC-USD")
    ids = [i for message in of_type(said, Orders) for i in ints(message.ids)]
    assert ids == list(range(760636964, 760640754))
    assert [len(ints(m.ids)) for m in of_type(said, Trades)] == [1]
    assert of_type(said, Hole) == []
    book = made.securities["coinbase:BTC-USD"].book.book
    assert isinstance(book, OrderFlow)
    assert book.hash() == book.book.hash_from_scratch()


def test_an_l3_security_with_an_interval_policy_writes_the_changes_of_its_fold() -> None:
    made, said = play(groups_of_capture(L3_2016, ["BTC-USD"], policy=Policy(every_ms=1000)))
    assert of_type(said, Orders) == []
    changes = of_type(said, Changes)
    assert [i for m in changes for i in ints(m.last_ids)] == list(range(760636964, 760640754))
    levels = rebuilt(said)
    fold = made.securities["coinbase:BTC-USD"].book.book
    assert isinstance(fold, OrderFlow)
    assert levels == ({**fold.book.fold.bids.sizes}, {**fold.book.fold.asks.sizes})
    assert of_type(said, Image)[0].book == "l2"
    assert fold.hash() == fold.book.fold.hash_from_scratch()


def rebuilt(said: list[RunMessage]) -> tuple[dict[int, int], dict[int, int]]:
    """Return the book that a reader makes of the first image and all changes after it (one scale)."""
    image = of_type(said, Image)[0]
    prices, sizes = ints(image.prices), ints(image.sizes)
    rows = list(zip(prices, sizes, strict=True))
    sides: tuple[dict[int, int], dict[int, int]] = (dict(rows[: image.bids]), dict(rows[image.bids :]))
    for message in of_type(said, Changes):
        levels = iter(zip(ints(message.prices), ints(message.sizes), olds(message), strict=True))
        heads = zip(*map(ints, (message.last_ids, message.bid_counts, message.ask_counts)), strict=True)
        for last_id, bids, asks in heads:
            for side, count in ((0, bids), (1, asks)):
                for _ in range(count):
                    price, size, old = next(levels)
                    if last_id > image.update_id:
                        assert old in (None, sides[side].get(price, 0))
                        if size:
                            sides[side][price] = size
                        else:
                            sides[side].pop(price, None)
    return sides


def test_the_binance_best_prices_are_bookticker_s_at_every_update_id_both_have() -> None:
    tickers = {}
    for frame in captures.frames(ETH_2024):
        if b"@bookTicker" in frame.data:
            data = msgspec.json.decode(frame.data)["data"]
            tickers[data["u"]] = tuple(Decimal(data[key]) for key in ("b", "B", "a", "A"))
    made, compared = maintainer(), 0
    for group in unpacked(groups_of_capture(ETH_2024, ["ETHUSDT"], per_group=1)):
        made.feed(group)
        security = made.securities.get("binance:ETHUSDT")
        if security is None or not security.book.in_chain or security.book.last_id not in tickers:
            continue
        best = top_of(security)
        assert best == tickers[security.book.last_id]
        compared += 1
    assert compared > 1000


def top_of(security: Security) -> tuple[Decimal, ...]:
    book = security.book.book
    assert isinstance(book, Depth)
    bid, ask = book.levels.bids.best(), book.levels.asks.best()
    assert bid is not None
    assert ask is not None
    scales = book.scales
    return (
        Decimal(text(bid, scales.price)),
        Decimal(text(book.levels.bids.sizes[bid], scales.size)),
        Decimal(text(ask, scales.price)),
        Decimal(text(book.levels.asks.sizes[ask], scales.size)),
    )


def test_a_reader_of_the_changes_has_the_book_and_its_hash() -> None:
    made, said = whole(ETH_2024, "ETHUSDT")
    book = made.securities["binance:ETHUSDT"].book.book
    assert isinstance(book, Depth)
    assert rebuilt(said) == (book.levels.bids.sizes, book.levels.asks.sizes)
    assert book.hash() == book.levels.hash_from_scratch()


def test_in_2021_the_stale_diffs_are_dropped_and_nothing_is_missing() -> None:
    made, said = play(groups_of_capture(THREE_2021, ["BTCUSDT", "ETHUSDT", "DOTUSDT"]))
    securities = list(made.securities.values())
    assert sum(security.joined.sync.old for security in securities) == 32
    assert [security.shown_state for security in securities] == ["live"] * 3
    assert of_type(said, Hole) == []
    updates = sum(len(ints(message.last_ids)) for message in of_type(said, Changes))
    assert updates == 2688 - 32
    for security in securities:
        low, high = made_certified(security)
        assert low is not None
        assert high is not None


def made_certified(security: Security) -> tuple[int | None, int | None]:
    book = security.book.book
    assert isinstance(book, Depth)
    return book.levels.certified


@pytest.mark.parametrize(
    ("name", "symbols"), [(NO_BASE_2026, ["BTCUSDT", "ETHUSDT"]), (NO_BASE_2023, ["BTCUSDT"])]
)
def test_without_a_usable_base_nothing_is_live_but_every_trade_is_kept(name: str, symbols: list[str]) -> None:
    made, said = whole(name, *symbols)
    assert of_type(said, Changes) == of_type(said, Image) == of_type(said, Hole) == []
    assert {security.shown_state for security in made.securities.values()} == {"syncing"}
    assert len(of_type(said, Trades)) > 0


def test_the_rest_body_from_after_the_2026_stream_makes_every_diff_stale() -> None:
    made = play(groups_of_capture(NO_BASE_2026, ["BTCUSDT"]))[0]
    security = made.securities["binance:BTCUSDT"]
    body = msgspec.json.decode(captures.body("binance_rest-depth-btc"))
    sync = security.joined.sync
    assert isinstance(sync, Sync)
    waiting = sync.kept
    assert sync.accepts(body["lastUpdateId"])
    assert sync.base(body["lastUpdateId"], 0).ready == []
    assert (sync.state, sync.old) == (State.BASED, waiting)


@pytest.mark.parametrize(
    ("name", "symbols", "updates", "absent"),
    [(L2_2018, ["BTC-USD"], 18093, 0), (L2_2026, ["BTC-USD", "ETH-USD"], 1898, None)],
)
def test_the_coinbase_level2_feeds_never_cross(
    name: str, symbols: list[str], updates: int, absent: int | None
) -> None:
    made, said = whole(name, *symbols)
    securities = list(made.securities.values())
    assert [security.book.desyncs for security in securities] == [0] * len(symbols)
    assert sum(len(ints(message.last_ids)) for message in of_type(said, Changes)) == updates
    assert of_type(said, Hole) == []
    for security in securities:
        book = security.book.book
        assert isinstance(book, Depth)
        if absent is not None:
            assert book.absent_deletes == absent
        assert book.hash() == book.levels.hash_from_scratch()


@pytest.mark.parametrize(
    ("name", "symbols", "trades"),
    [
        (ETH_2024, ["ETHUSDT"], None),
        (L2_2018, ["BTC-USD"], 256),
        (L2_2026, ["BTC-USD", "ETH-USD"], 435),
        (NO_BASE_2026, ["BTCUSDT", "ETHUSDT"], None),
    ],
)
def test_trade_ids_are_contiguous(name: str, symbols: list[str], trades: int | None) -> None:
    _, said = whole(name, *symbols)
    by_security: dict[str, list[int]] = {}
    for message in of_type(said, Trades):
        by_security.setdefault(message.security, []).extend(ints(message.ids))
    for ids in by_security.values():
        assert ids == list(range(ids[0], ids[0] + len(ids)))
    if trades is not None:
        assert sum(map(len, by_security.values())) == trades


def real_points() -> list[dict[str, object]]:
    path = captures.FOLDER / "vectors" / "binance_sync_real.json"
    cases: list[dict[str, object]] = json.loads(path.read_text())["cases"] if path.exists() else []
    return [case for case in cases if case["market"] in ("BINANCE", "BINANCE_US")]


def ids_only(first: int, last: int, position: int) -> Update:
    return Update(first, last, position, 0, 0, 1, b"")


@pytest.mark.parametrize("case", real_points(), ids=lambda case: str(case["symbol"]))
@pytest.mark.parametrize("snapshot_after", [0, 1, 2, 100])
def test_real_binance_points_synchronise_at_the_right_event(
    case: dict[str, object], snapshot_after: int
) -> None:
    events = case["events"]
    assert isinstance(events, list)
    base = int(str(case["lastUpdateId"]))
    sync, applied = Sync(), []
    for n, event in enumerate([*events, None]):
        if n == min(snapshot_after, len(events)):
            assert sync.accepts(base)
            applied += sync.base(base, 0).ready
        if event is not None:
            outcome = sync.offer(ids_only(event["U"], event["u"], n))
            assert outcome.gap is None
            applied += outcome.ready
    first = case["first_applied_index"]
    assert isinstance(first, int)
    assert [update[:2] for update in applied] == [(e["U"], e["u"]) for e in events[first:]]
    assert sync.state is State.LIVE


def test_all_eight_spot_points_are_there() -> None:
    captures.text("vectors/binance_sync_real.json")
    assert len(real_points()) == 8


@pytest.mark.parametrize(
    ("name", "symbols", "until"),
    [
        (THREE_2021, ["BTCUSDT", "ETHUSDT", "DOTUSDT"], 900),
        (L3_2016, ["BTC-USD"], 120),
        (L2_2026, ["BTC-USD", "ETH-USD"], 120),
    ],
)
def test_a_maintainer_stopped_after_every_group_writes_the_same(
    name: str, symbols: list[str], until: int
) -> None:
    groups = groups_of_capture(name, symbols, until=until)
    _, unstopped = play(groups)
    made: Maintainer = maintainer()
    said: list[RunMessage] = []
    for group in unpacked(groups):
        made = copied(made)
        said.extend(messages(made, [group]))
    assert stored(said) == stored(unstopped)


def test_the_size_of_groups_changes_nothing_that_is_stored() -> None:
    symbols = ["BTCUSDT", "ETHUSDT", "DOTUSDT"]
    one, many = (play(groups_of_capture(THREE_2021, symbols, per_group=n, until=1500))[1] for n in (1, 64))
    assert stored(one) == stored(many)
