"""Whoever asks is answered once: at once, when the processes have spoken, or after 5 s."""

from typing import Any

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from control import registry
from control.desk import MAX_WAITING, WAIT_S, Desk
from control.effects import Answer, Ask, Effect, Keep, Now, Say, Signal, StopAll, StopSelf
from control.health import Board, Workers
from control.restarting import STEADY_S
from wire.messages import Beat, Policy, Reply, Request

A, B = "binance:BTCUSDT", "coinbase:BTC-USD"
NEW = "binance:ETHUSDT"
WINDOW_NS = 10_000_000_000
WORKERS = Workers(("binance/a", "coinbase/a"), 1, 1, 1)
TWO_LINES = Workers(("binance/a", "binance/b", "coinbase/a"), 1, 1, 1)


def at(seconds: float) -> Now:
    return Now(seconds, 1_700_000_000_000_000_000 + int(seconds * 1e9), 100, 10)


def desk(*securities: str, workers: Workers = WORKERS) -> Desk:
    desired = registry.add(registry.EMPTY, list(securities or (A, B)), Policy(), 1)
    return Desk(desired, Board(workers), WINDOW_NS, 0, at(0), [*workers.names(), "control", "database"])


def ask(made: Desk, command: str, seconds: float = 0, caller: bytes = b"me", **args: Any) -> list[Effect]:
    data = msgpack.packb({"id": 1, "command": command, "args": args})
    return made.request(caller, data, at(seconds))


def beat(made: Desk, line: str, seconds: float = 0, **securities: dict[str, Any]) -> list[Effect]:
    states = {name.replace("_", ":"): entry for name, entry in securities.items()}
    return made.beat(Beat(line, 1, 1, {"securities": states}), at(seconds))


def answers(effects: list[Effect]) -> list[Any]:
    return [msgpack.unpackb(effect.data) for effect in effects if isinstance(effect, Answer)]


def result(effects: list[Effect]) -> Any:
    (answer,) = answers(effects)
    assert answer["ok"], answer
    return answer["result"]


def error(effects: list[Effect]) -> tuple[str, str]:
    (answer,) = answers(effects)
    assert not answer["ok"], answer
    return answer["error"]["code"], answer["error"]["message"]


def test_add_is_kept_before_anything_else_and_answered_when_the_line_has_subscribed() -> None:
    made = desk()
    first = ask(made, "add", security="ethusdt")
    assert [type(effect) for effect in first] == [Keep]
    assert registry.names(made.desired) == [A, B, NEW]
    assert beat(made, "ingest-binance-a", binance_ETHUSDT={"state": "pending"}) == []
    told = beat(made, "ingest-binance-a", binance_ETHUSDT={"state": "subscribed"})
    assert [row["security"] for row in result(told)] == [NEW]


def test_add_of_a_symbol_that_the_venue_refuses_is_an_error_and_is_undone() -> None:
    made = desk()
    ask(made, "add", security="nosuch")
    told = beat(made, "ingest-binance-a", binance_NOSUCH={"state": "refused", "reason": "no such symbol"})
    assert error(told) == ("unknown_security", "binance:NOSUCH: no such symbol")
    assert registry.names(made.desired) == [A, B]
    assert [type(effect) for effect in told] == [Keep, Say, Answer]


def test_add_of_several_says_of_each_what_became_of_it() -> None:
    made = desk()
    ask(made, "add", securities=["ethusdt", "nosuch", "kraken:XBT", "coinbase:ETH-USD"])
    beat(
        made, "ingest-binance-a", binance_ETHUSDT={"state": "subscribed"}, binance_NOSUCH={"state": "refused"}
    )
    rows = result(made.tick(at(WAIT_S)))
    assert [(row["security"], row["ok"], row["state"]) for row in rows] == [
        (NEW, True, "syncing"),  # subscribed, but nothing is heard of its maintainer yet
        ("binance:NOSUCH", False, "error"),
        ("kraken:XBT", False, "error"),
        ("coinbase:ETH-USD", True, "pending"),
    ]


def test_add_is_pending_after_five_seconds_and_not_before() -> None:
    made = desk()
    ask(made, "add", security="ethusdt")
    assert made.tick(at(WAIT_S - 0.1)) == []
    assert result(made.tick(at(WAIT_S))) == [{"security": NEW, "ok": True, "state": "pending"}]
    assert NEW in registry.names(made.desired)
    assert made.tick(at(2 * WAIT_S)) == []


def test_add_of_what_is_subscribed_is_answered_at_once_and_changes_nothing() -> None:
    made = desk()
    beat(made, "ingest-binance-a", binance_BTCUSDT={"state": "subscribed"})
    effects = ask(made, "add", security=A)
    assert [type(effect) for effect in effects] == [Answer]


def test_of_two_lines_the_first_that_subscribed_answers_an_add() -> None:
    made = desk(workers=TWO_LINES)
    ask(made, "add", security="ethusdt")
    assert beat(made, "ingest-binance-a", binance_ETHUSDT={"state": "pending", "reason": "no network"}) == []
    told = beat(made, "ingest-binance-b", binance_ETHUSDT={"state": "subscribed"})
    assert [row["security"] for row in result(told)] == [NEW]


