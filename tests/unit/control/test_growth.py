"""How long the disk lasts follows from how fast the logger's own files grow."""

from pathlib import Path

from control.files import bytes_of
from control.growth import LEAST_SPAN_S, SAMPLES, Growth


def grown(*samples: tuple[float, int]) -> Growth:
    made = Growth()
    for at_s, size_bytes in samples:
        made.measured(size_bytes, at_s)
    return made


def test_days_left_follow_the_rate_of_the_files() -> None:
    assert grown((0, 1_000), (3600, 4_600)).days_left(996_400, 132_400) == 10.0


def test_at_the_reserve_and_below_no_day_is_left() -> None:
    assert grown((0, 1_000), (3600, 4_600)).days_left(5, 10) == 0.0


def test_nobody_knows_before_five_minutes_or_where_nothing_grows() -> None:
    assert Growth().days_left(100, 0) is None
    assert grown((0, 1), (LEAST_SPAN_S - 1, 2)).days_left(100, 0) is None
    assert grown((0, 2), (3600, 2)).days_left(100, 0) is None
    assert grown((0, 2), (3600, 1)).days_left(100, 0) is None


def test_only_the_last_hours_count() -> None:
    made = grown((0, 10**12))
    for minute in range(1, SAMPLES + 1):
        made.measured(minute * 60, minute * 60.0)
    assert made.days_left(864_000, 0) == 10.0


def test_all_files_of_the_folder_and_of_the_archive_count_once(tmp_path: Path) -> None:
    data_dir, archive_dir = tmp_path / "data", tmp_path / "archive"
    for folder in (data_dir / "journal" / "binance-a", data_dir / "archive", archive_dir):
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(bytes(1 << 20))
    (data_dir / "away").symlink_to(data_dir / "nowhere")
    mib = [
        round(bytes_of(data_dir, archive) / (1 << 20))
        for archive in (None, archive_dir, data_dir / "archive", tmp_path / "none")
    ]
    assert mib == [2, 3, 2, 2]
