"""Runs, tokens, answers: one test per row of the table in condition.conditioner."""

from typing import Any

from condition.conditioner import WAIT_NS, Conditioner
from tests.unit.condition.maintainer import int64s
from wire.messages import Answer, Synced
from wire.names import bucket_of
from wire.runs import Audit, Begin, Changes, Cut, Hole, Image, Mark, Trades

SECURITY, LINE = "binance:TEST", "binance/a"
BUCKET = bucket_of(SECURITY)
WINDOW = 10**9
TOKEN = 50


def conditioner() -> Conditioner:
    made = Conditioner(window_ns=WINDOW, reply_to="here", token=TOKEN, lines=frozenset((LINE,)))
    made.synced(Synced(LINE, 1_000))
    return made


def begin(run: int = 1, **windows: int) -> Begin:
    return Begin(SECURITY, run, 0, {LINE: 1}, "l2", True, windows)


def changes(
    number: int, start: int, first: int, last: int, *, run: int = 1, mark: int | None = None
) -> Changes:
    ids = int64s(list(range(first, last + 1)))
    one, none = int64s([1] * (last - first + 1)), int64s([0] * (last - first + 1))
    marks = {LINE: mark or number + 1}
    times = int64s([start * WINDOW] * (last - first + 1))
    return Changes(
        SECURITY,
        run,
        number,
        marks,
        start * WINDOW,
        0,
        0,
        ids,
        ids,
        times,
        times,
        times,
        one,
        none,
        one,
        one,
        none,
    )


def cut(number: int, start: int, first: int, last: int, *, final: bool = True, run: int = 1) -> Cut:
    chains = ((first, last, 1, b"h"),)
    return Cut(SECURITY, run, number, {LINE: number + 1}, "changes", start * WINDOW, chains, 0, final)


def mark(number: int, run: int = 1) -> Mark:
    return Mark(SECURITY, run, number, {LINE: number + 1})


def due(made: Conditioner) -> list[tuple[str, int]]:
    return [(document.id.removeprefix(SECURITY), document.covered) for document in made.outbox.due()]


def done(made: Conditioner) -> int | None:
    return made.done()[BUCKET].marks[SECURITY].get(LINE)


def test_a_final_cut_hands_out_the_window_and_its_answer_moves_done() -> None:
    made = conditioner()
    made.take([begin(), changes(1, 0, 1, 3), cut(2, 0, 1, 3), changes(3, 1, 4, 4), mark(4)], 0)
    assert due(made) == [("|changes|0", 3)]
    assert done(made) == 1
    made.answer(Answer(stored=((f"{SECURITY}|changes|0", 3),)), 0)
    assert done(made) == 3, "the first message of the window that is still open holds it back"


def test_a_final_version_that_covers_no_more_than_a_stored_provisional_one_is_not_sent_again() -> None:
    made = conditioner()
    made.take([begin(), changes(1, 0, 1, 3), cut(2, 0, 1, 3, final=False)], 0)
    made.answer(Answer(stored=((f"{SECURITY}|changes|0", 3),)), 0)
    assert done(made) == 1, "a provisional version is not done"
    made.take([cut(3, 0, 1, 3), mark(4)], 0)
    assert due(made) == []
    assert done(made) == 5


def test_an_update_after_a_provisional_cut_makes_a_version_that_covers_more() -> None:
    made = conditioner()
    made.take([begin(), changes(1, 0, 1, 3), cut(2, 0, 1, 3, final=False)], 0)
    made.take([changes(3, 0, 4, 4), cut(4, 0, 1, 4)], 0)
    assert due(made) == [("|changes|0", 4)]


def test_a_newer_run_forgets_the_old_ones_open_windows() -> None:
    made = conditioner()
    made.take([begin(), changes(1, 0, 1, 3)], 0)
    made.take([begin(2), changes(1, 0, 1, 2, run=2), cut(2, 0, 1, 2, run=2)], 0)
    assert due(made) == [("|changes|0", 2)]


def test_a_message_of_an_older_run_is_dropped() -> None:
    made = conditioner()
    made.take([begin(2), begin(1), changes(1, 0, 1, 3), cut(2, 0, 1, 3)], 0)
    assert due(made) == []
    assert made.token(BUCKET) == TOKEN


def test_what_an_earlier_run_wrote_for_good_is_not_written_again() -> None:
    made = conditioner()
    made.take([begin(changes=0), changes(1, 0, 3, 3), cut(2, 0, 3, 3)], 0)
    made.take([changes(3, 1, 4, 4), cut(4, 1, 4, 4)], 0)
    assert due(made) == [("|changes|1", 1)]


