"""A line records what is desired, asks for what it needs, and never more than the venue allows."""

import json
from itertools import pairwise
from random import Random

import pytest

from ingest.actions import Dial, Record, Remember, Send
from ingest.budget import SHARE
from ingest.link import Subscription
from ingest.session import Session
from ingest.shard import RENEW_NS
from tests.unit.ingest.world import S, World, wanted
from venue import binance, coinbase
from venue.api import Route
from wire.messages import Policy, Wanted

BTC, ETH = "binance:BTCUSDT", "binance:ETHUSDT"


def recording(*symbols: str) -> World:
    world = World()
    world.desire(wanted(*symbols))
    world.run(5)
    assert all(world.joined(symbol) for symbol in symbols)
    return world


def depths(world: World, since: int = 0) -> list[tuple[str, str, int]]:
    return [
        (a.cause, a.securities[0], a.levels) for at, a in world.asked if a.what == "depth" and at >= since
    ]


def test_a_new_security_is_confirmed_added_subscribed_and_given_a_snapshot_after_its_first_update() -> None:
    world = World()
    world.desire(wanted("BTCUSDT"))
    assert world.journal == []
    world.run(3)
    whats = [what for what, *_ in world.journal]
    assert whats[:3] == ["add", "open", "update"]
    assert depths(world) == [("subscribe", BTC, 5000)]
    assert world.state("BTCUSDT") == "subscribed"
    assert world.joined("BTCUSDT")


def test_a_quiet_market_is_asked_for_its_book_all_the_same() -> None:
    world = World()
    world.quiet = {"BTCUSDT"}
    world.desire(wanted("BTCUSDT"))
    world.run(5)
    assert depths(world) == [("subscribe", BTC, 5000)]


def test_an_unknown_symbol_is_refused_and_never_in_the_journal() -> None:
    world = World()
    world.desire(wanted("BTCUSDT", "NOSUCH", "ETHUSDT"))
    world.run(5)
    assert world.state("NOSUCH") == "refused"
    reason = world.session.health()["securities"]["binance:NOSUCH"]["reason"]
    assert ("binance does not" in reason, "NOSUCH" in reason) == (True, False)  # its name stands before it
    assert world.whats("binance:NOSUCH") == []
    assert world.joined("BTCUSDT")
    assert world.joined("ETHUSDT")


@pytest.mark.parametrize("rest", ["none", "500", "429", "garbage"])
def test_recording_does_not_wait_for_a_rest_interface_that_does_not_answer(rest: str) -> None:
    world = World()
    world.rest = rest
    world.desire(wanted("BTCUSDT"))
    world.run(5)
    assert world.state("BTCUSDT") == "subscribed"
    world.rest = "ok"
    world.run(60)
    assert world.joined("BTCUSDT")


def test_a_symbol_added_on_trust_and_found_unknown_gets_its_remove() -> None:
    world = World()
    world.rest = "none"
    world.desire(wanted("NOSUCH"))
    world.run(5)
    world.rest = "ok"
    world.run(60)
    assert world.whats("binance:NOSUCH") == ["add", "remove"]
    assert world.state("NOSUCH") == "refused"


def test_a_restart_goes_on_at_once_with_what_was_recorded() -> None:
    world = World(wanted("BTCUSDT", since_ns=5))
    actions = world.session.take()
    assert [type(a) for a in actions] == [Remember, Record]
    world.run(3)
    assert world.joined("BTCUSDT")
    world.desire(wanted("BTCUSDT", since_ns=5))
    assert world.whats(BTC) == []  # the add was taken above; nothing new


def test_desired_no_more_is_removed_and_unsubscribed_without_disturbing_the_others() -> None:
    world = recording("BTCUSDT", "ETHUSDT")
    world.desire(wanted("BTCUSDT"))
    world.run(2)
    assert world.whats(ETH) == ["add", "remove"]
    assert world.streams == {1: {"BTCUSDT"}}
    assert world.joined("BTCUSDT")


def test_a_recording_begun_anew_is_removed_added_and_subscribed_anew() -> None:
    world = recording("BTCUSDT")
    world.desire(wanted("BTCUSDT", since_ns=2))
    world.run(5)
    assert world.whats(BTC) == ["add", "remove", "add"]
    assert world.state("BTCUSDT") == "subscribed"
    assert world.joined("BTCUSDT")


def test_another_policy_is_journalled_and_nothing_else_happens() -> None:
    world = recording("BTCUSDT")
    sent = len(world.sent)
    world.desire(wanted("BTCUSDT", every_ms=1000))
    world.run(1)
    assert world.whats(BTC) == ["add", "policy"]
    assert [s for s in world.sent[sent:] if s.kind == "text"] == []


def test_a_break_of_sequence_asks_for_a_snapshot_of_that_security_only() -> None:
    world = recording("BTCUSDT", "ETHUSDT")
    start, world.drop["BTCUSDT"] = world.now, 1
    world.run(3)
    assert depths(world, start) == [("gap", BTC, 5000)]
    assert world.joined("BTCUSDT")


