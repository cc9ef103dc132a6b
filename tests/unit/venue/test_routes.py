"""Many frames are routed as each is by itself, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import captures
from tests.unit.venue.test_columns import STRANGE
from venue import binance, binance_routes, coinbase
from venue.api import UnknownFrame
from venue.routes import Routes, Run

needs_compiler = pytest.mark.skipif(
    not binance_routes.COMPILED, reason="the loops are not compiled here: make install says why"
)


def depth(symbol: str, first: int, last: int) -> bytes:
    data = f'"e":"depthUpdate","E":1723161254000,"s":"{symbol}","U":{first},"u":{last},"b":[],"a":[]'
    return f'{{"stream":"{symbol.lower()}@depth","data":{{{data}}}}}'.encode()


def trade(symbol: str, number: int) -> bytes:
    data = f'"e":"trade","E":1723161254000,"s":"{symbol}","t":{number},"p":"1.0","q":"1.0","T":1,"m":true'
    return f'{{"stream":"{symbol.lower()}@trade","data":{{{data}}}}}'.encode()


symbols = st.sampled_from(["BTCUSDT", "ETHUSDT", "1000SATSUSDT", "币安人生USDT"])
ids = st.integers(0, 12) | st.integers(0, 2**63 - 1)
frames = st.lists(
    st.one_of(
        st.builds(lambda s, first, more: depth(s, first, first + more), symbols, ids, st.integers(0, 4)),
        st.builds(trade, symbols, ids),
    ),
    max_size=12,
)


def one_by_one(said: list[bytes]) -> list[tuple[str, int, int]] | None:
    """Return the symbol and ids of each update; None where one is neither an update nor a trade."""
    found = []
    for frame in said:
        try:
            route = binance.route(frame, "depth")
        except UnknownFrame:
            return None
        if route.kind == "book" and route.first_id is not None and route.last_id is not None:
            found.append((route.symbol, route.first_id, route.last_id))
        elif route.kind != "trade":
            return None
    return found


@given(frames)
def test_a_run_says_of_its_updates_what_each_says(said: list[bytes]) -> None:
    found, updates = binance.plain_routes(said, "depth"), one_by_one(said)
    assert (found is None) == (updates is None)
    if found is None or updates is None:
        return
    assert found.symbols == [binance.route(frame, "depth").symbol for frame in said]
    for run in found.runs:
        rows = [(first, last) for symbol, first, last in updates if symbol == run.symbol]
        reached = [max(last for _, last in rows[:n]) for n in range(1, len(rows) + 1)]
        goes_on = all(first <= before + 1 for (first, _), before in zip(rows[1:], reached, strict=False))
        assert run == Run(run.symbol, rows[0][0], reached[-1], goes_on)
    assert [run.symbol for run in found.runs] == list(dict.fromkeys(symbol for symbol, _, _ in updates))


@needs_compiler
@given(frames, st.data())
def test_the_compiled_loop_never_says_what_the_plain_one_does_not(
    said: list[bytes], data: st.DataObject
) -> None:
    spoilt = [bytearray(frame) for frame in [depth("BTCUSDT", 5, 6), trade("ETHUSDT", 7), *said]]
    for _ in range(data.draw(st.integers(0, 3))):
        frame = data.draw(st.sampled_from(spoilt))
        place = data.draw(st.integers(0, len(frame) - 1))
        frame[place : place + data.draw(st.integers(0, 2))] = data.draw(
            st.sampled_from([b"", b"0", b"9", b'"', b"]", b",", b"\\", b" ", b"-", b"}", b"\xff"])
        )
    found = binance_routes.compiled(list(map(bytes, spoilt)))
    assert found is None or found == binance.plain_routes(list(map(bytes, spoilt)), "depth")


@needs_compiler
def test_the_compiled_loop_routes_what_mostly_comes() -> None:
    said = [depth("BTCUSDT", 5, 6), trade("ETHUSDT", 7), depth("BTCUSDT", 7, 9), depth("ETHUSDT", 3, 3)]
    assert binance_routes.compiled(said) == Routes(
        ["BTCUSDT", "ETHUSDT", "BTCUSDT", "ETHUSDT"],
        [Run("BTCUSDT", 5, 9, True), Run("ETHUSDT", 3, 3, True)],
    )


@needs_compiler
@pytest.mark.parametrize("strange", STRANGE)
def test_a_strange_frame_is_routed_alike(strange: bytes) -> None:
    found = binance_routes.compiled([strange])
    assert found is None or found == binance.plain_routes([strange], "depth")


def test_an_answer_among_updates_has_each_routed_by_itself() -> None:
    assert binance.routes([depth("BTCUSDT", 5, 6), b'{"result":null,"id":1}'], "depth") is None
    assert coinbase.routes([b"{}"], "full") is None


@needs_compiler
@pytest.mark.captures
@pytest.mark.parametrize("name", ["binance_spot_ETHUSDT_20240808", "binance_spot_BTCUSDT_ETHUSDT_20260707"])
def test_a_recorded_stream_is_routed_alike(name: str) -> None:
    recorded = [
        frame.data
        for frame in captures.frames(name)
        if frame.src == "ws" and (b"@depth" in frame.data[:40] or b"@trade" in frame.data[:40])
    ][:2000]
    found = binance_routes.compiled(recorded)
    assert found is not None
    assert found == binance.plain_routes(recorded, "depth")
