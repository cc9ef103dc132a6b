"""Frames of the full feed read together say what each says when decoded by itself, or nothing at all."""

from itertools import pairwise
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import captures
from venue import coinbase, coinbase_columns
from venue.api import Ignored, OrderEvent, OrderKind, UnknownFrame
from venue.columns import Columns
from venue.numbers import TooLarge, exact
from wire.runs import ABSENT

needs_compiler = pytest.mark.skipif(
    not coinbase_columns.COMPILED, reason="the loops are not compiled here: make install says why"
)

numbers = st.sampled_from(["1.50", "0.10", "27", "9999999.12345678", "00.01", "100", "0.00000001", "3.000"])
sizes = st.one_of(numbers, st.just("0"))
ids = st.integers(0, 2**128 - 1).map(lambda n: str(UUID(int=n)))
times = st.sampled_from(
    [
        "2016-03-12T05:08:36.803603Z",
        "2024-02-29T23:59:59Z",
        "1970-01-01T00:00:00.1Z",
        "2259-12-31T01:02:03.123456789Z",
    ]
)
kinds: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "received": {"order_id": ids, "order_type": st.just("limit")},
    "open": {"order_id": ids, "price": numbers, "remaining_size": sizes},
    "done": {"order_id": ids, "reason": st.sampled_from(["filled", "canceled", "late"])},
    "match": {
        "trade_id": st.integers(0, 10**17),
        "maker_order_id": ids,
        "taker_order_id": ids,
        "price": numbers,
        "size": sizes,
    },
    "change": {"order_id": ids},
}
optional: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "received": {
        "price": st.none() | numbers,
        "size": sizes,
        "funds": st.none() | numbers,
        "post": st.booleans(),
    },
    "open": {},
    "done": {"price": numbers, "remaining_size": sizes},
    "match": {},
    "change": {
        "reason": st.sampled_from(["STP", "modify_order"]),
        "price": st.none() | numbers,
        "old_price": numbers,
        "new_price": st.none() | numbers,
        "old_size": sizes,
        "new_size": sizes,
        "new_funds": numbers,
    },
}


@st.composite
def frames_of_kind(draw: st.DrawFn) -> bytes:
    kind = draw(st.sampled_from([*kinds, "heartbeat"]))
    sequence = draw(st.integers(0, 10**18 - 1))
    message = {
        "type": kind,
        "product_id": "BTC-USD",
        "sequence": draw(st.sampled_from([sequence, str(sequence)])),
        "time": draw(times),
    }
    if kind != "heartbeat":
        message["side"] = draw(st.sampled_from(["buy", "sell"]))
        message |= draw(st.fixed_dictionaries(kinds[kind], optional=optional[kind]))
    keys = draw(st.permutations(list(message)))
    return msgspec.json.encode({key: message[key] for key in keys})


frames = st.lists(frames_of_kind(), max_size=6)


def at(value: str | None, decimals: int) -> int:
    return ABSENT if value is None else int(exact([value], decimals)[0])


def agrees(found: Columns, said: list[bytes]) -> bool:
    """Say whether *found* is what the frames say one by one."""
    decoded = [coinbase.decode(frame, "full") for frame in said]
    if not all(isinstance(each, OrderEvent | Ignored) for each in decoded):
        return False
    rows = [(n, each) for n, each in enumerate(decoded) if isinstance(each, OrderEvent)]
    events, got = [each for _, each in rows], found.events
    assert got is not None
    values = zip(
        got.ids,
        got.times_ns,
        got.kinds_u1,
        got.sides_u1,
        got.reasons_u1,
        *(getattr(got, each).tolist() for each in ("prices", "old_prices", "sizes", "old_sizes", "funds")),
        got.trade_ids.tolist(),
        [got.order_ids[16 * n : 16 * n + 16] for n in range(len(events))],
        [got.taker_ids[16 * n : 16 * n + 16] for n in range(len(events))],
        strict=True,
    )
    expected = [
        (
            e.id,
            e.time_ns,
            e.kind,
            e.side,
            e.reason,
            at(e.price, got.price_decimals),
            at(e.old_price, got.price_decimals),
            at(e.size, got.size_decimals),
            at(e.old_size, got.size_decimals),
            at(e.funds, got.funds_decimals),
            ABSENT if e.trade_id is None else e.trade_id,
            e.order_id,
            e.taker_id or bytes(16),
        )
        for e in events
    ]
    matches = [(n, e) for n, e in rows if e.kind == OrderKind.MATCH]
    trade = found.trade
    trades = zip(
        found.trade_at,
        trade.ids,
        trade.times_ns,
        trade.sides_u1,
        trade.prices.tolist(),
        trade.sizes.tolist(),
        strict=True,
    )
    return (
        list(found.event_at) == [n for n, _ in rows]
        and list(values) == expected
        and not found.depth_at
        and list(trades)
        == [
            (n, e.trade_id, e.time_ns, 1 - e.side, at(e.price, trade.decimals), at(e.size, trade.decimals))
            for n, e in matches
        ]
    )


