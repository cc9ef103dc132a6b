"""Frames that are read together, or follow at once, come to what they come to one by one."""

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from book import following, reading, telling
from book import maintainer as maintaining
from book.maintainer import Maintainer, Saved
from book.security import Security
from book.sync import Sync, Update
from journal.frames import Frames
from journal.group import Group, Kind
from tests.journaled import Journal
from tests.unit.book.play import (
    NAME,
    START,
    S,
    depth,
    ints,
    maintainer,
    messages,
    of_type,
    play,
    snapshot,
    stored,
    trade,
    unpacked,
)
from tests.unit.book.test_any_journal import RECIPE, Told, renamed, step
from venue import binance
from venue.columns import Columns
from venue.leap import LEAP
from wire.messages import Policy
from wire.names import EVERY_SECURITY
from wire.runs import Changes, Cut, Image, RunMessage

OTHER = "binance:YUSDT"


LIVE = [("update", 0, "9", "1", 1), ("snapshot", "gap"), ("update", 0, "9.5", "1", 1)]
"""Steps after which a chain has started."""

steps_of_a_live_book = st.lists(step, min_size=4, max_size=40).map(lambda steps: [*LIVE, *steps])


def usual(frame: bytes) -> bytes:
    """Return *frame* with eight decimals, as Binance writes it."""
    return re.sub(
        rb'"([0-9]+)(?:\.([0-9]+))?"', lambda m: b'"%b.%b"' % (m[1], (m[2] or b"").ljust(8, b"0")), frame
    )


class Usual(Journal):
    """Writes frames as Binance does."""

    def frame(self, recv_ns: int, security: str, payload: bytes, connection: int = 1) -> None:
        """Add a frame."""
        super().frame(recv_ns, security, usual(payload), connection)


class Twins(Usual):
    """Tells of a second security what it is told of the first."""

    def frame(self, recv_ns: int, security: str, payload: bytes, connection: int = 1) -> None:
        """Add a frame of each."""
        super().frame(recv_ns, security, payload, connection)
        other = payload.replace(b"XUSDT", b"YUSDT").replace(b"xusdt", b"yusdt")
        super().frame(recv_ns, OTHER, other, connection)

    def other(
        self,
        kind: Kind,
        recv_ns: int,
        security: str = EVERY_SECURITY,
        payload: bytes = b"",
        connection: int = 0,
    ) -> None:
        """Add a record of each."""
        super().other(kind, recv_ns, security, payload, connection)
        if security == NAME:
            super().other(kind, recv_ns, OTHER, payload, connection)


