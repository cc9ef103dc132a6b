"""Many frames as columns say what each says when it is decoded by itself, or nothing at all."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import captures
from venue import binance, binance_columns, coinbase
from venue.api import DepthUpdate, Trade, UnknownFrame
from venue.columns import Columns
from venue.decimals import BadNumber
from venue.numbers import exact

numbers = st.sampled_from(["1.50", "0.10", "27.00", "123456789012345.25", "00.01"])
levels = st.lists(st.tuples(numbers, numbers), max_size=3)


def depth(first: int, last: int, bids: object, asks: object, stream: str = "ethusdt@depth") -> bytes:
    def side(rows: object) -> str:
        return str([list(row) for row in rows]).replace("'", '"').replace(" ", "")  # type: ignore[attr-defined]

    data = f'"e":"depthUpdate","E":17,"s":"ETHUSDT","U":{first},"u":{last},"b":{side(bids)},"a":{side(asks)}'
    return f'{{"stream":"{stream}","data":{{{data}}}}}'.encode()


def trade(number: int, price: str, size: str, maker: str = "true") -> bytes:
    text = f'"p":"{price}","q":"{size}","T":16,"m":{maker},"M":true'
    data = f'"e":"trade","E":17,"s":"ETHUSDT","t":{number},{text}'
    return f'{{"stream":"ethusdt@trade","data":{{{data}}}}}'.encode()


def agrees(found: Columns, frames: list[bytes]) -> bool:
    """Say whether *found* is what the frames say one by one."""
    decoded = [binance.decode(frame, "depth") for frame in frames]
    updates = [(n, each) for n, each in enumerate(decoded) if isinstance(each, DepthUpdate)]
    trades = [(n, each) for n, each in enumerate(decoded) if isinstance(each, Trade)]
    rows = [level for _, update in updates for level in (*update.bids, *update.asks)]
    depth, trade = found.depth, found.trade
    return (
        list(found.depth_at) == [n for n, _ in updates]
        and list(zip(depth.first_ids, depth.last_ids, depth.times_ns, strict=True))
        == [(each.first_id, each.last_id, each.time_ns) for _, each in updates]
        and depth.counts.tolist() == [len(side) for _, each in updates for side in (each.bids, each.asks)]
        and depth.prices.tolist() == exact([price for price, _ in rows], depth.decimals).tolist()
        and depth.sizes.tolist() == exact([size for _, size in rows], depth.decimals).tolist()
        and list(found.trade_at) == [n for n, _ in trades]
        and list(zip(trade.ids, trade.times_ns, trade.sides_u1, strict=True))
        == [(each.id, each.time_ns, each.side) for _, each in trades]
        and trade.prices.tolist() == exact([each.price for _, each in trades], trade.decimals).tolist()
        and trade.sizes.tolist() == exact([each.size for _, each in trades], trade.decimals).tolist()
    )


frames = st.lists(
    st.one_of(
        st.builds(
            lambda first, more, b, a: depth(first, first + more, b, a),
            *[st.integers(0, 9)] * 2,
            levels,
            levels,
        ),
        st.builds(trade, st.integers(0, 2**63 - 1), numbers, numbers, st.sampled_from(["true", "false"])),
    ),
    max_size=8,
)


@given(frames)
def test_columns_are_what_each_frame_says(said: list[bytes]) -> None:
    found = binance.columns(said, "depth")
    assert found is not None
    assert agrees(found, said)


@given(frames, st.lists(st.integers(0, 8), max_size=3))
def test_parts_are_the_columns_of_their_frames(said: list[bytes], cuts: list[int]) -> None:
    found = binance.columns(said, "depth")
    assert found is not None
    ends = sorted(min(cut, len(said)) for cut in [*cuts, len(said)])
    parts = found.parts(ends)
    assert all(agrees(part, said[a:b]) for part, (a, b) in zip(parts, pairwise((0, *ends)), strict=True))


USUAL = [depth(5, 6, [("1.50", "2.00")], []), trade(7, "1.50", "0.20")]

STRANGE = [
    depth(7, 6, [("1.50", "2.00")], []),
    depth(5, 6, [("0.00", "2.00")], []),
    depth(5, 6, [("-1.50", "2.00")], []),
    depth(5, 6, [(".50", "2.00")], []),
    depth(5, 6, [("1.", "2.")], []),
    depth(5, 6, [("1.50", "2.5")], []),
    depth(5, 6, [("1", "2")], []),
    depth(5, 6, [("1.50", "2.00", "3.00")], []),
    depth(5, 6, [("1.50",)], []),
    depth(5, 6, [("1e0.50", "2.00")], []),
    depth(5, 6, [("12345678901234567.50", "2.00")], []),
    depth(5, 6, [("1.50", "2.00")], []).replace(b'"a":[]', b'"a":{}'),
    depth(5, 6, [("1.50", "2.00")], []).replace(b'"a":[]', b'"a":10'),
    depth(5, 6, [("1.50", "2.00")], []).replace(b'"a":[]', b'"a":[[],[]]'),
    depth(5, 6, [("1.50", "2.00")], []).replace(b'"a":[]', b'"a":"],["'),
    depth(5, 6, [("1.50", "2.00")], []).replace(b'"1.50"', b'"\\u0031.50"'),
    depth(5, 6, [("1.50", "2.00")], []).replace(b'"1.50"', b"1.50"),
    depth(5, 6, [("1.50", "2.00")], [])[:-1],
    depth(5, 6, [("1.50", "2.00")], []) + b"," + USUAL[0],
    trade(7, "0.00", "0.20"),
    trade(7, "1.50", "NaN"),
    trade(-7, "1.50", "0.20"),
    trade(7, "1.50", "\u0661.50"),
    b'{"result":null,"id":1}',
    b"\xff",
]


needs_compiler = pytest.mark.skipif(
    not binance_columns.COMPILED, reason="the loops are not compiled here: make install says why"
)


@needs_compiler
@given(frames)
def test_the_compiled_loop_reads_what_mostly_comes(said: list[bytes]) -> None:
    found, plain = binance_columns.compiled(said), binance_columns.plain(said)
    assert plain is not None
    assert found is not None or max(plain.trade.ids) >= 10**18
    assert found is None or agrees(found, said)


@needs_compiler
@given(frames, st.data())
def test_the_compiled_loop_never_says_what_the_plain_one_does_not(
    said: list[bytes], data: st.DataObject
) -> None:
    spoilt = [bytearray(frame) for frame in [*USUAL, *said]]
    for _ in range(data.draw(st.integers(1, 3))):
        frame = data.draw(st.sampled_from(spoilt))
        place = data.draw(st.integers(0, len(frame) - 1))
        frame[place : place + data.draw(st.integers(0, 2))] = data.draw(
            st.sampled_from([b"", b"0", b"9", b".", b'"', b"[", b"]", b",", b"\\", b" ", b"-", b"\xff"])
        )
    once = [bytes(frame) for frame in spoilt]
    found, plain = binance_columns.compiled(once), binance_columns.plain(once)
    assert found is None or (plain is not None and agrees(found, once) and agrees(plain, once))


@pytest.mark.parametrize("strange", STRANGE)
def test_a_frame_that_is_not_as_usual_leaves_all_to_be_decoded_one_by_one(strange: bytes) -> None:
    assert binance.columns([*USUAL, strange, *USUAL], "depth") is None


@given(st.sampled_from(USUAL), st.integers(0, 200), st.integers(0, 255))
def test_no_changed_byte_makes_columns_say_what_decode_does_not(frame: bytes, at: int, byte: int) -> None:
    changed = frame[: at % len(frame)] + bytes([byte]) + frame[at % len(frame) + 1 :]
    found = binance.columns([USUAL[0], changed], "depth")
    if found is None:
        return
    try:
        assert agrees(found, [USUAL[0], changed])
    except (UnknownFrame, BadNumber) as error:
        raise AssertionError("columns of what is no frame") from error


def test_a_venue_without_columns_has_every_frame_decoded() -> None:
    assert coinbase.columns([], "level2_batch") is None


@pytest.mark.captures
@pytest.mark.parametrize("name", ["binance_spot_ETHUSDT_20240808", "binance_spot_BTCUSDT_ETHUSDT_20260707"])
def test_a_recorded_stream_is_read_as_columns(name: str) -> None:
    recorded = [
        frame.data
        for frame in captures.frames(name)
        if frame.src == "ws" and (b"@depth" in frame.data[:40] or b"@trade" in frame.data[:40])
    ][:2000]
    found = binance.columns(recorded, "depth")
    assert found is not None
    assert agrees(found, recorded)
