"""What the line keeps on disk: the roster, and what may be dropped."""

from pathlib import Path

from ingest.retention import Retention
from ingest.roster import NAME, load_roster, save_roster
from tests.unit.ingest.world import wanted
from wire.messages import Needed
from wire.names import BUCKETS


def test_the_roster_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    securities = tuple(wanted("BTCUSDT", "ETHUSDT", since_ns=7, every_ms=1000))
    save_roster(tmp_path, securities)
    assert load_roster(tmp_path) == securities
    save_roster(tmp_path, ())
    assert load_roster(tmp_path) == ()


def test_no_roster_or_a_damaged_one_is_an_empty_one(tmp_path: Path) -> None:
    assert load_roster(tmp_path) == ()
    (tmp_path / NAME).write_bytes(b"\x93garbage")
    assert load_roster(tmp_path) == ()


def test_nothing_may_be_dropped_before_every_bucket_has_spoken() -> None:
    retention = Retention("binance/a")
    for bucket in range(BUCKETS - 1):
        retention.heard(Needed(bucket, {"binance/a": 100 + bucket}))
    assert retention.position() is None
    retention.heard(Needed(BUCKETS - 1, {"binance/a": 50}))
    assert retention.position() == 50
    retention.heard(Needed(BUCKETS - 1, {"coinbase/a": 900}))
    assert retention.position() is None
