"""The worker's core: its buckets only, each record once, one bucket taken back while the others go on."""

from typing import Any

import msgspec

from book.maintainer import Maintainer, Saved
from book.windows import Recipe
from journal.group import Kind
from journal.payload import Connection, pack
from tests.journaled import Journal, unpacked
from tests.unit.book.play import (
    NAME,
    RECIPE,
    START,
    S,
    Story,
    copied,
    depth,
    maintainer,
    of_type,
    play,
    snapshot,
    stored,
)
from venue import VENUES
from wire.names import bucket_of
from wire.runs import Begin, Changes, Hole, RunMessage

OTHER = "binance:YUSDT"


def two() -> list[bytes]:
    journal = Journal("binance/a", per_group=4)
    journal.start(START)
    for name in (NAME, OTHER):
        journal.add(START, name, "depth")
        journal.rest(START, name, snapshot(10))
    for n in range(40):
        for name in (NAME, OTHER):
            at = START + n * S
            journal.frame(at, name, depth(name[8:], 11 + n, 11 + n, at, [("10", str(1 + n % 3))]))
    journal.flush()
    return journal.groups


def test_a_worker_takes_its_own_buckets_only() -> None:
    made = Maintainer(VENUES, RECIPE, [bucket_of(OTHER)])
    for group in unpacked(two()):
        made.feed(group)
    assert list(made.securities) == [OTHER]


def test_two_workers_say_together_what_one_says() -> None:
    whole = stored(play(two())[1])
    parts = {}
    for buckets in ([bucket_of(NAME)], [bucket_of(OTHER)]):
        made = Maintainer(VENUES, RECIPE, buckets)
        said = [m for group in unpacked(two()) for output in made.feed(group) for m in output.messages]
        parts |= stored(said)
    assert parts == whole


def test_records_that_were_seen_are_skipped() -> None:
    groups = unpacked(two())
    made, said = play(two())
    assert said
    again = [output for group in groups for output in made.feed(group)]
    assert again == []


def test_a_bucket_taken_back_says_the_rest_again_and_the_others_say_nothing_twice() -> None:
    groups = unpacked(two())
    half = len(groups) // 2
    made = maintainer()
    first = [m for group in groups[:half] for output in made.feed(group) for m in output.messages]
    checkpoint = copied(made).securities[NAME].dump()
    second = [m for group in groups[half:] for output in made.feed(group) for m in output.messages]
    made.restore([Saved(NAME, {}, checkpoint)])
    begun = made.begin(bucket_of(NAME), 7)
    assert [type(m) for output in begun for m in output.messages] == [Begin]
    position = made.cursor("binance/a", 10**18)
    assert position == checkpoint["positions"]["binance/a"]
    repeated: list[RunMessage] = [m for output in begun for m in output.messages]
    for group in groups:
        if group.next_position > position:
            repeated += [m for output in made.feed(group) for m in output.messages]
    assert {m.security for m in repeated} == {NAME}
    assert {m.run for m in repeated} == {7}
    assert [m.number for m in repeated] == list(range(len(repeated)))
    whole, resumed = ([m for m in said if m.security == NAME] for said in (first + second, first + repeated))
    assert stored(resumed) == stored(whole)


def test_a_security_without_checkpoint_starts_where_it_was_named() -> None:
    made, said = play(two())
    born = made.securities[NAME].born
    made.restore([Saved(NAME, born, None)])
    assert made.begin(bucket_of(NAME), 9)[0].messages == []
    assert {"binance/a": made.cursor("binance/a", 10**18)} == born
    again = [m for group in unpacked(two()) for output in made.feed(group) for m in output.messages]
    assert stored(again) == {key: value for key, value in stored(said).items() if key[0] == NAME}
    begin = again[0]
    assert isinstance(begin, Begin)
    assert (begin.run, begin.number) == (9, 0)


