"""No body of the checkpoints is readable and the journal begins later: the hole is a row, cause ``disk``."""

from pathlib import Path

import msgpack

from book.bare import bare
from book.checkpoint import Rounds
from book.maintainer import Maintainer, Saved
from journal.segment import segment_name
from tests.journaled import Journal, unpacked
from tests.rounds import pack_round
from tests.unit.book.play import (
    NAME,
    START,
    S,
    Story,
    ints,
    maintainer,
    messages,
    of_type,
    play,
    stored,
)
from wire.names import BUCKETS, bucket_of, position_at
from wire.runs import Changes, Hole, Image, RunMessage, Trades

LINE = "binance/a"


def told() -> Story:
    story = Story().begin().snapshot(0, 100, [("10", "1")], [("11", "2")])
    for second in range(1, 13):
        story.update(second, 100 + second, bids=[("9", str(second))]).trade(second, second)
    return story


def damaged(path: Path, made: Maintainer) -> Rounds:
    """Return the checkpoints of *made*, written twice, each with one bit of its body turned."""
    states = [security.dump() for security in made.securities.values()]
    data = pack_round(range(BUCKETS), made.read, {}, states)
    rounds = Rounds(path / "checkpoints", 0, range(BUCKETS))
    for _ in range(2):
        rounds.write(data, {})
    for file in rounds.folder.iterdir():
        whole = bytearray(file.read_bytes())
        whole[-1] ^= 1
        file.write_bytes(bytes(whole))
    return Rounds(rounds.folder, 0, range(BUCKETS), {LINE: path / "journal"})


def begun(other: Maintainer, saved: Saved) -> list[RunMessage]:
    other.restore([saved])
    return [message for output in other.begin(bucket_of(saved.security), 7) for message in output.messages]


def test_the_book_waits_for_the_next_snapshot_and_what_it_misses_is_a_row(tmp_path: Path) -> None:
    story = told()
    before = len(story.groups)
    whole = story.trade(13, 13).update(13, 113).update(14, 114).snapshot(15, 114).update(16, 115).groups
    made, _ = play(whole[:before])
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / segment_name(position_at(1, before))).touch()
    rounds = damaged(tmp_path, made)
    state = rounds.state(NAME, made.securities[NAME].positions)
    assert len(rounds.unreadable) == 2
    other = maintainer()
    said = begun(other, Saved(NAME, made.securities[NAME].born, state))
    other.read = dict(made.read)
    said += messages(other, unpacked(whole[before:]))
    rows = [(hole.first_id, hole.last_id, hole.cause, hole.covered) for hole in of_type(said, Hole)]
    assert rows == [(113, None, "disk", 0), (113, 114, "disk", 1)]
    assert [i for message in of_type(said, Changes) for i in ints(message.last_ids)] == [115]
    assert [image.update_id for image in of_type(said, Image)] == [115]
    assert [i for message in of_type(said, Trades) for i in ints(message.ids)] == [13]


def test_the_open_window_ends_with_the_hash_that_the_lost_book_had(tmp_path: Path) -> None:
    story = told()
    made, _ = play(story.groups)
    whole = stored(play(story.quiet_until(40).groups)[1])
    other = maintainer()
    said = begun(other, Saved(NAME, {LINE: 0}, bare(made.securities[NAME].dump())))
    said += messages(other, unpacked(story.groups[len(told().groups) :]))
    cut = stored(said)[NAME, "cut", "changes", START + 10 * S]
    assert cut == whole[NAME, "cut", "changes", START + 10 * S]


def test_a_journal_that_reaches_back_is_read_from_its_beginning_instead(tmp_path: Path) -> None:
    made, _ = play(told().groups)
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / segment_name(position_at(1, 0))).touch()
    assert damaged(tmp_path, made).state(NAME, made.securities[NAME].positions) is None


def test_the_bare_state_of_orders_can_be_gone_on_from() -> None:
    name = "coinbase:BTC-USD"
    journal = Journal("coinbase/a")
    journal.start(START)
    journal.add(START, name, "full")
    made, _ = play(journal.groups)
    state = msgpack.unpackb(msgpack.packb(bare(made.securities[name].dump())), strict_map_key=False)
    other = maintainer()
    begun(other, Saved(name, made.securities[name].born, state))
    assert other.securities[name].shown_state == "syncing"
    assert other.securities[name].book.book.KIND == "l3"
