"""Old trades are asked for as maintainers wish them: one page at a time, after all that is more urgent."""

from random import Random

import pytest

from ingest.actions import Ask, Say
from ingest.asking import Answer
from ingest.backfill import GAP_NS, WISHED_NS, Backfill
from tests.unit.ingest.world import World, wanted
from venue import binance

S = 1_000_000_000
BTC, ETH = "binance:BTCUSDT", "binance:ETHUSDT"
NAMES = (BTC, ETH)


def made() -> Backfill:
    return Backfill(Random(1))


def test_a_page_is_asked_for_once_and_the_next_one_at_once() -> None:
    backfill = made()
    backfill.wish(BTC, 1, 1000, 0)
    assert backfill.due(NAMES, 0) == (BTC, (1, 1000))
    backfill.asked(BTC)
    backfill.wish(BTC, 1, 1000, S)
    assert backfill.due(NAMES, S) is None
    backfill.answered(200, 2 * S)
    backfill.wish(BTC, 1, 1000, 2 * S)
    assert backfill.due(NAMES, 2 * S) is None
    backfill.wish(BTC, 1001, 1200, 3 * S)
    assert backfill.due(NAMES, 3 * S) == (BTC, (1001, 1200))


def test_what_the_answer_did_not_bring_is_asked_for_again_after_a_while() -> None:
    backfill = made()
    backfill.wish(BTC, 1, 5, 0)
    backfill.asked(BTC)
    backfill.answered(200, 0)
    backfill.wish(BTC, 1, 5, GAP_NS - 1)
    assert backfill.due(NAMES, GAP_NS - 1) is None
    backfill.wish(BTC, 1, 5, GAP_NS)
    assert backfill.due(NAMES, GAP_NS) == (BTC, (1, 5))


@pytest.mark.parametrize("status", [0, 400, 404, 429, 500])
def test_a_refusal_is_backed_off_from_whatever_page_is_wished(status: int) -> None:
    backfill, now, waits = made(), 0, []
    for n in range(5):
        begun = now
        backfill.wish(BTC, n, n, now)
        while backfill.due(NAMES, now) is None:
            now += S
            backfill.wish(BTC, n, n, now)
        waits.append(now - begun)
        backfill.asked(BTC)
        backfill.answered(status, now)
    assert waits[0] == 0
    assert waits[1:] == sorted(waits[1:])
    assert waits[-1] >= 20 * S


def test_one_page_at_a_time_and_who_waited_longest_first() -> None:
    backfill = made()
    backfill.wish(BTC, 1, 5, 0)
    backfill.asked(BTC)
    backfill.answered(200, S)
    backfill.wish(BTC, 6, 9, S)
    backfill.wish(ETH, 1, 5, S)
    assert backfill.due(NAMES, S) == (ETH, (1, 5))
    backfill.asked(ETH)
    assert backfill.due(NAMES, S) is None


def test_what_nobody_wishes_any_more_or_is_not_recorded_is_not_asked_for() -> None:
    backfill = made()
    backfill.wish(BTC, 1, 5, 0)
    assert backfill.due((ETH,), 0) is None
    assert backfill.due(NAMES, WISHED_NS) is None
    backfill.asked(BTC)
    backfill.answered(200, WISHED_NS)


def asked_trades(world: World) -> list[Ask]:
    return [ask for _, ask in world.asked if ask.what == "trades"]


def test_a_line_asks_the_venue_by_id_and_only_when_it_records_the_security() -> None:
    world = World()
    world.desire(wanted("BTCUSDT"))
    world.run(5)
    world.session.wishes([], [(ETH, 1, 5), (BTC, 7, 900)], world.now)
    world.run(1)
    [ask] = asked_trades(world)
    assert (ask.securities, ask.cause) == ((BTC,), "gap")
    assert ask.request == binance.trades_request("BTCUSDT", 7, 900)


def test_old_trades_leave_room_in_the_budget_for_snapshots() -> None:
    world = World()
    world.desire(wanted("BTCUSDT"))
    world.run(5)
    answer = Answer(200, b"[]", used_weight=5000)  # of 6000
    for first in range(5):
        world.session.wishes([], [(BTC, first, first)], world.now)
        world.run(0.05)
        if first == 0:
            [ask] = asked_trades(world)
            world.session.answered(ask, answer, world.now)
    assert len(asked_trades(world)) == 1
    world.session.snapshot([BTC], world.now)
    world.run(1)
    assert world.asked[-1][1].cause == "command"


def test_a_venue_that_refuses_is_said_once() -> None:
    world = World()
    world.desire(wanted("BTCUSDT"))
    world.run(5)
    world.rest = "500"
    for _ in range(30):
        world.session.wishes([], [(BTC, 1, 5)], world.now)
        world.run(1)
    assert 2 <= len(asked_trades(world)) <= 5
    said = [a.text for _, a in world.actions if isinstance(a, Say) and "rest_problem" in a.text]
    assert len(said) == 1