def test_a_skipped_number_asks_once_for_a_new_run_and_takes_nothing_until_it_begins() -> None:
    made = conditioner()
    made.take([begin(), changes(1, 0, 1, 3), cut(3, 0, 1, 3), mark(4)], 0)
    assert made.token(BUCKET) == TOKEN + 1
    assert made.token(BUCKET + 1) == TOKEN
    assert due(made) == []
    made.take([begin(2), changes(1, 0, 1, 3, run=2), cut(2, 0, 1, 3, run=2)], 0)
    assert due(made) == [("|changes|0", 3)]


def test_an_older_conditioners_run_is_no_reason_for_a_new_one_at_once() -> None:
    made = conditioner()
    made.take([mark(7)], 0)
    made.tick(WAIT_NS - 1)
    assert made.token(BUCKET) == TOKEN
    made.tick(WAIT_NS)
    assert made.token(BUCKET) == TOKEN + 1, "the begin was lost on the way"
    made.take([mark(8)], WAIT_NS)
    made.tick(WAIT_NS + 1)
    assert made.token(BUCKET) == TOKEN + 1


def test_a_run_whose_begin_was_lost_is_asked_for_again() -> None:
    made = conditioner()
    made.take([begin(), mark(1), mark(4, run=2), mark(5, run=2)], 0)
    assert made.token(BUCKET) == TOKEN + 1


def test_a_run_that_breaks_a_promise_is_told_and_asked_for_again_and_its_message_is_not_done() -> None:
    made = conditioner()
    made.take([begin(), changes(1, 0, 1, 3), cut(2, 0, 1, 3)], 0)
    made.answer(Answer(stored=((f"{SECURITY}|changes|0", 3),)), 0)
    [(security, reason)] = made.take([changes(3, 0, 4, 4), mark(4), mark(5)], 0)
    assert (security, "which was closed" in reason) == (SECURITY, True)
    assert (made.token(BUCKET), made.token(BUCKET + 1)) == (TOKEN + 1, TOKEN)
    assert done(made) == 3, "the rows that had no place are not done"
    health = made.health()[SECURITY]
    assert (health["state"], health["reason"], health["broken_runs"]) == ("error", reason, 1)
    again = Begin(SECURITY, 2, 0, {LINE: 3}, "l2", True, {"changes": 0})
    made.take([again, changes(1, 1, 4, 4, run=2), cut(2, 1, 4, 4, run=2)], 1)
    assert due(made) == [("|changes|1", 1)]
    assert made.health()[SECURITY]["state"] == "live"


def test_a_cut_that_does_not_fit_breaks_its_own_security_only() -> None:
    made = conditioner()
    other = "binance:OTHER"
    assert bucket_of(other) != BUCKET
    theirs = [replaced(each, security=other) for each in (begin(), changes(1, 0, 1, 3), cut(2, 0, 1, 3))]
    broken = made.take([theirs[0], theirs[1], begin(), changes(1, 0, 1, 3), cut(2, 0, 1, 2), theirs[2]], 0)
    assert [security for security, _ in broken] == [SECURITY]
    assert [each.security for each in made.outbox.due()] == [other]
    assert (made.token(BUCKET), made.token(bucket_of(other))) == (TOKEN + 1, TOKEN)
    assert done(made) == 1