def one_by_one(groups: Sequence[bytes]) -> dict[Any, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(following, "COMPILED", False)
        patch.setattr(reading, "FEW_FRAMES", 1 << 30)
        return stored(play(groups, RECIPE)[1])


@settings(max_examples=150, deadline=None)
@given(steps_of_a_live_book, st.sampled_from([1, 3, 16]))
def test_frames_read_together_say_what_they_say_one_by_one(steps: list[Any], per_group: int) -> None:
    groups = Told(per_group, Usual).tell(renamed(steps))
    assert stored(play(groups, RECIPE)[1]) == one_by_one(groups)


@settings(max_examples=50, deadline=None)
@given(steps_of_a_live_book, st.sampled_from([4, 16]))
def test_so_do_frames_of_two_securities(steps: list[Any], per_group: int) -> None:
    groups = Told(per_group, Twins).tell(renamed(steps))
    assert stored(play(groups, RECIPE)[1]) == one_by_one(groups)


def long_way(groups: Sequence[bytes]) -> tuple[dict[Any, Any], list[dict[str, Any]]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(following, "COMPILED", False)
        made, said = play(groups, RECIPE)
    return stored(said), [security.dump() for security in made.securities.values()]


@settings(max_examples=100, deadline=None)
@given(steps_of_a_live_book, st.sampled_from([4, 16]), st.sampled_from([64, 2]))
@example([*LIVE, ("trade", 0), ("trade", 1), ("switch",), ("trade", 1)], 4, 64)
@example([*LIVE, *[("update", 0, "9", "2", 1)] * 40], 16, 2)
def test_updates_of_several_securities_come_to_what_they_come_to_the_long_way(
    steps: list[Any], per_group: int, many: int
) -> None:
    groups = Told(per_group, Twins).tell(renamed(steps))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(maintaining, "MANY_FRAMES", many)
        patch.setattr(maintaining, "FEW_FRAMES", many // 2)
        made, said = play(groups, RECIPE)
    assert (stored(said), [each.dump() for each in made.securities.values()]) == long_way(groups)


@settings(max_examples=40, deadline=None)
@given(
    steps_of_a_live_book,
    st.sampled_from([1, 4, 16]),
    st.integers(0, 2),
    st.integers(0, 60),
    st.integers(0, 9),
)
@example([*LIVE, ("pass", 1.0), ("update", 0, "9", "2", 1)], 1, 0, 0, 0)
def test_a_tick_that_the_securities_see_by_and_by_comes_to_the_same(
    steps: list[Any], per_group: int, a_turn: int, saved_at: int, lost: int
) -> None:
    groups = unpacked(Told(per_group, Twins).tell(renamed(steps)))
    assert taken_back(groups, saved_at, lost, a_turn) == taken_back(groups, saved_at, lost, None)


def taken_back(
    groups: Sequence[Group], saved_at: int, lost: int, a_turn: int | None
) -> tuple[dict[Any, Any], list[dict[str, Any]]]:
    """Return what is stored, and the state in the end, where what came of *lost* groups had to come again."""
    made = maintainer(RECIPE)
    said = list(said_by_and_by(made, groups[:saved_at], a_turn))
    saved = {name: Saved(name, one.born, one.dump()) for name, one in made.securities.items()}
    said += [message for one in made.securities.values() for message in one.flush()]
    list(said_by_and_by(made, groups[saved_at : saved_at + lost], a_turn))
    made.restore([saved.get(name, Saved(name, one.born, None)) for name, one in made.securities.items()])
    begun = [output for bucket in sorted(made.buckets) for output in made.begin(bucket, 7)]
    said += [message for output in begun for message in output.messages]
    position = made.cursor("binance/a", 0)
    said += said_by_and_by(made, [group for group in groups if group.next_position > position], a_turn)
    said += [message for output in made.late() for message in output.messages]
    said += messages(made, [])
    return stored(said), [one.dump() for one in made.securities.values()]


def said_by_and_by(made: Maintainer, groups: Sequence[Group], a_turn: int | None) -> Iterator[RunMessage]:
    """Yield what *made* says of *groups* while *a_turn* of the securities at a time see a tick."""
    for group in groups:
        for output in chain(made.outputs(group), made.late(a_turn)):
            yield from output.messages


moves = st.tuples(
    st.sampled_from(["next", "next", "next", "next", "asked", "wild", "far", "beyond", "again"]),
    st.sampled_from([0, 0, 0, 60, 4000]),
    st.sampled_from(["9", "8.5", "8.75", "9.123456789", "13"]),
    st.sampled_from(["0", "1", "2.5"]),
    st.sampled_from([1, 1, 1, 2]),
)


@pytest.mark.skipif(not following.COMPILED, reason="the loops were not compiled")
@settings(max_examples=200, deadline=None)
@given(st.lists(moves, min_size=1, max_size=12), st.sampled_from([2, 6]))
@example([("asked", 0, "9", "1", 1), ("next", 0, "9", "1", 1)], 2)
def test_so_do_jumps_wrong_clocks_finer_prices_and_crossing_ones(moved: list[Any], per_group: int) -> None:
    journal = Twins("binance/a", per_group=per_group)
    begun(journal)
    last_id = 102
    for n, (what, ahead_s, price, size, connection) in enumerate(moved, start=1):
        now = START + n * S // 5
        if what == "asked":
            journal.command(now, NAME, "asked")
        ids = last_id + 1, last_id + 1 + n % 3
        if what == "wild":
            ids = last_id + 2 * LEAP, last_id + 2 * LEAP
        elif what in ("far", "beyond"):
            ids = last_id + 1 + (what == "beyond"), last_id + LEAP + (what == "far")
        elif what == "again":
            ids = last_id, last_id
        last_id = last_id if what in ("wild", "far") else max(last_id, ids[1])
        update = depth("XUSDT", *ids, now + ahead_s * S, [(price, size)], [("12.5", "1")])
        journal.frame(now, NAME, update, connection)
    journal.other(Kind.TICK, START + 3 * S)
    made, said = play(journal.groups, RECIPE)
    assert (stored(said), [each.dump() for each in made.securities.values()]) == long_way(journal.groups)


def begun(journal: Usual) -> None:
    """Have a chain start, at update 102, and know prices and sizes of a decimal."""
    journal.start(START)
    journal.add(START, NAME, "depth", (Policy(every_ms=1000),))
    journal.frame(START, NAME, depth("XUSDT", 100, 101, START, [("9", "1")]))
    journal.rest(START, NAME, snapshot(100))
    journal.frame(START, NAME, depth("XUSDT", 102, 102, START, [("9.5", "1.5")], [("13", "1")]))


@pytest.mark.skipif(not following.COMPILED, reason="the loops were not compiled")
def test_usual_updates_of_several_securities_go_to_the_books_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Twins("binance/a", per_group=2)
    begun(journal)
    made, _ = play(journal.groups)
    monkeypatch.setattr(Security, "frames", None)
    before = len(journal.groups)
    journal.frame(START, NAME, depth("XUSDT", 103, 105, START, [("9", "2")], [("12.5", "0")]))
    said = list(messages(made, unpacked(journal.groups[before:])))
    assert [(ints(one.last_ids), ints(one.sizes), ints(one.old_sizes)) for one in of_type(said, Changes)] == [
        ([105], [20, 0], [10, 0])
    ] * 2


@pytest.mark.skipif(not following.COMPILED, reason="the loops were not compiled")
def test_what_follows_goes_on_in_later_windows_until_an_image_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Twins("binance/a", per_group=2)
    begun(journal)
    begin = len(journal.groups)
    journal.frame(START, NAME, trade("XUSDT", 7, START))
    for n, seconds in enumerate([1, 2, 12, 13, 28, 41], start=103):
        sizes = [("9", str(n))], [("12.5", str(n % 2))]
        journal.frame(START, NAME, depth("XUSDT", n, n, START + seconds * S, *sizes))
        journal.frame(START, NAME, trade("XUSDT", n - 95, START + seconds * S))
    groups, looked_at = unpacked(journal.groups), []
    made = maintainer(RECIPE)
    said = list(messages(made, groups[:begin]))
    frames = Security.frames

    def look(security: Security, records: Frames, columns: Columns | None = None) -> None:
        looked_at.extend(records.received_ns if security.name == NAME else ())
        frames(security, records, columns)

    monkeypatch.setattr(Security, "frames", look)
    said += messages(made, groups[begin:])
    assert (
        len(looked_at) == 3
    )  # the tape's first, and the updates before which the images of 10 and 40 s are due
    windows = [(cut.feed, (cut.start_ns - START) // S) for cut in of_type(said, Cut) if cut.security == NAME]
    assert sorted(windows) == [(feed, start) for feed in ("changes", "trades") for start in (0, 10, 20)]
    assert (stored(said), [each.dump() for each in made.securities.values()]) == long_way(journal.groups)


@pytest.mark.skipif(not following.COMPILED, reason="the loops were not compiled")
def test_where_an_image_is_due_only_the_first_of_many_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Usual("binance/a", per_group=200)
    begun(journal)
    journal.flush()
    begin = len(journal.groups)
    for n in range(100):
        update = depth("XUSDT", 103 + n, 103 + n, START + 25 * S + n * S // 10, [("9", str(1 + n))])
        journal.frame(START, NAME, update)
    journal.flush()
    groups, looked_at = unpacked(journal.groups), []
    made = maintainer(RECIPE)
    said = list(messages(made, groups[:begin]))
    frames = Security.frames

    def look(security: Security, records: Frames, columns: Columns | None = None) -> None:
        looked_at.append(len(records))
        frames(security, records, columns)

    monkeypatch.setattr(Security, "frames", look)
    said += messages(made, groups[begin:])
    assert looked_at == [maintaining.FEW_FRAMES]
    assert [image.update_id for image in of_type(said, Image)] == [101, 102]
    assert (stored(said), [each.dump() for each in made.securities.values()]) == long_way(journal.groups)


@pytest.mark.parametrize(
    ("policies", "start_s", "until_s"),
    [
        ((Policy(),), 0, 10),
        ((Policy(),), 10, 40),
        ((Policy(), Policy(from_ns=START + 20 * S)), 10, 20),
        ((Policy(), Policy(from_ns=START + 20 * S, images_s=60)), 20, 40),
    ],
)
def test_windows_are_alike_until_an_image_is_due_or_the_policy_changes(
    policies: tuple[Policy, ...], start_s: int, until_s: int
) -> None:
    windows = RECIPE.windows("l2", policies)
    assert (windows.alike_until(START + start_s * S) - START) // S == until_s


@pytest.mark.skipif(not following.COMPILED, reason="the loops were not compiled")
def test_what_follows_is_said_with_the_next_tick_or_at_once_where_somebody_listens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    journal = Twins("binance/a", per_group=2)
    begun(journal)
    made, _ = play(journal.groups)
    made.watched = {NAME}
    heard = []
    for update_id in (103, 104):
        before = len(journal.groups)
        journal.frame(START, NAME, depth("XUSDT", update_id, update_id, START, [("9", "2")]))
        for group in unpacked(journal.groups[before:]):
            [output] = made.feed(group)
            assert (output.security, output.position) == (NAME, group.first + group.names.index(NAME) + 1)
            heard += [ints(one.last_ids) for one in of_type(output.messages, Changes)]
    assert heard == [[103], [104]]
    shown = telling.look_at(made.securities[OTHER]).row
    assert (shown["update_id"], shown["time_ns"]) == (104, START)
    assert made.cursor("binance/a", 0) == made.securities[OTHER].positions["binance/a"] - 1
    before = len(journal.groups)
    journal.other(Kind.TICK, START + S)
    ticked = [output for group in unpacked(journal.groups[before:]) for output in made.feed(group)]
    waited = {
        each.security: [ints(one.last_ids) for one in of_type(each.messages, Changes)] for each in ticked
    }
    assert waited == {NAME: [], OTHER: [[103, 104]]}


def test_what_followed_before_a_security_was_taken_back_follows_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    journal = Twins("binance/a", per_group=2)
    begun(journal)
    for update_id in range(103, 120):
        journal.frame(START, NAME, depth("XUSDT", update_id, update_id, START, [("9", str(update_id))]))
    groups = unpacked(journal.groups)
    made = maintainer(RECIPE)
    said = list(messages(made, groups[:-12]))
    kept = Saved(NAME, {}, made.securities[NAME].dump())
    for group in groups[-12:-4]:
        made.feed(group)
    made.restore([kept])  # while what followed waits to be said
    said += messages(made, groups[-12:])
    ids = [
        update_id
        for one in of_type(said, Changes)
        if one.security == NAME
        for update_id in ints(one.last_ids)
    ]
    assert ids == list(range(101, 120))


def test_usual_frames_are_read_together() -> None:
    told = Told(1)
    frame = told.market.update(0, 0, "9.5", "2", 1)
    assert binance.columns([frame], "depth") is None
    assert binance.columns([usual(frame)], "depth") is not None


arrivals = st.tuples(
    st.sampled_from(["update", "trade"]),
    st.sampled_from([0, 0, 0, 1, -1]),
    st.sampled_from([0, 0, 0, 4000]),
    st.integers(1, 2),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(arrivals, min_size=2, max_size=14), st.sampled_from([2, 5]))
def test_so_do_ids_that_jump_and_clocks_that_are_wrong(
    arrived: list[tuple[str, int, int, int]], per_group: int
) -> None:
    journal = Usual("binance/a", per_group=per_group)
    journal.start(START)
    journal.add(START, NAME, "depth", (Policy(every_ms=1000),))
    journal.frame(START, NAME, depth("XUSDT", 100, 101, START, [("9", "1")]))
    journal.rest(START, NAME, snapshot(100))
    ids = {"update": 101, "trade": 7}
    for n, (what, jump, ahead_s, connection) in enumerate(arrived, start=1):
        ids[what] += 1 + jump
        now = START + n * S // 10
        time_ns, number = now + ahead_s * S, ids[what]
        frame = trade("XUSDT", number, time_ns)
        if what == "update":
            frame = depth("XUSDT", number, number, time_ns, [("9", str(1 + number % 5))], [("12.5", "1")])
        journal.frame(now, NAME, frame, connection)
    journal.other(Kind.TICK, START + 3 * S)
    assert stored(play(journal.groups, RECIPE)[1]) == one_by_one(journal.groups)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(1, 2)), min_size=1, max_size=5))
def test_a_rule_follows_a_run_exactly_where_it_follows_each(spans: list[tuple[int, int, int]]) -> None:
    first = Update(first_id=1, last_id=10, position=1, time_ns=0, recv_ns=0, connection=1, payload=b"")
    one_by_one, at_once = Sync(), Sync()
    for sync in (one_by_one, at_once):
        sync.base(5, 0)
        sync.offer(first)
    updates, last_id = [], 10
    for n, (back, length, connection) in enumerate(spans, start=2):
        updates.append(first._replace(first_id=last_id + 1 - back + (length == 3), last_id=last_id + length))
        updates[-1] = updates[-1]._replace(position=n, connection=connection)
        last_id += length
    columns = ([u.first_id for u in updates], [u.last_id for u in updates], [u.connection for u in updates])
    follow = all(one_by_one.next_in_line(update) for update in updates)
    before = at_once.dump()
    assert at_once.follow(*columns, "", updates[-1].position) == follow
    assert at_once.dump() == (one_by_one.dump() if follow else before)
