"""A group is read back as it was written, or it is refused: there is nothing between."""

import struct
from pathlib import Path

import google_crc32c
import pytest
from hypothesis import given
from hypothesis import strategies as st

from journal.group import (
    MAX_PAYLOAD_BYTES,
    MAX_RECORDS,
    Corrupt,
    Kind,
    Record,
    TooLarge,
    pack_group,
    read_header,
    unpack_group,
)
from journal.rows import (
    COMPILED,
    Row,
    Rows,
    fits,
    layout,
    payloads,
    plain_fits,
    plain_layout,
    plain_payloads,
)
from tests.unit.journal.building import CLOCK_NS, LINE, SECURITIES, UNHURRIED, flipped, rows
from wire.names import BUCKETS, EVERY_SECURITY, bucket_of, position_at

GOLDEN = Path(__file__).parents[2] / "golden" / "journal_group.hex"
FIRST = position_at(3, 1200)
PINNED: list[Row] = [
    (1_723_161_600_000_000_001, "binance:ETHUSDT", 1, b'{"e":"depthUpdate"}'),
    (1_723_161_600_000_000_002, "binance:BTCUSDT", 2, b'{"e":"trade"}'),
    (1_723_161_600_000_000_003, EVERY_SECURITY, 1, b'{"result":null,"id":1}'),
    (1_723_161_600_000_000_004, "binance:ETHUSDT", 1, b""),
]


def by_bucket(written: list[Row]) -> list[Row]:
    return sorted(written, key=lambda row: bucket_of(row[1]) if row[1] else BUCKETS)


def recorded(written: list[Row], first: int, kind: Kind) -> list[Record]:
    ordered = enumerate(by_bucket(written))
    return [Record(first + i, kind, ns, name, conn, data, LINE) for i, (ns, name, conn, data) in ordered]


@UNHURRIED
@given(rows, st.integers(0, 2**62), st.sampled_from(Kind))
def test_a_group_gives_back_its_rows_sorted_by_bucket(written: list[Row], first: int, kind: Kind) -> None:
    group = unpack_group(pack_group(LINE, kind, first, CLOCK_NS, written))
    assert (group.line, group.kind, group.first, group.next_position, group.clock_ns) == (
        LINE,
        kind,
        first,
        first + len(written),
        CLOCK_NS,
    )
    assert group.records() == recorded(written, first, kind)


@UNHURRIED
@given(rows, st.sets(st.integers(0, BUCKETS - 1)))
def test_a_reader_of_some_buckets_gets_those_and_what_concerns_all(
    written: list[Row], wanted: set[int]
) -> None:
    wanted |= {bucket_of("binance:ETHUSDT")} if len(wanted) % 2 else set()
    group = unpack_group(pack_group(LINE, Kind.FRAME, FIRST, CLOCK_NS, written))
    assert group.records(wanted) == [
        record
        for record in group.records()
        if record.security == EVERY_SECURITY or bucket_of(record.security) in wanted
    ]


@pytest.mark.skipif(not COMPILED, reason="the loops are not compiled here: make install says why")
@UNHURRIED
@given(rows, st.lists(st.integers(0, 255), min_size=4, max_size=4))
def test_the_compiled_layout_is_the_plain_one(written: list[Row], buckets: list[int]) -> None:
    bucket_of = dict(zip(SECURITIES, buckets, strict=True)).__getitem__
    columns = Rows.of([(ns, "".join(list(name)), number, data) for ns, name, number, data in written])
    assert layout(columns, bucket_of) == plain_layout(columns, bucket_of)


