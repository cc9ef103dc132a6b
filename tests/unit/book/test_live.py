"""The live book and the live tap speak in decimal text, in the shapes of ``obl book`` and ``obl replay``."""

from typing import Any

import msgpack
import pytest

from book import live
from tests.journaled import groups_of_capture
from tests.unit.book.play import NAME, Story, play
from wire.runs import RunMessage


def story() -> Story:
    rows = [("10", "1.50"), ("9", "2")], [("11.25", "1")]
    return Story().begin().snapshot(0, 10, *rows, levels=100).update(0.25, 11, bids=[("9", "0")])


def test_the_live_book_is_told_as_obl_book_prints_it() -> None:
    security = play(story().groups)[0].securities[NAME]
    assert live.answer(security) == {
        "security": NAME,
        "time": "2023-11-14T22:13:20.250Z",
        "update_id": 11,
        "certified": {"bid_low": None, "ask_high": None},
        "continuity": "proven",
        "stale": False,
        "bids": [["10", "1.5"]],
        "asks": [["11.25", "1"]],
    }


def test_a_side_that_was_cut_off_is_certified_only_so_far() -> None:
    bids = [(str(200 - n), "1") for n in range(100)]
    security = play(Story().begin().snapshot(0, 10, bids, [("300", "1")], levels=100).update(1, 11).groups)[0]
    answer = live.answer(security.securities[NAME], depth=1)
    assert answer is not None
    assert (answer["certified"], answer["bids"]) == ({"bid_low": "101", "ask_high": None}, [["200", "1"]])


def test_there_is_no_live_book_before_the_first_chain_and_after_a_gap_it_is_stale() -> None:
    assert live.answer(play(Story().begin().update(0, 5).groups)[0].securities[NAME]) is None
    answer = live.answer(play(story().update(1, 15).groups)[0].securities[NAME])
    assert answer is not None
    assert (answer["stale"], answer["update_id"]) == (True, 11)


@pytest.mark.captures
def test_orders_are_told_in_queue_order_with_their_ids() -> None:
    made = play(groups_of_capture("coinbase_full_BTC-USD_20160312", ["BTC-USD"], until=2))[0]
    answer = live.answer(made.securities["coinbase:BTC-USD"], 1, orders=True)
    assert answer is not None
    assert answer["bids"] == [["412.75", "4", "db32e2a2-aa29-43e6-bcc2-418882e4d90d"]]


def tapped(said: list[RunMessage]) -> list[dict[str, Any]]:
    return [msgpack.unpackb(body) for message in said for body in live.tapped(message)]


def test_the_tap_tells_changes_images_trades_and_gaps() -> None:
    said = story().trade(0.5, 7).update(1, 15).said()
    assert tapped(said) == [
        {
            "type": "changes",
            "time": "2023-11-14T22:13:20.250Z",
            "recv_time": "2023-11-14T22:13:20.250Z",
            "first_id": 11,
            "update_id": 11,
            "bids": [["9", "0"]],
            "asks": [],
        },
        {
            "type": "image",
            "time": "2023-11-14T22:13:20.250Z",
            "update_id": 11,
            "bids": [["10", "1.5"]],
            "asks": [["11.25", "1"]],
        },
        {
            "type": "trade",
            "id": 7,
            "time": "2023-11-14T22:13:20.500Z",
            "recv_time": "2023-11-14T22:13:20.500Z",
            "price": "10.5",
            "size": "1",
            "side": "sell",
        },
        {
            "type": "gap",
            "feed": "book",
            "first_id": 12,
            "last_id": None,
            "from": "2023-11-14T22:13:20.250Z",
            "to": None,
            "cause": "venue",
            "state": "open",
        },
    ]


@pytest.mark.captures
def test_the_tap_tells_order_events() -> None:
    said = play(groups_of_capture("coinbase_full_BTC-USD_20160312", ["BTC-USD"], until=3))[1]
    orders = [each for each in tapped(said) if each["type"] == "order"]
    assert orders[0] == {
        "type": "order",
        "event": "received",
        "update_id": 760636964,
        "time": "2016-03-12T05:08:36.803603Z",
        "recv_time": orders[0]["recv_time"],
        "order_id": "fb498858-661f-4496-b91b-e15993eacfe1",
        "side": "sell",
        "reason": "none",
        "price": "413.65",
        "size": "2.25",
    }


def test_a_topic_is_closed_so_that_no_symbol_is_another_s_beginning() -> None:
    assert live.topic("coinbase:BTC-USD") == b"coinbase:BTC-USD|"
