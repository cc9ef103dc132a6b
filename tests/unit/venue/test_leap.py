"""One id that cannot be true is refused; two that follow one another are an exchange that goes on there."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from venue.leap import FIRST, LEAP, Leaps


def taken(messages: Iterable[tuple[str, int]]) -> set[int]:
    """Return the ids that are taken of *messages* (line, id)."""
    leaps, reached, ids = Leaps(), None, set()
    for line, one in messages:
        if leaps.takes(line, one, one, reached):
            ids.add(one)
            reached = one if reached is None else max(reached, one)
    return ids


def test_a_leap_is_refused_unless_the_next_message_follows_it() -> None:
    far = 3 * LEAP
    assert taken([("a", 1), ("a", far), ("a", 2), ("a", far + 1), ("a", 3)]) == {1, 2, 3}
    assert taken([("a", 1), ("a", far), ("a", far + 1), ("a", far + 2)]) == {1, far + 1, far + 2}
    assert taken([("a", 1), ("a", far), ("a", far)]) == {1}
    assert taken([("a", 1), ("a", 1 + LEAP)]) == {1, 1 + LEAP}
    assert taken([("a", FIRST + 1), ("a", 7)]) == {7}


@given(st.lists(st.sampled_from(["next", "far", "on"]), max_size=12), st.data())
def test_the_outcome_does_not_depend_on_how_two_lines_interleave(
    kinds: list[str], data: st.DataObject
) -> None:
    ids, far = [1], 0
    for kind in kinds:
        match kind:
            case "next":
                ids.append(ids[-1] + 1 if ids[-1] < LEAP else ids[-1] + 2)
            case "far":
                far = max(ids) + 3 * LEAP
                ids += [far, far + 1]
            case _:
                ids.append(max(ids) + 5)
    seen = {"a": 0, "b": 0}
    messages = []
    while min(seen.values()) < len(ids):
        line = data.draw(st.sampled_from([line for line, n in seen.items() if n < len(ids)]))
        messages.append((line, ids[seen[line]]))
        seen[line] += 1
    assert taken(messages) == taken(("a", one) for one in ids)
