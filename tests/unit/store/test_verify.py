"""A sound archive is proven to its last id; whatever one thing is wrong is named, and the walk goes on."""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.database import Database

from store.history import Archive
from store.tally import Tally
from store.verify import verify
from tests.embedded import Server
from tests.unit.store.recorded import T0, WINDOW_NS, Market, S, lively
from tests.unit.store.test_history import store
from tests.unit.store.test_ranges import seamed

pytestmark = pytest.mark.mongo

_numbers = count()


@pytest.fixture
def archive(mongo_server: Server, mongo: Database[Any]) -> Any:
    with Archive(mongo_server.uri, mongo.name) as opened:
        yield opened


def fresh() -> str:
    return f"binance:V{next(_numbers)}"


def walked(archive: Archive, market: Market, low_ns: int = 0, high_ns: int = 2**63 - 1) -> Tally:
    return verify(archive.blocks, market.security, low_ns, high_ns)


def ids_of(market: Market, low: int = 0) -> int:
    """Return how many ids were recorded: those of the book, and a trade each."""
    chains = {state.chain for state in market.states}
    first = min(state.update_id for state in market.states)
    missing = sum(last - start + 1 for start, last in market.holes if start > first)
    begin = 1000  # (the first chain's)
    assert chains
    return market.next_id - begin - missing + len(market.trades) - low


def recorded(mongo: Database[Any], **how: Any) -> Market:
    """Return a stored market: twenty updates and trades, two seconds apart, images on the way, two holes."""
    market = Market(fresh(), 5, images_s=10, **how)
    market.snapshot()
    for number in range(20):
        if number == 10:
            market.snapshot(missing=4)
        if number == 13:
            market.command()
        market.update(2 * S)
        market.trade(skip=3 if number == 15 else 0)
    store(mongo, market.documents())
    return market


