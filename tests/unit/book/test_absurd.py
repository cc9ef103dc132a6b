"""What cannot be true does not lead a security away: absurd exchange times, absurd ids."""

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.book.play import NAME, START, S, Story, copied, ints, messages, of_type, play, unpacked
from wire.runs import Changes, Hole, RunMessage, Trades

ABSURD = 7_000_000_000
"""Seconds after START: the year 2245."""


def effective(said: list[RunMessage], kind: type) -> list[float]:
    """Return the effective times, in seconds after START."""
    return [(each - START) / S for message in of_type(said, kind) for each in ints(message.effective_ns)]


def test_the_first_update_ever_of_an_absurd_time_does_not_take_the_book_there() -> None:
    hour = -(START % (3600 * S)) / S
    story = Story().begin().snapshot(0.1, 10).update(0.2, 11, time=ABSURD)
    assert effective(story.update(1, 12).said(), Changes) == [hour, 1]
    assert effective(story.quiet_until(1000).said(), Changes) == [hour, 1]


def test_an_absurd_time_before_a_silence_is_replaced() -> None:
    story = Story().begin().snapshot(0.1, 10).update(0.2, 11).trade(0.3, 5)
    story.update(1, 12, time=ABSURD).trade(1, 6, time=ABSURD).quiet_until(1000)
    said = story.update(1001, 13).trade(1001, 7).said()
    assert effective(said, Changes) == [0.2, 0.2, 1001]
    assert effective(said, Trades) == [0.3, 0.3, 1001]


def test_an_absurd_time_right_before_a_remove_is_replaced() -> None:
    story = Story().begin().snapshot(0.1, 10).update(0.2, 11).trade(0.3, 5)
    story.update(1, 12, time=ABSURD).trade(1, 6, time=ABSURD)
    story.journal.command(story.at(2), NAME, "remove")
    made, said = play(story.groups)
    assert effective(said, Changes) == [0.2, 0.2]
    assert effective(said, Trades) == [0.3, 0.3]
    assert made.securities[NAME].book.recording.clock.replaced == 1


FAR = [1 << 62, (1 << 63) - 1, 3_000_000_000]


def last_ids(said: list[RunMessage]) -> list[int]:
    return [each for message in of_type(said, Changes) for each in ints(message.last_ids)]


def trade_ids(said: list[RunMessage]) -> list[int]:
    return [each for message in of_type(said, Trades) for each in ints(message.ids)]


def started() -> Story:
    return Story().begin().snapshot(0.1, 10).update(0.2, 11).trade(0.3, 5)


@given(st.sampled_from(FAR), st.sets(st.integers(1, 12)), st.integers(1, 4))
def test_a_single_id_far_beyond_is_refused_and_nothing_else(far: int, where: set[int], group: int) -> None:
    story = Story(per_group=group).begin().snapshot(0.1, 10).update(0.2, 11).trade(0.3, 5)
    for n in range(1, 13):
        if n in where:
            story.update(n, far).trade(n, far)
        story.update(n + 0.2, 11 + n).trade(n + 0.2, 5 + n)
    made, said = play(story.groups)
    assert (last_ids(said), trade_ids(said)) == (list(range(11, 24)), list(range(5, 18)))
    assert of_type(said, Hole) == []
    security = made.securities[NAME]
    assert security.book.refused == security.trades.refused == len(where)


def test_an_update_that_reaches_from_the_next_id_far_beyond_is_refused_and_its_ids_are_a_row() -> None:
    said = started().update(1, 12, 1 << 62).update(2, 13).snapshot(3, 12).update(4, 14).said()
    assert last_ids(said) == [11, 13, 14]
    assert [(hole.first_id, hole.last_id) for hole in of_type(said, Hole)] == [(12, None), (12, 12)]


def test_the_very_first_id_may_be_large_but_not_impossible() -> None:
    story = Story().begin().update(0.1, 1 << 62).trade(0.1, 1 << 62).snapshot(0.2, 80_000_000_010)
    said = story.update(0.3, 80_000_000_011).trade(0.3, 90_000_000_000).said()
    assert (last_ids(said), trade_ids(said)) == ([80_000_000_011], [90_000_000_000])


def test_a_snapshot_at_an_id_far_beyond_is_no_base() -> None:
    story = Story().begin().update(0.1, 11).snapshot(0.2, 1 << 62).snapshot(1, 10).update(2, 12)
    assert last_ids(story.said()) == [11, 12]


def test_an_exchange_that_goes_on_far_beyond_is_believed_from_the_second_message_on() -> None:
    far = 5_000_000_000
    story = started().trade(1, far).trade(2, far + 1).trade(3, far + 2).update(1, far).update(2, far + 1)
    said = story.snapshot(3, far + 1).update(4, far + 2).said()
    assert trade_ids(said) == [5, far + 1, far + 2]
    assert last_ids(said) == [11, far + 2]
    holes = [(hole.first_id, hole.last_id) for hole in of_type(said, Hole) if hole.feed == "trades"]
    assert holes == [(6, far)]


@given(st.integers(1, 8), st.integers(2, 4), st.booleans(), st.sampled_from([11, 12, 13]))
def test_one_that_reaches_over_those_that_follow_and_is_no_update_keeps_none_away(
    group: int, at: int, waiting: bool, first: int
) -> None:
    """Whether they come in its group, after it, or are kept with it until a snapshot comes."""
    story = Story(per_group=group).begin()
    if not waiting:
        story.snapshot(0.1, 10)
    for update_id in range(11, 17):
        story.update(update_id / 10, update_id)
        if update_id == 10 + at:
            story.update(update_id / 10, min(first, update_id + 1), 1010, bids=[("NaN", "1")])
    if waiting:
        story.snapshot(2, 10)
    made, said = play(story.update(3, 17).quiet_until(6).update(7, 18).groups)
    assert (last_ids(said), of_type(said, Hole)) == ([*range(11, 19)], [])
    assert made.securities[NAME].shown_state == "live"


def test_what_was_refused_is_remembered_by_a_checkpoint() -> None:
    far = 5_000_000_000
    story = started().trade(1, far)
    before = len(story.groups)
    made, _ = play(story.groups)
    groups = story.trade(2, far + 1).trade(3, far + 2).groups
    said = list(messages(copied(made), unpacked(groups[before:])))
    assert trade_ids(said) == [far + 1, far + 2]
