"""A payload says on disk what its Struct says, for as long as journals are kept."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journal.group import Corrupt, Kind
from journal.payload import Command, Connection, Epoch, Payload, Rest, pack, unpack
from tests.unit.journal.building import UNHURRIED
from wire.messages import Policy

GOLDEN = Path(__file__).parents[2] / "golden" / "journal_payloads.hex"
PINNED: dict[Kind, Payload] = {
    Kind.REST: Rest(
        "depth", "gap", 200, 1_723_161_600_000_000_001, "/api/v3/depth?symbol=BTCUSDT", 1000, b"{}"
    ),
    Kind.COMMAND: Command("add", "depth", 100, (Policy(), Policy(1000, 600, 10)), 1_723_161_600_000_000_002),
    Kind.CONNECTION: Connection("closed", "serverShutdown"),
    Kind.EPOCH: Epoch(17, "torn"),
}
COMMAND_WITHOUT_ORDER_IDS = bytes.fromhex(
    "95a3616464a5646570746864929300000093cd03e8cd02580acf17e9e65872980002"
)
"""The same as journals have it from before a policy said whether order ids are kept."""

ints = st.integers(-(2**63), 2**63 - 1)
payloads = st.one_of(
    st.tuples(
        st.just(Kind.REST), st.builds(Rest, st.text(), st.text(), ints, ints, st.text(), ints, st.binary())
    ),
    st.tuples(
        st.just(Kind.COMMAND),
        st.builds(
            Command,
            st.text(),
            st.text(),
            ints,
            st.lists(st.builds(Policy, ints, ints, ints), max_size=3).map(tuple),
            ints,
        ),
    ),
    st.tuples(st.just(Kind.CONNECTION), st.builds(Connection, st.text(), st.text())),
    st.tuples(st.just(Kind.EPOCH), st.builds(Epoch, ints, st.text())),
)


@UNHURRIED
@given(payloads)
def test_a_payload_is_read_back(written: tuple[Kind, Payload]) -> None:
    kind, payload = written
    assert unpack(kind, pack(payload)) == payload


def test_the_bytes_of_each_payload_are_pinned() -> None:
    assert {kind: pack(payload) for kind, payload in PINNED.items()} == {
        kind: bytes.fromhex(line) for kind, line in zip(PINNED, GOLDEN.read_text().splitlines(), strict=True)
    }


def test_commands_from_before_policies_said_whether_order_ids_are_kept_are_read() -> None:
    assert unpack(Kind.COMMAND, COMMAND_WITHOUT_ORDER_IDS) == PINNED[Kind.COMMAND]


@pytest.mark.parametrize("kind", PINNED)
def test_a_field_added_at_the_end_does_not_stop_an_older_reader(kind: Kind) -> None:
    data = pack(PINNED[kind])
    assert data[0] & 0xF0 == 0x90, "an array of less than 16 elements"
    assert unpack(kind, bytes([data[0] + 1]) + data[1:] + b"\x07") == PINNED[kind]


@UNHURRIED
@given(st.sampled_from(Kind), st.binary(max_size=50))
def test_garbage_gives_corrupt_and_nothing_else(kind: Kind, garbage: bytes) -> None:
    with contextlib.suppress(Corrupt):
        unpack(kind, garbage)


@pytest.mark.parametrize("kind", [Kind.FRAME, Kind.TICK])
def test_frames_and_ticks_have_no_payload_to_decode(kind: Kind) -> None:
    with pytest.raises(Corrupt, match=kind.name):
        unpack(kind, pack(PINNED[Kind.EPOCH]))
