"""An L3 security says the same whether its events come as columns into the compiled book or one by one."""

import pytest

from book import compiled_orders
from tests.bench import level3
from tests.journaled import groups_of_capture
from tests.unit.book.play import play, stored
from venue import coinbase_columns
from wire.messages import Policy
from wire.runs import RunMessage

needs_compiler = pytest.mark.skipif(
    not (coinbase_columns.COMPILED and compiled_orders.COMPILED),
    reason="the loops are not compiled here: make install says why",
)


def both_ways(groups: list[bytes]) -> tuple[list[RunMessage], list[RunMessage]]:
    said = play(groups)[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled_orders, "COMPILED", False)
        patch.setattr(coinbase_columns, "COMPILED", False)
        return said, play(groups)[1]


@needs_compiler
@pytest.mark.captures
@pytest.mark.parametrize("policy", [Policy(), Policy(every_ms=1000), Policy(order_ids=False)])
@pytest.mark.parametrize("per_group", [9, 200])
def test_a_recorded_stream_comes_to_the_same(policy: Policy, per_group: int) -> None:
    groups = groups_of_capture(
        "coinbase_full_BTC-USD_20160312", ["BTC-USD"], per_group, policy=policy, instruments=per_group > 9
    )
    fast, plain = both_ways(groups)
    assert stored(fast) == stored(plain)
    assert len(stored(fast)) > 0


@needs_compiler
def test_a_synthetic_stream_with_all_kinds_of_events_comes_to_the_same() -> None:
    told = level3.stream(orders=1_000, events=4_000)
    fast, plain = both_ways([*told.base, *told.head, *told.tail])
    assert stored(fast) == stored(plain)


@needs_compiler
def test_the_fast_way_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    told = level3.stream(orders=500, events=500)
    decoded: list[bytes] = []
    decode = coinbase_columns.columns

    def watched(frames: list[bytes]) -> object:
        found = decode(frames)
        decoded.extend(frames if found is None else [])
        return found

    monkeypatch.setattr(coinbase_columns, "columns", watched)
    play([*told.base, *told.head, *told.tail])
    assert not decoded
