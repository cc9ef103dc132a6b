"""What the line keeps on disk: the roster, how long the disk lasts, and what may be dropped."""

from pathlib import Path

from ingest.disk import DAY_S, Disk
from ingest.retention import Retention
from ingest.roster import NAME, load_roster, save_roster
from tests.unit.ingest.world import wanted
from wire.messages import Needed
from wire.names import BUCKETS

S = 1_000_000_000


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


def test_recording_stops_below_the_reserve_and_goes_on_a_tenth_above_it() -> None:
    disk = Disk(1000)
    assert [disk.measured(free, 0) for free in (1000, 999, 1000, 1099, 1100, 1000)] == [
        False,
        True,
        True,
        True,
        False,
        False,
    ]


def test_days_left_follow_from_how_fast_the_disk_fills() -> None:
    disk = Disk(1_000_000)
    disk.measured(1_000_000 + 2 * DAY_S * 10, 0)
    assert disk.days_left(0) is None
    disk.measured(disk.free_bytes - 600, 60 * S)
    days = disk.days_left(60 * S)
    assert days is not None
    assert abs(days - 2) < 0.01
    disk.measured(disk.free_bytes + 10_000, 120 * S)
    assert disk.days_left(120 * S) is None
