"""Checkpoints come back as they were, damage is seen, and no file goes that anybody may need."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from book.checkpoint import (
    Entry,
    Index,
    Round,
    Rounds,
    Unreadable,
    begins_to_read,
    kept,
    unpack_body,
    unpack_index,
)
from tests.rounds import pack_round
from tests.unit.book.play import NAME, RECIPE, Story, copied, play
from wire.names import bucket_of
from wire.runs import Marks

OTHER = "coinbase:BTC-USD"
A, B = "binance/a", "binance/b"
LINES = {NAME: A, OTHER: "coinbase/a"}
BUCKETS = range(64)


def at(*positions: int) -> Marks:
    """Return positions of the first line, and of the second."""
    return dict(zip((A, B), positions, strict=False))


def state(name: str, position: int, born: int = 3, **more: Any) -> dict[str, Any]:
    line = LINES[name]
    return {"name": name, "positions": {line: position}, "born": {line: born}, **more}


def packed(*states: dict[str, Any], read: int = 100) -> bytes:
    return pack_round(BUCKETS, {A: read, "coinbase/a": read}, {NAME: at(5)}, states)


def test_a_round_holds_each_state_and_says_how_far_it_read() -> None:
    data = packed(state(NAME, 90, book=b"\x00\xff"), state(OTHER, 80))
    index, start = unpack_index(data)
    assert (index.read, index.done, index.buckets) == (
        {"binance/a": 100, "coinbase/a": 100},
        {NAME: at(5)},
        tuple(BUCKETS),
    )
    first, second = index.entries
    assert (first.security, first.born, first.positions) == (NAME, at(3), at(90))
    body = data[start + first.offset : start + first.offset + first.length]
    assert unpack_body(first, body) == state(NAME, 90, book=b"\x00\xff")
    assert data[start + second.offset :] != b""


@given(st.data())
def test_any_flipped_bit_and_any_cut_is_seen(data: st.DataObject) -> None:
    whole = bytearray(packed(state(NAME, 90, book=b"x" * 30)))
    if data.draw(st.booleans()):
        bit = data.draw(st.integers(0, len(whole) * 8 - 1))
        whole[bit // 8] ^= 1 << bit % 8
    else:
        del whole[data.draw(st.integers(0, len(whole) - 1)) :]
    with pytest.raises(Unreadable):
        first_state(bytes(whole))


def first_state(data: bytes) -> dict[str, Any]:
    index, start = unpack_index(data)
    entry = index.entries[0]
    return unpack_body(entry, data[start + entry.offset : start + entry.offset + entry.length])


def a_round(number: int, **positions: int) -> Round:
    entries = tuple(Entry(name, at(1), at(position), 0, 0, 0) for name, position in positions.items())
    return Round(f"{number:012d}-0.checkpoint", Index((0,), {}, {}, entries), 0)


def numbers(names: set[str]) -> list[int]:
    return sorted(int(name.partition("-")[0]) for name in names)


def test_of_each_security_two_not_past_done_the_oldest_past_it_and_the_newest_stay() -> None:
    rounds = [a_round(n, A=10 * n) for n in range(1, 9)]
    assert numbers(kept(rounds, {"A": at(45)})) == [3, 4, 5, 7, 8]
    assert numbers(kept(rounds, {})) == [1, 7, 8]
    assert numbers(kept(rounds, {"A": at(1000)})) == [7, 8]


def test_a_file_stays_for_the_security_that_needs_it_longest() -> None:
    rounds = [a_round(n, A=10 * n, B=10 * n) for n in range(1, 9)]
    assert numbers(kept(rounds, {"A": at(1000), "B": at(25)})) == [1, 2, 3, 7, 8]


@pytest.mark.parametrize(
    ("positions", "done", "begins"),
    [
        ([], at(50), at(3)),
        ([at(10)], at(50), at(3)),
        ([at(10), at(20)], at(15), at(3)),
        ([at(10), at(20), at(30)], at(29), at(10)),
        ([at(10), at(20), at(30)], at(30), at(20)),
        ([at(10, 5), at(20, 5), at(20, 9)], at(40, 8), at(10, 5)),
        ([at(10, 5), at(20, 5), at(20, 9)], at(40), at(3)),
    ],
)
def test_a_security_reads_from_the_older_of_its_two_newest_entries_not_past_done(
    positions: list[Marks], done: Marks, begins: Marks
) -> None:
    assert begins_to_read(positions, at(3), done) == begins


def test_a_folder_gives_the_newest_state_not_past_done(tmp_path: Path) -> None:
    rounds = Rounds(tmp_path, 0, BUCKETS)
    for position in (10, 20, 30):
        rounds.write(packed(state(NAME, position), read=position), {NAME: at(20)})
    again = Rounds(tmp_path, 0, BUCKETS)
    found = again.state(NAME, at(25))
    assert found is not None
    assert found["positions"] == at(20)
    assert again.state(NAME, at(5)) is None
    assert again.done() == {NAME: at(5)}
    assert again.searched("binance/a", BUCKETS) == 30
    assert again.securities()[NAME].positions == at(30)


def test_a_folder_says_what_it_will_never_read_again(tmp_path: Path) -> None:
    rounds = Rounds(tmp_path, 0, BUCKETS)
    mine = bucket_of(NAME)
    free = next(bucket for bucket in BUCKETS if bucket not in (mine, bucket_of(OTHER)))
    assert rounds.needed("binance/a", [mine, free], {}) == {mine: 0, free: 0}
    for position in (10, 20, 30):
        rounds.write(packed(state(NAME, position), read=position + 5), {})
    assert rounds.needed("binance/a", [mine, free], {NAME: at(2)}) == {mine: 3, free: 25}
    assert rounds.needed("binance/a", [mine, free], {NAME: at(30)}) == {mine: 20, free: 25}
    assert rounds.needed("coinbase/a", [mine], {NAME: at(30)}) == {mine: 25}


def test_a_damaged_file_is_left_alone_and_the_one_before_is_taken(tmp_path: Path) -> None:
    rounds = Rounds(tmp_path, 0, BUCKETS)
    for position in (10, 20):
        rounds.write(packed(state(NAME, position)), {})
    newest = max(tmp_path.iterdir())
    data = bytearray(newest.read_bytes())
    data[-1] ^= 1
    newest.write_bytes(data)
    again = Rounds(tmp_path, 0, BUCKETS)
    found = again.state(NAME, at(99))
    assert found is not None
    assert found["positions"] == at(10)
    newest.write_bytes(b"OBC1 and nothing more")
    assert Rounds(tmp_path, 0, BUCKETS).unreadable == [f"{newest.name}: no round, or a damaged index"]


def test_what_a_crash_left_half_written_is_no_round(tmp_path: Path) -> None:
    whole = Rounds(tmp_path, 0, BUCKETS)
    whole.write(packed(state(NAME, 10)), {})
    (tmp_path / "000000000002-0.checkpoint.new").write_bytes(b"half")
    assert Rounds(tmp_path, 0, BUCKETS).unreadable == []
    assert [path.name for path in tmp_path.iterdir()] == ["000000000001-0.checkpoint"]


def test_a_worker_with_other_buckets_finds_its_securities_in_any_worker_s_files(tmp_path: Path) -> None:
    Rounds(tmp_path, 0, BUCKETS).write(packed(state(NAME, 10), state(OTHER, 10)), {})
    half = [bucket_of(OTHER)]
    found = Rounds(tmp_path, 1, half)
    assert list(found.securities()) == [OTHER]
    assert found.searched("coinbase/a", half) == 100


def test_a_restored_security_dumps_what_it_was_restored_from() -> None:
    story = (
        Story()
        .begin()
        .snapshot(0, 10)
        .update(0.1, 11)
        .trade(0.2, 5)
        .update(1, 15)
        .update(4000, 16)
        .trade(9000, 6)
    )
    made = play(story.groups)[0]
    assert copied(made, RECIPE).securities[NAME].dump() == made.securities[NAME].dump()


def test_rounds_that_were_removed_under_a_running_worker_no_longer_count(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    rounds = Rounds(folder, 0, BUCKETS)
    for position in (10, 20, 30):
        rounds.write(packed(state(NAME, position)), {NAME: at(100)})
    bucket = bucket_of(NAME)
    assert rounds.needed("binance/a", [bucket], {NAME: at(100)})[bucket] == 20
    shutil.rmtree(folder)
    rounds.write(packed(state(NAME, 40)), {NAME: at(100)})
    assert len(rounds.rounds) == 1
    assert rounds.needed("binance/a", [bucket], {NAME: at(100)})[bucket] == 0
    found = rounds.state(NAME, at(100))
    assert found is not None
    assert found["positions"] == at(40)