def test_two_lines_that_have_not_subscribed_are_pending_after_five_seconds() -> None:
    made = desk(workers=TWO_LINES)
    ask(made, "add", security="ethusdt")
    beat(made, "ingest-binance-b", binance_ETHUSDT={"state": "pending", "reason": "no network"})
    [row] = result(made.tick(at(WAIT_S)))
    assert (row["state"], row["reason"]) == ("pending", "no network")


def test_a_snapshot_goes_to_one_line_of_a_venue_and_a_reset_to_all() -> None:
    made = desk(workers=TWO_LINES)
    asked = ask(made, "snapshot", security="ALL")
    assert [each.process for each in asked if isinstance(each, Ask)] == [
        "ingest-binance-a",
        "ingest-coinbase-a",
    ]
    asked = ask(made, "reset", venue="binance")
    assert [each.process for each in asked if isinstance(each, Ask)] == [
        "ingest-binance-a",
        "ingest-binance-b",
    ]


def test_an_unknown_venue_is_an_error_at_once() -> None:
    code, message = error(ask(desk(), "add", security="kraken:XBT"))
    assert code == "unknown_security"
    assert "binance coinbase" in message


def test_remove_is_kept_and_of_several_the_known_ones_go() -> None:
    made = desk()
    effects = ask(made, "remove", securities=[A, "nosuch"])
    assert registry.names(made.desired) == [B]
    assert [type(effect) for effect in effects] == [Keep, Answer]
    assert [row["ok"] for row in result(effects)] == [True, False]
    assert error(ask(made, "remove", security=A))[0] == "unknown_security"


def test_a_policy_begins_two_windows_after_the_newest_heard_of() -> None:
    made = desk()
    beat(made, "book-0", binance_BTCUSDT={"time_ns": 50 * WINDOW_NS + 1})
    ask(made, "policy", security=A, every="1000ms")
    policy = registry.find(made.desired, A).policies[-1]
    assert (policy.every_ms, policy.from_ns) == (1000, 52 * WINDOW_NS)


def test_a_security_is_recorded_without_order_ids_from_a_window_on() -> None:
    made = desk()
    row = result(ask(made, "policy", security=A, orders="noids"))[0]
    assert (row["policy"], row["orders"]) == ("update", "noids")
    assert not registry.find(made.desired, A).policies[-1].order_ids
    assert error(ask(made, "policy", security=A, orders=True))[0] == "bad_argument"


def test_a_security_is_added_with_a_policy_that_rules_its_first_window() -> None:
    made = desk(A)
    ask(made, "add", securities=[A, B], every="1000ms", images="60s")
    assert registry.find(made.desired, B).policies == (Policy(1000, 60, 0),)
    assert registry.find(made.desired, A).policies[-1].every_ms == 0
    assert error(ask(made, "add", security=B, every=3333))[0] == "bad_argument"


def test_an_interval_that_does_not_divide_the_window_is_refused() -> None:
    made = desk()
    assert error(ask(made, "policy", security=A, every=3333))[0] == "bad_argument"
    assert registry.find(made.desired, A).policies[-1].every_ms == 0


def test_book_is_asked_of_the_maintainer_and_its_reply_goes_to_the_caller() -> None:
    made = desk()
    (asked,) = ask(made, "book", security=A, depth=5)
    assert isinstance(asked, Ask)
    assert (asked.process, asked.request.args) == ("book-0", {"security": A, "depth": 5, "orders": False})
    assert result(made.reply(Reply(asked.request.id, "book-0", True, {"bids": []}))) == {"bids": []}
    assert made.reply(Reply(asked.request.id, "book-0", True, {"bids": []})) == []


def test_what_a_process_refuses_is_said() -> None:
    made = desk()
    (asked,) = ask(made, "book", security=A)
    assert isinstance(asked, Ask)
    assert error(made.reply(Reply(asked.request.id, "book-0", False, error="syncing"))) == (
        "refused",
        "syncing",
    )


def test_a_process_that_is_not_there_or_silent_is_said() -> None:
    made = desk()
    (asked,) = ask(made, "book", security=A)
    assert isinstance(asked, Ask)
    assert error(made.unreachable("book-0", asked.request.id))[0] == "unreachable"
    ask(made, "book", security=A)
    assert error(made.tick(at(WAIT_S)))[0] == "no_answer"


def test_book_of_what_is_not_recorded_asks_nobody() -> None:
    assert error(ask(desk(), "book", security=NEW))[0] == "unknown_security"


def test_snapshot_of_all_asks_each_line_for_its_own_and_waits_for_both() -> None:
    made = desk()
    asked = ask(made, "snapshot", security="ALL")
    assert [(each.process, each.request.args) for each in asked if isinstance(each, Ask)] == [
        ("ingest-binance-a", {"securities": [A]}),
        ("ingest-coinbase-a", {"securities": [B]}),
    ]
    assert made.reply(Reply(1, "ingest-binance-a", True, {"asked": [A]})) == []
    assert len(result(made.reply(Reply(1, "ingest-coinbase-a", True, {"asked": [B]})))) == 2


