"""Whatever happens to a line, limits are kept and every book is whole in the end."""

from collections import defaultdict
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.actions import Ask, Dial
from tests.unit.ingest.test_session import BTC, ETH
from tests.unit.ingest.world import MS, S, World, wanted
from venue import binance

steps = st.one_of(
    st.tuples(st.just("run"), st.sampled_from([0.05, 0.3, 1, 3, 8])),
    st.tuples(st.just("desire"), st.sets(st.sampled_from(["BTCUSDT", "ETHUSDT", "NOSUCH"]))),
    st.tuples(st.just("drop"), st.integers(1, 3)),
    st.tuples(st.just("cut"), st.none()),
    st.tuples(st.just("stall"), st.none()),
    st.tuples(st.just("dials"), st.booleans()),
    st.tuples(st.just("acks"), st.booleans()),
    st.tuples(st.just("rest"), st.sampled_from(["ok", "ok", "stale", "429", "500", "none", "garbage"])),
    st.tuples(st.just("reset"), st.none()),
    st.tuples(st.just("wish"), st.none()),
    st.tuples(st.just("anew"), st.integers(2, 4)),
)


def take(world: World, what: str, value: object) -> None:
    match what, value:
        case "run", float() | int():
            world.run(value)
        case "desire", set():
            world.desire(wanted(*sorted(value)))
        case "anew", int():
            world.desire(wanted("BTCUSDT", since_ns=value))
        case "drop", int():
            world.drop["BTCUSDT"] = value
        case "cut", _:
            world.cut()
        case "stall", _:
            world.stall()
        case "reset", _:
            world.session.reset()
        case "wish", _:
            world.session.wishes([BTC, ETH], [], world.now)
        case _:
            setattr(world, what, value)


@settings(max_examples=40, deadline=None)
@given(st.lists(steps, max_size=20), st.integers(0, 1000))
def test_whatever_happens_limits_are_kept_and_afterwards_every_book_is_whole(
    happenings: list[tuple[str, object]], seed: int
) -> None:
    world = World(seed=seed)
    world.desire(wanted("BTCUSDT", "ETHUSDT"))
    for what, value in happenings:
        take(world, what, value)
    world.rest, world.dials, world.acks, world.drop = "ok", True, True, {}
    world.desire(wanted("BTCUSDT", "ETHUSDT", since_ns=9))
    world.run(70)
    assert world.joined("BTCUSDT")
    assert world.joined("ETHUSDT")
    assert world.state("BTCUSDT") == world.state("ETHUSDT") == "subscribed"
    assert list(world.streams.values()) == [{"BTCUSDT", "ETHUSDT"}]
    check_pacing(world)
    check_commands(world)


def check_pacing(world: World) -> None:
    sent: dict[int, list[int]] = defaultdict(list)
    for each in world.sent:
        sent[each.connection].append(each.at)
    for times in sent.values():
        assert all(b - a >= binance.CONTROL_GAP_NS for a, b in pairwise(times))
    dialed = [at for at, a in world.actions if isinstance(a, Dial)]
    assert all(sum(t <= at < t + 300 * S for at in dialed) <= 300 for t in dialed)
    last: dict[str, int] = {}
    for at, ask in world.asked:
        if isinstance(ask, Ask) and ask.what == "depth":
            name = ask.securities[0]
            assert at - last.get(name, -10 * S) >= 1000 * MS or name not in last
            last[name] = at


def check_commands(world: World) -> None:
    """Adds and removes alternate, and what is open is closed before it is opened anew."""
    for security in (BTC, ETH, "binance:NOSUCH"):
        whats = [w for w in world.whats(security) if w in ("add", "remove")]
        assert whats == ["add", "remove"] * (len(whats) // 2) + ["add"] * (len(whats) % 2)
    opened: set[int] = set()
    for what, _, connection, *_ in world.journal:
        if what == "open":
            opened.add(connection)
        elif what == "closed":
            opened.remove(connection)
        elif what == "update":
            assert connection in opened
