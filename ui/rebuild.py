"""``obl rebuild``: the documents of the journals, made anew."""

import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ui import show
from ui.archive import Json
from ui.exits import BadAnswer, CannotRun
from ui.progress import Progress

if TYPE_CHECKING:
    from journal.group import Group
    from store.rebuild import Rebuilt, Result
    from wire.settings import Settings

_COLUMNS = ("security", "from", "to", "starts_from", "documents", "stored", "mended", "refused")


def rebuild(
    into: Annotated[
        str | None,
        typer.Option("--into", metavar="DATABASE", help="Name of the database (MONGODB_DATABASE)."),
    ] = None,
    journal: Annotated[
        list[Path] | None,
        typer.Option(
            "--journal",
            metavar="FOLDER",
            help="A journal, or a folder of journals; again for more.  Else DATA_DIR/journal, "
            "JOURNAL_ARCHIVE_DIR and, for what began before them, DATA_DIR/checkpoints.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make the documents of the journals anew, in an empty or damaged database."""
    from wire.settings import load_settings

    settings = load_settings(os.environ | ({} if into is None else {"MONGODB_DATABASE": into}))
    _refuse_beside_a_recorder(settings, load_settings(os.environ).mongodb_database)
    with Progress() as progress:
        made = _rebuilt(settings, journal, progress)
    rows = [_row(each) for each in made.rebuilt]
    show.json_lines(rows) if as_json else show.table(rows, _COLUMNS, "the journals name no security")
    refused = [row for row in rows if row["refused"]]
    if refused:
        raise BadAnswer(f"{len(refused)} of {len(rows)} not whole: {refused[0]['reason']}")
    if made.lost:
        raise BadAnswer(
            f"records in the journal of {', '.join(made.lost)} cannot be read (obl verify --journal): what "
            "they held is missing, and rows of the ledger say so"
        )


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command("rebuild")(rebuild)


def _rebuilt(settings: "Settings", folders: list[Path] | None, progress: Progress) -> "Result":
    from pymongo.errors import PyMongoError

    from store.connection import NoDatabase, connect, describe, where
    from store.embedded import running
    from store.rebuild import CannotRebuild, starts
    from store.rebuild import rebuild as make
    from store.writer import WrongWindow

    with ExitStack() as opened:
        journals = journals_of(settings, folders, opened)
        saved = [] if folders else starts(settings.data_dir / "checkpoints", journals)
        try:
            opened.enter_context(running(settings, make=True))
            client = opened.enter_context(connect(settings))
            return make(client[settings.mongodb_database], settings, journals, saved, _telling(progress))
        except (NoDatabase, WrongWindow, CannotRebuild) as error:
            raise CannotRun(str(error)) from error
        except PyMongoError as error:
            raise CannotRun(describe(error, where(settings))) from error


def journals_of(settings: "Settings", given: list[Path] | None, opened: ExitStack) -> dict[str, Path]:
    """Return the journals by line, in a folder for the length of the command.

    Raises:
        CannotRun: there is none, or none that can be read.
    """
    from journal.collected import gather, journals_in
    from journal.formats import OtherFormat

    kept = [settings.data_dir / "journal"]
    if settings.journal_archive_dir is not None:
        kept.append(settings.journal_archive_dir)
    wanted = given or kept
    # what is kept comes first: what is archived between the two lists is then in the second
    found = [folder for each in wanted for folder in journals_in(each)]
    if not found:
        raise CannotRun(
            f"there is no journal in {' or '.join(map(str, wanted))}: set DATA_DIR, JOURNAL_ARCHIVE_DIR or "
            "--journal to where it lies"
        )
    beside = settings.data_dir if settings.data_dir.is_dir() else None
    try:
        folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="rebuild-", dir=beside))
        return gather(found, Path(folder))
    except OtherFormat as error:
        raise CannotRun(str(error)) from error
    except OSError as error:
        raise CannotRun(f"{settings.data_dir} cannot be written: {error.strerror}") from error


def _refuse_beside_a_recorder(settings: "Settings", running_database: str) -> None:
    """Refuse to write into the database that the logger is writing.

    Raises:
        CannotRun: it is, and the logger runs.
    """
    pid = _supervisor(settings.data_dir / "supervisord.pid")
    if pid is not None and settings.mongodb_database == running_database:
        raise CannotRun(
            f"the logger (pid {pid}) writes the database {running_database!r}: stop it (obl terminate), or "
            "name another with --into"
        )


def _supervisor(file: Path) -> int | None:
    """Return the pid of the supervisord that *file* names, where it runs."""
    try:
        pid = int(file.read_text())
        return pid if b"supervisord" in Path(f"/proc/{pid}/cmdline").read_bytes() else None
    except (OSError, ValueError):
        return None


def _telling(progress: Progress) -> "Callable[[Group], None]":
    from wire.times import iso

    return lambda group: progress.tell(f"{group.line}  {iso(group.clock_ns)}")


def _row(made: "Rebuilt") -> dict[str, Any]:
    from wire.names import venue_of
    from wire.times import iso

    venue = venue_of(made.security)
    return {
        "security": made.security,
        "from": None if made.from_ns is None else iso(made.from_ns, venue),
        "to": None if made.to_ns is None else iso(made.to_ns, venue),
        "starts_from": made.starts_from,
        "documents": made.documents,
        "stored": made.stored,
        "mended": made.mended,
        "refused": made.refused,
        "reason": made.reason or None,
    }
