"""Both books of orders do what a list of orders does, event by event, whatever comes."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from book import table
from book.compiled_orders import COMPILED, AnyOrderBook, CompiledOrderBook
from book.events import Event, Events, OrderColumns, Row
from book.orders import OrderBook
from book.scales import LARGEST, Refused, Scales
from venue.api import OrderKind
from wire.runs import ABSENT

BOOKS = [OrderBook, *([CompiledOrderBook] if COMPILED else [])]
NAMES = [bytes([n, 0]) * 8 for n in range(40)]

prices = st.integers(1, 12)
sizes = st.integers(0, 4)
names = st.sampled_from(NAMES)


class Said(NamedTuple):
    """An event without its id."""

    kind: int
    side: int
    order_id: bytes
    price: int
    size: int


def or_absent(values: st.SearchStrategy[int]) -> st.SearchStrategy[int]:
    return st.one_of(values, st.just(ABSENT))


events = st.lists(
    st.one_of(
        st.builds(Said, st.just(OrderKind.OPEN), st.integers(0, 1), names, prices, sizes),
        st.builds(Said, st.just(OrderKind.MATCH), st.integers(0, 1), names, prices, sizes),
        st.builds(
            Said, st.just(OrderKind.OPEN), st.integers(0, 1), names, or_absent(prices), or_absent(sizes)
        ),
        st.builds(
            Said,
            st.sampled_from(OrderKind),
            st.integers(0, 1),
            names,
            prices,
            st.one_of(sizes, st.just(LARGEST)),
        ).filter(lambda said: said.kind != OrderKind.MATCH),
        st.builds(
            Said, st.just(OrderKind.CHANGE), st.integers(0, 1), names, or_absent(prices), or_absent(sizes)
        ),
        st.builds(Said, st.just(OrderKind.DONE), st.integers(0, 1), names, or_absent(prices), sizes),
    ),
    max_size=60,
)
rests = st.lists(
    st.builds(Row, st.integers(0, 1), prices, sizes, names, st.just(3), st.booleans()), max_size=12
)


class Model:
    """The same by a list: an order is where it stands, behind all that stand before it."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows: list[Row] = []
        for row in rows:
            if row.size and self.find(row.order_id) is None:
                self.rows.append(row)
        self.unknown = 0

    def find(self, order_id: bytes) -> Row | None:
        return next((row for row in self.rows if row.order_id == order_id), None)

    def total(self, side: int, price: int) -> int:
        return sum(row.size for row in self.rows if (row.side, row.price) == (side, price))

    def levels(self) -> dict[tuple[int, int], int]:
        return {(row.side, row.price): self.total(row.side, row.price) for row in self.rows}

    def fits(self, side: int, price: int, size: int, *, may_cross: bool) -> bool:
        others = [row.price for row in self.rows if row.side != side]
        across = bool(others) and (price <= max(others) if side else price >= min(others))
        return self.total(side, price) + size <= LARGEST and (may_cross or not size or not across)

    def apply(self, event: Event, *, may_cross: bool) -> bool:
        """Say whether the event can be true; apply it if so."""
        known = self.find(event.order_id)
        if event.kind == OrderKind.OPEN:
            if ABSENT in (event.price, event.size):
                return False
            row = Row(event.side, event.price, event.size, event.order_id, event.id, True)
            return self.put(known, row, may_cross=may_cross)
        if event.kind == OrderKind.MATCH:
            if known is None or event.size > known.size:
                return False
            self.resize(known, known.size - event.size)
        elif event.kind in (OrderKind.DONE, OrderKind.CHANGE):
            if known is None:
                self.unknown += 1
            elif event.kind == OrderKind.DONE:
                self.resize(known, 0)
            else:
                price = known.price if event.price == ABSENT else event.price
                size = known.size if event.size == ABSENT else event.size
                if price == known.price and size <= known.size:
                    self.resize(known, size)
                else:
                    row = Row(known.side, price, size, known.order_id, event.id, True)
                    return self.put(known, row, may_cross=may_cross)
        return True

    def put(self, known: Row | None, row: Row, *, may_cross: bool) -> bool:
        if not self.fits(row.side, row.price, row.size, may_cross=may_cross):
            return False
        if known is not None:
            self.rows.remove(known)
        if row.size:
            self.rows.append(row)
        return True

    def resize(self, row: Row, size: int) -> None:
        at = self.rows.index(row)
        self.rows[at : at + 1] = [row._replace(size=size)] if size else []

    def in_order(self) -> list[Row]:
        return sorted(self.rows, key=lambda row: (row.side, row.price if row.side else -row.price))

    def changes(self, before: dict[tuple[int, int], int]) -> list[tuple[int, int, int, int]]:
        after = self.levels()
        return [
            (*level, after.get(level, 0), before.get(level, 0))
            for level in sorted({*before, *after})
            if after.get(level, 0) != before.get(level, 0)
        ]


