"""What comes out of a websocket is what the server sent, however the bytes are cut; the rest is refused."""

import pytest
import websocket
from hypothesis import given
from hypothesis import strategies as st

from ingest import framing
from ingest.framing import COMPILED, Control, Message, Opcode, Splitter, plain_texts


def frame(opcode: int, payload: bytes, *, final: bool = True, reserved: int = 0) -> bytes:
    """Write a frame as a server does: websocket-client's own writer, without a mask."""
    made = websocket.ABNF(int(final), reserved, 0, 0, opcode, 0, payload)
    return made.format()


def said(opcode: int, payload: bytes) -> Message:
    """Return what a whole message is to a reader."""
    return payload if opcode in (Opcode.TEXT, Opcode.BINARY) else Control(opcode, payload)


sizes = st.sampled_from([0, 1, 125, 126, 127, 65535, 65536, 70000]) | st.integers(0, 300)
controls = st.builds(
    lambda opcode, size: (opcode, bytes(size)), st.sampled_from([8, 9, 10]), st.integers(0, 125)
)
messages = st.builds(lambda opcode, size: (opcode, b"x" * size), st.sampled_from([1, 2]), sizes)


@given(st.lists(messages | controls, max_size=8), st.data())
def test_messages_come_out_whole_wherever_the_bytes_are_cut(
    sent: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    stream = b"".join(frame(opcode, payload) for opcode, payload in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    splitter = Splitter()
    found = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += splitter.feed(stream[start:end])
    assert found == [said(opcode, payload) for opcode, payload in sent]


def test_a_byte_at_a_time_is_enough() -> None:
    stream = frame(1, b"a" * 130) + frame(9, b"ping") + frame(2, b"b" * 70000)
    splitter = Splitter()
    found = [m for i in range(len(stream)) for m in splitter.feed(stream[i : i + 1])]
    assert found == [b"a" * 130, Control(9, b"ping"), b"b" * 70000]


@given(st.lists(st.binary(max_size=50), min_size=2, max_size=6), st.sampled_from([1, 2]))
def test_fragments_are_joined_and_a_ping_between_them_comes_at_once(parts: list[bytes], opcode: int) -> None:
    stream = frame(opcode, parts[0], final=False) + frame(9, b"now")
    for number, part in enumerate(parts[1:], 2):
        stream += frame(0, part, final=number == len(parts))
    assert Splitter().feed(stream) == [Control(Opcode.PING, b"now"), b"".join(parts)]


@pytest.mark.parametrize(
    "stream",
    [
        frame(1, b"x", reserved=1),
        b"\x81\x81" + bytes(5),  # masked
        b"\x83\x00",  # an unknown opcode
        b"\x09\x00",  # a fragmented ping
        b"\x89\x7e\x00\x7e" + bytes(126),  # a long ping
        frame(0, b"x"),  # a continuation of nothing
        frame(1, b"x", final=False) + frame(1, b"y"),
        frame(1, b"x", final=False) + frame(2, b"y", final=False),
        b"\x81\x7f" + (framing.MOST_BYTES + 1).to_bytes(8, "big"),
    ],
)
def test_what_the_protocol_forbids_ends_the_stream_after_what_came_before(stream: bytes) -> None:
    splitter = Splitter()
    assert splitter.feed(frame(1, b"good") + stream)[:1] == [b"good"]
    assert splitter.broken
    assert splitter.feed(frame(1, b"late")) == []


def test_fragments_of_more_than_the_bound_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framing, "MOST_BYTES", 100)
    splitter = Splitter()
    splitter.feed(frame(1, bytes(60), final=False))
    splitter.feed(frame(0, bytes(60), final=False))
    assert "more than 100" in splitter.broken


@given(st.binary(max_size=200))
def test_garbage_is_messages_or_a_broken_stream_and_nothing_else(data: bytes) -> None:
    splitter = Splitter()
    for message in splitter.feed(data):
        assert isinstance(message, bytes) or message.opcode in list(Opcode)


@pytest.mark.skipif(not COMPILED, reason="the loops are not compiled here: make install says why")
@given(st.lists(messages | controls, max_size=8), st.integers(0, 9), st.integers(0, 400), st.data())
def test_the_compiled_loop_takes_what_the_plain_one_takes(
    sent: list[tuple[int, bytes]], start: int, longest: int, data: st.DataObject
) -> None:
    stream = bytearray(bytes(start) + b"".join(frame(opcode, payload) for opcode, payload in sent))
    for _ in range(data.draw(st.integers(0, 3))):
        place = data.draw(st.integers(0, max(0, min(len(stream), 12) - 1)))
        stream[place : place + 1] = data.draw(st.sampled_from([b"", b"\x81", b"\x7e", b"\x7f", b"\xff"]))
    compiled: list[Message] = []
    plain: list[Message] = []
    ends = [
        take(bytes(stream), start, longest, out)
        for take, out in ((framing.texts, compiled), (plain_texts, plain))
    ]
    assert (ends[0], compiled) == (ends[1], plain)