@pytest.mark.skipif(not COMPILED, reason="the loops are not compiled here: make install says why")
@UNHURRIED
@given(st.lists(st.tuples(st.binary(max_size=9), st.integers(0, 3)), min_size=1), st.data())
def test_what_is_compiled_of_a_group_read_is_what_is_plain(
    written: list[tuple[bytes, int]], data: st.DataObject
) -> None:
    contents, routes = zip(*written, strict=True)
    lengths = struct.pack(f"<{len(written)}I", *map(len, contents))
    packed = struct.pack(f"<{len(written)}H", *routes)
    blob, size = b"before" + b"".join(contents), sum(map(len, contents))
    rows = data.draw(st.lists(st.integers(0, len(written) - 1)))
    found = payloads(blob, lengths, 6, rows)
    assert found == plain_payloads(blob, lengths, 6, rows) == [contents[row] for row in rows]
    counted = len(written) + data.draw(st.integers(-1, 1))
    names, told = data.draw(st.integers(0, 5)), size + data.draw(st.integers(-1, 1))
    assert fits(lengths, packed, counted, names, told) == plain_fits(lengths, packed, counted, names, told)
    assert fits(lengths, packed, len(written), max(routes) + 1, size)
    assert not fits(lengths, packed, len(written), max(routes), size)


def test_the_bytes_of_a_group_are_pinned() -> None:
    data = pack_group(LINE, Kind.FRAME, FIRST, CLOCK_NS, PINNED)
    assert data == bytes.fromhex(GOLDEN.read_text())
    assert unpack_group(data).records() == recorded(PINNED, FIRST, Kind.FRAME)


def test_the_header_says_size_and_positions_without_decoding() -> None:
    data = pack_group(LINE, Kind.FRAME, FIRST, CLOCK_NS, PINNED)
    assert read_header(b"before" + data, 6) == (len(data), FIRST, FIRST + 4, CLOCK_NS)


@UNHURRIED
@given(rows, st.data())
def test_a_group_cut_anywhere_is_refused(written: list[Row], data: st.DataObject) -> None:
    whole = pack_group(LINE, Kind.FRAME, FIRST, CLOCK_NS, written)
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(Corrupt):
        unpack_group(whole[:cut])


@UNHURRIED
@given(rows, st.data())
def test_one_bit_flipped_anywhere_is_refused(written: list[Row], data: st.DataObject) -> None:
    whole = pack_group(LINE, Kind.FRAME, FIRST, CLOCK_NS, written)
    bit = data.draw(st.integers(0, 8 * len(whole) - 1))
    with pytest.raises(Corrupt):
        unpack_group(flipped(whole, bit))


@UNHURRIED
@given(st.binary(max_size=200))
def test_garbage_is_refused(garbage: bytes) -> None:
    with pytest.raises(Corrupt):
        unpack_group(garbage)


@UNHURRIED
@given(st.data())
def test_columns_that_do_not_fit_are_refused_though_the_checksum_is_right(data: st.DataObject) -> None:
    whole = pack_group(LINE, Kind.FRAME, FIRST, CLOCK_NS, PINNED)
    checked = flipped(whole[8:], data.draw(st.integers(0, 8 * 150)))
    forged = whole[:4] + google_crc32c.value(checked).to_bytes(4, "little") + checked
    try:
        group = unpack_group(forged)
    except Corrupt:
        return
    assert len(group.records()) == group.count


def test_an_empty_group_is_an_error_of_the_caller() -> None:
    with pytest.raises(ValueError, match="without records"):
        pack_group(LINE, Kind.FRAME, FIRST, CLOCK_NS, [])


@pytest.mark.parametrize(
    "written",
    [[(0, "", 0, b"")] * (MAX_RECORDS + 1), [(0, "", 0, bytes(MAX_PAYLOAD_BYTES + 1))]],
    ids=["records", "bytes"],
)
def test_what_one_group_cannot_hold_is_refused_before_it_is_written(written: list[Row]) -> None:
    with pytest.raises(TooLarge):
        pack_group(LINE, Kind.FRAME, FIRST, CLOCK_NS, written)


def test_a_group_at_both_limits_is_read_back() -> None:
    share = MAX_PAYLOAD_BYTES // MAX_RECORDS
    written = [(i, f"binance:S{i}", 0, bytes(share)) for i in range(MAX_RECORDS)]
    assert unpack_group(pack_group(LINE, Kind.FRAME, FIRST, CLOCK_NS, written)).count == MAX_RECORDS
