"""One test for each row of the table of book.sync, its vectors, and what holds whatever arrives."""

import json
from collections.abc import Sequence

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from book import sync as sync_module
from book.feedsync import FeedSync
from book.source import Connections, Source
from book.sync import BUFFERED_NS, BUFFERED_TICKS, RIVAL_NS, Outcome, State, Sync, Update
from tests import captures
from wire.names import position_at

S = 1_000_000_000
A, B = "binance/a", "binance/b"


def update(
    first: int,
    last: int | None = None,
    *,
    connection: int = 1,
    recv_ns: int = 0,
    epoch: int = 1,
    line: str = A,
) -> Update:
    last = first if last is None else last
    return Update(first, last, position_at(epoch, first), 0, recv_ns, connection, b"", line)


def based(snapshot_id: int, *updates: Update) -> Sync:
    sync = Sync()
    assert sync.accepts(snapshot_id)
    sync.base(snapshot_id, 0)
    for each in updates:
        sync.offer(each)
    return sync


def ids(outcome: Outcome) -> list[tuple[int, int]]:
    return [each[:2] for each in outcome.ready]


def test_updates_before_a_snapshot_are_kept_and_join_it() -> None:
    sync = Sync()
    for each in (update(5, 6), update(7, 9), update(10, 12)):
        assert sync.offer(each) == Outcome([])
    assert (sync.state, sync.kept) == (State.WAITING, 3)
    assert sync.accepts(8)
    assert ids(sync.base(8, 0)) == [(7, 9), (10, 12)]
    assert (sync.state, sync.last_id, sync.old) == (State.LIVE, 12, 1)


def test_a_snapshot_ahead_of_all_updates_waits_for_the_stream_to_pass_it() -> None:
    sync = based(20, update(15, 18))
    assert (sync.state, sync.old) == (State.BASED, 1)
    assert ids(sync.offer(update(19, 22))) == [(19, 22)]
    assert sync.state is State.LIVE


def test_a_snapshot_older_than_the_kept_updates_is_stale() -> None:
    sync = Sync()
    sync.offer(update(10, 12))
    assert not sync.accepts(8)
    assert (sync.state, sync.stale, sync.kept) == (State.WAITING, 1, 1)
    assert sync.accepts(9)


def test_a_snapshot_proved_too_old_by_the_next_update_is_stale_and_the_update_is_kept() -> None:
    sync = based(10)
    assert sync.offer(update(13)) == Outcome([])
    assert (sync.state, sync.stale, sync.kept) == (State.WAITING, 1, 1)


def test_a_later_snapshot_replaces_a_base_that_nothing_was_applied_to() -> None:
    sync = based(10)
    assert not sync.accepts(9)
    assert sync.accepts(15)
    sync.base(15, 0)
    assert sync.last_id == 15


def test_a_later_snapshot_does_not_replace_a_base_whose_updates_are_on_their_way() -> None:
    sync = based(8, update(5, 6))
    assert not sync.accepts(15)
    assert ids(sync.offer(update(7, 9))) == [(7, 9)]


def test_a_later_snapshot_replaces_a_base_whose_connection_closed() -> None:
    sync = based(10, update(9, 10))
    sync.closed(A, 1, "", 0)
    assert sync.accepts(15)


def test_a_live_book_needs_no_snapshot() -> None:
    assert not based(10, update(11)).accepts(50)


def test_the_simple_next_update_is_taken_at_once_and_anything_else_is_not() -> None:
    sync = based(10)
    assert not sync.next_in_line(update(11))
    sync.offer(update(11))
    assert sync.next_in_line(update(11, 13))
    assert not sync.next_in_line(update(12, 13))
    assert not sync.next_in_line(update(15))
    assert sync.last_id == 13


def test_old_updates_are_dropped_and_counted() -> None:
    sync = based(10, update(11, 14))
    assert sync.offer(update(12, 14)) == Outcome([])
    assert (sync.state, sync.last_id, sync.old) == (State.LIVE, 14, 1)