@pytest.mark.parametrize("every_ms", [0, 1000])
def test_a_book_that_a_snapshot_made_wider_is_proven_and_read_back(
    archive: Archive, mongo: Database[Any], every_ms: int
) -> None:
    market = Market(fresh(), 5, images_s=10, every_ms=every_ms)
    market.snapshot()
    for number in range(20):
        if number in (6, 13):
            market.widen(number, 5)
        market.update(2 * S // 3)
    store(mongo, market.documents())
    found = walked(archive, market)
    assert (found.bad, found.proven) == (0, ids_of(market))
    time_ns = market.states[-1].effective_ns
    book = archive.book_at(market.security, time_ns)
    assert book is not None
    assert [tuple(row) for row in book.bids.tolist()] == market.at(time_ns).bids
    assert book.certified == (13, None)


@settings(
    max_examples=3,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@pytest.mark.parametrize(
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
@given(seed=st.integers(0, 2**32))
def test_what_the_recorder_wrote_is_proven_to_its_last_id(
    archive: Archive, mongo: Database[Any], how: dict[str, Any], seed: int
) -> None:
    market = lively(fresh(), seed, **how)
    store(mongo, market.documents())
    found = walked(archive, market)
    assert (found.first_bad, found.unverifiable) == (None, 0)
    assert found.proven == ids_of(market)
    kinds = ("changes", "orders", "trades", "images", "gaps")
    assert found.documents == sum(
        mongo[kind].count_documents({"security": market.security}) for kind in kinds
    )
    middle = market.random.choice(market.states).effective_ns
    for low, high in ((middle, 2**63 - 1), (0, middle), (middle, middle + WINDOW_NS)):
        part = walked(archive, market, low, high)
        assert (part.first_bad, part.unverifiable) == (None, 0)
        assert part.proven <= found.proven


def test_a_range_begins_at_the_image_before_it(archive: Archive, mongo: Database[Any]) -> None:
    market = recorded(mongo)
    found = walked(archive, market, T0 + 16 * S, T0 + 17 * S)
    assert found.first_bad is None
    assert found.from_ns is not None
    assert found.from_ns >= T0 + 10 * S
    assert 0 < found.proven < ids_of(market)


def test_a_feed_without_ids_is_sound_and_unverifiable(archive: Archive, mongo: Database[Any]) -> None:
    security, documents = seamed()
    store(mongo, documents)
    found = verify(archive.blocks, security)
    assert (found.first_bad, found.proven, found.unverifiable) == (None, 0, 10)


# --- one thing wrong -------------------------------------------------------------------------


def one(mongo: Database[Any], collection: str, market: Market, place: int, **query: Any) -> dict[str, Any]:
    found = sorted(
        mongo[collection].find({"security": market.security, **query}), key=lambda each: each["start"]
    )
    return found[place]  # type: ignore[no-any-return]


def change(mongo: Database[Any], collection: str, document: dict[str, Any], **fields: Any) -> str:
    mongo[collection].update_one({"_id": document["_id"]}, {"$set": fields})
    return str(document["_id"])


def flipped(data: bytes) -> bytes:
    changed = bytearray(data)
    changed[len(changed) // 2] ^= 4
    return bytes(changed)


Damage = Callable[[Database[Any], Market], tuple[str, str]]
"""Damages one thing; returns the ``_id`` that has to be named, and words of the reason."""


def flip_body(collection: str) -> Damage:
    def damage(mongo: Database[Any], market: Market) -> tuple[str, str]:
        document = one(mongo, collection, market, 1)
        return change(mongo, collection, document, body=flipped(document["body"])), "checksum"

    return damage


def flip_receipts(mongo: Database[Any], market: Market) -> tuple[str, str]:
    document = one(mongo, "changes", market, 1)
    return change(mongo, "changes", document, receipts=flipped(document["receipts"])), "checksum"


def delete_block(collection: str) -> Damage:
    def damage(mongo: Database[Any], market: Market) -> tuple[str, str]:
        gone, after = (one(mongo, collection, market, place) for place in (1, 2))
        mongo[collection].delete_one({"_id": gone["_id"]})
        first = gone["chains"][0][0]
        return after["_id"], f"ids {first} to {after['chains'][0][0] - 1} are missing"

    return damage


def delete_image(mongo: Database[Any], market: Market) -> tuple[str, str]:
    named = one(mongo, "changes", market, 2)["chains"][0][2]
    identity = f"{market.security}|image|{named}"
    mongo.images.delete_one({"_id": identity})
    return identity, "not stored"


def delete_first_image(mongo: Database[Any], market: Market) -> tuple[str, str]:
    named = one(mongo, "changes", market, 0)["chains"][0][2]
    identity = f"{market.security}|image|{named}"
    mongo.images.delete_one({"_id": identity})
    return identity, "not stored"


def change_block_hash(mongo: Database[Any], market: Market) -> tuple[str, str]:
    document = one(mongo, "changes", market, 1)
    chains = document["chains"]
    chains[-1][3] = bytes(16)
    return change(mongo, "changes", document, chains=chains), "another hash"


def empty_block_hash(mongo: Database[Any], market: Market) -> tuple[str, str]:
    document = one(mongo, "changes", market, 1)
    chains = document["chains"]
    chains[-1][3] = b""
    return change(mongo, "changes", document, chains=chains), "no hash"


def change_image_hash(mongo: Database[Any], market: Market) -> tuple[str, str]:
    document = one(mongo, "images", market, 1)
    return change(mongo, "images", document, hash=bytes(16)), "another hash"


def another_images_rows(mongo: Database[Any], market: Market) -> tuple[str, str]:
    document, other = one(mongo, "images", market, 1), one(mongo, "images", market, 0)
    names = ("body", "crc32c", "hash", "bids", "asks", "certified", "price_scale", "size_scale")
    swapped = {name: other[name] for name in names}
    return change(mongo, "images", document, **swapped), "rebuilt up to it has another hash"


def delete_row(feed: str) -> Damage:
    def damage(mongo: Database[Any], market: Market) -> tuple[str, str]:
        row = one(mongo, "gaps", market, 0, feed=feed, covered=1)
        mongo.gaps.delete_one({"_id": row["_id"]})
        kind = "changes" if feed == "book" else feed
        blocks = mongo[kind].find({"security": market.security})
        entries = [(first, block["_id"]) for block in blocks for first, *_ in block["chains"]]
        after = next(identity for first, identity in entries if first == row["last_id"] + 1)
        return after, "the ledger has no row"

    return damage


def shorten_row(mongo: Database[Any], market: Market) -> tuple[str, str]:
    row = one(mongo, "gaps", market, 0, feed="book", covered=1)
    return change(mongo, "gaps", row, last_id=row["last_id"] - 1), "it says"


def heal_falsely(mongo: Database[Any], market: Market) -> tuple[str, str]:
    row = one(mongo, "gaps", market, 0, feed="trades", covered=1)
    return change(mongo, "gaps", row, state="healed", covered=2), "is healed"


def add_row(mongo: Database[Any], market: Market) -> tuple[str, str]:
    block, row = one(mongo, "changes", market, 1), one(mongo, "gaps", market, 0, feed="book")
    first = block["chains"][0][0] + 1
    false = {"_id": f"{market.security}|book|{first}", "first_id": first, "last_id": first}
    mongo.gaps.insert_one({**row, **false, "start": block["start"]})
    return false["_id"], "nothing is missing there"


def swap_chain_id(mongo: Database[Any], market: Market) -> tuple[str, str]:
    document = one(mongo, "changes", market, 1)
    chains = document["chains"]
    chains[0][0] += 1
    return change(mongo, "changes", document, chains=chains), "its rows"


def name_another_image(mongo: Database[Any], market: Market) -> tuple[str, str]:
    document = one(mongo, "changes", market, 2)
    chains = document["chains"]
    chains[0][2] = 17
    return change(mongo, "changes", document, chains=chains), "not of its chain"


def swap_bodies(mongo: Database[Any], market: Market) -> tuple[str, str]:
    document, other = (one(mongo, "trades", market, place) for place in (1, 2))
    return change(mongo, "trades", document, body=other["body"], crc32c=other["crc32c"]), ""


def tell_other_counts(mongo: Database[Any], market: Market) -> tuple[str, str]:
    document = one(mongo, "changes", market, 1)
    return change(mongo, "changes", document, covered=document["covered"] + 1), "covers"


def spoil_header(mongo: Database[Any], market: Market) -> tuple[str, str]:
    document = one(mongo, "changes", market, 1)
    return change(mongo, "changes", document, chains="none"), "header"


def spoil_row(mongo: Database[Any], market: Market) -> tuple[str, str]:
    return change(mongo, "gaps", one(mongo, "gaps", market, 0), first_id=None), "first_id"


@pytest.mark.parametrize(
    "damage",
    [
        flip_body("changes"),
        flip_body("images"),
        flip_body("trades"),
        flip_receipts,
        delete_block("changes"),
        delete_block("trades"),
        delete_image,
        delete_first_image,
        change_block_hash,
        empty_block_hash,
        change_image_hash,
        another_images_rows,
        delete_row("book"),
        delete_row("trades"),
        shorten_row,
        heal_falsely,
        add_row,
        swap_chain_id,
        name_another_image,
        swap_bodies,
        tell_other_counts,
        spoil_header,
        spoil_row,
    ],
)
def test_one_wrong_thing_is_named(archive: Archive, mongo: Database[Any], damage: Damage) -> None:
    market = recorded(mongo)
    whole = walked(archive, market)
    assert whole.first_bad is None
    identity, why = damage(mongo, market)
    found = walked(archive, market)
    assert found.first_bad is not None
    assert (found.first_bad.id, why in found.first_bad.why) == (identity, True), found.first_bad
    assert 0 < found.proven <= whole.proven


def test_the_walk_goes_on_behind_what_is_wrong(archive: Archive, mongo: Database[Any]) -> None:
    market = recorded(mongo)
    flip_body("changes")(mongo, market)
    found = walked(archive, market)
    assert found.bad == 1
    assert found.proven + found.unverifiable == ids_of(market) - one(mongo, "changes", market, 1)["covered"]
    assert found.to_ns == market.states[-1].effective_ns


def test_orders_that_cannot_be_true_are_named(archive: Archive, mongo: Database[Any]) -> None:
    market = recorded(mongo, kind="l3")
    assert walked(archive, market).first_bad is None
    first = one(mongo, "orders", market, 0)
    image = one(mongo, "images", market, 0)
    other = one(mongo, "images", market, -1)
    names = ("body", "crc32c", "hash", "bids", "asks", "price_scale", "size_scale")
    change(mongo, "images", image, **{name: other[name] for name in names})
    found = walked(archive, market)
    assert found.first_bad is not None
    assert found.first_bad.id == first["_id"]
