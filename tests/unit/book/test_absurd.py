"""What cannot be true does not lead a security away: absurd exchange times, absurd ids."""

from tests.unit.book.play import START, S, Story, ints, of_type, play
from wire.runs import Changes, RunMessage, Trades

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
    story.journal.command(story.at(2), "binance:XUSDT", "remove")
    made, said = play(story.groups)
    assert effective(said, Changes) == [0.2, 0.2]
    assert effective(said, Trades) == [0.3, 0.3]
    assert made.securities["binance:XUSDT"].book.recording.clock.replaced == 1
