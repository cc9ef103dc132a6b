"""A round taken by and by is as good as one taken at once: who starts from it says what was said."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from book.checkpoint import Rounds
from book.keeping import Keeper
from book.maintainer import Maintainer, Saved
from journal.group import Group
from tests.journaled import unpacked
from tests.unit.book.play import NAME, START, maintainer, messages, play
from tests.unit.book.test_any_journal import RECIPE, Told, renamed
from tests.unit.book.test_together import OTHER, Twins, said_by_and_by, steps_of_a_live_book
from wire.names import BUCKETS

LINE = "binance/a"


def rounds_of(folder: Path) -> Rounds:
    return Rounds(folder, 0, range(BUCKETS))


def started_from(rounds: Rounds) -> Maintainer:
    """Return a maintainer as a worker makes it of *rounds*, with all of them stored for good."""
    made = maintainer(RECIPE)
    entries = rounds.securities()
    saved = [(name, one.born, rounds.state(name, one.positions)) for name, one in entries.items()]
    made.restore(Saved(*each) for each in saved)
    made.read[LINE] = rounds.searched(LINE, range(BUCKETS))
    return made


def play_on(made: Maintainer, groups: list[Group]) -> None:
    """Let *made* take what it has not taken of *groups*."""
    position = min(made.read.get(LINE, 0), made.cursor(LINE, made.read.get(LINE, 0)))
    list(said_by_and_by(made, [group for group in groups if group.next_position > position], 1))
    list(made.late())
    list(messages(made, []))


@settings(max_examples=60, deadline=None)
@given(steps_of_a_live_book, st.sampled_from([1, 4, 16]), st.integers(0, 60), st.sampled_from([0, 1, 2]))
def test_a_round_taken_by_and_by_goes_on_as_if_nothing_had_been(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[Any],
    per_group: int,
    begun_at: int,
    a_turn: int,
) -> None:
    groups = unpacked(Told(per_group, Twins).tell(renamed(steps)))
    rounds = rounds_of(tmp_path_factory.mktemp("checkpoints"))
    made = maintainer(RECIPE)
    keeper = Keeper(rounds, made, {})
    keeper.begin()
    keeper.drop()
    assert not keeper.some()
    for n, group in enumerate(groups):
        if n == min(begun_at, len(groups) - 1):
            keeper.begin()
        list(said_by_and_by(made, [group], 1))
        keeper.some(a_turn)
    while keeper.some(1):
        pass
    [_] = rounds.rounds
    play_on(made, [])
    again = started_from(rounds_of(rounds.folder))
    play_on(again, groups)
    dumps = [[one.dump() for one in each.securities.values()] for each in (again, made)]
    assert dumps[0] == dumps[1]


def test_a_disk_that_refuses_a_round_leaves_the_ones_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Twins(LINE, per_group=1)
    journal.start(START)
    journal.add(START, NAME, "depth")
    made, _ = play(journal.groups)
    rounds = rounds_of(tmp_path / "checkpoints")
    keeper = Keeper(rounds, made, {})
    keeper.begin()
    assert [keeper.some(1), keeper.some(1)] == [True, False]
    (tmp_path / "checkpoints").rename(tmp_path / "away")
    (tmp_path / "checkpoints").write_bytes(b"")
    keeper.begin()
    assert not keeper.some()
    assert "event=no_checkpoint" in caplog.text
    (tmp_path / "checkpoints").unlink()
    (tmp_path / "away").rename(tmp_path / "checkpoints")
    assert [entry.security for entry in rounds_of(rounds.folder).rounds[0].index.entries] == [NAME, OTHER]
