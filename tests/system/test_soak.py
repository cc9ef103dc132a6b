"""`make soak` in small: rotations leave no row, reconnects leave rows, memory does not grow."""

from pathlib import Path

import pytest

from tests.simulator.process import running
from tests.soak.life import Soak, check, table
from tests.system.running import KEY

pytestmark = [pytest.mark.faults, pytest.mark.system, pytest.mark.timeout(400)]


def test_rotations_and_reconnects_leave_memory_flat_and_name_every_hole(tmp_path: Path) -> None:
    with running(
        "--binance-port", "0", "--coinbase-port", "0", "--rate", "20", "--require-key", KEY
    ) as market:
        soak = Soak(tmp_path, market, rotate_s=8)
        try:
            soak.live(rotations=2, reconnects=6)
            check(soak)
            assert (soak.rotations, len(soak.cuts)) == (2, 3), table(soak)
            assert any(row["feed"] != "trades" for row in soak.rows), "a reconnect without a row"
            assert soak.logger.stop() == 0
        finally:
            soak.logger.kill()