def test_a_lost_connection_is_dialed_again_and_asks_for_snapshots() -> None:
    world = recording("BTCUSDT")
    start = world.now
    world.cut()
    assert world.state("BTCUSDT") == "pending"
    world.run(4)
    assert depths(world, start) == [("connection", BTC, 5000)]
    assert world.joined("BTCUSDT")
    assert [w for w, *_ in world.journal if w in ("open", "closed")] == ["open", "closed", "open"]


def test_a_half_open_connection_is_replaced_within_ten_seconds() -> None:
    world = recording("BTCUSDT")
    world.stall()
    world.run(10)
    assert world.joined("BTCUSDT")


def test_a_quiet_market_keeps_its_connection() -> None:
    world = recording("BTCUSDT")
    world.quiet = set(world.known)
    world.run(120)
    assert len(world.streams) == 1
    assert "closed" not in [w for w, *_ in world.journal]


def test_one_line_is_said_for_one_reason_however_often_it_is_tried() -> None:
    world = World()
    world.dials = False
    world.desire(wanted("BTCUSDT"))
    world.run(300)
    dials = [a for _, a in world.actions if isinstance(a, Dial)]
    assert 10 <= len(dials) <= 40
    assert len([text for text in world.said() if "connection refused" in text]) == 1


def test_rotation_makes_before_it_breaks() -> None:
    world = World(rotate_s=30)
    world.desire(wanted("BTCUSDT", "ETHUSDT"))
    world.run(29)
    asked = len(depths(world))
    world.run(5)
    connections = [(w, c) for w, _, c, *_ in world.journal if w in ("open", "closed")]
    assert connections == [("open", 1), ("open", 2), ("closed", 1)]
    assert len(depths(world)) == asked
    assert world.joined("BTCUSDT")
    ids = sorted({(f, u) for w, s, _, f, u in world.journal if w == "update" and s == BTC})
    assert all(b[0] == a[1] + 1 for a, b in pairwise(ids))


def test_a_notice_of_shutdown_makes_before_it_breaks() -> None:
    world = recording("BTCUSDT")
    notice = b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}'
    world.session.frame(1, binance.route(notice, "depth"), notice, world.now)
    world.run(3)
    connections = [(w, c) for w, _, c, *_ in world.journal if w in ("open", "closed")]
    assert connections == [("open", 1), ("open", 2), ("closed", 1)]


def test_a_snapshot_that_is_too_old_is_asked_for_again_with_growing_waits() -> None:
    world = World()
    world.rest = "stale"
    world.desire(wanted("BTCUSDT"))
    world.run(20)
    times = [at for at, a in world.asked if a.what == "depth"]
    waits = [b - a for a, b in pairwise(times)]
    assert 4 <= len(times) <= 6
    assert waits == sorted(waits)
    world.rest = "ok"
    world.run(31)
    assert world.joined("BTCUSDT")


def test_wishes_are_heard_every_ten_seconds_and_commands_at_once() -> None:
    world = recording("BTCUSDT")
    start = world.now
    for _ in range(25):
        world.session.wishes([BTC], [], world.now)
        world.run(1)
    assert 2 <= len(depths(world, start)) <= 3
    start = world.now
    assert world.session.snapshot([BTC, "binance:NONE"], world.now) == ["binance:NONE"]
    world.run(2)
    assert depths(world, start) == [("command", BTC, 5000)]
    assert world.whats(BTC)[-2:] == ["snapshot", "asked"]


def test_many_securities_share_the_budget_and_all_get_the_wide_book_in_the_end() -> None:
    names = [f"S{i}USDT" for i in range(60)]
    world = World()
    world.known = set(names)
    world.ids = dict.fromkeys(names, 10)
    world.desire(wanted(*names))
    world.run(20)
    assert all(world.joined(name) for name in names)
    world.run(170)
    wide = {name for _, name, levels in depths(world) if levels == 5000}
    assert len(wide) == 60
    times = [(at, a.request.weight) for at, a in world.asked]
    for start, _ in times:
        used = sum(weight for at, weight in times if start <= at < start + 60 * S)
        assert used <= SHARE * (6000 + 60 * 100)


def test_five_hundred_are_synchronised_within_the_first_minute_and_as_wide_as_the_budget_bears() -> None:
    names = [f"S{i}USDT" for i in range(500)]
    world = World()
    world.known = set(names)
    world.ids = dict.fromkeys(names, 10)
    world.desire(wanted(*names))
    world.run(60)
    assert all(world.joined(name) for name in names)
    first = {name: levels for _, name, levels in reversed(depths(world))}
    assert set(first.values()) == {100, 1000}, "the last few that wait get more"


def test_a_refused_subscription_is_found_among_others_said_and_tried_again_later() -> None:
    world = World()
    world.refuses = "ETHUSDT"
    world.desire(wanted("BTCUSDT", "ETHUSDT"))
    world.run(4)
    assert world.state("ETHUSDT") == "refused"
    assert world.joined("BTCUSDT")
    assert len([text for text in world.said() if "event=refused" in text]) == 1
    world.refuses = ""
    world.run(15)
    assert world.joined("ETHUSDT")