def test_an_update_that_reaches_back_over_applied_ids_is_applied() -> None:
    assert ids(based(10, update(11, 14)).offer(update(13, 16))) == [(13, 16)]


def test_missing_ids_are_a_gap_and_what_follows_is_kept_for_the_next_snapshot() -> None:
    sync = based(10, update(11))
    gap = sync.offer(update(14)).gap
    assert gap is not None
    assert (gap.beyond[:2], gap.cause) == ((14, 14), "venue")
    sync.offer(update(15))
    assert (sync.state, sync.kept) == (State.WAITING, 2)
    assert ids(sync.base(13, 0)) == [(14, 14), (15, 15)]


@pytest.mark.parametrize(
    ("beyond", "closed", "cause"),
    [
        (update(14), None, "venue"),
        (update(14, connection=2), "reset by peer", "network"),
        (update(14, connection=2), "rotation", "rotation"),
        (update(14, connection=1, epoch=2), None, "own_restart"),
    ],
)
def test_the_cause_of_a_gap_is_told_by_connections_and_epochs(
    beyond: Update, closed: str | None, cause: str
) -> None:
    sync = based(10, update(11))
    if closed is not None:
        sync.closed(A, 1, closed, 0)
    if cause == "own_restart":
        sync.new_epoch(A, 2, 0)
    gap = sync.offer(beyond).gap
    assert gap is not None
    assert gap.cause == cause


def test_ids_are_not_missing_while_another_open_connection_may_bring_them() -> None:
    sync = based(10, update(11))
    assert sync.offer(update(14, connection=2)) == Outcome([])
    assert sync.state is State.LIVE
    assert ids(sync.offer(update(12, 13))) == [(12, 13), (14, 14)]


def test_ids_are_missing_once_the_other_connection_is_past_them() -> None:
    sync = based(10, update(11))
    sync.offer(update(14, connection=2))
    outcome = sync.offer(update(15))
    assert outcome.gap is not None
    assert sync.kept == 2


def test_ids_are_missing_once_the_other_connection_is_closed() -> None:
    sync = based(10, update(11))
    sync.offer(update(14, connection=2))
    assert sync.closed(A, 1, "rotation", 0).gap is not None


def test_nothing_is_waited_for_from_a_closed_connection_whose_kept_updates_join_a_snapshot() -> None:
    sync = Sync()
    sync.offer(update(11))
    sync.offer(update(12))
    sync.closed(A, 1, "network", 0)
    assert ids(sync.base(10, 0)) == [(11, 11), (12, 12)]
    gap = sync.offer(update(15, connection=2)).gap
    assert gap is not None
    assert gap.beyond[:2] == (15, 15)


def test_ids_are_missing_five_seconds_after_the_first_later_one() -> None:
    sync = based(10, update(11))
    sync.offer(update(14, connection=2, recv_ns=S))
    assert sync.tick(S + RIVAL_NS - 1).gap is None
    assert sync.tick(S + RIVAL_NS).gap is not None


def test_a_desync_keeps_what_comes_after_the_last_good_update() -> None:
    sync = based(10, update(11))
    sync.desync(11, [update(12), update(13)])
    sync.offer(update(14))
    assert sync.state is State.WAITING
    assert not sync.accepts(9)
    assert ids(sync.base(12, 0)) == [(13, 13), (14, 14)]


def test_what_is_kept_for_a_snapshot_stays_where_the_hosts_clock_is_set() -> None:
    sync = based(10)
    sync.desync(11, [update(12, recv_ns=S), update(13, recv_ns=S)])
    for hours in (1, 2, -3):
        sync.tick(S + hours * 3600 * S)
    assert ids(sync.base(11, 0)) == [(12, 12), (13, 13)]


def test_kept_updates_are_bounded_in_number_and_age(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync_module, "BUFFERED_UPDATES", 20)
    sync = Sync()
    for n in range(21):
        sync.offer(update(10 + n, recv_ns=n * S))
    assert (sync.kept, sync.lows()) == (18, {A: position_at(1, 13)})
    for n in range(BUFFERED_TICKS):
        sync.tick(n * S)
    sync.tick(5 * S + BUFFERED_NS)
    assert sync.lows() == {A: position_at(1, 15)}
    sync.offer(update(12, recv_ns=30 * S))
    assert sync.lows() == {A: position_at(1, 12)}


