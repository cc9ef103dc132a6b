"""Audits: each security in its turn, within their share of the budget, never before what is needed."""

from random import Random

import pytest

from ingest.actions import Ask, Record
from ingest.asking import Answer, Asking
from ingest.security import Security, State
from ingest.snapshots import DEPTHS
from tests.unit.ingest.world import S, World, wanted
from venue import binance, coinbase

EVERY = 60 * S


def security(name: str, feed: str = "depth") -> Security:
    """Return a security that is recorded, and whose book has its base."""
    venue = "binance" if feed == "depth" else "coinbase"
    each = Security(wanted(name)[0], name, DEPTHS[feed], Random(1), 0)
    each.name, each.added, each.state = f"{venue}:{name}", True, State.SUBSCRIBED
    assert each.need is not None
    each.need.subscribed(1, 0)
    each.need.update(1, 101, 102, 0)
    each.need.asked(DEPTHS[feed].steps[-1], 0)
    each.need.answered(100, 0)
    return each


class Line:
    """Asks for what is due, a second after another, and answers at once."""

    def __init__(self, *securities: Security, every_ns: int = EVERY, feed: str = "depth") -> None:
        venue = binance if feed == "depth" else coinbase
        self.asking = Asking(venue, feed, Random(1), 0, audit_ns=every_ns)
        self.securities = {each.name: each for each in securities}
        self.did: list[tuple[float, str, str]] = []
        self.weight: list[tuple[int, int]] = []
        self.now = 0

    def run(self, seconds: float, *, step: float = 0.1) -> "Line":
        end = self.now + int(seconds * S)
        while self.now < end:
            self.now += int(step * S)
            for each in self.asking.due(list(self.securities.values()), self.now):
                if isinstance(each, Record):
                    assert not isinstance(each.payload, str)
                    self.did.append((self.now / S, each.payload.what, each.security))
                elif isinstance(each, Ask):
                    self.did.append((self.now / S, each.cause, each.securities[0]))
                    self.weight.append((self.now, each.request.weight))
                    asked = self.securities[each.securities[0]]
                    self.asking.answered(each, Answer(200, b"", "", 1000 + len(self.did)), asked, self.now)
        return self

    def audits(self) -> list[tuple[float, str]]:
        return [(at, name) for at, what, name in self.did if what == "audit"]


def test_each_security_is_audited_in_its_turn_all_evenly_spread() -> None:
    line = Line(security("A"), security("B"), security("C")).run(121)
    assert [(round(at), name[-1]) for at, name in line.audits()] == [
        (20, "A"),
        (40, "B"),
        (60, "C"),
        (80, "A"),
        (100, "B"),
        (120, "C"),
    ]


def test_the_journal_says_so_before_each_request_long_enough_for_a_cache() -> None:
    line = Line(security("A")).run(61)
    assert [what for _, what, _ in line.did] == ["asked", "audit"]
    assert line.did[0][0] == line.did[1][0]
    line = Line(security("A-USD", "full"), feed="full").run(70)
    (said, what, _), (asked, cause, _) = line.did
    assert (what, cause) == ("asked", "audit")
    assert round(asked - said, 6) >= DEPTHS["full"].settle_ns / S


def test_there_is_none_where_none_is_wanted() -> None:
    assert Line(security("A"), every_ns=0).run(2000, step=1).did == []


def test_none_is_asked_for_while_a_snapshot_is_needed() -> None:
    broken = security("B")
    assert broken.need is not None
    broken.need.closed(1)
    line = Line(security("A"), broken).run(200, step=1)
    assert line.did == []
    broken.need.subscribed(2, line.now)
    line.run(100, step=1)
    assert [cause for _, cause, _ in line.did][:1] == ["connection"]
    assert line.audits()


@pytest.mark.parametrize("every_ns", [S, 10 * S])
def test_they_take_a_quarter_of_the_budget_at_most(every_ns: int) -> None:
    line = Line(*(security(f"S{n}") for n in range(100)), every_ns=every_ns).run(600, step=0.5)
    assert len(line.audits()) > 50
    allowed = binance.BUDGET.per_second / 4
    for begin, _ in line.weight:
        spent = sum(weight for at, weight in line.weight if begin <= at <= begin + 60 * S)
        assert spent <= binance.BUDGET.capacity / 4 + 60 * allowed


def test_a_break_while_an_audit_is_on_its_way_is_mended_without_waiting_for_room() -> None:
    each = security("A")
    assert each.need is not None
    each.need.audit()
    assert each.need.widening
    each.need.asked(5000, 2 * S)
    each.need.update(1, 110, 112, 2 * S)
    assert not each.need.answered(105, 2 * S)
    assert each.need.due(4 * S)
    assert not each.need.widening


def test_audits_and_losses_together_leave_every_book_whole() -> None:
    world = World(audit_s=5)
    world.desire(wanted("BTCUSDT"))
    world.run(8)
    assert "asked" in world.whats("binance:BTCUSDT")
    for _ in range(20):
        world.drop["BTCUSDT"] = 1
        world.run(1.3)
    world.run(3)
    assert world.joined("BTCUSDT")


def test_a_command_while_an_audit_is_on_its_way_is_obeyed_too() -> None:
    each = security("A")
    assert each.need is not None
    each.need.audit()
    each.need.asked(5000, 0)
    each.need.wish("command", 0)
    assert each.need.answered(200, 0)
    assert (each.need.cause, each.need.settled) == ("command", False)
