"""The order of several lines' groups is a function of the groups, however they arrive."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from book.merge import Merge
from journal.group import Group, Kind, pack_group, unpack_group

A, B, C = "binance/a", "binance/b", "binance/c"


def group(line: str, clock_ns: int, first: int) -> Group:
    return unpack_group(pack_group(line, Kind.TICK, first, clock_ns, [(clock_ns, "", 0, b"")]))


def of(line: str, *clocks: int) -> list[Group]:
    return [group(line, clock_ns, first) for first, clock_ns in enumerate(clocks, 1)]


def told(groups: list[Group]) -> list[tuple[str, int]]:
    return [(each.line[-1], each.clock_ns) for each in groups]


def test_one_line_waits_for_nobody() -> None:
    merge = Merge([A])
    merge.put(A, of(A, 5, 7), away=False)
    assert told(merge.take()) == [("a", 5), ("a", 7)]
    assert merge.hungry == [A]


def test_the_earlier_clock_goes_first_and_of_equal_ones_the_first_line() -> None:
    merge = Merge([B, A])
    merge.put(B, of(B, 5, 6, 9), away=False)
    assert merge.take() == []
    merge.put(A, of(A, 6, 8), away=False)
    assert told(merge.take()) == [("b", 5), ("a", 6), ("b", 6), ("a", 8)]
    assert (merge.hungry, merge.oldest_ns) == ([A], 9)


def test_a_line_that_promised_a_clock_is_not_waited_for_before_it() -> None:
    merge = Merge([A, B])
    merge.put(A, of(A, 10, 20, 30), away=False)
    merge.promise(B, 0, 20)
    assert told(merge.take()) == [("a", 10), ("a", 20)]
    merge.promise(B, 3, 40)  # (what it appended before position 3 has not arrived)
    assert merge.take() == []
    merge.put(B, of(B, 22, 25), away=False)
    assert told(merge.take()) == [("b", 22), ("b", 25), ("a", 30)]


def test_a_line_that_is_away_is_not_waited_for_until_it_is_heard_again() -> None:
    merge = Merge([A, B])
    merge.put(A, of(A, 10), away=False)
    merge.put(B, [], away=True)
    assert told(merge.take()) == [("a", 10)]
    merge.put(B, of(B, 12), away=True)
    assert merge.take() == []
    merge.put(A, [], away=True)
    assert told(merge.take()) == [("b", 12)]


def test_a_line_is_read_again_from_where_it_is_told() -> None:
    merge = Merge([A, B])
    groups = of(A, 10, 20)
    merge.put(A, groups, away=False)
    merge.restart(A, 1)
    merge.restart(B, 1)
    merge.put(A, groups, away=False)
    merge.put(B, of(B, 30), away=False)
    assert told(merge.take()) == [("a", 10), ("a", 20)]


clocks = st.lists(st.integers(0, 50), max_size=12).map(sorted)


def merged(
    queues: dict[str, list[Group]], steps: Iterator[tuple[str, int, bool]] | list[tuple[str, int, bool]]
) -> list[Group]:
    """Return the order of all *queues*, put as *steps* say: a line, how many groups, whether it promises."""
    merge, waiting = Merge(list(queues)), {line: list(groups) for line, groups in queues.items()}
    order: list[Group] = []
    for line, count, promises in steps:
        if line not in merge.hungry:
            continue
        some, waiting[line] = waiting[line][:count], waiting[line][count:]
        merge.put(line, some, away=not some and not waiting[line])
        if promises and waiting[line]:
            merge.promise(line, waiting[line][0].first, waiting[line][0].clock_ns)
        order += merge.take()
    while any(waiting.values()) or merge.oldest_ns is not None:
        for line in merge.hungry:
            some, waiting[line] = waiting[line][:1], waiting[line][1:]
            merge.put(line, some, away=not some)
        order += merge.take()
    return order


@pytest.mark.parametrize("lines", [[A, B], [A, B, C]])
@given(st.data())
def test_the_order_does_not_depend_on_how_the_groups_arrive(lines: list[str], data: st.DataObject) -> None:
    queues = {line: of(line, *data.draw(clocks)) for line in lines}
    step = st.tuples(st.sampled_from(lines), st.integers(0, 4), st.booleans())
    expected = sorted(
        (each for groups in queues.values() for each in groups),
        key=lambda each: (each.clock_ns, each.line, each.first),
    )
    assert merged(queues, data.draw(st.lists(step, max_size=30))) == expected