def test_a_subscription_that_is_never_confirmed_costs_the_connection() -> None:
    world = World()
    world.acks, world.quiet = False, {"BTCUSDT"}
    world.desire(wanted("BTCUSDT"))
    world.run(15)
    assert "closed" in [w for w, *_ in world.journal]
    assert any("no answer to a subscription" in text for text in world.said())


def test_paused_for_the_disk_nothing_is_connected_and_resuming_takes_snapshots() -> None:
    world = recording("BTCUSDT")
    world.session.pause("disk")
    world.run(5)
    assert world.streams == {}
    assert world.session.health()["securities"][BTC] | {"feed": ""} == {
        "state": "pending",
        "reason": "disk",
        "feed": "",
        "since_ns": 1,
        "book": True,
        "instrument": "trading",
    }
    world.session.resume()
    world.run(5)
    assert world.joined("BTCUSDT")


def test_a_subscription_that_is_always_refused_is_tried_ever_more_seldom() -> None:
    world = World()
    world.refuses = "ETHUSDT"
    world.desire(wanted("ETHUSDT"))
    world.run(120)
    tries = [s.at for s in world.sent if s.kind == "text"]
    assert 4 <= len(tries) <= 7


def test_what_the_venue_changes_about_a_symbol_is_said_once() -> None:
    world = recording("BTCUSDT")
    world.status["BTCUSDT"] = "HALT"
    world.run(3600)
    said = [text for text in world.said() if "event=instrument" in text]
    assert said == ["event=instrument security=binance:BTCUSDT status=halted scales=2,5"]
    assert world.session.health()["securities"][BTC]["instrument"] == "halted"


def test_more_securities_than_a_connection_carries_are_spread_over_several() -> None:
    names = [f"S{i}USDT" for i in range(binance.MAX_STREAMS + 3)]
    world = World()
    world.known = set(names)
    world.quiet = set(names)
    world.ids = dict.fromkeys(names, 10)
    world.desire(wanted(*names))
    world.run(8)
    assert [len(symbols) for symbols in world.streams.values()] == [binance.MAX_STREAMS, 3]


def test_a_feed_with_its_own_snapshots_gets_a_new_connection_for_a_wish_but_not_often() -> None:
    name = "coinbase:BTC-USD"
    subscription = Subscription("level2_batch", 0, None)
    session = Session(
        coinbase, subscription, Random(1), 0, rotate_ns=86_400 * S, remembered=[Wanted(name, (Policy(),), 1)]
    )

    def dials(now: int) -> list[int]:
        session.tick(now, "0")
        return [action.connection for action in session.take() if isinstance(action, Dial)]

    def open_and_deliver(number: int, now: int) -> None:
        session.opened(number, now)
        session.tick(now, "0")
        session.frame(number, Route("BTC-USD", "snapshot"), b"", now)

    assert dials(0) == [1]
    open_and_deliver(1, 1)
    session.wishes([name], [], RENEW_NS)
    assert dials(RENEW_NS) == []  # it is too young
    session.wishes(["coinbase:ETH-USD", name], [], RENEW_NS + 1)
    assert dials(RENEW_NS + 1) == [2]
    open_and_deliver(2, RENEW_NS + 2)
    session.wishes([name], [], RENEW_NS + 2)
    assert dials(RENEW_NS + 3) == []
    (connection,) = session.health()["connections"]
    assert connection["connection"] == 2


def test_a_line_that_has_only_the_trades_says_so_and_takes_no_new_connection_for_a_wish() -> None:
    name = "coinbase:BTC-USD"
    subscription = Subscription("level2_batch", 0, None, "matches", "trades only")
    session = Session(
        coinbase, subscription, Random(1), 0, rotate_ns=86_400 * S, remembered=[Wanted(name, (Policy(),), 1)]
    )
    session.tick(0, "0")
    session.opened(1, 1)
    session.tick(1, "0")
    [sent] = [json.loads(action.payload) for action in session.take() if isinstance(action, Send)]
    assert sent["channels"] == ["matches", "heartbeat"]
    session.frame(1, Route("", "control"), b'{"type":"subscriptions","channels":[]}', 2)
    shown = session.health()["securities"][name]
    assert (shown["state"], shown["reason"], shown["book"]) == ("subscribed", "trades only", False)
    session.wishes([name], [], RENEW_NS + 1)
    session.tick(RENEW_NS + 1, "0")
    assert [action for action in session.take() if isinstance(action, Dial)] == []


def test_what_is_recorded_can_be_journalled_again_and_only_that() -> None:
    world = recording("BTCUSDT")
    world.desire(wanted("BTCUSDT", "NOSUCH"))
    world.run(5)
    before = len(world.journal)
    world.session.name_again()
    world._do()
    assert [record[:2] for record in world.journal[before:]] == [("add", BTC)]
