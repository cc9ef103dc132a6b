"""A merged document says what the blocks said, and depends on nothing but their rows."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from condition import codec, merging
from condition.codec import ChangeColumns, OrderColumns, TradeColumns
from condition.merging import Part, Rows, Span, Terms, Weight
from condition.window import ROWS_PER_PART, Block
from tests.unit.condition import stranger
from tests.unit.condition.test_stranger import plain
from wire.runs import Chain

S = 1_000_000_000
T0 = 1_800_000_000 * S
WINDOW_NS = 10 * S
GRID = Span(T0, 60)
LENGTHS = merging.ladder(60, 10)
TERMS = Terms(0, True, 2, 8, 0)

DECODERS = {"changes": codec.decode_changes, "orders": codec.decode_orders, "trades": codec.decode_trades}
STRANGERS = {"changes": stranger.changes, "orders": stranger.orders, "trades": stranger.trades}


def rows_of(kind: str, seed: int) -> Rows:
    """Return rows of one span: ids that rise, with holes, and effective times that do too."""
    draw = np.random.default_rng(seed)
    count = int(draw.integers(1, 60))
    spans = draw.integers(0, 3, count) if kind == "changes" else np.zeros(count, np.int64)
    steps = 1 + 5 * (draw.random(count) < 0.1)
    first = 1000 + np.cumsum(steps) + np.concatenate(([0], np.cumsum(spans)[:-1]))
    effective = T0 + np.sort(draw.integers(0, 60 * S, count))
    times = effective - draw.integers(0, 2, count) * draw.integers(0, S, count)
    received = times + draw.integers(0, S, count)
    match kind:
        case "changes":
            counts = draw.integers(0, 3, (2, count))
            prices = []
            for bids, asks in counts.T.tolist():
                prices += [500 - n for n in range(bids)] + [501 + n for n in range(asks)]
            sizes = draw.integers(0, 5, len(prices))
            columns = (
                first,
                first + spans,
                times,
                effective,
                received,
                *counts,
                np.array(prices, np.int64),
                sizes,
            )
            return ChangeColumns(*(np.asarray(column, np.int64) for column in columns))
        case "trades":
            numbers = (draw.integers(0, high, count) for high in (2, 1000, 1000))
            return TradeColumns(first, times, effective, received, *numbers)
        case _:
            numbers = [draw.integers(0, high, count) for high in (6, 2, 6)]
            values = [draw.integers(0, 1000, count) for _ in range(6)]
            ids = draw.integers(0, 3, (count, 16)).astype(np.uint8)
            return OrderColumns(first, times, effective, received, *numbers, *values, ids, ids[::-1].copy())


def blocks_of(rows: Rows) -> list[Rows]:
    """Return *rows* as those of windows."""
    starts = rows.effective_ns // WINDOW_NS
    return [merging.taken(rows, np.flatnonzero(starts == each)) for each in np.unique(starts)]


def chains_of(rows: Rows) -> list[Chain]:
    first, last = merging.ids_of(rows)
    begins = [0, *(np.flatnonzero(first[1:] != last[:-1] + 1) + 1).tolist(), len(first)]
    found: list[Chain] = []
    for begin, end in pairwise(begins):
        found.append((int(first[begin]), int(last[end - 1]), 7, int(last[end - 1]).to_bytes(16, "little")))
    return found


def merge(kind: str, blocks: list[tuple[Rows, list[Chain]]]) -> list[Block]:
    """Return the documents of a span: what store.compaction does, without a database."""
    whole = Part(TERMS, merging.united([Part(TERMS, rows) for rows, _ in blocks]))
    chains = merging.joined([chain for _, found in blocks for chain in found])
    windows = {start: [weight] for start, weight in merging.weights_of(whole, WINDOW_NS).items()}
    return [
        merging.merged("x:Y", kind, leaf, chains, merging.within(whole, leaf))
        for leaf in merging.divided(GRID, LENGTHS, windows)
    ]


KINDS = pytest.mark.parametrize("kind", ["changes", "orders", "trades"])
LIMIT = st.sampled_from([3, 10, 40, ROWS_PER_PART])


@contextmanager
def limited(limit: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merging, "ROWS_PER_PART", limit)
        yield


def fits(rows: Rows) -> bool:
    return merging.fits([*merging.weights_of(Part(TERMS, rows), WINDOW_NS).values()])


@KINDS
@given(seed=st.integers(0, 2**32), limit=LIMIT)
def test_the_merged_documents_hold_the_rows_of_the_blocks(kind: str, seed: int, limit: int) -> None:
    rows = rows_of(kind, seed)
    with limited(limit):
        made = merge(kind, [(each, chains_of(each)) for each in blocks_of(rows)])
        fitting = [Part(TERMS, each) for each in blocks_of(rows) if fits(each)]
    decoded = [Part(TERMS, DECODERS[kind](each.fields)) for each in made]
    assert bool(decoded) == bool(fitting)
    if fitting:
        assert plain(merging.united(decoded)) == plain(merging.united(fitting))
    for each, (_, its) in zip(made, decoded, strict=True):
        assert STRANGERS[kind](each.fields) == plain(its)
        first, last = merging.ids_of(its)
        entries = each.fields["chains"]
        assert (entries[0][0], entries[-1][1]) == (int(first[0]), int(last[-1]))
        assert each.covered == int((last - first + 1).sum())
        ends = {int(last_id) for last_id in last}
        assert all(int.from_bytes(mark, "little") in ends for *_, mark in entries if mark)


@KINDS
@given(seed=st.integers(0, 2**32), limit=LIMIT)
def test_merging_is_a_function_of_the_rows_in_whatever_order_they_came(
    kind: str, seed: int, limit: int
) -> None:
    blocks = [(each, chains_of(each)) for each in blocks_of(rows_of(kind, seed))]
    shuffled = random.Random(seed).sample(blocks, len(blocks))
    early, late = shuffled[: len(blocks) // 2], shuffled[len(blocks) // 2 :]
    with limited(limit):
        whole = merge(kind, blocks)
        assert merge(kind, shuffled) == whole
        merged = [
            (DECODERS[kind](each.fields), [tuple(chain) for chain in each.fields["chains"]])
            for each in (merge(kind, early) if early else ())
        ]
        # (what was merged comes again)
        assert merge(kind, [*merged, *late, *early]) == whole


def test_a_window_that_is_too_much_or_of_two_kinds_stays() -> None:
    full, other = Weight(TERMS, ROWS_PER_PART, 1), Weight(TERMS._replace(every_ms=1000), 1, 1)
    little = Weight(TERMS, 1, 1)
    windows = {T0: [little], T0 + 10 * S: [little, other], T0 + 20 * S: [little], T0 + 30 * S: [full]}
    found = list(merging.divided(GRID, LENGTHS, windows))
    assert found == [Span(T0, 10), Span(T0 + 20 * S, 10), Span(T0 + 30 * S, 30)]
    windows[T0 + 40 * S] = [little]
    found = list(merging.divided(GRID, LENGTHS, windows))
    assert found[2:] == [Span(T0 + 30 * S, 10), Span(T0 + 40 * S, 10)]


def test_entries_of_one_image_are_joined_and_keep_the_last_hash() -> None:
    first: Chain = (1, 5, 1, b"a")
    after: Chain = (6, 9, 1, b"b")
    imaged: Chain = (10, 12, 9, b"c")
    holed: Chain = (20, 21, 9, b"d")
    chains = [imaged, first, holed, after]
    assert merging.joined(chains) == [(1, 9, 1, b"b"), imaged, holed]
    assert merging.joined([(1, 7, 1, b""), (1, 9, 1, b"b"), (3, 9, 1, b"b")]) == [(1, 9, 1, b"b")]
