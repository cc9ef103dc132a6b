"""Whatever a journal holds: the output is a function of it, and a reader of the output has the book.

The journals are drawn: updates that come, come twice, come late or never, on two connections, over several
epochs; snapshots good and stale; trades; silence; finer prices; commands.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from book.hash import of_levels
from book.maintainer import Maintainer
from book.windows import Recipe
from journal.group import Kind
from journal.payload import Connection, pack
from tests.journaled import Journal, unpacked
from tests.unit.book.play import (
    NAME,
    START,
    S,
    copied,
    depth,
    ints,
    maintainer,
    of_type,
    old_trades,
    olds,
    play,
    snapshot,
    stored,
    trade,
)
from wire.messages import Policy
from wire.names import position_at
from wire.runs import Audit, Changes, Cut, Healed, Hole, Image, RunMessage, Trades

RECIPE = Recipe(window_ns=10 * S, images_s=30, order_images_s=30)

PRICES = ["9", "9.5", "10", "10.25", "11", "12"]


class Market:
    """The true book, and every update it ever sent."""

    def __init__(self) -> None:
        self.bids: dict[str, str] = {"9": "1", "8": "2"}
        self.asks: dict[str, str] = {"13": "1", "14": "2"}
        self.last_id = 100
        self.trade_id = 7
        self.sent: list[bytes] = []

    def update(self, time_ns: int, side: int, price: str, size: str, span: int) -> bytes:
        book, other = (self.bids, self.asks) if side == 0 else (self.asks, self.bids)
        gone = []
        if size == "0":
            book.pop(price, None)
        else:
            book[price] = size
            crossing = (
                (lambda p: float(p) <= float(price)) if side == 0 else (lambda p: float(p) >= float(price))
            )
            gone = [(p, "0") for p in other if crossing(p)]
            for p, _ in gone:
                del other[p]
        mine, theirs = [(price, size)], gone
        first, self.last_id = self.last_id + 1, self.last_id + span
        sides = (mine, theirs) if side == 0 else (theirs, mine)
        self.sent.append(depth("XUSDT", first, self.last_id, time_ns, *sides))
        return self.sent[-1]

    def body(self) -> bytes:
        return snapshot(self.last_id, list(self.bids.items()), list(self.asks.items()))


step = st.one_of(
    st.tuples(
        st.just("update"),
        st.integers(0, 1),
        st.sampled_from(PRICES),
        st.sampled_from("0123"),
        st.integers(1, 3),
    ),
    st.tuples(
        st.just("update"),
        st.integers(0, 1),
        st.sampled_from(PRICES),
        st.sampled_from("0123"),
        st.integers(1, 3),
    ),
    st.tuples(
        st.just("lost"),
        st.integers(0, 1),
        st.sampled_from(PRICES),
        st.sampled_from("0123"),
        st.integers(1, 3),
    ),
    st.tuples(st.just("again"), st.integers(0, 30)),
    st.tuples(st.just("trade"), st.integers(0, 2)),
    st.tuples(st.just("fill"), st.integers(0, 8), st.integers(1, 4)),
    st.tuples(st.just("pass"), st.sampled_from([0.3, 2.0, 4.0, 12.0, 40.0])),
    st.tuples(st.just("long"), st.sampled_from([905, 4000])),
    st.tuples(st.just("ahead"), st.sampled_from([4000, 10000])),
    st.tuples(st.just("snapshot"), st.sampled_from(["gap", "command"])),
    st.tuples(
        st.just("stale"),
    ),
    st.tuples(
        st.just("asked"),
    ),
    st.tuples(st.just("audit"), st.lists(st.integers(0, 1), max_size=2)),
    st.tuples(
        st.just("switch"),
    ),
    st.tuples(
        st.just("close"),
    ),
    st.tuples(
        st.just("epoch"),
    ),
    st.tuples(
        st.just("remove"),
    ),
    st.tuples(st.just("add"), st.integers(1, 2)),
    st.tuples(
        st.just("finer"),
    ),
)


class Told:
    """Tells drawn steps as a journal."""

    def __init__(self, per_group: int, journal: type[Journal] = Journal) -> None:
        self.journal = journal("binance/a", per_group=per_group)
        self.market = Market()
        self.now = START
        self.connection = 1
        self.epoch = 1
        self.ahead = 0
        self.stale = self.market.body()
        self.policies = (Policy(), Policy(every_ms=1000, from_ns=START + 20 * S))
        self.journal.start(self.now)
        self.journal.add(self.now, NAME, "depth", self.policies)

    def tell(self, steps: Sequence[Any]) -> list[bytes]:
        for name, *args in steps:
            getattr(self, name)(*args)
        self.journal.flush()
        return self.journal.groups

    def update(self, side: int, price: str, size: str, span: int) -> None:
        self.now += S // 10
        frame = self.market.update(self.now + self.ahead * S, side, price, size, span)
        self.ahead = 0
        self.journal.frame(self.now, NAME, frame, self.connection)

    def lost(self, side: int, price: str, size: str, span: int) -> None:
        self.market.update(self.now, side, price, size, span)

    def again(self, back: int) -> None:
        if self.market.sent:
            frame = self.market.sent[-1 - back % len(self.market.sent)]
            self.journal.frame(self.now, NAME, frame, self.connection)

    def trade(self, step: int) -> None:
        self.market.trade_id += step
        self.journal.frame(self.now, NAME, trade("XUSDT", self.market.trade_id, self.now), self.connection)

    def fill(self, back: int, count: int) -> None:
        """Tell what REST says of *count* trades, the last of them *back* before the newest."""
        last = max(self.market.trade_id - back, 1)
        content = old_trades(range(max(1, last - count + 1), last + 1), self.now - back * S)
        self.journal.rest(self.now, NAME, content, what="trades", cause="gap")

    def finer(self) -> None:
        self.update(0, "8.125", "0.0625", 1)

    def snapshot(self, cause: str) -> None:
        body = self.market.body()
        self.journal.rest(self.now, NAME, body, cause=cause)
        self.stale = body

    def asked(self) -> None:
        self.journal.command(self.now, NAME, "asked")

    def audit(self, sides: Sequence[int]) -> None:
        self.asked()
        for side in sides:
            self.update(side, "10", "1", 1)
        self.snapshot("audit")

    def stale_(self) -> None:
        self.journal.rest(self.now, NAME, self.stale)

    def long(self, seconds: int) -> None:
        self.pass_(seconds)

    def pass_(self, seconds: float) -> None:
        self.now += int(seconds * S)
        self.journal.ticks_until(self.now)

    def switch(self) -> None:
        self.connection = 3 - self.connection

    def close(self) -> None:
        closed = pack(Connection("closed", "reset by peer"))
        self.journal.other(Kind.CONNECTION, self.now, payload=closed, connection=3 - self.connection)

    def epoch_(self) -> None:
        self.journal.flush()
        self.epoch += 1
        self.journal.position = position_at(self.epoch, 0)
        self.journal.start(self.now, "restart")
        self.journal.add(self.now, NAME, "depth", self.policies)

    def remove(self) -> None:
        self.journal.command(self.now, NAME, "remove")

    def add(self, since_ns: int) -> None:
        self.journal.add(self.now, NAME, "depth", self.policies, since_ns=since_ns)

    def ahead_(self, seconds: int) -> None:
        self.ahead = seconds


def renamed(steps: Sequence[Any]) -> list[Any]:
    # these names are values of Told too, or a keyword
    names = {"stale": "stale_", "pass": "pass_", "epoch": "epoch_", "ahead": "ahead_"}
    return [(names.get(name, name), *args) for name, *args in steps]


def told(steps: Sequence[Any], per_group: int) -> list[bytes]:
    return Told(per_group).tell(renamed(steps))


journals = st.builds(told, st.lists(step, max_size=40), st.sampled_from([1, 3, 16]))


def stopped_after(groups: Sequence[bytes], stops: Callable[[int], bool]) -> list[RunMessage]:
    made: Maintainer = maintainer(RECIPE)
    said: list[RunMessage] = []
    for n, group in enumerate(unpacked(groups)):
        if stops(n):
            made = copied(made, RECIPE)
        for output in made.feed(group):
            said.extend(output.messages)
    return said


@settings(max_examples=40, deadline=None)
@given(journals)
def test_the_same_journal_twice_and_one_stopped_after_every_group_say_the_same(groups: list[bytes]) -> None:
    _, said = play(groups, RECIPE)
    assert play(groups, RECIPE)[1] == said
    assert stored(stopped_after(groups, lambda _: True)) == stored(said)


@settings(max_examples=40, deadline=None)
@given(st.lists(step, max_size=40))
def test_how_frames_were_grouped_does_not_matter_to_what_is_stored(steps: list[Any]) -> None:
    one, many = (stored(play(told(steps, n), RECIPE)[1]) for n in (1, 16))
    assert one == many


@settings(max_examples=100, deadline=None)
@given(journals)
def test_a_reader_of_what_was_sent_has_the_book_by_hash_at_every_chain_entry_s_end(
    groups: list[bytes],
) -> None:
    _, said = play(groups, RECIPE)
    check_chains(said)
    check_numbers(said)


@settings(max_examples=100, deadline=None)
@given(journals)
def test_ids_are_stored_once_and_what_is_not_stored_is_in_the_ledger(groups: list[bytes]) -> None:
    made, said = play(groups, RECIPE)
    spans = []
    for message in of_type(said, Changes):
        spans += list(zip(ints(message.first_ids), ints(message.last_ids), strict=True))
    rows = {h.first_id: h for h in of_type(said, Hole) if h.feed == "book"}
    for (_, before), (after, _) in pairwise(spans):
        row = rows.get(before + 1)
        if after == before + 1:
            assert row is None or row.state == "healed"
        else:
            assert row is not None
            assert row.last_id == after - 1
    open_rows = [row for row in rows.values() if row.covered == 0]
    assert len(open_rows) == made.securities[NAME].book.ledger.is_open
    ids = [i for message in of_type(said, Trades) for i in ints(message.ids)]
    holes = [h for h in of_type(said, Hole) if h.feed == "trades"]
    opened = [(h.first_id, h.last_id) for h in holes if h.covered == 1]
    assert opened == [(a + 1, b - 1) for a, b in pairwise(ids) if b != a + 1]
    assert ids == sorted(set(ids))
    late = [i for message in of_type(said, Healed) for i in ints(message.ids)]
    healed = [(h.first_id, h.last_id) for h in holes if h.covered == 2]
    assert sorted(late) == sorted(i for first, last in healed for i in range(first, last + 1))
    assert set(healed) <= set(opened)


@settings(max_examples=100, deadline=None)
@given(journals)
def test_an_audit_with_a_true_snapshot_finds_no_difference(groups: list[bytes]) -> None:
    _, said = play(groups, RECIPE)
    assert [each for each in of_type(said, Audit) if each.equal != each.levels] == []


def check_numbers(said: list[RunMessage]) -> None:
    assert [each.number for each in said] == list(range(len(said)))
    marks = [each.marks["binance/a"] for each in said]
    assert marks == sorted(marks)
    starts: dict[str, int] = {}
    for cut in of_type(said, Cut):
        assert cut.start_ns >= starts.get(cut.feed, 0)
        starts[cut.feed] = cut.start_ns + (1 if cut.final else 0)


def check_chains(said: list[RunMessage]) -> None:
    """Rebuild the book at the end of each chain entry from its image, as a reader does."""
    images = {image.update_id: image for image in of_type(said, Image)}
    updates = [update for message in of_type(said, Changes) for update in taken_apart(message)]
    for cut in of_type(said, Cut):
        if cut.feed != "changes":
            continue
        for first_id, last_id, image_id, book_hash in cut.chains:
            assert image_id is not None
            image = images[image_id]
            scales = image.price_scale, image.size_scale
            rows = zip(ints(image.prices), ints(image.sizes), strict=True)
            book = {
                (int(n >= image.bids), *_same(price, size, scales)[:1]): size * 10 ** (9 - scales[1])
                for n, (price, size) in enumerate(rows)
            }
            assert hash_of(book) == image.hash
            reached = image_id
            for first, last, levels in updates:
                if last <= image_id or last > last_id:
                    continue
                assert first == reached + 1
                reached = last
                for side, price, size, old in levels:
                    assert old in (None, book.pop((side, price), 0))
                    if size:
                        book[side, price] = size
            assert reached == last_id
            assert first_id <= last_id
            assert hash_of(book) == book_hash


def _same(price: int, size: int, scales: tuple[int, int]) -> tuple[int, int]:
    return price * 10 ** (9 - scales[0]), size * 10 ** (9 - scales[1])


def taken_apart(message: Changes) -> list[tuple[int, int, list[tuple[int, int, int, int | None]]]]:
    scales = message.price_scale, message.size_scale
    by = 10 ** (9 - scales[1])
    rows = iter(zip(ints(message.prices), ints(message.sizes), olds(message), strict=True))
    updates = []
    heads = (message.first_ids, message.last_ids, message.bid_counts, message.ask_counts)
    for first, last, bids, asks in zip(*map(ints, heads), strict=True):
        levels = []
        for n in range(bids + asks):
            price, size, old = next(rows)
            old = old if old is None else old * by
            levels.append((int(n >= bids), price * 10 ** (9 - scales[0]), size * by, old))
        updates.append((first, last, levels))
    return updates


def hash_of(book: dict[tuple[int, int], int]) -> bytes:
    sides = [side for side, _ in book]
    return of_levels(sides, [price for _, price in book], list(book.values()), 9, 9)
