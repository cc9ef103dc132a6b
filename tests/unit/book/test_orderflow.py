"""An L3 security, event by event: what is written under each policy, and what a reader can make of it."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
import pytest

from book.hash import of_orders
from book.naming import name_text
from book.orderflow import OrderFlow
from tests.journaled import Journal, unpacked
from tests.unit.book.play import START, S, copied, ints, maintainer, of_type, play, stored
from venue.api import OrderKind, Reason
from wire.messages import Policy
from wire.runs import ABSENT, Changes, Cut, Hole, Image, Orders, RunMessage, Trades

NAME = "coinbase:X-USD"
A, B, C, D, E = (str(UUID(int=n)) for n in range(1, 6))
BIDS = [["10", "5", A], ["10", "3", B]]


class Flow:
    """A journal of one Coinbase security, told event by event."""

    def __init__(self, *policies: Policy, auction: bool = False, bids: Sequence[Any] = BIDS) -> None:
        self.journal = Journal("coinbase/a", per_group=1)
        self.sequence = 100
        self.seconds = 0.0
        self.journal.start(START)
        self.journal.add(START, NAME, "full", policies or (Policy(),))
        body = {"sequence": 100, "bids": bids, "asks": [["12", "4", C]], "auction_mode": auction}
        self.journal.rest(START, NAME, msgspec.json.encode(body))

    @property
    def now(self) -> int:
        return START + int(self.seconds * 1000) * 1_000_000

    def tell(self, kind: str, order_id: str, **fields: Any) -> "Flow":
        self.sequence += 1
        self.seconds += 0.5
        time = f"2023-11-14T22:13:{20 + self.seconds:09.6f}Z"
        ids = {"maker_order_id": order_id, "taker_order_id": E} if kind == "match" else {"order_id": order_id}
        message = {
            "type": kind,
            "product_id": "X-USD",
            "sequence": self.sequence,
            "time": time,
            "side": "buy",
        }
        self.journal.frame(self.now, NAME, msgspec.json.encode(message | ids | fields))
        return self

    def said(self) -> list[RunMessage]:
        self.journal.flush()
        return play(self.journal.groups)[1]


def busy(*policies: Policy) -> Flow:
    """Return a flow that has every kind of event."""
    flow = Flow(*policies)
    flow.tell("received", D, order_type="limit", price="9.5", size="2")
    flow.tell("open", D, price="9.5", remaining_size="2")
    flow.tell("change", A, reason="STP", price="10", old_size="5", new_size="4")
    flow.tell("change", B, reason="modify_order", old_price="10", new_price="9.5", old_size="3", new_size="3")
    flow.tell("match", A, trade_id=7, price="10", size="1.5")
    flow.tell("received", E, order_type="market", funds="3000.234")
    flow.tell("done", C, reason="canceled", price="12", remaining_size="4", side="sell")
    flow.tell("done", E, reason="filled")
    return flow


def test_an_l3_security_writes_every_event_with_what_will_matter_later() -> None:
    said = busy().said()
    columns: dict[str, list[Any]] = {}
    for message in of_type(said, Orders):
        for name in ("ids", "prices", "sizes", "old_prices", "old_sizes", "trade_ids"):
            columns.setdefault(name, []).extend(ints(getattr(message, name)))
        for name in ("kinds_u1", "sides_u1", "reasons_u1"):
            columns.setdefault(name, []).extend(getattr(message, name))
    assert columns["ids"] == list(range(101, 109))
    kinds = ["RECEIVED", "OPEN", "CHANGE", "CHANGE", "MATCH", "RECEIVED", "DONE", "DONE"]
    assert [OrderKind(kind).name for kind in columns["kinds_u1"]] == kinds
    reasons = ["NONE", "NONE", "STP", "MODIFY_ORDER", "NONE", "NONE", "CANCELED", "FILLED"]
    assert [Reason(reason).name for reason in columns["reasons_u1"]] == reasons
    assert columns["trade_ids"] == [ABSENT] * 4 + [7] + [ABSENT] * 3
    assert columns["old_prices"][3] != ABSENT
    funds = of_type(said, Orders)[5]
    assert (ints(funds.funds), funds.funds_scale) == ([3000234], 3)


def test_a_match_is_a_trade_of_the_other_side() -> None:
    (trades,) = of_type(busy().said(), Trades)
    assert (ints(trades.ids), list(trades.sides_u1), ints(trades.sizes)) == ([7], [1], [15])


BARE = Policy(order_ids=False)


def named(column: bytes) -> list[str]:
    return [
        name_text(column[at : at + 16]) if any(column[at : at + 16]) else ""
        for at in range(0, len(column), 16)
    ]


def test_without_ids_an_order_is_named_by_the_event_that_names_it_first() -> None:
    said = busy(BARE).said()
    orders = of_type(said, Orders)
    assert all(message.named for message in orders)
    names = [name for message in orders for name in named(message.order_ids)]
    # A, B and C are the rows of the snapshot 100; D and E came by the events 101 and 105, E as a taker
    assert names == ["101", "101", "100.1", "100.2", "100.1", "105.-1", "100.3", "105.-1"]
    takers = [name for message in orders for name in named(message.taker_ids)]
    assert takers == ["", "", "", "", "105.-1", "", "", ""]
    image = of_type(said, Image)[0]
    assert (image.named, image.update_id, named(image.order_ids)) == (True, 101, ["100.1", "100.2", "100.3"])
    held = [UUID(each).bytes for each in (A, B, C, D, E)]
    assert not any(each in packed for packed in map(msgspec.msgpack.encode, orders) for each in held)


def test_the_hash_without_ids_is_that_of_the_book_with_names() -> None:
    said = busy(BARE).said()
    image = of_type(said, Image)[-1]
    columns = (image.prices, image.sizes, image.placed_ids)
    prices, sizes, placed = (ints(column) for column in columns)
    sides = [int(n >= image.bids) for n in range(len(prices))]
    scales = image.price_scale, image.size_scale
    assert image.hash == of_orders(sides, prices, sizes, image.order_ids, placed, *scales)


def test_ids_are_given_up_and_kept_again_from_the_windows_that_the_policies_name() -> None:
    flow = Flow(Policy(), Policy(from_ns=START + 10 * S, order_ids=False), Policy(from_ns=START + 30 * S))
    for price in range(1, 9):
        flow.seconds += 4
        flow.tell("open", str(UUID(int=100 + price)), price=f"8.{price}", remaining_size="1")
    said = flow.said()
    flags = {i: message.named for message in of_type(said, Orders) for i in ints(message.ids)}
    bare = [i for i, flag in flags.items() if flag]
    turns = [bare[0], bare[-1] + 1]
    assert list(flags) == list(range(101, 109))
    assert bare == list(range(*turns))
    # each turn has an image of its first event, and a chain entry starts there
    images = {message.update_id: message for message in of_type(said, Image)}
    assert [images[first].named for first in turns] == [True, False]
    entries = [chain[:3] for cut in of_type(said, Cut) if cut.feed == "orders" for chain in cut.chains]
    assert all(any(first == start == image for start, _, image in entries) for first in turns)
    before = turns[0] - 1
    assert sorted(named(images[turns[0]].order_ids)) == sorted(
        [str(turns[0]), *(f"{before}.{n}" for n in range(1, before - 100 + 4))]
    )


@pytest.mark.parametrize("policies", [(), (Policy(every_ms=1000),), (BARE,)])
def test_the_book_and_its_hash_are_right_in_every_mode_and_across_a_stop(
    policies: tuple[Policy, ...],
) -> None:
    groups = busy(*policies).journal.groups
    made, whole = play(groups)
    book = made.securities[NAME].book.book
    assert isinstance(book, OrderFlow)
    assert book.book.hash() == book.book.hash_from_scratch()
    _, rows = book.book.rows()
    assert [(r.price, r.size, str(UUID(bytes=r.order_id)), r.certain) for r in rows] == [
        (100, 25, A, False),
        (95, 20, D, True),
        (95, 30, B, True),
    ]
    stopped = maintainer()
    said: list[RunMessage] = []
    for group in unpacked(groups):
        stopped = copied(stopped)
        for output in stopped.feed(group):
            said.extend(output.messages)
    assert stored(said) == stored(whole)
    if policies and policies[0].every_ms:
        assert book.hash() == book.book.fold.hash_from_scratch()


def test_under_an_interval_policy_each_event_is_an_update_of_the_fold() -> None:
    flow = Flow(Policy(every_ms=1000)).tell("open", A, price="10", remaining_size="5")
    flow.tell("received", D, order_type="limit", price="9", size="1").tell(
        "change", B, new_size="4", old_size="3"
    )
    said = flow.said()
    rows = [
        (ints(m.last_ids), ints(m.prices), ints(m.sizes), ints(m.old_sizes)) for m in of_type(said, Changes)
    ]
    # the first opens a known order where it was: the level is as before
    assert rows == [([101], [], [], []), ([102], [], [], []), ([103], [10], [9], [8])]
    assert [image.book for image in of_type(said, Image)] == ["l2"]


def test_a_policy_that_turns_to_intervals_starts_the_fold_with_an_image() -> None:
    flow = busy(Policy(), Policy(every_ms=1000, from_ns=START + 10 * S))
    flow.seconds = 11
    flow.tell("open", D, price="9", remaining_size="1").tell("open", E, price="9", remaining_size="1")
    said = flow.said()
    assert [(image.book, image.update_id) for image in of_type(said, Image)] == [("l3", 101), ("l2", 109)]
    assert [ints(m.last_ids) for m in of_type(said, Changes)] == [[109], [110]]


def test_a_match_on_an_unknown_maker_is_a_desync() -> None:
    said = (
        Flow()
        .tell("open", D, price="9", remaining_size="1")
        .tell("match", E, trade_id=9, price="9", size="1")
        .said()
    )
    assert [(h.first_id, h.cause) for h in of_type(said, Hole)] == [(102, "desync")]
    assert [ints(m.ids) for m in of_type(said, Trades)] == [[9]]


@pytest.mark.parametrize(("auction", "holes"), [(False, 1), (True, 0)])
def test_an_order_across_the_book_is_a_desync_outside_an_auction(*, auction: bool, holes: int) -> None:
    flow = Flow(auction=auction).tell("open", D, price="9", remaining_size="1")
    assert len(of_type(flow.tell("open", E, price="12", remaining_size="1").said(), Hole)) == holes


def test_funds_that_do_not_fit_are_written_as_absent_and_disturb_nothing() -> None:
    flow = Flow().tell("open", D, price="9", remaining_size="1")
    flow.tell("received", E, order_type="market", funds="1234567890123456.123456789")
    made, said = play(flow.journal.groups)
    assert ints(of_type(said, Orders)[1].funds) == [ABSENT]
    book = made.securities[NAME].book.book
    assert isinstance(book, OrderFlow)
    assert book.refused_funds == 1


def test_a_body_with_more_at_a_price_than_64_bits_hold_is_no_base() -> None:
    flow = Flow(bids=[["10", str(2**62), A], ["10", str(2**62), B]])
    assert of_type(flow.tell("open", D, price="9", remaining_size="1").said(), Orders) == []
