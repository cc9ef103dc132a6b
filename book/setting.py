"""What a book worker is told by the settings, and what of it keeps the worker from starting."""

from collections.abc import Iterable
from pathlib import Path

from book.checkpoint import Rounds
from journal.formats import OtherFormat, check_format
from journal.segment import segments_in
from wire.loop import CannotRun
from wire.names import position_at
from wire.settings import Settings


def journal_folder(settings: Settings, line: str) -> Path:
    """Return the folder of *line*'s journal.

    Raises:
        CannotRun: another version of this program wrote it; its records would all count as lost.
    """
    folder = settings.journal_folder(line)
    try:
        check_format(folder)
    except OtherFormat as error:
        raise CannotRun(str(error)) from error
    return folder


def check_checkpoints(rounds: Rounds, buckets: Iterable[int], journals: Iterable[Path]) -> None:
    """Return if all of *buckets* have a readable round, or none at all, or *journals* are whole.

    Raises:
        CannotRun: nobody would know which ids follow those that are stored: a hole without a row.
    """
    read = {bucket for each in rounds.rounds for bucket in each.index.buckets}
    if not rounds.unreadable or read.issuperset(buckets):
        return
    for folder in journals:
        oldest = segments_in(folder)[:1]
        if oldest and oldest[0].first > position_at(1, 0):
            raise CannotRun(
                f"no checkpoint in {rounds.folder} can be read ({rounds.unreadable[-1]}) and {folder} no "
                "longer reaches back to its beginning: let the version that wrote them run, put the older "
                f"segments back (JOURNAL_ARCHIVE_DIR), or move {rounds.folder} away: no ledger has that hole"
            )