def test_the_walks_of_another_implementation_go_the_same_way() -> None:
    cases = {
        case["name"]: case["steps"] for case in json.loads(captures.text("vectors/sync_walks.json"))["cases"]
    }
    for name in ("full walk", "stale after snapshot", "per symbol state"):
        syncs: dict[str, Sync] = {}
        for step in cases[name]:
            sync = syncs.setdefault(step.get("symbol", ""), Sync())
            expected = step["expect"].split()[0].rstrip(":")
            if "snapshot" in step:
                sync._kept.clear()  # that implementation keeps nothing while it waits
                assert sync.accepts(step["snapshot"])
                sync.base(step["snapshot"], 0)
                continue
            was, outcome = sync.state, sync.offer(update(*step["depth"]))
            if expected == "apply":
                said = expected if ids(outcome) == [tuple(step["depth"])] else "?"
            elif outcome.gap is not None:
                said = "gap"
            else:
                said = "drop_unsynced" if was is State.WAITING else "drop_stale"
            assert said == expected, (name, step)


test_the_walks_of_another_implementation_go_the_same_way = pytest.mark.captures(
    test_the_walks_of_another_implementation_go_the_same_way
)


def chopped(lengths: Sequence[int]) -> list[Update]:
    updates, first = [], 11
    for length in lengths:
        updates.append(update(first, first + length - 1))
        first += length
    return updates


@given(st.lists(st.integers(1, 4), min_size=1, max_size=12), st.data())
def test_whatever_is_dropped_doubled_or_late_what_is_ready_is_a_chain(
    lengths: list[int], data: st.DataObject
) -> None:
    stream = chopped(lengths)
    order = data.draw(st.lists(st.integers(0, len(stream) - 1), max_size=30))
    connections = data.draw(st.lists(st.integers(1, 2), min_size=len(order), max_size=len(order)))
    snapshots = data.draw(st.dictionaries(st.integers(0, len(order)), st.integers(5, 40), max_size=3))
    sync, reached = Sync(), None
    for n in range(len(order) + 1):
        if n in snapshots and sync.accepts(snapshots[n]):
            assert reached is None or sync.state is not State.LIVE
            reached = snapshots[n]
            outcome = sync.base(snapshots[n], 0)
            for each in outcome.ready:
                assert each.first_id <= reached + 1 <= each.last_id
                reached = each.last_id
        if n < len(order):
            outcome = sync.offer(stream[order[n]]._replace(connection=connections[n]))
            for each in outcome.ready:
                assert reached is not None
                assert each.first_id <= reached + 1 <= each.last_id
                reached = each.last_id
            if outcome.gap is not None:
                assert reached is not None
                assert outcome.gap.beyond.first_id > reached + 1


@given(st.lists(st.integers(1, 4), min_size=1, max_size=12), st.randoms(), st.integers(0, 3))
def test_two_connections_that_each_bring_all_give_each_id_once(
    lengths: list[int], random: object, base: int
) -> None:
    stream = chopped(lengths)
    queues = [list(stream), list(stream)]
    sync, ready = based(10), []
    sync.connections.brought(A, 1, 10)
    sync.connections.brought(A, 2, 10)
    while any(queues):
        queue = random.choice([q for q in queues if q])  # type: ignore[attr-defined]
        outcome = sync.offer(queue.pop(0)._replace(connection=1 + (queue is queues[1])))
        assert outcome.gap is None
        ready += outcome.ready
    assert [each[:2] for each in ready] == [each[:2] for each in stream]


def test_a_checkpoint_holds_all_of_it() -> None:
    sync = based(10, update(11), update(13, connection=2))
    other = Sync()
    other.load(msgpack.unpackb(msgpack.packb(sync.dump()), strict_map_key=False))
    assert other.dump() == sync.dump()


