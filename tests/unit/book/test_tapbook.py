"""Whoever follows a tap has the true book whenever it says so, whatever was dropped, whenever it joined."""

from typing import Any
from uuid import UUID

import msgpack
from hypothesis import given, settings
from hypothesis import strategies as st

from book import live
from book.tapbook import TapBook
from tests.unit.store.recorded import LINE, Market, State, lively
from venue.decimals import text


def shown(state: State) -> tuple[list[list[str]], list[list[str]]]:
    """Return the rows of *state* as the tap spells them."""
    if state.orders:
        in_order = sorted(state.orders, key=lambda row: row[1] if row[0] else -row[1])
        rows = [(side, [text(p, 2), text(s, 2), str(UUID(bytes=name))]) for side, p, s, name in in_order]
        return [row for side, row in rows if side == 0], [row for side, row in rows if side == 1]
    bids, asks = ([[text(p, 2), text(s, 2)] for p, s in side] for side in (state.bids, state.asks))
    return bids, asks


def told(market: Market) -> list[dict[str, Any]]:
    """Return the tap's messages of all that happened in *market*."""
    return [msgpack.unpackb(body) for each in market.outlet.take({LINE: 2}) for body in live.tapped(each)]


def answer(state: State) -> dict[str, Any]:
    """Return what ``obl book`` says of *state*."""
    bids, asks = shown(state)
    whole = {"time": "", "update_id": state.update_id, "bids": bids, "asks": asks}
    return {"continuity": "proven", "stale": False, **whole}


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.sampled_from(["l2", "l3"]), st.data())
def test_it_is_the_true_book_whenever_it_is_live(seed: int, kind: str, data: st.DataObject) -> None:
    market = lively("binance:T", seed, kind=kind)
    states = {state.update_id: state for state in market.states}
    stream = told(market)
    lost = data.draw(st.sets(st.integers(0, len(stream)), max_size=8)) - other_books(stream)
    asked = data.draw(st.sets(st.integers(0, len(stream)), max_size=8))
    book, handed, reached = TapBook(), [], None
    for place, message in enumerate(stream):
        if message["type"] in ("changes", "order"):
            reached = states[message["update_id"]]
        elif message["type"] == "gap" and message["last_id"] is None and message["feed"] == "book":
            reached = None  # (the live book says that it is stale)
        if place not in lost:
            handed += book.take(message)
        if place in asked and reached is not None:
            handed += book.base(answer(reached))
        if book.is_live:
            assert book.update_id is not None
            assert book.rows() == shown(states[book.update_id])
    follows(handed)


def other_books(stream: list[dict[str, Any]]) -> set[int]:
    """Return where the made-up market becomes another book at one id, as no real one does: not to be lost."""
    changes = [(n, each) for n, each in enumerate(stream) if each["type"] in ("changes", "order")]
    first_ids = {each.get("first_id", each["update_id"]): n for n, each in changes}
    return {
        n
        for n, each in enumerate(stream)
        if each["type"] == "gap" and each["feed"] == "book" and each["last_id"] is None
        if first_ids.get(each["first_id"], -1) > n
    }


def follows(handed: list[dict[str, Any]]) -> None:
    """Check that what was handed out has no hole that it does not name."""
    last: int | None = None
    for message in handed:
        match message["type"]:
            case "image":
                last = message["update_id"]
            case "gap":
                last = None if message["feed"] == "book" else last
            case "changes" | "order":
                assert last is not None, "an image comes first"
                first = message.get("first_id", message["update_id"])
                assert first <= last + 1
                assert message["update_id"] > last
                last = message["update_id"]


def test_nothing_is_handed_out_twice_and_all_after_the_base() -> None:
    market = Market("binance:T", 4)
    market.snapshot()
    for _ in range(30):
        market.update(10)
    stream = [each for each in told(market) if each["type"] == "changes"]
    book = TapBook()
    assert all(not book.take(message) for message in stream[5:20])
    early, late = market.states[3], market.states[12]
    assert book.base(answer(early)) == []
    joined = book.base(answer(late))
    assert [each["type"] for each in joined] == ["image"] + ["changes"] * 7
    rest = [each for message in stream[15:] for each in book.take(message)]
    assert [each["update_id"] for each in [*joined, *rest]] == [
        state.update_id for state in market.states[12:]
    ]


def test_a_hole_is_named_and_an_image_joins_again() -> None:
    market = Market("binance:T", 4)
    market.snapshot()
    for _ in range(6):
        market.update(10)
    market.command()
    stream = told(market)
    changes = [each for each in stream if each["type"] == "changes"]
    book = TapBook()
    book.take(changes[0])
    book.take(stream[1])
    [gap] = book.take(changes[3])
    assert (gap["type"], gap["cause"], book.is_live) == ("gap", "tap", False)
    assert (gap["first_id"], gap["last_id"]) == (
        changes[0]["update_id"] + 1,
        changes[3]["first_id"] - 1,
    )
    assert [each["type"] for each in book.take(stream[-1])] == ["image"]
    assert book.rows() == shown(market.states[-1])


def test_a_feed_without_ids_is_joined_by_an_image_alone() -> None:
    book = TapBook()
    change = {"type": "changes", "time": "", "first_id": 7, "update_id": 7, "bids": [["1", "2"]], "asks": []}
    assert book.take(change) == []
    base = {
        "continuity": "unverifiable",
        "stale": False,
        "time": "",
        "update_id": None,
        "bids": [],
        "asks": [],
    }
    assert book.base(base) == []
    image = {"type": "image", "time": "", "update_id": 9, "bids": [["3", "1"]], "asks": []}
    assert book.take(image) == [image]
    later = change | {"first_id": 99, "update_id": 99}
    assert book.take(later) == [later]
    assert book.rows()[0] == [["3", "1"], ["1", "2"]]
