"""What the journals received, read without the stages."""

import json
from pathlib import Path

from journal.segment import pack_segment_header, segment_name
from tests.chaos.evidence import Evidence
from tests.journaled import Journal
from tests.simulator.heard import Lost
from tests.simulator.spoiling import SPOILT
from wire.names import position_at

S = 1_000_000_000
SECURITY = "binance:BTCUSDT"


def depth(first: int, last: int) -> bytes:
    data = {"e": "depthUpdate", "E": 1795000000123, "s": "BTCUSDT", "U": first, "u": last}
    levels = {"b": [["1.50000000", "2.00000000"]], "a": []}
    return json.dumps({"stream": "btcusdt@depth", "data": data | levels}, separators=(",", ":")).encode()


def book(update_id: int) -> bytes:
    return json.dumps({"lastUpdateId": update_id, "bids": [["1.5", "2"]], "asks": []}).encode()


def write(folder: Path, journal: Journal) -> None:
    journal.flush()
    first = position_at(1, 0)
    path = folder / journal.line.replace("/", "-") / segment_name(first)
    path.parent.mkdir()
    path.write_bytes(pack_segment_header(journal.line, first, S) + b"".join(journal.groups))


def line(letter: str, *frames: bytes) -> Journal:
    journal = Journal(f"binance/{letter}")
    journal.start(S)
    for n, frame in enumerate(frames):
        journal.frame((10 + n) * S, SECURITY, frame)
    return journal


def lost(folder: Path) -> list[Lost]:
    return Evidence(folder, SECURITY).lost("book")


def test_ids_that_are_skipped_are_missing_until_a_snapshot_reaches_their_end(tmp_path: Path) -> None:
    journal = line("a", depth(1, 4), depth(7, 9))
    for recv_ns, update_id in ((20 * S, 5), (21 * S, 8), (22 * S, 30)):
        journal.rest(recv_ns, SECURITY, book(update_id))
    write(tmp_path, journal)
    assert lost(tmp_path) == [Lost(5, 6, 8)]


def test_a_snapshot_from_before_the_break_was_seen_ends_nothing(tmp_path: Path) -> None:
    journal = line("a", depth(1, 4))
    journal.rest(10 * S, SECURITY, book(20))
    journal.frame(11 * S, SECURITY, depth(7, 9))
    journal.rest(12 * S, SECURITY, book(9))
    write(tmp_path, journal)
    assert [each.placed_id for each in lost(tmp_path)] == [9]


def test_the_order_is_that_of_the_journal_where_the_clock_was_set_back(tmp_path: Path) -> None:
    journal = line("a", depth(1, 4))
    journal.rest(10 * S, SECURITY, book(20))
    journal.frame(7 * S, SECURITY, depth(7, 9))
    journal.rest(8 * S, SECURITY, book(9))
    write(tmp_path, journal)
    assert lost(tmp_path) == [Lost(5, 6, 9)]


def test_spoilt_and_late_frames_were_not_received(tmp_path: Path) -> None:
    spoilt = [SPOILT[how](depth(n, n)) for n, how in enumerate(sorted(SPOILT), 3)]
    write(tmp_path, line("a", depth(1, 2), *spoilt, depth(8, 9), depth(7, 7)))
    assert [(each.first, each.last) for each in lost(tmp_path)] == [(3, 7)]


def test_what_one_line_has_is_not_missing(tmp_path: Path) -> None:
    write(tmp_path, line("a", depth(1, 4), depth(7, 9), depth(15, 16)))
    write(tmp_path, line("b", depth(2, 6), depth(7, 11), depth(15, 16)))
    assert [(each.first, each.last) for each in lost(tmp_path)] == [(12, 14)]
