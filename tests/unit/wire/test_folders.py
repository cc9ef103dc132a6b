"""Names survive a power loss once their folders were synced: which were is all we see."""

import os
from pathlib import Path

import pytest

from wire.folders import make_folder
from wire.secrets import made_once


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return what was synced, in order."""
    found: list[Path] = []
    monkeypatch.setattr(os, "fsync", lambda file: found.append(Path(f"/proc/self/fd/{file}").readlink()))
    return found


def test_the_name_of_every_folder_that_was_made_is_synced(tmp_path: Path, synced: list[Path]) -> None:
    make_folder(tmp_path / "a" / "b" / "c")
    assert synced == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]
    make_folder(tmp_path / "a" / "b" / "c")
    assert len(synced) == 3


def test_a_text_that_was_made_once_is_on_disk_before_anybody_uses_it(
    tmp_path: Path, synced: list[Path]
) -> None:
    made_once(tmp_path / "secrets" / "recorder_id", 16)
    assert (synced[0], synced[-1]) == (tmp_path, tmp_path / "secrets")
    assert len(synced) == 3