def columns(said: list[Said], first_id: int) -> Events:
    return Events(
        np.arange(first_id, first_id + len(said), dtype=np.int64),
        bytes(each.kind for each in said),
        bytes(each.side for each in said),
        b"".join(each.order_id for each in said),
        np.array([each.price for each in said], dtype=np.int64),
        np.array([each.size for each in said], dtype=np.int64),
    )


def is_same(book: AnyOrderBook, model: Model) -> bool:
    rows = model.in_order()
    bids = sum(row.side == 0 for row in rows)
    levels = {(side, price): size for side, price, size in fold_of(book)}
    return (
        book.rows() == (bids, rows)
        and book.columns().rows() == rows
        and len(book) == len(rows)
        and book.unknown == model.unknown
        and levels == model.levels()
        and book.hash() == book.hash_from_scratch()
        and book.fold_hash() == book.fold.hash_from_scratch()
        and list(book.sizes()) == [(r.side, r.price, r.order_id) for r in sorted(rows, key=lambda r: r[:2])]
    )


def fold_of(book: AnyOrderBook) -> list[tuple[int, int, int]]:
    bids, _, found, sizes = book.fold.columns()
    return [(int(n >= bids), price, size) for n, (price, size) in enumerate(zip(found, sizes, strict=True))]


@pytest.mark.parametrize("kind", BOOKS)
@pytest.mark.parametrize("may_cross", [False, True])
@given(rested=rests, batches=st.lists(events, max_size=4))
def test_a_run_of_events_is_each_of_them_up_to_the_first_that_cannot_be(
    kind: type[AnyOrderBook], may_cross: bool, rested: list[Row], batches: list[list[Said]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "DEAD_ROWS", 2)
        book, model = kind(), Model(rested)
        book.replace(rested, Scales(2, 1))
        book.may_cross = may_cross
        assert is_same(book, model)
        for n, said in enumerate(batches):
            done = 0
            while done < len(said):
                run = columns(said, 100 * n)
                stop, found = book.apply_all(run, done, len(said), fold=True)
                assert found is not None
                rows = iter(
                    zip(found.prices.tolist(), found.sizes.tolist(), found.olds.tolist(), strict=True)
                )
                counts = zip(found.bids.tolist(), found.asks.tolist(), strict=True)
                for at, (bids, asks) in zip(range(done, stop), counts, strict=True):
                    before = model.levels()
                    assert model.apply(Event(100 * n + at, *said[at]), may_cross=may_cross)
                    changes = [(side, *next(rows)) for side in [0] * bids + [1] * asks]
                    assert changes == model.changes(before)
                assert is_same(book, model)
                if stop < len(said):
                    assert not model.apply(Event(100 * n + stop, *said[stop]), may_cross=may_cross)
                done = stop + 1


@pytest.mark.parametrize("kind", BOOKS)
@given(rested=rests, said=events)
def test_single_events_do_the_same(kind: type[AnyOrderBook], rested: list[Row], said: list[Said]) -> None:
    single, run = kind(), kind()
    for book in (single, run):
        book.replace(rested, Scales())
        book.may_cross = True
    events_run = columns(said, 1)
    stop, _ = run.apply_all(events_run, 0, len(said), fold=False)
    for n, each in enumerate(said[:stop]):
        single.apply(Event(1 + n, *each))
    assert single.rows() == run.rows()
    assert single.hash() == run.hash()
    for name in NAMES:
        assert single.place(name) == run.place(name) == OrderBook.place(plain_of(run), name)


def plain_of(book: AnyOrderBook) -> OrderBook:
    made = OrderBook()
    made.replace(book.rows()[1], book.scales)
    return made


@pytest.mark.parametrize("kind", BOOKS)
@given(rested=rests, best_first=st.booleans())
def test_columns_of_orders_fill_a_book_as_their_rows_do(
    kind: type[AnyOrderBook], rested: list[Row], best_first: bool
) -> None:
    def place(row: Row) -> tuple[int, int]:
        return row.side, (row.price if row.side else -row.price) * best_first

    rows = sorted(rested, key=place)
    model, book = Model(rows), kind()
    book.replace([Row(0, 5, 1, NAMES[0], 1, True)], Scales())
    book.fill(stored(rows), Scales(2, 1))
    assert is_same(book, model)
    bids, found, sizes = book.levels()
    assert fold_of(book) == [
        (int(n >= bids), *level) for n, level in enumerate(zip(found.tolist(), sizes.tolist(), strict=True))
    ]


def stored(rows: list[Row]) -> OrderColumns:
    prices, sizes, placed = (np.array([row[n] for row in rows], np.int64).tobytes() for n in (1, 2, 4))
    ids, certain = b"".join(row.order_id for row in rows), bytes(row.certain for row in rows)
    return OrderColumns(sum(row.side == 0 for row in rows), prices, sizes, ids, placed, certain)


@pytest.mark.parametrize("kind", BOOKS)
@given(rested=rests, said=events)
def test_raised_scales_multiply_everything_and_keep_the_hash(
    kind: type[AnyOrderBook], rested: list[Row], said: list[Said]
) -> None:
    book = kind()
    book.replace(rested, Scales())
    book.apply_all(columns(said, 1), 0, len(said), fold=False)
    before, rows = book.hash(), book.rows()
    try:
        book.rescale(Scales(2, 1))
    except Refused:
        assert max(size for _, _, size in fold_of(book)) > LARGEST // 10
        assert book.rows() == rows
    else:
        raised = [row._replace(price=100 * row.price, size=10 * row.size) for row in rows[1]]
        assert book.rows() == (rows[0], raised)
    assert book.hash() == before == book.hash_from_scratch()


@pytest.mark.parametrize("kind", BOOKS)
def test_many_orders_come_and_go_and_are_found(kind: type[AnyOrderBook]) -> None:
    names = np.random.default_rng(1).bytes(16 * 3_000)
    ids = [names[16 * n : 16 * n + 16] for n in range(3_000)]
    book, model = kind(), OrderBook()
    for made in (book, model):
        for n in range(9_000):
            opened = Event(
                n, OrderKind.OPEN, n % 2, ids[n % 3_000], 1_000 + (n % 2) * 1_000 + n * 7 % 900, 1 + n
            )
            made.apply(opened)
            made.apply(Event(n, OrderKind.DONE, 0, ids[n * 17 % 3_000], ABSENT, ABSENT))
    assert book.rows() == model.rows()
    assert book.hash() == model.hash()


@pytest.mark.parametrize("kind", BOOKS)
def test_a_body_with_more_at_a_price_than_64_bits_hold_is_refused(kind: type[AnyOrderBook]) -> None:
    book = kind()
    book.replace([Row(0, 5, 1, NAMES[0], 1, True)], Scales())
    rows = [Row(0, 5, 2**62, name, 1, True) for name in NAMES[:2]]
    with pytest.raises(Refused):
        book.replace(rows, Scales())
    with pytest.raises(Refused):
        book.fill(stored(rows), Scales())
    assert len(book) == 1
    assert book.hash() == book.hash_from_scratch()
