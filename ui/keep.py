"""``obl keep``: how long the data of a security is kept."""

import os
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ui import show
from ui.archive import Json, Security
from ui.exits import BadAnswer, CannotRun

if TYPE_CHECKING:
    from store.retention import Forgotten

_COLUMNS = ("security", "kind", "kept_from", "documents", "bytes")


class Feed(StrEnum):
    """What is kept or goes together."""

    book = "book"
    trades = "trades"
    audits = "audits"


def keep(
    security: Security,
    days: Annotated[int, typer.Option("--days", min=1, help="Before the newest stored data.")],
    kind: Annotated[
        list[Feed] | None,
        typer.Option("--kind", help="book (changes or orders, with images), trades, audits; else all."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")] = False,
    as_json: Json = False,
) -> None:
    """Delete what is older than so many days, for good: no rebuild brings it back into this database."""
    rows = [_row(each) for each in _forgotten(security, days, kind or list(Feed), dry_run=dry_run)]
    show.json_lines(rows) if as_json else show.table(rows, _COLUMNS, "nothing is stored")


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command("keep")(keep)


def _forgotten(security: str, days: int, feeds: list[Feed], *, dry_run: bool) -> "list[Forgotten]":
    from pymongo.errors import PyMongoError

    from store.compact import alone, compactor, securities_of
    from store.compaction import CannotCompact
    from store.connection import NoDatabase, connect, describe, where
    from store.embedded import running
    from store.retention import forget
    from store.unreadable import Damaged
    from store.writer import WrongWindow
    from wire.names import parse_security
    from wire.settings import load_settings

    settings, name = load_settings(os.environ), parse_security(security)
    try:
        with running(settings), alone(settings), connect(settings) as client:
            database = client[settings.mongodb_database]
            blocks = compactor(database, settings).blocks
            if name not in securities_of(database, settings):
                raise CannotRun(f"{name} is not recorded from this DATA_DIR: keep it where it is")
            names = [feed.value for feed in feeds]
            return list(forget(database, blocks, name, days, names, dry_run=dry_run))
    except (NoDatabase, WrongWindow, CannotCompact) as error:
        raise CannotRun(str(error)) from error
    except Damaged as error:
        raise BadAnswer(str(error)) from error
    except PyMongoError as error:
        raise CannotRun(describe(error, where(settings))) from error


def _row(gone: "Forgotten") -> dict[str, Any]:
    from wire.times import iso

    return {
        "security": gone.security,
        "kind": gone.kind,
        "kept_from": iso(gone.kept_from_ns),
        "documents": gone.documents,
        "bytes": gone.bytes,
    }
