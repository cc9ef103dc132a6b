"""``obl compact``: the blocks of old hours merged into few documents."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ui import show
from ui.archive import Json
from ui.exits import BadAnswer, CannotRun
from ui.progress import Progress

if TYPE_CHECKING:
    from store.compaction import Compacted

_COLUMNS = (
    "security",
    "kind",
    "spans",
    "documents_before",
    "documents_after",
    "bytes_before",
    "bytes_after",
)

Securities = Annotated[
    list[str] | None,
    typer.Argument(metavar="[SECURITY...]", help="venue:SYMBOL; all of this recorder when left out."),
]


def compact(
    securities: Securities = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be merged.")] = False,
    as_json: Json = False,
) -> None:
    """Merge the blocks of old hours into few documents; may be ended at any time."""
    with Progress() as progress:
        rows = [_row(each) for each in _merged(securities or [], progress, dry_run=dry_run)]
    show.json_lines(rows) if as_json else show.table(rows, _COLUMNS, "there is nothing to merge")
    skipped = [row for row in rows if row["skipped"]]
    if skipped:
        raise BadAnswer(f"{skipped[0]['security']}: {skipped[0]['skipped']} (obl verify): left as it is")


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command("compact")(compact)


def _merged(names: list[str], progress: Progress, *, dry_run: bool) -> "Iterator[Compacted]":
    """Yield what was merged, by security and kind."""
    from pymongo.errors import PyMongoError

    from store.compact import alone, compactor, securities_of
    from store.compaction import CannotCompact, Compacted
    from store.connection import NoDatabase, connect, describe, where
    from store.embedded import running
    from store.unreadable import Damaged
    from store.writer import WrongWindow
    from wire.names import parse_security
    from wire.settings import load_settings

    settings = load_settings(os.environ)
    wanted = [parse_security(name) for name in names]
    with ExitStack() as opened:
        try:
            opened.enter_context(running(settings))
            opened.enter_context(alone(settings))
            client = opened.enter_context(connect(settings))
            database = client[settings.mongodb_database]
            merging = compactor(database, settings)
            ours = securities_of(database, settings)
            for name in wanted:
                if name not in ours:
                    raise CannotRun(f"{name} is not recorded from this DATA_DIR: compact it where it is")
            for name in wanted or ours:
                total: dict[str, Compacted] = {}
                for done in merging.run(name, dry_run=dry_run):
                    total.setdefault(done.kind, Compacted(name, done.kind)).add(done)
                    progress.tell(f"{name}  {done.kind}  {total[done.kind].spans} spans")
                yield from total.values()
        except (NoDatabase, WrongWindow, CannotCompact) as error:
            raise CannotRun(str(error)) from error
        except Damaged as error:
            raise BadAnswer(str(error)) from error
        except PyMongoError as error:
            raise CannotRun(describe(error, where(settings))) from error


def _row(done: "Compacted") -> dict[str, Any]:
    return {name: getattr(done, name) for name in _COLUMNS} | {"skipped": done.skipped or None}