@needs_compiler
@given(frames)
def test_columns_are_what_each_frame_says(said: list[bytes]) -> None:
    found = coinbase.columns(said, "full")
    assert found is not None
    assert agrees(found, said)


@needs_compiler
@given(frames, st.lists(st.integers(0, 6), max_size=3))
def test_parts_are_the_columns_of_their_frames(said: list[bytes], cuts: list[int]) -> None:
    found = coinbase.columns(said, "full")
    assert found is not None
    ends = sorted(min(cut, len(said)) for cut in [*cuts, len(said)])
    parts = found.parts(ends)
    assert all(agrees(part, said[a:b]) for part, (a, b) in zip(parts, pairwise((0, *ends)), strict=True))


@needs_compiler
@given(frames.filter(bool), st.data())
def test_spoilt_frames_never_say_what_decode_does_not(said: list[bytes], data: st.DataObject) -> None:
    spoilt = [bytearray(frame) for frame in said]
    for _ in range(data.draw(st.integers(1, 3))):
        frame = data.draw(st.sampled_from(spoilt))
        place = data.draw(st.integers(0, len(frame) - 1))
        frame[place : place + data.draw(st.integers(0, 2))] = data.draw(
            st.sampled_from(
                [b"", b"0", b"9", b".", b'"', b"{", b"}", b",", b":", b"\\", b" ", b"-", b"Z", b"\xff"]
            )
        )
    once = [bytes(frame) for frame in spoilt]
    found = coinbase.columns(once, "full")
    if found is None:
        return
    try:
        assert agrees(found, once)
    except (UnknownFrame, TooLarge) as error:
        raise AssertionError(f"columns of what is no frame: {once}") from error


ORDER = "fb498858-661f-4496-b91b-e15993eacfe1"
USUAL = (
    b'{"type":"open","sequence":760636965,"side":"sell","price":"413.65","order_id":"%b","remaining_size":"2.25",'
    b'"product_id":"BTC-USD","time":"2016-03-12T05:08:36.803703Z"}' % ORDER.encode()
)
STRANGE = [
    USUAL.replace(b'"413.65"', b'"0.00"'),
    USUAL.replace(b'"413.65"', b"413.65"),
    USUAL.replace(b'"413.65"', b"null"),
    USUAL.replace(b'"413.65"', b'".65"'),
    USUAL.replace(b'"413.65"', b'"413."'),
    USUAL.replace(b'"413.65"', b'"-413.65"'),
    USUAL.replace(b'"413.65"', b'"1e5"'),
    USUAL.replace(b'"413.65"', b'"1234567890123456789"'),
    USUAL.replace(b'"413.65"', b'""'),
    USUAL.replace(b"760636965", b"07"),
    USUAL.replace(b"760636965", b"-7"),
    USUAL.replace(b"760636965", b"1234567890123456789"),
    USUAL.replace(b'"sell"', b'"both"'),
    USUAL.replace(b"2016-03-12", b"2016-02-30"),
    USUAL.replace(b"2016-03-12", b"2260-02-28"),
    USUAL.replace(b"05:08:36", b"24:00:00"),
    USUAL.replace(b"05:08:36", b"05:08:60"),
    USUAL.replace(b".803703Z", b".Z"),
    USUAL.replace(b".803703Z", b".1234567890Z"),
    *(USUAL.replace(ORDER.encode(), f"{ORDER[:at]}0{ORDER[at + 1 :]}".encode()) for at in (8, 13, 18, 23)),
    USUAL.replace(b"fb498858-661f", b"gb498858-661f"),
    USUAL.replace(b'"open"', b'"rest"'),
    USUAL.replace(b'"open"', b'"l2update"'),
    USUAL.replace(b'"BTC-USD"', b'""'),
    USUAL.replace(b'"BTC-USD"', b'"BTC-\\u0055SD"'),
    USUAL.replace(b'"price"', b'"price":"1","price"'),
    USUAL.replace(b'"open"', b'"open","of":{}'),
    USUAL.replace(b":", b": "),
    USUAL[:-1],
    USUAL + b" ",
    b"{}",
    b"",
    b"\xff",
]


@pytest.mark.parametrize("strange", STRANGE)
def test_a_frame_that_is_not_as_usual_leaves_all_to_be_decoded_one_by_one(strange: bytes) -> None:
    assert coinbase.columns([USUAL, strange, USUAL], "full") is None


@needs_compiler
def test_a_usual_frame_does_not() -> None:
    found = coinbase.columns([USUAL, USUAL], "full")
    assert found is not None
    assert agrees(found, [USUAL, USUAL])


def test_frames_of_the_other_feed_have_no_columns() -> None:
    assert coinbase.columns([USUAL] * 9, "level2_batch") is None


@needs_compiler
@pytest.mark.captures
def test_the_recorded_stream_is_read_as_columns() -> None:
    recorded = [f.data for f in captures.frames("coinbase_full_BTC-USD_20160312") if f.src == "ws"]
    found = coinbase.columns(recorded, "full")
    assert found is not None
    assert len(found.event_at) == len(recorded) > 3_700
    assert agrees(found, recorded)
