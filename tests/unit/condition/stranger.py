"""A second decoder of blocks, written from condition/FORMAT.md alone: plain Python, one value at a time.

It shares no code with condition.codec; pcodec's own library reads the columns of encoding 3.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from pcodec import wrapped

Columns = Iterator[list[Any]]


def signed(value: int) -> int:
    """Reduce modulo 2**64 and read as a signed number."""
    return (value + 2**63) % 2**64 - 2**63


def uvarint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if data[at - 1] < 128:
            return value, at


def zigzag(raw: int) -> int:
    return raw // 2 if raw % 2 == 0 else -(raw + 1) // 2


def values(encoding: int, count: int, data: bytes, header: bytes) -> list[Any]:
    step, at = 1, 0
    if encoding & 128:
        step, at = uvarint(data, 0)
    kind, found = encoding & 127, []
    if kind == 0:
        found = [0] * count
    elif kind == 1:
        found = [zigzag(uvarint(data, 0)[0])] * count
    elif kind == 2:
        for _ in range(count):
            raw, at = uvarint(data, at)
            found.append(zigzag(raw))
    elif kind == 3:
        file, _ = wrapped.FileDecompressor.new(header)
        chunk, used = file.chunk_decompressor(data[at:], "i64")
        page = np.empty(count, np.int64)
        chunk.read_page_into(data[at + used :], count, page)
        found = page.tolist()
    elif kind == 4:
        return [data[16 * n : 16 * n + 16] for n in range(count)]
    elif kind == 5:
        found = [data[n // 8] >> n % 8 & 1 for n in range(count)]
    return [signed(value * step) for value in found]


def columns(data: bytes, layout: int) -> Columns:
    assert (data[0], data[1]) == (layout, 1)
    header, at = data[3 : 3 + data[2]], 3 + data[2]
    number, at = uvarint(data, at)
    entries = []
    for _ in range(number):
        encoding = data[at]
        count, at = uvarint(data, at + 1)
        length, at = uvarint(data, at)
        entries.append((encoding, count, length))
    for encoding, count, length in entries:
        yield values(encoding, count, data[at : at + length], header)
        at += length
    assert at == len(data)


def risen(first: int, steps: list[int], count: int, extra: int = 0) -> list[int]:
    found = [first][:count]
    for step in steps:
        found.append(signed(found[-1] + step + extra))
    return found


def added(left: list[int], right: list[int]) -> list[int]:
    return [signed(a + b) for a, b in zip(left, right, strict=True)]


def receipts(data: bytes, times: list[int]) -> list[int]:
    if data[0] == 17:
        base, rises = columns(data, 17)
        return risen(base[0], rises, len(times))
    lags, steps = (iter(column) for column in columns(data, 16))
    received: list[int] = []
    for n, time in enumerate(times):
        follows = n > 0 and 0 <= signed(time - times[n - 1]) < 2_000_000
        received.append(signed(received[-1] + next(steps) if follows else time + next(lags)))
    return received


def changes(fields: dict[str, Any]) -> dict[str, list[Any]]:
    (bases, id_steps, spans, time_steps, delays, bid_counts, ask_counts, *rest) = columns(fields["body"], 1)
    bid_tops, ask_tops, bid_steps, ask_steps, kept, sizes = rest
    first_ids, last_ids, following = [], [], bases[0]
    for span, step in zip(spans, [0, *id_steps][: len(spans)], strict=True):
        first_ids.append(signed(following + step))
        last_ids.append(signed(first_ids[-1] + span))
        following = last_ids[-1] + 1
    times = risen(bases[1], time_steps, len(spans))
    size_of = iter(sizes)
    all_sizes = [next(size_of) if flag else 0 for flag in kept]
    bid_sizes, ask_sizes = iter(all_sizes[: sum(bid_counts)]), iter(all_sizes[sum(bid_counts) :])
    bids = side_prices(bases[2], bid_tops, bid_steps, bid_counts, -1)
    asks = side_prices(bases[3], ask_tops, ask_steps, ask_counts, 1)
    prices, ordered = [], []
    for bid_prices, ask_prices in zip(bids, asks, strict=True):
        prices += bid_prices + ask_prices
        ordered += [next(bid_sizes) for _ in bid_prices] + [next(ask_sizes) for _ in ask_prices]
    return {
        "first_ids": first_ids,
        "last_ids": last_ids,
        "times_ns": times,
        "effective_ns": added(times, delays),
        "received_ns": receipts(fields["receipts"], times),
        "bid_counts": bid_counts,
        "ask_counts": ask_counts,
        "prices": prices,
        "sizes": ordered,
    }


def side_prices(
    base: int, tops: list[int], steps: list[int], counts: list[int], sign: int
) -> Iterator[list[int]]:
    top, top_steps, inner = base, iter([0, *tops]), iter(steps)
    for count in counts:
        if not count:
            yield []
            continue
        top = signed(top + next(top_steps))
        prices = [top]
        for _ in range(count - 1):
            prices.append(signed(prices[-1] + sign * next(inner)))
        yield prices


def trades(fields: dict[str, Any]) -> dict[str, list[Any]]:
    bases, id_steps, time_steps, delays, turns, price_steps, sizes = columns(fields["body"], 2)
    count = len(sizes)
    times = risen(bases[1], time_steps, count)
    sides: list[int] = []
    for turn in turns:
        sides.append(turn ^ (sides[-1] if sides else 0))
    return {
        "ids": risen(bases[0], id_steps, count, 1),
        "times_ns": times,
        "effective_ns": added(times, delays),
        "received_ns": receipts(fields["receipts"], times),
        "sides": sides,
        "prices": risen(bases[2], price_steps, count),
        "sizes": sizes,
    }


NAMES = ("prices", "sizes", "old_prices", "old_sizes", "funds", "trade_ids", "taker_ids")
ABSENT = -(2**63)


class Orders:
    """A block of order events, read column after column."""

    def __init__(self, body: bytes) -> None:
        self.source = columns(body, 3)
        self.bases, self.id_steps, self.kinds = next(self.source), next(self.source), next(self.source)
        self.events = range(len(self.kinds))
        self.reasons = self.by_kind(set(self.events), 0)
        self.times = self.read_times()
        self.effective = added(self.times, next(self.source))
        self.has = self.read_presence()
        self.order_ids, self.taker_ids = identities(
            next(self.source), next(self.source), len(self.kinds), self.has["taker_ids"]
        )

    def groups(self, chosen: set[int]) -> list[list[int]]:
        """The chosen events of each kind met among them."""
        kinds = sorted({self.kinds[n] for n in chosen})
        return [[n for n in self.events if n in chosen and self.kinds[n] == kind] for kind in kinds]

    def by_kind(self, chosen: set[int], otherwise: int, *, rising: bool = False) -> list[int]:
        """A column for each kind met among *chosen*, put in its places."""
        cells = [otherwise for _ in self.events]
        for of_kind in self.groups(chosen):
            column = next(self.source)
            if rising:
                column = risen(column[0], column[1:], len(column))
            for n, value in zip(of_kind, column, strict=True):
                cells[n] = value
        return cells

    def read_times(self) -> list[int]:
        opens, others = iter(next(self.source)), iter(next(self.source))
        steps = [next(opens if kind == 1 else others) for kind in self.kinds[1:]]
        return risen(self.bases[1], steps, len(self.kinds))

    def read_presence(self) -> dict[str, set[int]]:
        presence = iter(next(self.source))
        has: dict[str, set[int]] = {name: set() for name in NAMES}
        for of_kind in self.groups(set(self.events)):
            for name in NAMES:
                how = next(presence)
                flags = next(self.source) if how == 2 else [how] * len(of_kind)
                has[name] |= {n for n, flag in zip(of_kind, flags, strict=True) if flag}
        return has

    def linked(self, chosen: set[int], head_columns: int, sides: list[int]) -> list[int]:
        """Heads (two columns: of the buys, and of the others), then steps."""
        heads = [iter(next(self.source)) for _ in range(head_columns)]
        steps = iter(next(self.source))
        newest: dict[bytes, int] = {}
        cells = [ABSENT for _ in self.events]
        for n in sorted(chosen):
            order = self.order_ids[n]
            if order in newest:
                newest[order] = signed(newest[order] + next(steps))
            else:
                newest[order] = next(heads[0] if sides[n] == 0 else heads[-1])
            cells[n] = newest[order]
        return cells

    def rests(self, n: int) -> bool:
        return self.kinds[n] in (0, 1) or (self.kinds[n] == 2 and self.reasons[n] != 1)


def orders(fields: dict[str, Any]) -> dict[str, list[Any]]:
    block = Orders(fields["body"])
    sides = block.linked(set(block.events), 1, [0] * len(block.kinds))
    prices = block.linked(block.has["prices"], 2, sides)
    resting = {n for n in block.has["sizes"] if block.rests(n)}
    of_orders = block.linked(resting, 1, sides)
    others = block.by_kind(block.has["sizes"] - resting, ABSENT)
    cells = {
        name: block.by_kind(block.has[name], ABSENT, rising=name in ("old_prices", "trade_ids"))
        for name in NAMES[2:-1]
    }
    assert next(block.source, None) is None
    return cells | {
        "ids": risen(block.bases[0], block.id_steps, len(block.kinds), 1),
        "times_ns": block.times,
        "effective_ns": block.effective,
        "received_ns": receipts(fields["receipts"], block.times),
        "kinds": block.kinds,
        "sides": sides,
        "reasons": block.reasons,
        "prices": prices,
        "sizes": [of_orders[n] if n in resting else others[n] for n in block.events],
        "order_ids": block.order_ids,
        "taker_ids": block.taker_ids,
    }


def name(update_id: int, number: int) -> bytes:
    return (update_id % 2**64).to_bytes(8, "little") + (number % 2**64).to_bytes(8, "little")


def identities(
    codes: list[int], new: list[bytes], events: int, takers: set[int]
) -> tuple[list[bytes], list[bytes]]:
    table, unseen, code = [bytes(16)], iter(new), iter(codes)

    def one() -> bytes:
        back = next(code)
        if back == 0:
            table.append(next(unseen))
            return table[-1]
        return table[-back]

    order_ids, taker_ids = [], []
    for n in range(events):
        order_ids.append(one())
        taker_ids.append(one() if n in takers else bytes(16))
    return order_ids, taker_ids


def image(fields: dict[str, Any]) -> dict[str, Any]:
    layout = fields["body"][0]
    assert layout in ((4,) if fields["book"] == "l2" else (5, 7))
    bases, bid_steps, ask_steps, sizes, *own = columns(fields["body"], layout)
    bids = risen(bases[0], [-step for step in bid_steps], fields["bids"])
    placed, certain, ids, *numbers = own or ([], [], [])
    if layout == 7:
        ids = [name(signed(a - b), c) for a, b, c in zip(placed, ids, numbers[0], strict=True)]
    return {
        "bids": fields["bids"],
        "prices": bids + risen(bases[1], ask_steps, fields["asks"]),
        "sizes": sizes,
        "order_ids": ids,
        "placed_ids": placed,
        "certain": certain,
    }
