"""A document leaves when its records are synced, is sent again when nobody names it, goes when answered."""

from condition.outbox import MAX_DOCUMENTS, RESEND_NS, Outbox
from wire.messages import Answer, Document

LINE = "binance/a"


def document(name: str = "d", covered: int = 1) -> Document:
    return Document("changes", name, "binance:X", 0, covered, {"body": b"1234"}, "here")


def outbox() -> Outbox:
    made = Outbox(frozenset((LINE,)))
    made.synced(LINE, 10)
    return made


def due(box: Outbox) -> list[tuple[str, int]]:
    return [(each.id, each.covered) for each in box.due()]


def test_a_document_waits_until_every_record_in_it_is_synced() -> None:
    box = outbox()
    box.put(document(), {LINE: 11})
    assert due(box) == []
    box.synced(LINE, 11)
    assert due(box) == [("d", 1)]


def test_records_of_an_older_epoch_are_synced_and_a_line_that_is_gone_cannot_lose() -> None:
    box = Outbox(frozenset((LINE,)))
    box.put(document(), {LINE: (1 << 40) + 999, "kraken/a": 5})
    assert due(box) == []
    box.synced(LINE, 2 << 40)
    assert due(box) == [("d", 1)]


def test_it_says_how_far_each_line_is_waited_for() -> None:
    box = Outbox(frozenset((LINE, "coinbase/a")))
    box.synced(LINE, 10)
    for name, needs in (
        ("a", {LINE: 9}),
        ("b", {LINE: 12}),
        ("c", {LINE: 11, "coinbase/a": 5, "kraken/a": 7}),
    ):
        box.put(document(name), needs)
    assert box.unsynced() == {LINE: 12, "coinbase/a": 5}
    for line, position in box.unsynced().items():
        box.synced(line, position)
    assert (box.unsynced(), len(due(box))) == ({}, 3)


def test_what_was_sent_is_not_due_until_nobody_named_it_for_ten_seconds() -> None:
    box = outbox()
    box.put(document(), {})
    box.sent(document(), 0)
    box.tick(RESEND_NS - 1)
    assert due(box) == []
    box.answered(Answer(held=(("d", 1),)), RESEND_NS - 1)
    box.tick(RESEND_NS)
    assert due(box) == []
    box.tick(2 * RESEND_NS)
    assert due(box) == [("d", 1)]


def test_a_version_that_covers_more_takes_the_place_of_the_older() -> None:
    box = outbox()
    box.put(document(covered=1), {})
    box.sent(document(covered=1), 0)
    box.put(document(covered=3), {})
    box.put(document(covered=2), {})
    assert due(box) == [("d", 3)]
    assert box.answered(Answer(stored=(("d", 1),)), 0) == []
    assert [each.covered for each in box.answered(Answer(had=(("d", 3),)), 0)] == [3]
    assert len(box) == 0


def test_a_refusal_of_an_older_version_settles_nothing() -> None:
    box = outbox()
    box.put(document(covered=2), {})
    assert box.answered(Answer(refused=(("d", 1, "no"),)), 0) == []
    assert len(box.answered(Answer(refused=(("d", 2, "no"),)), 0)) == 1


def test_it_is_full_at_its_limit_and_has_room_again_after_an_answer() -> None:
    box = outbox()
    for n in range(MAX_DOCUMENTS):
        assert not box.full
        box.put(document(str(n)), {})
    assert box.full
    box.answered(Answer(stored=(("0", 1),)), 0)
    assert not box.full
    assert box.bytes == (MAX_DOCUMENTS - 1) * (box.bytes // (MAX_DOCUMENTS - 1))
