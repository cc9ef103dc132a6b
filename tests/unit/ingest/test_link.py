"""One connection asks for what is wanted, a request at a time, and knows what it carries."""

import json
from random import Random

from ingest.link import ANSWER_NS, Link, Subscription
from ingest.shard import (
    FIRST_WAIT_NS,
    LONGEST_OVERLAP_NS,
    LONGEST_WAIT_NS,
    OVERLAP_NS,
    STEADY_NS,
    Shard,
    Step,
)
from venue import binance

S = 1_000_000_000
GAP = binance.CONTROL_GAP_NS


def opened(number: int = 1, now: int = 0) -> Link:
    link = Link(number, binance, Subscription("depth", 100, None), now)
    link.opened(now)
    return link


def request(link: Link, wanted: list[str], now: int) -> tuple[str, list[str], int] | None:
    """Return method, symbols and id of what *link* sends at *now*."""
    outgoing, dead = link.due(wanted, now, "0")
    assert not dead
    if not outgoing:
        return None
    message = json.loads(outgoing[0].payload)
    return message["method"], sorted({p.partition("@")[0].upper() for p in message["params"]}), message["id"]


def test_one_request_asks_for_all_that_is_missing_and_the_next_waits_for_its_answer() -> None:
    link = opened()
    assert request(link, ["A", "B"], 0) == ("SUBSCRIBE", ["A", "B"], 1)
    assert request(link, ["A", "B", "C"], GAP) is None
    assert link.acked(1) == ["A", "B"]
    assert request(link, ["A", "B", "C"], GAP) == ("SUBSCRIBE", ["C"], 2)


def test_an_answer_to_another_request_confirms_nothing_and_one_without_an_id_the_one_under_way() -> None:
    link = opened()
    request(link, ["A"], 0)
    assert link.acked(7) == []
    assert link.acked(None) == ["A"]


def test_the_first_frame_confirms_before_the_ack_does() -> None:
    link = opened()
    request(link, ["A"], 0)
    assert link.frame("A")
    assert not link.frame("A")
    assert link.acked(1) == []
    assert link.carried == {"A"}


def test_what_ended_is_unsubscribed_even_if_it_is_wanted_again_before_its_turn() -> None:
    link = opened()
    request(link, ["A", "B"], 0)
    link.ended("A")
    link.acked(1)
    assert request(link, ["A", "B"], GAP) == ("UNSUBSCRIBE", ["A"], 2)
    link.acked(2)
    assert request(link, ["A", "B"], 2 * GAP) == ("SUBSCRIBE", ["A"], 3)


def test_a_refusal_of_several_is_asked_again_one_by_one() -> None:
    link = opened()
    request(link, ["A", "B"], 0)
    assert link.refused(1) == []
    assert request(link, ["A", "B"], GAP) == ("SUBSCRIBE", ["A"], 2)
    assert link.refused(2) == ["A"]
    assert request(link, ["B"], 2 * GAP) == ("SUBSCRIBE", ["B"], 3)


def test_no_answer_loses_the_link_unless_the_symbols_come_anyway() -> None:
    for delivers in (True, False):
        link = opened()
        request(link, ["A"], 0)
        if delivers:
            link.frame("A")
        link.heard(ANSWER_NS)
        assert bool(link.due(["A"], ANSWER_NS, "0")[1]) is not delivers


overlaps = [True]


def shard() -> Shard:
    numbers = iter(range(1, 100))

    def new_link(now: int) -> Link:
        return Link(next(numbers), binance, Subscription("depth", 100, None), now)

    return Shard(new_link, lambda *_: overlaps[0], Random(1), 3600 * S)


def dialed(made: Shard, now: int) -> Link:
    step = made.due(["A"], now)
    assert step.dial is not None
    return step.dial


def test_a_steady_connection_ends_the_back_off_and_a_short_one_lengthens_it() -> None:
    made, now = shard(), 0
    for _ in range(10):
        link = dialed(made, now)
        made.opened(link, now)
        made.lost(link, "cut", now + 1)
        now += LONGEST_WAIT_NS
    made.opened(link := dialed(made, now), now)
    made.lost(link, "cut", now + STEADY_NS)
    assert made.due(["A"], now + STEADY_NS + FIRST_WAIT_NS).dial is not None
    made.lost(made.links[0], "refused", now)
    assert made.due(["A"], now + FIRST_WAIT_NS) == Step()


def test_the_old_connection_waits_for_the_new_one_to_deliver_but_not_for_ever_for_a_quiet_symbol() -> None:
    made = shard()
    made.symbols = {"A": None, "B": None}
    old = dialed(made, 0)
    made.opened(old, 0)
    old.carried, old.delivered = {"A", "B"}, {"A"}
    made.replace("reset")
    new = dialed(made, 1)
    made.opened(new, 1)
    assert made.due(["A", "B"], 1 + OVERLAP_NS) == Step()
    new.carried = {"A", "B"}
    assert made.due(["A", "B"], 2) == Step()
    new.delivered = {"A"}
    assert made.due(["A", "B"], 2) == Step(close=old, reason="reset")


def test_an_old_connection_that_lags_goes_on_until_it_has_reached_the_new_one() -> None:
    made = shard()
    made.symbols = {"A": None, "B": None}
    old = dialed(made, 0)
    made.opened(old, 0)
    old.carried, old.delivered = {"A", "B"}, {"A"}
    made.replace("reset")
    new = dialed(made, 1)
    made.opened(new, 1)
    new.carried, new.delivered = {"A", "B"}, {"A"}
    try:
        overlaps[0] = False
        assert made.due(["A", "B"], 1) == Step()
        assert made.due(["A", "B"], LONGEST_OVERLAP_NS) == Step()
        assert made.due(["A", "B"], 1 + LONGEST_OVERLAP_NS) == Step(close=old, reason="reset")
    finally:
        overlaps[0] = True


def test_with_nothing_to_compare_both_connections_carry_it_for_five_seconds_from_the_last_ack() -> None:
    made = shard()
    made.symbols = {"A": None, "B": None}
    old = dialed(made, 0)
    made.opened(old, 0)
    old.carried = {"A", "B"}
    made.replace("reset")
    new = dialed(made, 1)
    made.opened(new, 1)
    new.carried = {"A"}
    acked = 3 * OVERLAP_NS
    assert made.due(["A", "B"], acked - 1) == Step()
    new.carried = {"A", "B"}
    assert made.due(["A", "B"], acked) == Step()
    assert made.due(["A", "B"], acked + OVERLAP_NS - 1) == Step()
    assert made.due(["A", "B"], acked + OVERLAP_NS) == Step(close=old, reason="reset")


def test_nothing_wanted_closes_what_is_open() -> None:
    made = shard()
    link = dialed(made, 0)
    made.opened(link, 0)
    assert made.due([], 1) == Step(close=link, reason="nothing to record")
    assert made.due([], 1) == Step()
