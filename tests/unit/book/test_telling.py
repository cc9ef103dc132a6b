"""What is told of each security is what a fresh look at it says, though few are looked at."""

from collections.abc import Iterable
from itertools import chain
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from book import telling
from book.maintainer import Output
from book.security import Security
from book.telling import Look, Looks, late, look_at
from tests.journaled import unpacked
from tests.unit.book.play import NAME, START, S, depth, maintainer, play, snapshot
from tests.unit.book.test_any_journal import RECIPE, Told, renamed
from tests.unit.book.test_together import OTHER, Twins, steps_of_a_live_book


@settings(max_examples=60, deadline=None)
@given(steps_of_a_live_book, st.sampled_from([1, 4, 16]), st.integers(1, 2), st.integers(1, 5))
def test_what_was_looked_at_before_is_what_a_fresh_look_says(
    steps: list[Any], per_group: int, a_turn: int, asked_each: int
) -> None:
    made = maintainer(RECIPE)
    looks = Looks(made.securities)

    def noted(outputs: Iterable[Output]) -> None:
        for output in outputs:
            looks.note(output.security, output.messages)

    for n, group in enumerate(unpacked(Told(per_group, Twins).tell(renamed(steps)))):
        noted(chain(made.outputs(group), made.late(a_turn)))
        if n % asked_each == 0:
            fresh = {name: look_at(security) for name, security in made.securities.items()}
            rows = {name: look.row for name, look in fresh.items() if look.row["state"] != "removed"}
            assert looks.rows() == rows
            assert looks.all() == fresh


def test_one_is_looked_at_when_it_has_seen_a_tick_and_not_again_for_the_beat(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[str] = []

    def counted(security: Security) -> Look:
        looked.append(security.name)
        return look_at(security)

    monkeypatch.setattr(telling, "look_at", counted)
    journal = Twins("binance/a", per_group=1)
    journal.start(START)
    journal.ticks_until(START)
    journal.add(START, NAME, "depth")
    made, _ = play(journal.groups)
    looks = Looks(made.securities)

    def second(n: int) -> None:
        before = len(journal.groups)
        journal.ticks_until(START + n * S)
        for group in unpacked(journal.groups[before:]):
            for output in made.feed(group):
                looks.note(output.security, output.messages)

    assert {row["state"] for row in looks.rows().values()} == {"syncing"}
    for n in (1, 2):
        looked.clear()
        second(n)
        assert sorted(looked) == [NAME, OTHER]
        looks.rows()
        assert len(looked) == 2
    looked.clear()
    for n in range(3, 30):
        second(n)
    assert len(looked) == 2 * telling.LOOKS


def test_a_row_of_one_that_is_behind_says_how_much_and_is_not_called_live() -> None:
    journal = Twins("binance/a", per_group=1)
    journal.start(START)
    journal.add(START, NAME, "depth")
    journal.rest(START, NAME, snapshot(100))
    journal.frame(START, NAME, depth("XUSDT", 101, 101, START, [("9", "1")]))
    made, _ = play(journal.groups)
    row = look_at(made.securities[NAME]).row
    assert (row["state"], row["update_id"], row["lag_s"], row["lag_bytes"]) == ("live", 101, 0.0, 0)
    behind = late(row, 2_500_000_000)
    assert (behind["state"], behind["lag_s"], behind["lag_bytes"]) == ("catching_up", 2.5, None)
    assert late({**row, "state": "halted"}, 1)["state"] == "halted"