def test_a_run_that_breaks_each_time_is_asked_for_ever_more_slowly() -> None:
    made, now = conditioner(), 0
    asked = []
    for run in range(1, 5):
        made.take([begin(run), changes(1, 0, 1, 3, run=run), cut(2, 0, 1, 2, run=run)], now)
        token, broken_ns = made.token(BUCKET), now
        while run > 1 and made.token(BUCKET) == token:
            now += WAIT_NS
            made.tick(now)
        asked.append((now - broken_ns) // WAIT_NS)
    assert asked == [0, 2, 4, 8]


def replaced(message: Any, **fields: Any) -> Any:
    return type(message)(**{name: getattr(message, name) for name in message.__struct_fields__} | fields)


def test_a_refused_document_counts_as_done_and_is_an_error_of_its_security() -> None:
    made = conditioner()
    made.take([begin(), changes(1, 0, 1, 3), cut(2, 0, 1, 3), mark(3)], 0)
    assert made.answer(Answer(refused=((f"{SECURITY}|changes|0", 3, "too large"),)), 0) == [
        (f"{SECURITY}|changes|0", "too large")
    ]
    assert done(made) == 4
    assert made.health()[SECURITY]["state"] == "error"
    assert "too large" in made.health()[SECURITY]["reason"]


def test_a_document_waits_for_the_reading_position_of_its_cut_to_be_synced() -> None:
    made = conditioner()
    final = cut(2, 0, 1, 3)
    late = Cut(*(getattr(final, name) for name in final.__struct_fields__[:-1]), read={LINE: 1_001})
    made.take([begin(), changes(1, 0, 1, 3), late], 0)
    assert due(made) == []
    made.synced(Synced(LINE, 1_001))
    assert due(made) == [("|changes|0", 3)]


def test_images_and_ledger_rows_are_documents_of_their_own() -> None:
    made = conditioner()
    empty = int64s([])
    image = Image(SECURITY, 1, 1, {LINE: 2}, 0, 9, 1, 1, "l2", 2, 3, (5, None), b"hash", 0, 0, empty, empty)
    hole = Hole(SECURITY, 1, 2, {LINE: 3}, "book", 0, 10, None, 1, None, "network", "book", "open", 0)
    made.take([begin(), image, hole, mark(3)], 0)
    sent = {document.id: document for document in made.outbox.due()}
    assert list(sent) == [f"{SECURITY}|image|9", f"{SECURITY}|book|10"]
    assert sent[f"{SECURITY}|image|9"].fields["certified"] == {"bid_low": 5, "ask_high": None}
    assert sent[f"{SECURITY}|book|10"].fields == {
        "feed": "book",
        "first_id": 10,
        "last_id": None,
        "from": 1,
        "to": None,
        "cause": "network",
        "noticed_by": "book",
        "state": "open",
    }
    assert done(made) == 1
    made.answer(Answer(stored=tuple(each.key for each in sent.values())), 0)
    assert done(made) == 4


def test_a_ledger_row_and_a_block_of_one_id_are_two_documents() -> None:
    """The first trade missing has as number the second in which a window of trades began."""
    made = conditioner()
    hole = Hole(SECURITY, 1, 1, {LINE: 2}, "trades", 0, 7, None, 1, None, "network", "x", "open", 9)
    one, now = int64s([1]), int64s([7 * WINDOW])
    printed = Trades(SECURITY, 1, 2, {LINE: 3}, 7 * WINDOW, 0, 0, one, now, now, now, b"\0", one, one)
    final = Cut(SECURITY, 1, 3, {LINE: 4}, "trades", 7 * WINDOW, ((1, 1, None, b""),), 0, final=True)
    made.take([begin(), hole, printed, final], 0)
    row, block = made.outbox.due()
    assert row.id == block.id
    assert (row.collection, block.collection) == ("gaps", "trades")
    made.answer(Answer(stored=(row.key,)), 0)
    assert list(made.outbox.due()) == [block]
    assert done(made) == 2, "the window's block is not stored"


def test_an_audit_is_a_document_that_a_shell_can_read() -> None:
    made = conditioner()
    sizes = [int64s(each) for each in ([11, 12], [5, 0], [0, 7])]
    names = bytes(15) + b"\x01" + bytes(15) + b"\x02"
    audit = Audit(
        SECURITY, 1, 1, {LINE: 2}, 0, 9, 1, "l3", 2, 3, (None, None), 40, 38, 4, b"\x00\x01", *sizes, names
    )
    made.take([begin(), audit, mark(2)], 0)
    (document,) = made.outbox.due()
    assert (document.collection, document.id, document.covered) == ("audits", f"{SECURITY}|audit|9", 40)
    assert document.fields == {
        "update_id": 9,
        "time": 1,
        "book": "l3",
        "levels": 40,
        "equal": 38,
        "pct": 95.0,
        "misplaced": 4,
        "found": 2,
        "differences": [
            ["bid", 11, 5, 0, "00000000-0000-0000-0000-000000000001"],
            ["ask", 12, 0, 7, "00000000-0000-0000-0000-000000000002"],
        ],
        "certified": {"bid_low": None, "ask_high": None},
        "price_scale": 2,
        "size_scale": 3,
    }
    assert done(made) == 1
    made.answer(Answer(stored=(document.key,)), 0)
    assert done(made) == 3


def test_health_tells_the_bytes_that_a_change_takes() -> None:
    made = conditioner()
    made.take([begin(), changes(1, 0, 1, 3), cut(2, 0, 1, 3)], 0)
    (document,) = made.outbox.due()
    size = len(document.fields["body"]) + len(document.fields["receipts"])
    assert made.health()[SECURITY]["bytes_per_change"] == round(size / 3, 3)
    assert made.health()[SECURITY]["bytes_per_trade"] is None


def test_documents_of_the_run_before_are_still_waited_for() -> None:
    made = conditioner()
    made.take([begin(), changes(1, 0, 1, 3), cut(2, 0, 1, 3)], 0)
    again = Begin(SECURITY, 2, 0, {LINE: 3}, "l2", True, {"changes": 0})
    made.take([again, mark(1, run=2), mark(2, run=2)], 0)
    assert done(made) == 1
    made.answer(Answer(stored=((f"{SECURITY}|changes|0", 3),)), 0)
    assert done(made) == 3


def test_the_newest_run_of_a_bucket_is_told_so_that_the_next_is_newer() -> None:
    made = conditioner()
    assert made.newest_runs() == {}
    made.take([begin(run=7), mark(1, run=7), begin(run=3)], 0)
    assert made.newest_runs() == {BUCKET: 7}
