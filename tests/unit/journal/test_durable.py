"""What was appended survives a power loss though its writer is gone: which files are synced is all we see."""

import os
import time
from pathlib import Path

import pytest

from journal.durable import make_durable
from journal.segment import segments_in
from journal.writer import Writer


def test_the_newest_segment_and_the_folder_are_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):  # each opening begins a segment, and syncs those before it
        Writer(tmp_path, "binance/a", segment_bytes=1 << 20, now_ns=time.time_ns).close()
    synced: list[str] = []
    monkeypatch.setattr(
        os, "fsync", lambda file: synced.append(str(Path(f"/proc/self/fd/{file}").readlink()))
    )
    make_durable(tmp_path)
    assert synced == [str(segments_in(tmp_path)[-1].path), str(tmp_path)]


def test_a_folder_that_is_not_there_is_not_called_durable(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="journal"):
        make_durable(tmp_path / "journal")
