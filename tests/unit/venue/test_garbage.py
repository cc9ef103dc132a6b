"""Whatever bytes arrive, a venue gives messages that can be true, or UnknownFrame, and nothing else."""

import contextlib
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.venue.golden import FOLDER
from venue import VENUES
from venue.api import (
    BookSnapshot,
    Decoded,
    DepthUpdate,
    Ignored,
    Level,
    OrderEvent,
    Trade,
    UnknownFrame,
)
from venue.checks import route_of
from venue.decimals import BadNumber
from venue.numbers import TooLarge, exact

FEEDS = [("binance", "depth"), ("coinbase", "full"), ("coinbase", "level2_batch")]
GOLDEN = {feed: (FOLDER / f"{feed[0]}.{feed[1]}.frames").read_bytes().splitlines() for feed in FEEDS}
DEEP = [b"[" * 100_000, b'{"data":' * 100_000, b'{"type":"x","a":' + b"[" * 100_000]
HUGE = [b"9" * 5000, b"1e999999", b'{"stream":"a@b","data":{"e":1e9999}}']
ODD = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b'""',
    b"\xff\xfe",
    b'{"type":"\xff"}',
    b'{"stream":"\xff","data":{}}',
    b"ping",
]

BODIES = {
    "binance": [
        b'{"lastUpdateId":5,"bids":[["10.5","1"]],"asks":[["10.6","2"]]}',
        b'{"symbols":[{"symbol":"A","status":"TRADING","filters":[{"filterType":"LOT_SIZE","stepSize":"0.1"}]}]}',
        b'[{"id":5,"price":"1","qty":"2","time":1700000000000,"isBuyerMaker":true}]',
    ],
    "coinbase": [
        b'{"bids":[["1","2","00000000-0000-4000-8000-000000000001"]],"asks":[],"sequence":5}',
        b'{"id":"A-B","quote_increment":"0.01","base_increment":"1","status":"online"}',
        b'[{"trade_id":1,"side":"buy","size":"1","price":"2","time":"2023-11-14T22:13:20.5Z"}]',
    ],
}


def mutated(samples: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Draw a sample with some bytes replaced, removed or inserted, or cut off."""
    edits = st.tuples(st.floats(0, 1), st.integers(0, 3), st.binary(max_size=3) | st.sampled_from(TOKENS))

    def edit(drawn: tuple[bytes, list[tuple[float, int, bytes]]]) -> bytes:
        frame, changes = drawn
        for place, removed, added in changes:
            at = int(place * len(frame))
            frame = frame[:at] + added + frame[at + removed :]
        return frame

    return st.tuples(st.sampled_from(samples), st.lists(edits, min_size=1, max_size=4)).map(edit)


TOKENS = [
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b"-1",
    b"0",
    b"NaN",
    b"null",
    b"1e5",
    b"9" * 20,
    b"\\",
    b" ",
    b"\xc3\x28",
]


def levels_can_be_true(levels: Sequence[Level]) -> None:
    """Check what decode promises of levels: pairs of text, no price zero, digits left to ``exact``."""
    assert all(type(text) is str for level in levels for text in level)
    with contextlib.suppress(BadNumber, TooLarge):
        assert all(price > 0 for price in exact([price for price, _ in levels], 18))


def check(frame: bytes, name: str, feed: str) -> None:
    venue = VENUES[name]
    calls: list[Callable[[], Any]] = [
        lambda: venue.route(frame, feed),
        lambda: venue.decode(frame, feed),
        lambda: venue.control(frame),
    ]
    results = []
    for call in calls:
        try:
            results.append(call())
        except UnknownFrame:
            results.append(None)
    route, message, _ = results
    assert message is None or route is not None, "what can be decoded can be routed"
    if message is not None:
        assert route == route_of(message), "both say where it goes"
        values_can_be_true(message)


def values_can_be_true(message: Decoded) -> None:
    match message:
        case DepthUpdate() | BookSnapshot():
            levels_can_be_true(message.bids)
            levels_can_be_true(message.asks)
            if isinstance(message, DepthUpdate) and message.first_id is not None:
                assert message.last_id is not None
                assert 0 <= message.first_id <= message.last_id < 2**63
        case Trade():
            assert Decimal(message.price) > 0 <= Decimal(message.size)
            assert 0 <= message.id < 2**63 > message.time_ns >= 0
        case OrderEvent():
            for price in filter(None, (message.price, message.old_price)):
                assert Decimal(price) > 0
            for size in filter(None, (message.size, message.old_size, message.funds)):
                assert Decimal(size) >= 0
            assert len(message.order_id) == 16
            assert 0 <= message.id < 2**63 > message.time_ns >= 0
        case Ignored():
            pass


@pytest.mark.parametrize(("name", "feed"), FEEDS)
@given(st.data())
def test_mutated_frames_are_decoded_truly_or_unknown(name: str, feed: str, data: st.DataObject) -> None:
    check(data.draw(mutated(GOLDEN[name, feed])), name, feed)


@pytest.mark.parametrize(("name", "feed"), FEEDS)
@given(st.binary(max_size=200))
def test_random_bytes_are_unknown(name: str, feed: str, frame: bytes) -> None:
    for call in (VENUES[name].route, VENUES[name].decode):
        with pytest.raises(UnknownFrame):
            call(frame, feed)


@pytest.mark.parametrize(("name", "feed"), FEEDS)
def test_truncated_frames_are_unknown(name: str, feed: str) -> None:
    for frame in GOLDEN[name, feed]:
        for cut in range(len(frame.rstrip())):
            for call in (VENUES[name].route, VENUES[name].decode):
                with pytest.raises(UnknownFrame):
                    call(frame[:cut], feed)


@pytest.mark.parametrize("name", VENUES)
@given(st.data())
def test_rest_bodies_are_decoded_truly_or_unknown(name: str, data: st.DataObject) -> None:
    body = data.draw(mutated(BODIES[name]) | st.binary(max_size=100))
    venue = VENUES[name]
    with contextlib.suppress(UnknownFrame):
        book = venue.snapshot("A", "full" if name == "coinbase" else "depth", body, 100)
        levels_can_be_true([(row[0], row[1]) for row in (*book.bids, *book.asks)])
        assert book.last_id is not None
        assert 0 <= book.last_id < 2**63
    with contextlib.suppress(UnknownFrame):
        for instrument in venue.instruments(body).values():
            assert instrument.price_scale >= 0 <= instrument.size_scale
    with contextlib.suppress(UnknownFrame):
        for trade in venue.trades("A", body):
            values_can_be_true(trade)
    line = venue.refusal(400, body)
    assert line.isprintable()
    assert len(line) < 700


@pytest.mark.parametrize(("name", "feed"), FEEDS)
@pytest.mark.parametrize("frame", DEEP + HUGE + ODD, ids=lambda frame: repr(frame[:12]))
def test_odd_frames_are_unknown(frame: bytes, name: str, feed: str) -> None:
    venue = VENUES[name]
    for call in (
        lambda: venue.route(frame, feed),
        lambda: venue.decode(frame, feed),
        lambda: venue.control(frame),
    ):
        with pytest.raises(UnknownFrame):
            call()
