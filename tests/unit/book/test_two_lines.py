"""Two lines of a venue are one feed: what one of them misses the other brings, and nothing is there twice."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from book import following, reading
from journal.group import Group, Kind
from journal.payload import Connection, pack
from tests.journaled import unpacked
from tests.unit.book.play import (
    NAME,
    RECIPE,
    START,
    S,
    copied,
    depth,
    ints,
    maintainer,
    messages,
    of_type,
    snapshot,
    stored,
    trade,
)
from tests.unit.book.test_together import Usual
from wire.names import position_at
from wire.runs import Changes, Hole, RunMessage, Trades

LINES = ("binance/a", "binance/b")
UNHURRIED = settings(max_examples=60, deadline=None)
FIRST_ID, FIRST_TRADE = 11, 500


class Line:
    """One line's journal; *delay* seconds after the exchange it has everything."""

    def __init__(self, name: str, delay: float) -> None:
        self.journal = Usual(name, per_group=1)
        self.delay_ns = int(delay * S)
        self.epoch = self.connection = 1
        self.journal.start(START)
        self.journal.add(START, NAME, "depth")
        self.journal.rest(START, NAME, snapshot(FIRST_ID - 1))

    def at(self, time_ns: int) -> int:
        return START + time_ns + self.delay_ns

    def bring(self, time_ns: int, payload: bytes) -> None:
        self.journal.frame(self.at(time_ns), NAME, payload, self.connection)

    def event(self, what: str, time_ns: int) -> None:
        if self.delay_ns > S // 10:
            return  # what a connection that begins now brings was sent since, not a second ago
        if what == "reconnect":
            self._connection(time_ns, Connection("closed", "reset by peer"))
            self.connection += 1
            self._connection(time_ns, Connection("open", ""))
        elif what == "restart":
            self.journal.flush()
            self.epoch, self.connection = self.epoch + 1, 1
            self.journal.position = position_at(self.epoch, 0)
            self.journal.start(self.at(time_ns), "restart")
            self.journal.add(self.at(time_ns), NAME, "depth")

    def _connection(self, time_ns: int, event: Connection) -> None:
        self.journal.other(Kind.CONNECTION, self.at(time_ns), payload=pack(event), connection=self.connection)

    def groups(self) -> list[Group]:
        self.journal.flush()
        return unpacked(self.journal.groups)


step = st.tuples(
    st.sampled_from(["both", "a", "b", "both"]),
    st.sampled_from(["update", "trade"]),
    st.sampled_from([0.1, 0.5, 4.0]),
    st.sampled_from(["", "", "reconnect", "restart", "spoilt"]),
)
delays = st.sampled_from([0.0, 0.01, 1.5])


def lines_of(steps: Iterable[tuple[str, str, float, str]], delay: float) -> list[list[Group]]:
    """Return the groups of both lines: each update and trade is brought by one of them at least.

    What one misses, it misses for the event of that step, if there is one; or what it brings is no number.
    """
    a, b = Line(LINES[0], 0.0), Line(LINES[1], delay)
    time_ns, update_id, trade_id = 0, FIRST_ID, FIRST_TRADE
    for who, what, seconds, event in [*steps, ("both", "update", 0.1, ""), ("both", "trade", 0.1, "")]:
        time_ns += int(seconds * S)
        now_ns = START + time_ns
        if what == "update":
            ids, sizes = (update_id, update_id), (str(update_id), "NaN")
            frame, spoilt = (depth("XUSDT", *ids, now_ns, [("10", size)]) for size in sizes)
            update_id += 1
        else:
            frame, spoilt = (trade("XUSDT", trade_id, now_ns, p) for p in ("10", "NaN"))
            trade_id += 1
        for name, line in (("a", a), ("b", b)):
            if who in (name, "both"):
                line.bring(time_ns, frame)
            elif event == "spoilt":
                line.bring(time_ns, spoilt)
            else:
                line.event(event, time_ns)
    for line in (a, b):
        line.journal.ticks_until(line.at(time_ns + 20 * S))
    return [a.groups(), b.groups()]


def in_order(lines: list[list[Group]]) -> list[Group]:
    """Return the groups as book.merge gives them."""
    return sorted((g for groups in lines for g in groups), key=lambda g: (g.clock_ns, g.line, g.first))


def said_of(groups: list[Group], *, stopping: bool = False) -> list[RunMessage]:
    made = maintainer(RECIPE)
    said: list[RunMessage] = []
    for group in groups:
        if stopping:
            made = copied(made, RECIPE)
        said += messages(made, [group])
    return said


@UNHURRIED
@given(st.lists(step, max_size=30), delays)
def test_what_one_line_misses_the_other_brings_and_each_id_is_there_once(
    steps: list[tuple[str, str, float, str]], delay: float
) -> None:
    said = said_of(in_order(lines_of(steps, delay)))
    assert of_type(said, Hole) == []
    updates = [i for each in of_type(said, Changes) for i in ints(each.last_ids)]
    trades = [i for each in of_type(said, Trades) for i in ints(each.ids)]
    # (the first trade may be known to the slower line only, and is then before the first that came)
    assert updates == list(range(FIRST_ID, FIRST_ID + len(updates)))
    assert updates[-1] - FIRST_ID == sum(each[1] == "update" for each in steps)
    assert trades == list(range(trades[0], FIRST_TRADE + sum(each[1] == "trade" for each in steps) + 1))


@UNHURRIED
@given(st.lists(step, max_size=20), delays)
def test_two_whole_lines_store_what_one_of_them_stores(
    steps: list[tuple[str, str, float, str]], delay: float
) -> None:
    whole = [("both", what, seconds, "") for _, what, seconds, _ in steps]
    lines = lines_of(whole, delay)
    assert stored(said_of(in_order(lines))) == stored(said_of(lines[0]))


@UNHURRIED
@given(st.lists(step, max_size=20), delays, st.sampled_from(["a", "b"]))
def test_a_worker_stopped_after_every_group_of_either_line_stores_the_same(
    steps: list[tuple[str, str, float, str]], delay: float, alone: str
) -> None:
    # (some ids reach nobody: a line that misses one for good leaves a hole where the other does too)
    lossy = [(alone if who == "both" else who, *rest) for who, *rest in steps]
    groups = in_order([lines_of(steps, delay)[0], lines_of(lossy, delay)[1]])  # type: ignore[arg-type]
    assert stored(said_of(groups, stopping=True)) == stored(said_of(groups))


@UNHURRIED
@given(st.lists(step, max_size=30), delays, st.booleans())
def test_what_follows_at_once_comes_to_the_same_whichever_line_brings_it(
    steps: list[tuple[str, str, float, str]], delay: float, stopping: bool
) -> None:
    groups = in_order(lines_of(steps, delay))
    made, slowly = maintainer(RECIPE), maintainer(RECIPE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(following, "COMPILED", False)
        patch.setattr(reading, "FEW_FRAMES", 1 << 30)
        singly = stored(messages(slowly, groups))
    said = said_of(groups, stopping=True) if stopping else messages(made, groups)
    assert stored(said) == singly
    if not stopping:
        assert made.securities[NAME].dump() == slowly.securities[NAME].dump()
