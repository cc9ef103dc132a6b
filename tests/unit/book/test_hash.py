"""The book hash is what its definition says, however it was reached."""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from book.hash import of_levels, of_orders
from book.levels import Levels
from book.orders import Desync, Event, OrderBook
from book.scales import Scales
from venue.api import OrderKind

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "book_hash.json"

MASK = 2**64 - 1


def by_the_definition(rows: Sequence[Sequence[int]], price_scale: int, size_scale: int) -> str:
    """Follow the docstring of book.hash word for word, with Python's integers."""

    def mix(x: int) -> int:
        x ^= x >> 30
        x = x * 0xBF58476D1CE4E5B9 & MASK
        x ^= x >> 27
        x = x * 0x94D049BB133111EB & MASK
        return x ^ x >> 31

    lanes = b""
    for seed in (0x243F6A8885A308D3, 0x13198A2E03707344):
        total = 0
        for side, price, size, *rest in rows:
            words = [side, price * 10 ** (18 - price_scale), size * 10 ** (18 - size_scale), *rest]
            weights = [mix((seed + (k + 1) * 0x9E3779B97F4A7C15) & MASK) | 1 for k in range(len(words))]
            total += mix((seed + sum(w * k for w, k in zip(words, weights, strict=True))) & MASK)
        lanes += mix(total & MASK).to_bytes(8, "little")
    return lanes.hex()


def words_of(order_id: bytes) -> tuple[int, int]:
    return int.from_bytes(order_id[:8], "little", signed=True), int.from_bytes(
        order_id[8:], "little", signed=True
    )


def test_the_golden_books_have_their_hashes() -> None:
    golden = json.loads(GOLDEN.read_text())
    for book in golden["levels"]:
        sides, prices, sizes = zip(*book["rows"], strict=True) if book["rows"] else ((), (), ())
        scales = book["price_scale"], book["size_scale"]
        assert of_levels(sides, prices, sizes, *scales).hex() == book["hash"]
        assert by_the_definition(book["rows"], *scales) == book["hash"]
    for book in golden["orders"]:
        sides, prices, sizes, ids, placed = zip(*book["rows"], strict=True)
        scales = book["price_scale"], book["size_scale"]
        raw = [bytes.fromhex(each) for each in ids]
        assert of_orders(sides, prices, sizes, b"".join(raw), placed, *scales).hex() == book["hash"]
        rows = [
            (side, price, size, *words_of(each), at)
            for side, price, size, each, at in zip(sides, prices, sizes, raw, placed, strict=True)
        ]
        assert by_the_definition(rows, *scales) == book["hash"]


rows = st.lists(
    st.tuples(st.integers(0, 1), st.integers(1, 10**12), st.integers(1, 10**15)), unique_by=lambda r: r[:2]
)


@given(rows, st.randoms())
def test_the_order_of_rows_does_not_matter(book: list[tuple[int, int, int]], random: object) -> None:
    shuffled = list(book)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    columns = [list(column) for column in zip(*book, strict=True)] or [[], [], []]
    others = [list(column) for column in zip(*shuffled, strict=True)] or [[], [], []]
    assert of_levels(*columns, 2, 8) == of_levels(*others, 2, 8)


@given(rows, st.integers(0, 3), st.integers(0, 3))
def test_the_same_numbers_at_finer_scales_have_the_same_hash(
    book: list[tuple[int, int, int]], price_by: int, size_by: int
) -> None:
    sides = [row[0] for row in book]
    prices, sizes = [row[1] for row in book], [row[2] for row in book]
    finer = [p * 10**price_by for p in prices], [s * 10**size_by for s in sizes]
    assert of_levels(sides, prices, sizes, 2, 3) == of_levels(sides, *finer, 2 + price_by, 3 + size_by)


changes = st.lists(
    st.lists(st.tuples(st.integers(0, 1), st.integers(1, 8), st.integers(0, 3)), min_size=1, max_size=6)
)


@given(changes, st.integers(0, 5))
def test_a_book_of_levels_keeps_its_hash_as_if_made_anew(
    batches: list[list[tuple[int, int, int]]], raise_at: int
) -> None:
    levels = Levels()
    for n, batch in enumerate(batches):
        if n == raise_at:
            levels.rescale(Scales(levels.scales.price + 1, levels.scales.size + 2))
        olds = []
        for side, price, size in batch:
            olds += (levels.asks if side else levels.bids).apply([price], [size])
        table = np.array(batch, dtype=np.int64)
        levels.note(*(np.ascontiguousarray(table[:, k]) for k in range(3)), np.array(olds, dtype=np.int64))
        assert levels.hash() == levels.hash_from_scratch()


def order_id(number: int) -> bytes:
    return number.to_bytes(16, "big")


events = st.lists(
    st.tuples(
        st.sampled_from([OrderKind.OPEN, OrderKind.DONE, OrderKind.MATCH, OrderKind.CHANGE]),
        st.integers(0, 1),
        st.integers(1, 5),
        st.integers(1, 6),
        st.integers(0, 4),
    ),
    max_size=40,
)


@given(events, st.integers(0, 20))
def test_a_book_of_orders_keeps_its_hash_and_its_fold_as_if_made_anew(
    drawn: list[tuple[OrderKind, int, int, int, int]], raise_at: int
) -> None:
    book = OrderBook()
    for n, (kind, side, number, price, size) in enumerate(drawn):
        if n == raise_at:
            book.rescale(Scales(book.scales.price + 1, book.scales.size + 1))
        with suppress(Desync):
            book.apply(Event(n, kind, side, order_id(number), price, size))
        assert book.hash() == book.hash_from_scratch()
        totals: dict[tuple[int, int], int] = {}
        for row in book.rows()[1]:
            totals[row.side, row.price] = totals.get((row.side, row.price), 0) + row.size
        sides = (book.fold.bids.sizes, book.fold.asks.sizes)
        assert totals == {(s, price): size for s in (0, 1) for price, size in sides[s].items()}
        assert not book.fold.crossed()
