"""When a security needs a snapshot, and which one joins: the table of ingest.snapshots, row by row."""

from ingest.snapshots import DEPTHS, QUIET_NS, WISH_GAP_NS, Need, State

S = 1_000_000_000
DEPTH, FULL = DEPTHS["depth"], DEPTHS["full"]


def live(first: int = 100, snapshot: int = 100) -> Need:
    """Return the need of a security whose snapshot has joined its chain on connection 1."""
    need = Need(DEPTH)
    need.subscribed(1, 0)
    need.update(1, first, first + 1, 0)
    need.asked(DEPTH.steps[-1], 0)
    assert need.answered(snapshot, 0)
    assert need.state is State.IDLE
    return need


def test_subscribed_it_needs_one_once_the_first_update_has_come() -> None:
    need = Need(DEPTH)
    assert not need.due(0)
    need.subscribed(1, 0)
    assert (need.state, need.cause) == (State.NEEDED, "subscribe")
    assert not need.due(S)
    need.update(1, 10, 12, S)
    assert need.due(S)


def test_or_after_a_short_wait_on_a_quiet_market() -> None:
    need = Need(DEPTH)
    need.subscribed(1, 0)
    assert need.due(QUIET_NS)


def test_a_level_3_body_is_given_the_time_that_caches_hold_an_old_one() -> None:
    need = Need(FULL)
    need.update(1, 10, 10, 0)
    assert not need.due(FULL.settle_ns - 1)
    assert need.due(FULL.settle_ns)


def test_the_oldest_body_that_joins_is_the_one_just_before_the_first_update() -> None:
    for snapshot, joins in ((98, False), (99, True), (100, True), (5000, True)):
        need = Need(DEPTH)
        need.update(1, 100, 101, 0)
        need.asked(DEPTH.steps[-1], 0)
        assert need.answered(snapshot, 0) is joins
        assert need.state is (State.IDLE if joins else State.NEEDED)


def test_the_next_id_is_no_break_nor_is_one_that_reaches_back() -> None:
    need = live()
    assert need.update(1, 102, 110, 1)
    assert need.update(1, 105, 112, 2)
    assert need.state is State.IDLE


def test_an_id_that_cannot_be_true_is_no_break_unless_the_next_update_follows_it() -> None:
    need = live()
    assert need.update(1, 1 << 62, 1 << 62, 1)
    assert need.update(1, 102, 1 << 62, 1)
    assert need.update(1, 102, 103, 2)
    assert not need.update(1, 105, 105, 2)
    need = live()
    assert need.update(1, 1 << 62, 1 << 62, 1)
    assert not need.update(1, (1 << 62) + 1, (1 << 62) + 1, 2)
    need = Need(DEPTH)
    need.update(1, 1 << 62, 1 << 62, 0)
    need.update(1, 100, 101, 0)
    need.asked(DEPTH.steps[-1], 0)
    assert need.answered(100, 0)


def test_a_missing_id_is_a_break_and_only_a_newer_body_joins() -> None:
    need = live()
    assert not need.update(1, 103, 104, S)
    assert (need.state, need.cause) == (State.NEEDED, "gap")
    need.asked(DEPTH.steps[-1], 2 * S)
    assert not need.answered(101, 2 * S)
    need.asked(DEPTH.steps[-1], 4 * S)
    assert need.answered(102, 4 * S)


def test_a_body_that_is_ahead_of_the_stream_covers_what_is_missing_before_it() -> None:
    need = live(first=100, snapshot=200)
    assert need.update(1, 150, 160, 1)
    assert need.update(1, 180, 205, 2)
    assert need.update(1, 206, 207, 3)


def test_a_body_that_came_before_the_first_update_is_judged_by_it() -> None:
    need = Need(DEPTH)
    need.subscribed(1, 0)
    need.asked(DEPTH.steps[-1], QUIET_NS)
    assert need.answered(50, QUIET_NS)
    assert need.state is State.IDLE
    assert need.update(1, 51, 52, 3 * S)
    need = Need(DEPTH)
    need.subscribed(1, 0)
    need.asked(DEPTH.steps[-1], QUIET_NS)
    need.answered(50, QUIET_NS)
    assert not need.update(1, 52, 53, 3 * S)
    assert (need.state, need.cause) == (State.NEEDED, "subscribe")


def test_a_lost_connection_is_a_reason_once_another_carries_the_security() -> None:
    need = live()
    need.closed(1)
    assert not need.due(60 * S)
    need.update(2, 200, 201, 60 * S)
    assert need.due(60 * S)
    assert need.cause == "connection"


def test_a_body_asked_for_on_a_lost_connection_is_not_trusted_for_the_next_one() -> None:
    need = Need(DEPTH)
    need.update(1, 100, 101, 0)
    need.asked(DEPTH.steps[-1], 0)
    need.closed(1)
    need.answered(100, 1)
    assert (need.state, need.cause) == (State.NEEDED, "connection")


def test_a_connection_that_overlapped_the_one_before_is_no_reason() -> None:
    need = live(first=100)
    need.update(1, 102, 105, 1)
    need.update(2, 104, 107, 2)
    need.closed(1)
    assert need.state is State.IDLE


def test_a_connection_is_relieved_by_one_that_brought_an_update_it_has_brought_too() -> None:
    need = live(first=100)
    need.update(1, 102, 105, 1)
    assert not need.overlap(1, 2)
    need.update(2, 106, 109, 2)
    assert not need.overlap(1, 2)  # trades before 106 may be on their way on the first one alone
    need.update(1, 106, 109, 3)
    assert need.overlap(1, 2)


def test_one_that_began_after_the_end_of_the_one_before_is() -> None:
    need = live(first=100)
    need.update(1, 102, 105, 1)
    need.update(2, 107, 108, 2)
    need.closed(1)
    assert (need.state, need.cause) == (State.NEEDED, "connection")


def test_a_narrow_book_becomes_wider_step_by_step_and_an_audit_is_of_the_widest() -> None:
    need = Need(DEPTH)
    need.update(1, 100, 101, 0)
    assert need.steps == DEPTH.steps
    for number, levels in enumerate(DEPTH.steps):
        need.asked(levels, number * S)
        assert need.answered(100, number * S + 1)
        assert need.settled
        assert need.steps == (DEPTH.steps[number + 1 : number + 2] or DEPTH.steps)
    assert need.state is State.IDLE
    need.audit()
    assert need.steps == DEPTH.steps[-1:]
    need.wish("wish", 60 * S)
    assert need.steps == DEPTH.steps[1:]


def test_failures_wait_longer_each_time() -> None:
    need = Need(DEPTH)
    need.update(1, 100, 101, 0)
    now, waits = 0, []
    for _ in range(8):
        need.asked(DEPTH.steps[-1], now)
        need.failed(now)
        start = now
        while not need.due(now):
            now += S // 10
        waits.append((now - start) / S)
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]


def test_a_wish_is_heard_once_in_a_while_and_a_command_always() -> None:
    need = live()
    need.wish("wish", WISH_GAP_NS - 1)
    assert need.state is State.IDLE
    need.wish("command", WISH_GAP_NS - 1)
    assert (need.state, need.cause) == (State.NEEDED, "command")
    need = live()
    need.wish("wish", WISH_GAP_NS)
    assert (need.state, need.cause) == (State.NEEDED, "wish")
