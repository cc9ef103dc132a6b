"""The second decoder of blocks of order events without ids (condition/FORMAT.md, layout 6)."""

from typing import Any

from tests.unit.condition.stranger import (
    ABSENT,
    NAMES,
    Orders,
    added,
    columns,
    name,
    receipts,
    risen,
    signed,
)


class Named(Orders):
    """A block of order events without ids (layout 6)."""

    def __init__(self, body: bytes) -> None:
        self.source = columns(body, 6)
        self.bases = next(self.source)
        self.kinds = self.read_kinds()
        self.events = range(len(self.kinds))
        self.id_steps = next(self.source)
        self.ids = risen(self.bases[0], self.id_steps, len(self.kinds), 1)
        self.reasons = self.by_kind(set(self.events), 0)
        self.times = self.read_times()
        self.effective = added(self.times, next(self.source))
        self.has = self.read_presence()
        self.read_references()

    def listed(self, among: list[int]) -> set[int]:
        """The events of *among* that a list of gaps names."""
        at, found = -1, set()
        for gap in next(self.source):
            at += gap + 1
            found.add(among[at])
        return found

    def read_kinds(self) -> list[int]:
        told = next(self.source)
        received = [n for n, kind in enumerate(told) if kind == 0]
        alone = self.listed(received)
        kinds = []
        for n, kind in enumerate(told):
            kinds += [0, 1] if kind == 0 and n not in alone else [kind]
        return kinds

    def read_presence(self) -> dict[str, set[int]]:
        presence = iter(next(self.source))
        has: dict[str, set[int]] = {name: set() for name in NAMES}
        for of_kind in self.groups(set(self.events)):
            for value in NAMES:
                how = next(presence)
                listed = self.listed(of_kind) if how >= 2 else set()
                has[value] |= {1: set(of_kind), 2: listed, 3: set(of_kind) - listed}.get(how, set())
        return has

    def read_references(self) -> None:
        codes = self.by_kind(set(self.events), 0)
        takers, update_ids, numbers = (
            iter(next(self.source)),
            iter(next(self.source)),
            iter(next(self.source)),
        )
        alive: list[tuple[int, bytes]] = []
        count = 0
        self.order_ids, self.taker_ids, self.orders = [], [], []

        def refer(code: int, n: int) -> tuple[int, bytes]:
            nonlocal count
            if code == -1:
                return -1, bytes(16)
            if code >= 2:
                return alive[-(code - 1)]
            own = name(self.ids[n], 0)
            alive.append((count, own if code == 0 else name(next(update_ids), next(numbers))))
            count += 1
            return alive[-1]

        for n in self.events:
            order, named = refer(codes[n], n)
            self.orders.append(order)
            self.order_ids.append(named)
            if self.kinds[n] == 2 and order >= 0:
                alive.remove((order, named))
            self.taker_ids.append(refer(next(takers), n)[1] if n in self.has["taker_ids"] else bytes(16))

    def firsts(self, chosen: set[int]) -> set[int]:
        seen: set[int] = set()
        return {n for n in sorted(chosen) if not (self.orders[n] in seen or seen.add(self.orders[n]))}

    def following(self, chosen: set[int], heads: dict[int, int]) -> list[int]:
        """Of each order the head, then what follows it by steps."""
        steps, newest, cells = iter(next(self.source)), dict[int, int](), [ABSENT for _ in self.events]
        for n in sorted(chosen):
            order = self.orders[n]
            newest[order] = heads[n] if n in heads else signed(newest[order] + next(steps))
            cells[n] = newest[order]
        return cells

    def read_entries(self, entries: list[int]) -> tuple[dict[int, int], dict[int, int], dict[int, int]]:
        """Side, size and group of each entry."""
        codes, sides, sizes = next(self.source), next(self.source), next(self.source)
        recent: list[int] = []
        groups = {}
        begun = 0
        for n, code in zip(entries, codes, strict=True):
            group = recent.pop(code - 1) if code else begun
            begun += code == 0
            recent = [group, *recent][:256]
            groups[n] = group
        return {n: sides[g] for n, g in groups.items()}, {n: sizes[g] for n, g in groups.items()}, groups


def orders(fields: dict[str, Any]) -> dict[str, list[Any]]:
    block = Named(fields["body"])
    everything = set(block.events)
    resting = {n for n in block.has["sizes"] if block.rests(n)}
    entries = sorted(block.firsts(everything) & resting)
    side_of, size_of, groups = block.read_entries(entries)
    others = sorted(block.firsts(everything) - set(entries))
    side_of |= dict(zip(others, next(block.source), strict=True))
    sides = block.following(everything, side_of)
    others = sorted(block.firsts(resting) - set(entries))
    size_of |= dict(zip(others, next(block.source), strict=True))
    of_orders = block.following(resting, size_of)
    buys, sells, moves = iter(next(block.source)), iter(next(block.source)), iter(next(block.source))
    newest: dict[int, int] = {}
    price_of: dict[int, int] = {}
    for n in sorted(block.firsts(block.has["prices"])):
        group = groups.get(n, -1 - n)
        if group in newest:
            newest[group] = signed(newest[group] + next(moves))
        else:
            newest[group] = next(buys if sides[n] == 0 else sells)
        price_of[n] = newest[group]
    prices = block.following(block.has["prices"], price_of)
    not_resting = block.by_kind(block.has["sizes"] - resting, ABSENT)
    cells = {
        value: block.by_kind(block.has[value], ABSENT, rising=value in ("old_prices", "trade_ids"))
        for value in NAMES[2:-1]
    }
    assert next(block.source, None) is None
    return cells | {
        "ids": block.ids,
        "times_ns": block.times,
        "effective_ns": block.effective,
        "received_ns": receipts(fields["receipts"], block.times),
        "kinds": block.kinds,
        "sides": sides,
        "reasons": block.reasons,
        "prices": prices,
        "sizes": [of_orders[n] if n in resting else not_resting[n] for n in block.events],
        "order_ids": block.order_ids,
        "taker_ids": block.taker_ids,
    }
