"""What the line keeps on disk: the roster, and what may be dropped."""

from pathlib import Path

import msgspec
import pytest

from ingest.retention import Retention
from ingest.roster import NAME, BadRoster, load_roster, save_roster
from ingest.setting import remembered
from tests.unit.ingest.world import wanted
from wire.messages import Needed
from wire.names import BUCKETS


def test_the_roster_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    securities = tuple(wanted("BTCUSDT", "ETHUSDT", since_ns=7, every_ms=1000))
    save_roster(tmp_path, securities)
    assert load_roster(tmp_path) == securities
    save_roster(tmp_path, ())
    assert load_roster(tmp_path) == ()


@pytest.mark.parametrize("data", [b"\x93garbage", b"\x91\x01", msgspec.msgpack.encode([{"name": "later"}])])
def test_a_roster_that_cannot_be_read_is_said_in_one_line_and_recording_goes_on_without(
    tmp_path: Path, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    assert remembered(tmp_path) == ()
    assert caplog.records == []
    (tmp_path / NAME).write_bytes(data)
    with pytest.raises(BadRoster, match=str(tmp_path / NAME)):
        load_roster(tmp_path)
    assert remembered(tmp_path) == ()
    assert [record.getMessage().count("\n") for record in caplog.records] == [0]


def test_nothing_may_be_dropped_before_every_bucket_has_spoken() -> None:
    retention = Retention("binance/a")
    for bucket in range(BUCKETS - 1):
        retention.heard(Needed(bucket, {"binance/a": 100 + bucket}))
    assert retention.position() is None
    retention.heard(Needed(BUCKETS - 1, {"binance/a": 50}))
    assert retention.position() == 50
    retention.heard(Needed(BUCKETS - 1, {"coinbase/a": 900}))
    assert retention.position() is None
