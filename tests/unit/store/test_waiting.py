"""What a writer has taken is named until it is settled, is bounded, and never goes out twice at once."""

from hypothesis import given
from hypothesis import strategies as st

from store.outcome import HAD, STORED, Outcome, Verdict
from store.waiting import BackOff, Entry, Waiting
from wire.messages import Answer, Document

RETRY = Outcome(Verdict.RETRY, "away")


def entry(name: str, covered: int = 1, to: str = "a", size: int = 10) -> Entry:
    return Entry(Document("changes", name, "v:S", 0, covered, {}, to), bytes(size))


def holding(*entries: Entry) -> Waiting:
    waiting = Waiting()
    for each in entries:
        waiting.take(each)
    return waiting


def test_what_waits_is_named_to_whoever_sent_it() -> None:
    waiting = holding(entry("x"), entry("y", to="b"), entry("z"))
    assert waiting.held() == {"a": Answer(held=(("x", 1), ("z", 1))), "b": Answer(held=(("y", 1),))}


def test_settled_documents_are_answered_and_forgotten_and_retried_ones_keep_their_place() -> None:
    waiting = holding(entry("x"), entry("y"), entry("z"), entry("r"))
    outcomes = [STORED, RETRY, HAD, Outcome(Verdict.REFUSED, "too large")]
    answers = waiting.settle(zip(waiting.batch(), outcomes, strict=True))
    refused = (("r", 1, "too large"),)
    assert answers == {"a": Answer(stored=(("x", 1),), had=(("z", 1),), refused=refused)}
    assert waiting.batch() == [entry("y")]


def test_a_version_that_comes_again_waits_once_and_is_answered_where_it_came_from_last() -> None:
    waiting = holding(entry("x", to="old"), entry("x", to="new"))
    assert len(waiting) == 1
    assert waiting.settle([(entry("x", to="old"), STORED)]) == {"new": Answer(stored=(("x", 1),))}


def test_of_two_versions_only_the_one_that_covers_more_goes_out() -> None:
    waiting = holding(entry("x", 1), entry("y"), entry("x", 5), entry("x", 3))
    batch = waiting.batch()
    assert {each.key for each in batch} == {("x", 5), ("y", 1)}
    waiting.settle([(each, STORED) for each in batch])
    assert {each.key for each in waiting.batch()} == {("x", 3)}


def test_a_full_buffer_says_so_by_count_and_by_bytes() -> None:
    waiting = Waiting(most_documents=2, most_bytes=100)
    waiting.take(entry("x"))
    assert not waiting.full
    waiting.take(entry("y"))
    assert waiting.full
    waiting.settle([(entry("y"), STORED)])
    assert not waiting.full
    waiting.take(entry("z", size=95))
    assert waiting.full


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 4), st.booleans()), max_size=60))
def test_whatever_happens_every_taken_version_is_settled_exactly_once_or_still_named(
    steps: list[tuple[str, int, bool]],
) -> None:
    waiting, settled, taken = Waiting(), [], set()
    for name, covered, works in steps:
        waiting.take(entry(name, covered))
        taken.add((name, covered))
        batch = waiting.batch()
        assert len({each.document.name for each in batch}) == len(batch)
        if works:
            taken -= {each.key for each in batch}
            answers = waiting.settle([(each, STORED) for each in batch])
            settled += [key for answer in answers.values() for key in answer.stored]
            assert sorted(settled[-len(batch) :]) == sorted(each.key for each in batch)
    assert set(waiting.held().get("a", Answer()).held) == taken
    assert not taken or waiting.full is False


def test_pauses_double_up_to_a_bound_and_start_anew_after_a_success() -> None:
    back_off = BackOff(first_s=1, most_s=5)
    assert [back_off.failed() for _ in range(5)] == [1, 2, 4, 5, 5]
    back_off.succeeded()
    assert back_off.failed() == 1
