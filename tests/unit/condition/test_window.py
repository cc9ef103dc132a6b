"""A window's documents depend on what is in it, not on the messages that brought it; parts are bounded."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from condition import codec, window
from condition.window import BadCut, Block, Window
from tests.unit.condition.maintainer import int64s
from wire.runs import Changes, Cut, Trades

SECURITY = "binance:TEST"
SECOND = 10**9


def changes(
    ids: list[int], *, levels: int = 1, price_scale: int = 0, price: int = 7, size: int = 3
) -> Changes:
    total = len(ids) * levels
    return Changes(
        security=SECURITY,
        run=1,
        number=1,
        marks={},
        start_ns=0,
        price_scale=price_scale,
        size_scale=0,
        first_ids=int64s(ids),
        last_ids=int64s(ids),
        times_ns=int64s(ids),
        effective_ns=int64s(ids),
        received_ns=int64s(ids),
        bid_counts=int64s([levels] * len(ids)),
        ask_counts=int64s([0] * len(ids)),
        prices=int64s([price - n for n in range(levels)] * len(ids)),
        sizes=int64s([size] * total),
        old_sizes=int64s([0] * total),
    )


def cut(*chains: tuple[int, int, int | None, bytes], feed: str = "changes", every_ms: int = 0) -> Cut:
    return Cut(SECURITY, 1, 2, {}, feed, 0, chains, every_ms, True)


def blocks(messages: list[Changes], at: Cut, *, has_ids: bool = True) -> list[Block]:
    made = Window(messages[0], window_ns=10 * SECOND, has_ids=has_ids)
    for message in messages[1:]:
        made.add(message)
    return made.unwritten(at)


def decoded(block: Block) -> codec.ChangeColumns:
    return codec.decode_changes(block.fields)


def test_a_block_says_what_it_holds() -> None:
    (block,) = blocks([changes([4, 5]), changes([8])], cut((4, 5, 1, b"x"), (8, 8, 7, b"y")))
    header = {
        k: v for k, v in block.fields.items() if k not in ("body", "receipts", "crc32c", "receipts_crc32c")
    }
    assert block.id == "binance:TEST|changes|0"
    assert block.covered == 3
    assert header == {
        "end_ns": 10 * SECOND,
        "every_ms": 0,
        "rows": 3,
        "levels": 3,
        "chains": [[4, 5, 1, b"x"], [8, 8, 7, b"y"]],
        "price_scale": 0,
        "size_scale": 0,
        "first_time": 4,
        "last_time": 8,
        "codec": "pco",
        "version": 1,
    }


def test_a_feed_without_ids_covers_as_many_as_it_has_updates() -> None:
    (block,) = blocks([changes([4, 9])], cut((4, 9, 1, b"x")), has_ids=False)
    assert block.covered == 2


def test_rows_outside_the_chains_are_a_broken_promise() -> None:
    with pytest.raises(BadCut):
        blocks([changes([4, 5, 6])], cut((4, 5, 1, b"x")))
    with pytest.raises(BadCut):
        blocks([changes([4])], cut())


def test_a_finer_value_rescales_what_came_before_in_its_window() -> None:
    (block,) = blocks([changes([1], price=7), changes([2], price=75, price_scale=1)], cut((1, 2, 0, b"")))
    assert block.fields["price_scale"] == 1
    assert decoded(block).prices.tolist() == [70, 75]


def test_what_would_not_fit_the_finer_scale_stays_in_a_part_of_its_own() -> None:
    large = 2**63 - 1
    first, second = blocks(
        [changes([1], price=large), changes([2], price=5, price_scale=3)], cut((1, 2, 0, b"end"))
    )
    assert (first.id, second.id) == ("binance:TEST|changes|0", "binance:TEST|changes|0|p2")
    assert (first.fields["price_scale"], second.fields["price_scale"]) == (0, 3)
    assert (decoded(first).prices.tolist(), decoded(second).prices.tolist()) == ([large], [5])
    assert first.fields["chains"] == [[1, 1, 0, b""]], "the hash is known only at the entry's end"
    assert second.fields["chains"] == [[2, 2, 0, b"end"]]


def test_a_version_is_made_again_only_when_it_covers_more() -> None:
    made = Window(changes([1]), window_ns=SECOND, has_ids=True)
    assert [b.covered for b in made.unwritten(cut((1, 1, 0, b"")))] == [1]
    assert made.unwritten(cut((1, 1, 0, b""))) == []
    made.add(changes([2]))
    assert [b.covered for b in made.unwritten(cut((1, 2, 0, b"")))] == [2]


def test_an_interval_policy_writes_net_rows_but_covers_every_id() -> None:
    (block,) = blocks([changes([1, 2, 3])], cut((1, 3, 0, b""), every_ms=1))
    assert (block.covered, block.fields["rows"], block.fields["every_ms"]) == (3, 1, 1)
    assert decoded(block).first_ids.tolist() == [1]
    assert decoded(block).last_ids.tolist() == [3]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 12), min_size=1, max_size=20),
    st.integers(0, 2**20),
    st.integers(0, 20),
)
def test_parts_depend_on_the_rows_and_not_on_the_messages(levels: list[int], joins: int, shown: int) -> None:
    before, window.ROWS_PER_PART = window.ROWS_PER_PART, 10
    try:
        messages = [changes([n + 1], levels=count) for n, count in enumerate(levels)]
        last = len(levels)
        apart = blocks(messages, cut((1, last, 0, b"h")))
        joined: list[Changes] = []
        for n, message in enumerate(messages):
            if joined and joins >> n & 1:
                joined[-1] = concatenated(joined[-1], message)
            else:
                joined.append(message)
        assert blocks(joined, cut((1, last, 0, b"h"))) == apart
        assert all(block.fields["levels"] <= 10 or block.fields["rows"] == 1 for block in apart)
        assert all(block.fields["rows"] <= 10 for block in apart)
        early = max(1, min(shown, last))
        provisional = blocks(messages[:early], cut((1, early, 0, b"h")))
        assert provisional[:-1] == apart[: len(provisional) - 1], "full parts never change"
        assert provisional[-1].covered <= apart[len(provisional) - 1].covered
        ids = [n for block in apart for n in decoded(block).first_ids.tolist()]
        assert ids == list(range(1, last + 1))
    finally:
        window.ROWS_PER_PART = before


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 6), st.sampled_from((0, 3, 19)), st.sampled_from((7, 2**62))),
        min_size=1,
        max_size=30,
    ),
    st.integers(1, 30),
)
def test_what_is_shown_early_is_divided_as_in_the_end_whatever_the_scales_do(
    drawn: list[tuple[int, int, int]], shown: int
) -> None:
    before, window.ROWS_PER_PART = window.ROWS_PER_PART, 10
    try:
        messages = [
            changes([n + 1], levels=levels, price_scale=scale, price=price)
            for n, (levels, scale, price) in enumerate(drawn)
        ]
        last, early = len(drawn), min(shown, len(drawn))
        final = blocks(messages, cut((1, last, 0, b"h")))
        provisional = blocks(messages[:early], cut((1, early, 0, b"h")))
        first_ids = [int(decoded(block).first_ids[0]) for block in final]
        assert [int(decoded(block).first_ids[0]) for block in provisional] == first_ids[: len(provisional)]
        assert [n for block in final for n in decoded(block).first_ids.tolist()] == list(range(1, last + 1))
        for row, price, scale in stored_prices(final):
            assert price == drawn[row - 1][2] * 10 ** (scale - drawn[row - 1][1])
    finally:
        window.ROWS_PER_PART = before


def test_a_part_begun_for_a_finer_scale_has_the_room_of_a_whole_part() -> None:
    before, window.ROWS_PER_PART = window.ROWS_PER_PART, 10
    try:
        large = changes([1, 2, 3, 4, 5, 6, 7], price=2**63 - 1)
        fine = [changes(list(range(first, first + 3)), price_scale=3) for first in (8, 11, 14, 17)]
        for shown in range(1, 5):
            last = 7 + 3 * shown
            made = blocks([large, *fine[:shown]], cut((1, last, 0, b"")))
            parts = [range(1, 8), range(8, min(last, 17) + 1), range(18, last + 1)]
            assert [decoded(block).first_ids.tolist() for block in made] == [list(p) for p in parts if p]
    finally:
        window.ROWS_PER_PART = before


def stored_prices(made: list[Block]) -> list[tuple[int, int, int]]:
    """Return of each row its id, its first price and that price's scale."""
    rows = []
    for block in made:
        columns = decoded(block)
        starts = np.cumsum(columns.bid_counts) - columns.bid_counts
        for n, start in zip(columns.first_ids.tolist(), starts.tolist(), strict=True):
            rows.append((n, int(columns.prices[start]), int(block.fields["price_scale"])))
    return rows


def concatenated(one: Changes, other: Changes) -> Changes:
    fields = {name: getattr(one, name) for name in one.__struct_fields__}
    for name, value in fields.items():
        if isinstance(value, bytes):
            fields[name] = value + getattr(other, name)
    return Changes(**fields)


def test_trades_are_one_row_each() -> None:
    trades = Trades(
        SECURITY,
        1,
        1,
        {},
        0,
        2,
        3,
        *(int64s([5, 6]) for _ in range(3)),
        int64s([9, 9]),
        b"\0\1",
        *(int64s([1, 2]),) * 2,
    )
    made = Window(trades, window_ns=SECOND, has_ids=False)
    (block,) = made.unwritten(cut((5, 6, None, b""), feed="trades"))
    assert (block.id, block.covered, block.fields["rows"]) == ("binance:TEST|trades|0", 2, 2)
    assert codec.decode_trades(block.fields).sides.tolist() == [0, 1]
