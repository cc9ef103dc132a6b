"""What is older than wanted goes, what leads to the first kept book stays, and nothing brings it back."""

from datetime import UTC
from itertools import count
from typing import Any

import pytest
from pymongo.database import Database

from store.blocks import Blocks
from store.history import Archive, NotStored
from store.retention import Forgotten, forget
from store.verify import verify
from tests.embedded import Server
from tests.unit.store.compacting import GRID_S, KINDS, blocks_of, compact, grid, put
from tests.unit.store.recorded import WINDOW_NS, Market, S
from tests.unit.store.test_history import assert_is_true

pytestmark = pytest.mark.mongo

_numbers = count()
DAY = 86_400 * S


@pytest.fixture
def archive(mongo_server: Server, mongo: Database[Any]) -> Any:
    grid(mongo)
    with Archive(mongo_server.uri, mongo.name) as opened:
        yield opened


def recorded(**how: Any) -> Market:
    """Return a market of six minutes, a pause of a day less three minutes, and a minute."""
    market = Market(f"binance:K{next(_numbers)}", 3, images_s=150, **how)
    market.snapshot()
    for number in range(70):
        if number == 10:
            market.snapshot(missing=3)
        market.update(DAY - 180 * S if number == 60 else 6 * S)
        market.trade()
    return market


def kept(mongo: Database[Any], market: Market, feeds: list[str], *, dry_run: bool = False) -> list[Forgotten]:
    blocks = Blocks(mongo, WINDOW_NS, GRID_S)
    return list(forget(mongo, blocks, market.security, 1, feeds, dry_run=dry_run))


@pytest.mark.parametrize("how", [{}, {"every_ms": 1000}, {"kind": "l3"}], ids=["updates", "net", "orders"])
@pytest.mark.parametrize("merged", [False, True])
def test_what_is_kept_is_read_and_proven_and_the_rest_is_gone_for_good(
    archive: Archive, mongo: Database[Any], how: dict[str, Any], merged: bool
) -> None:
    market = recorded(**how)
    documents = market.documents()
    put(mongo, documents)
    if merged:
        compact(mongo, market.security)
    before = blocks_of(mongo, market.security)
    would = kept(mongo, market, ["book", "trades", "audits"], dry_run=True)
    assert blocks_of(mongo, market.security) == before
    done = kept(mongo, market, ["book", "trades", "audits"])
    assert done == would
    assert {each.kind for each in done if each.documents} >= {"trades", "images", "gaps"}, done
    from_ns = done[0].kept_from_ns
    with pytest.raises(NotStored, match="kept from"):
        archive.book_at(market.security, from_ns - 1)
    later = [state for state in market.states if state.effective_ns >= from_ns]
    assert 20 < len(later) < len(market.states)
    for state in (later[0], later[len(later) // 2], later[-1]):
        assert_is_true(archive, market, state.effective_ns)
    assert_is_true(archive, market, from_ns)
    found = verify(archive.blocks, market.security)
    assert (found.first_bad, found.unverifiable) == (None, 0)
    ids = [i for each in archive.trades(market.security, 0, 2**62) for i in each.rows.ids.tolist()]  # type: ignore[union-attr]
    assert ids == [each.id for each in market.trades if each[1] >= from_ns]
    left = blocks_of(mongo, market.security)
    put(mongo, documents)
    compact(mongo, market.security)
    for each in left if merged else ():
        assert each in blocks_of(mongo, market.security)
    starts = [each["start"] for kind in KINDS for each in mongo[kind].find({"security": market.security})]
    oldest_s = min(int(start.replace(tzinfo=UTC).timestamp()) for start in starts)
    assert oldest_s * S >= from_ns - (150 + GRID_S) * S
    assert verify(archive.blocks, market.security).first_bad is None