def test_a_feed_without_ids_is_a_chain_for_each_connection() -> None:
    sync = FeedSync()
    assert sync.offer(update(5)) == Outcome([])
    sync.base(position_at(1, 6), Source(A, 1, 1))
    outcome = sync.offer(update(9))
    assert ids(outcome) == [(position_at(1, 6) + 1, position_at(1, 9))]
    assert ids(sync.offer(update(10))) == [(position_at(1, 9) + 1, position_at(1, 10))]
    assert ids(sync.offer(update(11, connection=2))) == []
    assert sync.cause(Source(A, 1, 2)) == "network"
    sync.closed(B, 1, "of another line")
    sync.new_epoch(B)
    assert sync.state is State.LIVE
    sync.closed(A, 1, "rotation")
    assert sync.cause(Source(A, 1, 2)) == "rotation"
    sync.base(position_at(1, 12), Source(A, 1, 2))
    assert ids(sync.offer(update(13))) == []
    assert ids(sync.offer(update(14, connection=2))) == [(position_at(1, 12) + 1, position_at(1, 14))]
    assert sync.cause(Source(A, 2, 1)) == "own_restart"


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("rotation", "rotation"),
        ("disk has less than its reserve of 9 bytes free", "disk"),
        ("connection broken: reset", "network"),
    ],
)
def test_a_hole_between_connections_has_the_cause_for_which_the_first_one_ended(
    reason: str, cause: str
) -> None:
    connections = Connections()
    connections.brought(A, 1, 5)
    connections.closed(A, 1, reason)
    assert connections.cause(Source(A, 0, 1), Source(A, 0, 2)) == cause
    assert connections.cause(Source(A, 0, 1), Source(B, 0, 2)) == cause
    feed = FeedSync()
    feed.base(3, Source(A, 0, 1))
    feed.closed(A, 1, reason)
    assert feed.cause(Source(A, 0, 2)) == cause


def test_ids_of_a_line_that_is_behind_are_waited_for_and_those_of_one_that_passed_them_are_not() -> None:
    sync = based(10, update(11), update(11, line=B))
    assert sync.offer(update(14)) == Outcome([])
    assert sync.lows() == {A: position_at(1, 14)}
    assert ids(sync.offer(update(12, 13, line=B))) == [(12, 13), (14, 14)]
    sync.offer(update(17, line=B))
    assert sync.offer(update(17)).gap is not None


def test_ids_that_a_line_which_started_again_cannot_bring_are_not_waited_for() -> None:
    sync = based(10, update(11), update(11, line=B))
    assert sync.offer(update(14)) == Outcome([])
    gap = sync.new_epoch(B, 2, 0).gap
    assert gap is not None
    assert gap.cause == "venue"


def test_what_a_second_line_repeats_is_dropped_at_once_and_counted() -> None:
    sync = based(10, update(11), update(12, 13))
    assert sync.repeats([11, 13], [4, 4], B)
    assert not sync.repeats([13, 14], [4, 4], B)
    assert sync.old == 2
    assert sync.offer(update(16)) == Outcome([])  # (the second line may still bring what is missing)


@pytest.mark.parametrize(("reason", "cause"), [("disk refuses a write", "disk"), ("stopped", "own_restart")])
def test_a_pause_for_the_disk_is_the_cause_though_the_line_started_again_meanwhile(
    reason: str, cause: str
) -> None:
    before, after = Source(A, 0, 1), Source(A, 3, 1)
    connections = Connections()
    connections.brought(A, 1, 5)
    connections.closed(A, 1, reason)
    for epoch in (1, 2):
        connections.new_epoch(A, epoch)
    connections.brought(A, 1, 9)
    assert connections.cause(before, after) == cause
    feed = FeedSync()
    feed.base(3, before)
    feed.closed(A, 1, reason)
    feed.new_epoch(A)
    assert feed.cause(after) == cause
    connections.new_epoch(A, 4)  # killed while it was recording
    assert connections.cause(before, after) == "own_restart"
