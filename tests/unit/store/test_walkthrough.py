"""The README's walk-through runs as it stands, from opening an archive to a picture."""

import re
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from tests.embedded import Server
from tests.unit.store.recorded import Market, S
from tests.unit.store.test_history import store

pytestmark = pytest.mark.mongo

README = Path(__file__).parents[3] / "README.md"


def blocks() -> list[str]:
    section = README.read_text(encoding="utf-8").partition("## Reading in Python\n")[2].partition("\n##")[0]
    return re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def test_the_blocks_of_the_readme_run_one_after_the_other(
    mongo_server: Server,
    mongo: Database[Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    market = Market("binance:BTCUSDT", 11)
    market.snapshot()
    for _ in range(40):
        market.update(S)
        market.trade()
    store(mongo, market.documents())
    monkeypatch.setenv("MONGODB_ENDPOINT", f"127.0.0.1:{mongo_server.port}")
    monkeypatch.setenv("MONGODB_DATABASE", mongo.name)
    monkeypatch.chdir(tmp_path)
    found = blocks()
    assert len(found) >= 4
    names: dict[str, Any] = {}
    for number, block in enumerate(found):
        exec(compile(block, f"README.md, block {number + 1}", "exec"), names)  # noqa: S102 that is the test
    assert (tmp_path / "heatmap.png").read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert printed.startswith(str(market.states[0].update_id))
    assert "(39, 5)" in printed
