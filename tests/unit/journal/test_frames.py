"""Frames as columns are the records that their groups hold."""

from hypothesis import given
from hypothesis import strategies as st

from journal.frames import Frames, by_security
from journal.group import Kind, pack_group, unpack_group
from tests.unit.journal.building import CLOCK_NS, LINE, UNHURRIED, rows
from wire.names import BUCKETS, bucket_of, position_at

FIRST = position_at(3, 1200)


@UNHURRIED
@given(st.lists(rows, min_size=1, max_size=3), st.sets(st.integers(0, BUCKETS - 1)), st.data())
def test_frames_by_security_are_the_records(written: list, wanted: set[int], data: st.DataObject) -> None:  # type: ignore[type-arg]
    wanted |= {bucket_of("binance:ETHUSDT")} if len(written[0]) % 2 else set()
    groups, first = [], FIRST
    for each in written:
        groups.append(unpack_group(pack_group(LINE, Kind.FRAME, first, CLOCK_NS, each)))
        first = groups[-1].next_position
    named: dict[str, Frames] = {}
    for group in groups:
        for name, frames in by_security(group, group.rows(wanted)).items():
            if (before := named.setdefault(name, frames)) is not frames:
                before.extend(frames)
    records = [record for group in groups for record in group.records(wanted)]
    assert sorted(record for frames in named.values() for record in frames) == records
    for name, frames in named.items():
        whole = list(frames)
        assert {record.security for record in whole} == {name}
        assert frames.next_position == whole[-1].position + 1
        since = data.draw(st.integers(FIRST, first + 1))
        assert list(frames.since(since) or ()) == [record for record in whole if record.position >= since]
        places = data.draw(st.lists(st.integers(0, len(whole) - 1), unique=True).map(sorted))
        assert list(frames.at(places)) == [whole[place] for place in places]
