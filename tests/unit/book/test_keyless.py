"""A feed without update ids: each connection is a chain of its own."""

from typing import Any

import msgspec

from book.security import Recipe
from journal.group import Kind
from journal.payload import Connection, pack
from tests.journaled import Journal
from tests.unit.book.play import START, S, of_type, play
from tests.unit.book.test_security import chains, holes, last_ids, started
from wire.runs import Begin, Hole, Image


def coinbase(kind: str, seconds: float, **fields: Any) -> bytes:
    time = f"2023-11-14T22:13:{20 + seconds:09.6f}Z"
    return msgspec.json.encode({"type": kind, "product_id": "X-USD", "time": time, **fields})


def l2_story() -> Journal:
    journal = Journal("coinbase/a", per_group=1)
    journal.start(START)
    journal.add(START, "coinbase:X-USD", "level2_batch")
    return journal


def l2_snapshot(journal: Journal, seconds: float, connection: int = 1) -> int:
    journal.ticks_until(START + int(seconds * S))
    position = journal.position
    body = coinbase("snapshot", seconds, bids=[["10", "1"]], asks=[["11", "1"]])
    journal.frame(START + int(seconds * S), "coinbase:X-USD", body, connection)
    return position


def l2_update(journal: Journal, seconds: float, connection: int = 1, size: str = "2") -> int:
    journal.ticks_until(START + int(seconds * S))
    position = journal.position
    body = coinbase("l2update", seconds, changes=[["buy", "10", size]])
    journal.frame(START + int(seconds * S), "coinbase:X-USD", body, connection)
    return position


def test_a_feed_without_ids_counts_positions_and_each_connection_is_a_chain() -> None:
    journal = l2_story()
    first = l2_snapshot(journal, 0)
    a, b = l2_update(journal, 0.1), l2_update(journal, 0.2)
    second = l2_snapshot(journal, 1, connection=2)
    l2_update(journal, 1.1, connection=1)
    journal.other(
        Kind.CONNECTION, START + 2 * S, payload=pack(Connection("closed", "rotation")), connection=1
    )
    c = l2_update(journal, 2.1, connection=2)
    l2_update(journal, 11, connection=2)
    said = play(journal.groups)[1]
    begin = said[0]
    assert isinstance(begin, Begin)
    assert not begin.has_ids
    assert last_ids(said)[:3] == [a, b, c]
    assert chains(said) == [(first + 1, b, a), (second + 1, c, c)]
    assert holes(said) == [(second, None, "network", "unverifiable", 1)]
    row = of_type(said, Hole)[0]
    assert row.from_ns is not None
    assert (row.to_ns - row.from_ns) // 10**6 == 1900


def test_a_refused_update_of_a_feed_without_ids_is_a_hole_until_the_next_snapshot() -> None:
    journal = l2_story()
    l2_snapshot(journal, 0)
    a = l2_update(journal, 0.1)
    l2_update(journal, 0.2, size="NaN")
    l2_update(journal, 0.3)
    second = l2_snapshot(journal, 1, connection=2)
    b = l2_update(journal, 1.1, connection=2)
    said = play(journal.groups)[1]
    assert last_ids(said) == [a, b]
    assert holes(said) == [(a + 1, None, "venue", "open", 0), (a + 1, second, "venue", "open", 1)]


def test_a_command_makes_an_image_of_a_feed_that_has_no_rest_base() -> None:
    journal = l2_story()
    l2_snapshot(journal, 0)
    a = l2_update(journal, 0.1)
    b = l2_update(journal, 0.2)
    journal.command(START + S, "coinbase:X-USD", "snapshot")
    assert [image.update_id for image in of_type(play(journal.groups)[1], Image)] == [a, b]


def test_another_feed_of_the_same_security_is_a_new_run_behind_a_seam() -> None:
    journal = l2_story()
    l2_snapshot(journal, 0)
    l2_update(journal, 0.1)
    journal.add(START + S, "coinbase:X-USD", "full", since_ns=1)
    body = {"sequence": 50, "bids": [], "asks": [], "auction_mode": False}
    journal.rest(START + 2 * S, "coinbase:X-USD", msgspec.json.encode(body))
    order = "fb498858-661f-4496-b91b-e15993eacfe1"
    fields = {"sequence": 51, "order_id": order, "side": "buy", "price": "10", "remaining_size": "1"}
    journal.frame(START + 3 * S, "coinbase:X-USD", coinbase("open", 3, **fields))
    said = play(journal.groups)[1]
    begins = of_type(said, Begin)
    assert [(begin.book, begin.has_ids, begin.number) for begin in begins] == [
        ("l2", False, 0),
        ("l3", True, 0),
    ]
    assert begins[1].run > begins[0].run
    assert begins[1].windows == {"changes": START}
    assert [(h.cause, h.state, h.covered) for h in of_type(said, Hole)] == [("removed", "unverifiable", 1)]
    assert of_type(said, Image)[-1].book == "l3"


def test_the_recipe_s_images_of_orders_are_the_hourly_ones() -> None:
    recipe = Recipe(window_ns=10 * S, images_s=10, order_images_s=3600)
    assert len(of_type(started().update(11, 12).said(recipe), Image)) == 2