def test_reset_of_one_venue_leaves_the_other_alone() -> None:
    (asked,) = ask(desk(), "reset", venue="coinbase")
    assert asked == Ask("ingest-coinbase-a", Request(1, "reset", {"venue": "coinbase"}))
    assert len(ask(desk(), "reset")) == 2
    assert error(ask(desk(), "reset", venue="kraken"))[0] == "bad_argument"


def test_restart_asks_the_process_to_end_and_answers_when_another_beats_in_its_place() -> None:
    made = desk()
    made.beat(Beat("store-0", 1, 1, {}), at(0))
    (asked,) = ask(made, "restart", process="store")
    assert isinstance(asked, Ask)
    assert (asked.process, asked.request.command) == ("store-0", "restart")
    assert made.reply(Reply(asked.request.id, "store-0", True)) == []
    assert made.tick(at(3)) == []
    made.beat(Beat("store-0", 2, 2, {}), at(3))
    assert made.tick(at(3)) == []
    assert made.unreachable("store-0", asked.request.id) == []
    [row] = result(made.tick(at(3 + STEADY_S)))
    assert (row["process"], row["ok"]) == ("store-0", True)


def test_the_database_is_signalled_and_control_goes_when_it_has_answered() -> None:
    assert ask(desk(), "restart", process="database") == [Signal("database", "TERM")]
    effects = ask(desk(), "restart", process="control")
    assert result(effects[:1]) == [{"process": "control", "ok": True}]
    assert effects[1:] == [StopSelf()]


def test_a_restart_of_what_is_not_here_or_not_ours_or_while_another_goes_on_is_refused() -> None:
    made = desk()
    assert error(ask(made, "restart", process="kitchen"))[0] == "bad_argument"
    ask(made, "restart", process="book")
    assert error(ask(made, "restart", process="store")) == (
        "refused",
        "another restart is under way: try again when it is done",
    )
    alone = Desk(registry.EMPTY, Board(WORKERS), WINDOW_NS, 0, at(0))
    assert error(ask(alone, "restart", process="store"))[0] == "refused"


def test_terminate_answers_and_then_stops() -> None:
    effects = ask(desk(), "terminate")
    assert result(effects[:1]) == {"stopping": True}
    assert effects[1:] == [StopAll()]


def test_uptime_and_ping_answer_at_once() -> None:
    assert result(ask(desk(), "elapsedRunningTime", 3.25))["uptime_s"] == 3.25
    assert result(ask(desk(), "connectionTest"))["pong"] is True


def test_a_security_that_another_recorder_writes_is_removed_and_said() -> None:
    made = desk()
    effects = made.beat(Beat("store-0", 1, 1, {"held_elsewhere": [A]}), at(0))
    assert [type(effect) for effect in effects] == [Keep, Say]
    assert registry.names(made.desired) == [B]


def test_callers_beyond_the_bound_are_refused_and_change_nothing() -> None:
    made = desk()
    for _ in range(MAX_WAITING):
        assert answers(ask(made, "book", security=A)) == []
    assert error(ask(made, "book", security=A))[0] == "refused"
    assert error(ask(made, "add", security=NEW))[0] == "refused"
    assert NEW not in registry.names(made.desired)


commands = st.sampled_from(
    ["add", "remove", "book", "snapshot", "reset", "restart", "policy", "list", "status", "nonsense"]
)
events = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), commands, st.sampled_from([A, NEW, "kraken:X"])),
        st.tuples(st.just("beat"), st.sampled_from(["subscribed", "refused", "pending"]), st.just(NEW)),
        st.tuples(st.just("reply"), st.booleans(), st.integers(1, 6)),
        st.tuples(st.just("tick"), st.none(), st.none()),
    ),
    max_size=30,
)


@given(events)
def test_every_caller_is_answered_exactly_once_whatever_happens(script: list[tuple[str, Any, Any]]) -> None:
    made, asked, answered = desk(), 0, []
    for moment, (event, one, two) in enumerate(script):
        effects: list[Effect] = []
        if event == "ask":
            asked += 1
            args = {"reset": {"venue": "binance"}, "restart": {"process": "book"}}.get(one, {"security": two})
            effects = ask(made, one, moment, b"%d" % asked, **({} if one in ("list", "status") else args))
        elif event == "beat":
            effects = made.beat(
                Beat("ingest-binance-a", 1, 1, {"securities": {two: {"state": one}}}), at(moment)
            )
        elif event == "reply":
            effects = made.reply(Reply(two, "ingest-binance-a", one, {}))
        else:
            effects = made.tick(at(moment))
        answered += [effect.caller for effect in effects if isinstance(effect, Answer)]
    answered += [effect.caller for effect in made.tick(at(1000)) if isinstance(effect, Answer)]
    assert sorted(answered) == sorted(b"%d" % number for number in range(1, asked + 1))
