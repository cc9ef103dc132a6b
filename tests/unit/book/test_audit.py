"""An audit: a fresh snapshot, carried forward to the book, says what differs and makes the book wider."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from book.audit import KEPT_NS, Auditor
from book.depth import Depth
from book.live import tapped
from tests.unit.book.play import (
    NAME,
    START,
    S,
    Story,
    copied,
    ints,
    maintainer,
    messages,
    of_type,
    play,
    stored,
    unpacked,
)
from tests.unit.book.test_any_journal import check_chains
from wire.runs import Audit as AuditMessage
from wire.runs import Cut, Hole, Image, RunMessage

BIDS, ASKS = [("10", "1"), ("9", "2")], [("11", "1"), ("12", "2")]


class Audited(Story):
    """A story with requests that are said in the journal."""

    def asked(self, seconds: float) -> "Audited":
        self.journal.ticks_until(self.at(seconds))
        self.journal.command(self.at(seconds), NAME, "asked")
        return self

    def body(self, seconds: float, last: int, *rows: Any, levels: int = 0) -> "Audited":
        self.snapshot(seconds, last, *rows, cause="audit", levels=levels)
        return self


def live() -> Audited:
    """Return a story whose book is live at update 11: bids 10 and 9, asks 11 and 12."""
    story = Audited().begin()
    story.snapshot(0.1, 10, BIDS, ASKS).update(0.2, 11)
    assert isinstance(story, Audited)
    return story


def audits(said: Sequence[RunMessage]) -> list[AuditMessage]:
    return of_type(said, AuditMessage)


def found(audit: AuditMessage) -> list[tuple[int, int, int, int]]:
    columns = map(ints, (audit.prices, audit.ours, audit.theirs))
    return list(zip(audit.sides_u1, *columns, strict=True))


def results(said: Sequence[RunMessage]) -> list[tuple[int, int, int]]:
    return [(each.update_id, each.levels, each.equal) for each in audits(said)]


def skipped(story: Story) -> int:
    return play(story.groups)[0].securities[NAME].book.auditor.skipped


def test_a_true_snapshot_is_equal() -> None:
    story = live().asked(1).update(1.1, 12, bids=[("10", "3")]).update(1.2, 13, asks=[("12", "0")])
    story.snapshot(1.3, 12, [("10", "3"), ("9", "2")], ASKS, cause="audit").update(1.4, 14)
    [audit] = audits(story.said())
    assert (audit.update_id, audit.levels, audit.equal, audit.book) == (13, 3, 3, "l2")
    assert (audit.start_ns, audit.certified, audit.order_ids) == (START, (None, None), b"")


def test_a_level_that_differs_is_named_with_both_sizes() -> None:
    story = live().asked(1).body(1.1, 11, [("10", "1"), ("8", "2")], [("11", "1.5"), ("12", "2")])
    said = story.said()
    [audit] = audits(said)
    assert (audit.levels, audit.equal, audit.size_scale) == (5, 2, 1)
    assert found(audit) == [(0, 9, 20, 0), (0, 8, 0, 20), (1, 11, 10, 15)]
    assert not of_type(said, Hole), "one that was found once may be the venue's"
    made = play(story.groups)[0].securities[NAME].book
    assert (made.audit_pct, made.book.scales.size) == (40.0, 0)


def test_what_an_update_after_the_snapshot_said_of_a_level_is_no_difference() -> None:
    story = live().asked(1).update(1.1, 12, bids=[("10", "3")])
    story.body(1.2, 11, [("10", "7"), ("9", "2")], ASKS)
    assert results(story.said()) == [(12, 4, 4)]


def test_an_update_that_the_snapshot_lies_inside_of_is_applied_too() -> None:
    story = live().asked(1).update(1.1, 12, 15, bids=[("10", "3")])
    story.body(1.2, 13, BIDS, ASKS)
    assert results(story.said()) == [(15, 4, 4)]


def test_a_snapshot_ahead_of_the_book_is_compared_when_the_book_has_reached_it() -> None:
    story = live().asked(1).body(1.1, 13, [("10", "5"), ("9", "2")], ASKS)
    assert results(story.said()) == []
    story.update(1.2, 12).update(1.3, 13, bids=[("10", "5")]).update(1.4, 14, bids=[("10", "6")])
    assert results(story.said()) == [(13, 4, 4)]


@pytest.mark.parametrize("per_group", [1, 2, 16])
def test_however_the_frames_were_grouped(per_group: int) -> None:
    story = Audited(per_group=per_group).begin()
    story.snapshot(0.1, 10, BIDS, ASKS).update(0.2, 11)
    story.asked(1).body(1.1, 20, BIDS, ASKS)  # type: ignore[attr-defined]
    for n in range(12, 40):
        story.update(1.2 + n / 1000, n)
    assert results(story.said()) == [(20, 4, 4)]


def test_a_snapshot_older_than_what_is_kept_is_no_audit() -> None:
    story = live().asked(1).body(1.1, 10, BIDS, ASKS)
    assert results(story.said()) == []
    assert skipped(story) == 1


def test_a_body_that_nobody_said_would_come_is_no_audit() -> None:
    story = live().body(1.1, 11, BIDS, ASKS)
    assert results(story.said()) == []
    assert skipped(story) == 0


def test_asked_before_the_book_is_live_there_is_none() -> None:
    story = Audited().begin()
    assert isinstance(story, Audited)
    story.asked(0.1).body(0.2, 10, BIDS, ASKS).update(0.3, 11).body(0.4, 11, BIDS, ASKS)
    assert results(story.said()) == []


def test_a_gap_ends_it() -> None:
    story = live().asked(1).update(1.1, 14).update(1.2, 15).body(1.3, 14, BIDS, ASKS)
    assert results(story.said()) == []
    assert skipped(story) == 1


def test_updates_are_not_kept_for_ever() -> None:
    late = KEPT_NS // S + 3
    story = live().asked(1).update(2, 12)
    story.quiet_until(late)
    story.body(late + 0.1, 12, BIDS, ASKS)
    assert results(story.said()) == []
    assert skipped(story) == 1


def test_too_many_updates_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("book.audit.MOST_KEPT", 3)
    story = live().asked(1)
    for n in range(12, 16):
        story.update(1 + n / 100, n)
    story.body(1.5, 15, BIDS, ASKS)
    assert results(story.said()) == []
    assert skipped(story) == 1


def test_asked_again_it_begins_anew_and_another_line_does_not_disturb_it() -> None:
    audit = Auditor()
    audit.asked("binance/a", 0, 10)
    audit.asked("binance/b", 5, 20)
    assert (audit.expects("binance/a"), audit.expects("binance/b")) == (True, False)
    audit.asked("binance/a", 50 * S, 30)
    audit.tick(70 * S)
    assert audit.is_on_its_way
    audit.tick(111 * S)
    assert (audit.is_on_its_way, audit.skipped) == (False, 1)


def test_the_same_difference_twice_is_a_desync() -> None:
    wrong = [("10", "4"), ("9", "2")]
    story = live().asked(1).body(1.1, 11, wrong, ASKS).update(2, 12)
    story.asked(3).update(3.1, 13, asks=[("12", "5")]).body(3.2, 12, wrong, ASKS)
    story.update(4, 14)
    said = story.said()
    assert results(said) == [(11, 4, 3), (13, 4, 3)]
    assert [(h.first_id, h.last_id, h.cause) for h in of_type(said, Hole)] == [(14, None, "desync")]
    made = play(story.groups)[0].securities[NAME]
    assert made.wishes_snapshot
    story.snapshot(5, 14, wrong, ASKS).update(5.1, 15)
    said = story.said()
    assert [(h.last_id, h.covered) for h in of_type(said, Hole)] == [(None, 0), (14, 1)]
    assert of_type(said, Image)[-1].update_id == 15


def test_other_differences_each_time_are_none() -> None:
    story = live().asked(1).body(1.1, 11, [("10", "4"), ("9", "2")], ASKS).update(2, 12)
    story.asked(3).body(3.2, 12, [("10", "1"), ("9", "3")], ASKS).update(4, 13)
    said = story.said()
    assert results(said) == [(11, 4, 3), (12, 4, 3)]
    assert not of_type(said, Hole)


def around(levels: int, **sizes: str) -> tuple[list[Any], list[Any]]:
    """Return bids from 1000 down and asks from 1001 up, each of size 1 unless *sizes* says (``_990``)."""
    named = {name[1:]: size for name, size in sizes.items()}
    bids, asks = (range(1000, 1000 - levels, -1), range(1001, 1001 + levels))
    sides = [[(str(price), named.get(str(price), "1")) for price in prices] for prices in (bids, asks)]
    return sides[0], sides[1]


def narrow() -> Audited:
    """Return a story whose book is certified from 901 to 1100, and knows 890 from an update."""
    story = Audited().begin()
    story.snapshot(0.1, 10, *around(100), levels=100).update(0.2, 11, bids=[("890", "3")])
    assert isinstance(story, Audited)
    return story


def test_what_the_snapshot_knows_beyond_widens_the_book_with_a_new_image() -> None:
    story = narrow().asked(1).update(1.1, 12, asks=[("1200", "4")])
    story.body(1.2, 12, *around(500, _890="3", _1200="4"), levels=500)
    story.update(1.3, 13, bids=[("600", "5")]).update(12, 14)
    said = story.said()
    [audit] = audits(said)
    assert (audit.certified, audit.levels, audit.equal) == ((901, 1100), 200, 200)
    first, wide = of_type(said, Image)
    assert (first.update_id, first.certified) == (11, (901, 1100))
    assert (wide.update_id, wide.certified) == (13, (501, 1500))
    bids, asks = around(500, _890="3", _1200="4", _600="5")
    assert wide.bids == 500
    prices, sizes = map(ints, (wide.prices, wide.sizes))
    assert list(zip(map(str, prices), map(str, sizes), strict=True)) == bids + asks
    [cut] = [cut for cut in of_type(said, Cut) if cut.final]
    assert [entry[:3] for entry in cut.chains] == [(11, 12, 11), (13, 13, 13)]
    check_chains(said)


def test_a_level_of_the_snapshot_beyond_that_the_book_knows_better_stays() -> None:
    story = narrow().asked(1).body(1.2, 11, *around(150, _890="9"), levels=500)
    book = play(story.groups)[0].securities[NAME].book.book
    assert isinstance(book, Depth)
    assert book.levels.bids.sizes == {int(price): 3 if price == "890" else 1 for price, _ in around(150)[0]}
    assert book.levels.certified == (None, None)


def test_a_snapshot_that_differs_inside_is_not_believed_beyond() -> None:
    story = narrow().asked(1).body(1.2, 11, *around(500, _990="9"), levels=500).update(2, 12)
    assert [image.certified for image in of_type(story.said(), Image)] == [(901, 1100)]


def test_a_narrower_snapshot_is_compared_inside_its_own_span() -> None:
    story = Audited().begin()
    assert isinstance(story, Audited)
    story.snapshot(0.1, 10, *around(500), levels=500).update(0.2, 11)
    story.asked(1).body(1.1, 11, *around(100), levels=100).update(2, 12)
    said = story.said()
    [audit] = audits(said)
    assert (audit.certified, audit.levels, audit.equal) == ((901, 1100), 200, 200)
    assert len(of_type(said, Image)) == 1


def test_an_image_that_is_due_meanwhile_waits_for_the_wider_one() -> None:
    story = narrow().asked(1).body(1.2, 11, *around(500, _890="3"), levels=500).quiet_until(499)
    story.update(500, 12)
    images = of_type(story.said(), Image)
    assert [(image.update_id, image.certified) for image in images] == [
        (11, (901, 1100)),
        (12, (501, 1500)),
    ]


def test_a_commanded_snapshot_makes_its_image_and_an_audit() -> None:
    story = live().asked(1)
    story.snapshot(1.1, 11, BIDS, ASKS, cause="command")
    said = story.said()
    assert [image.update_id for image in of_type(said, Image)] == [11, 11]
    assert results(said) == [(11, 4, 4)]


def test_the_tap_tells_in_decimal_text() -> None:
    story = live().asked(1).body(1.1, 11, [("10", "1"), ("9", "2.5")], ASKS)
    [audit] = audits(story.said())
    [told] = [msgspec.msgpack.decode(body) for body in tapped(audit)]
    assert told == {
        "type": "audit",
        "time": "2023-11-14T22:13:20.200Z",
        "update_id": 11,
        "levels": 4,
        "equal": 3,
        "pct": 75.0,
        "misplaced": 0,
        "found": 1,
        "differences": [["bid", "9", "2", "2.5"]],
    }


def test_restarted_at_every_record_the_same_is_stored() -> None:
    story = narrow().asked(1).update(1.1, 12, asks=[("1200", "4")]).update(1.2, 13)
    story.body(1.3, 15, *around(500, _890="3", _1200="4"), levels=500)
    story.update(1.4, 14).update(1.5, 15).update(1.6, 16)
    for seconds, last in ((2, 16), (3, 17)):
        story.asked(seconds).body(seconds + 0.1, last, *around(100, _999="7"), levels=100)
        story.update(seconds + 0.2, last + 1)
    whole = stored(story.said())
    made = maintainer()
    said: list[RunMessage] = []
    for group in unpacked(story.groups):
        made = copied(made)
        said += messages(made, [group])
    assert stored(said) == whole
    assert [(each.update_id, each.equal) for each in audits(said)] == [(15, 200), (16, 199), (17, 199)]
    assert of_type(said, Hole)


# --- orders ----------------------------------------------------------------------------------