def test_a_run_names_the_windows_that_an_earlier_run_has_written() -> None:
    story = Story().begin().snapshot(0, 10).update(0.1, 11).update(11, 12).update(21, 13).trade(22, 5)
    made = copied(play(story.groups)[0])
    begin = made.begin(bucket_of(NAME), 3)[0].messages[0]
    assert isinstance(begin, Begin)
    assert begin.windows == {"changes": START + 20 * S, "trades": START + 20 * S}


def test_a_payload_that_no_journal_writes_is_counted() -> None:
    story = Story().begin()
    story.journal.other(Kind.REST, START, NAME, b"\x00 no Rest")
    made, _ = play(story.snapshot(0, 10).update(1, 11).groups)
    assert made.corrupt == 1
    assert made.securities[NAME].shown_state == "live"


def test_windows_follow_the_recipe() -> None:
    said = play(two(), Recipe(window_ns=S, images_s=600, order_images_s=600))[1]
    assert len({m.start_ns for m in of_type(said, Changes)}) == 40


def test_what_the_journal_lost_is_a_row_with_cause_disk() -> None:
    story = Story().begin().snapshot(0, 10).update(0.1, 11).trade(0.2, 5)
    before = len(story.groups)
    story.update(0.3, 12).trade(0.4, 6)
    lost = len(story.groups)
    story.update(0.5, 13).trade(0.6, 7).snapshot(1, 13).update(7, 14)
    groups = unpacked(story.groups)
    made = maintainer()
    said = [m for group in groups[:before] for output in made.feed(group) for m in output.messages]
    for output in made.lost("binance/a", groups[lost].first):
        said += output.messages
    again = copied(made)
    for worker in (made, again):
        rest = [m for group in groups[lost:] for output in worker.feed(group) for m in output.messages]
        rows = {(row.feed, row.first_id): (row.last_id, row.cause) for row in of_type(rest, Hole)}
        assert rows == {("book", 12): (13, "disk"), ("trades", 6): (6, "disk")}


def test_a_feed_without_ids_ends_its_chain_where_records_are_lost() -> None:
    def frame(kind: str, **fields: Any) -> bytes:
        head = {"type": kind, "product_id": "X-USD", "time": "2026-07-07T12:00:00.000000Z"}
        return msgspec.json.encode(head | fields)

    journal, name = Journal("coinbase/a", per_group=1), "coinbase:X-USD"
    journal.start(START)
    journal.add(START, name, "level2_batch")
    journal.frame(START, name, frame("snapshot", bids=[["10", "1"]], asks=[["11", "1"]]))
    for size in "234":
        journal.frame(START, name, frame("l2update", changes=[["buy", "10", size]]))
    groups = unpacked(journal.groups)
    made = maintainer()
    said = [m for group in groups[:-2] for output in made.feed(group) for m in output.messages]
    last = groups[-1]
    for output in made.lost("coinbase/a", last.first):
        said += output.messages
    assert [output.messages for output in made.feed(last)] == [
        []
    ]  # what it says of the book cannot be known to be right
    (row,) = of_type(said, Hole)
    assert (row.first_id, row.last_id, row.cause) == (groups[-3].first + 1, None, "disk")
    assert row.read == {"coinbase/a": last.first}
    assert made.securities[name].shown_state == "gap"
    assert made.lost("coinbase/a", last.first) == []


def test_ids_that_begin_anew_are_an_error_and_not_called_well() -> None:
    story = Story().begin().snapshot(0, 10).update(0.1, 11)
    closed = pack(Connection("closed", "reset by peer"))
    story.journal.other(Kind.CONNECTION, story.at(1), payload=closed, connection=1)
    for second in range(2, 20):
        story.update(second, 1 + second // 3, connection=2)
    assert play(story.groups)[0].securities[NAME].shown_state == "error"
    story.update(21, 12, connection=2).quiet_until(23)
    assert play(story.groups)[0].securities[NAME].shown_state == "live"
