"""A text made once is the same for all processes that start together."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from wire.secrets import CannotKeep, made_once


def test_all_who_ask_at_once_get_the_same_text(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "key"
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: made_once(path, 32), range(64)))
    assert found == {path.read_text().strip()}
    assert [each.name for each in path.parent.iterdir()] == ["key"]


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotKeep, match="file"):
        made_once(tmp_path / "file" / "key", 32)
