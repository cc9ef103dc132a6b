"""Brings the segments of a line together that lie in several folders: kept, archived, copied elsewhere.

``gather`` links them into one folder a line, so that one journal.reader.Reader reads them as they were
written.  Where a segment lies in two folders (a crash while it was being archived leaves that) the longer
file counts.  Files with other names are left out.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from journal.formats import check_format
from journal.group import Corrupt
from journal.segment import read_segment_header, segments_in


def journals_in(folder: Path) -> list[Path]:
    """Return the folders with segments: *folder*, or those in it."""
    if segments_in(folder):
        return [folder]
    try:
        return sorted(each for each in folder.iterdir() if each.is_dir() and segments_in(each))
    except (FileNotFoundError, NotADirectoryError):
        return []


def line_in(folder: Path) -> str | None:
    """Return the line whose journal lies in *folder*; None where no segment says it."""
    for segment in segments_in(folder):
        try:
            return read_segment_header(segment.path).line
        except (Corrupt, FileNotFoundError):
            continue
    return None


def gather(folders: Iterable[Path], into: Path) -> dict[str, Path]:
    """Link the segments of *folders* into a folder a line, made in *into*; return them by line.

    A link keeps a segment that is dropped meanwhile, where *into* lies on its file system.

    Raises:
        OtherFormat: another version of this program wrote one of them.
        OSError: *into* cannot be written.
    """
    gathered: dict[str, Path] = {}
    for folder in folders:
        check_format(folder)
        line = line_in(folder)
        if line is None:
            continue
        target = gathered.setdefault(line, into / line.replace("/", "-"))
        target.mkdir(parents=True, exist_ok=True)
        for segment in segments_in(folder):
            _link(segment.path.resolve(), target / segment.path.name)
    return gathered


def _link(source: Path, target: Path) -> None:
    try:
        if target.exists():
            if target.stat().st_size >= source.stat().st_size:
                return
            target.unlink()
        os.link(source, target)
    except FileNotFoundError:
        return  # dropped, or archived, since the folder was listed
    except OSError:
        target.symlink_to(source)
