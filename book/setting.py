"""What a book worker is told by the settings, and what of it keeps the worker from starting."""

from pathlib import Path

from book.bookfeed import Recipe
from journal.formats import OtherFormat, check_format
from wire.loop import CannotRun
from wire.settings import Settings

NS_PER_SECOND = 1_000_000_000


def recipe(settings: Settings) -> Recipe:
    """Return how books are recorded without a policy."""
    return Recipe(
        settings.window_seconds * NS_PER_SECOND, settings.image_seconds("l2"), settings.image_seconds("l3")
    )


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
