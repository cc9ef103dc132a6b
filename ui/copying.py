"""``obl copy`` and ``obl import``: what is stored, into another database."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from ui import show
from ui.archive import From, Json, Security, To
from ui.exits import BadAnswer, CannotRun
from ui.export import ToDatabase, ToUri
from ui.progress import Progress


def copy(
    security: Security,
    start: From,
    end: To,
    to: ToUri = None,
    database: ToDatabase = None,
    as_json: Json = False,
) -> None:
    """Copy what is stored from FROM to TO into another database, block by block; again goes on with it."""
    from pymongo.errors import PyMongoError

    from store.connection import NoDatabase, describe, where
    from store.copying import CannotCopy
    from store.copying import copy as copied_to
    from store.elsewhere import elsewhere
    from store.history import Unreadable
    from store.unreadable import UnknownSecurity
    from wire.settings import load_settings

    if to is None and database is None:
        raise CannotRun("name where it goes: --to URI, --database NAME, or both")
    name, low_ns, high_ns = _span(security, start, end)
    settings, begun = load_settings(os.environ), time.monotonic()
    with ExitStack() as held:
        progress = held.enter_context(Progress())
        try:
            source = held.enter_context(elsewhere(settings, None, None, make=False))
            there = held.enter_context(elsewhere(settings, to, database))
            if (source.server, source.database.name) == (there.server, there.database.name):
                raise CannotRun(f"that is the database {source.database.name!r} itself: name another")
            with there.asked():
                there.database.client.admin.command("ping")
            made = copied_to(source.database, there.database, name, low_ns, high_ns, _telling(progress, name))
        except (NoDatabase, CannotCopy, UnknownSecurity) as error:
            raise CannotRun(str(error)) from error
        except Unreadable as error:
            raise BadAnswer(str(error)) from error
        except PyMongoError as error:
            raise CannotRun(describe(error, where(settings))) from error
    answer: dict[str, Any] = {
        "security": name,
        "from": _iso(made.from_ns),
        "to": _iso(made.to_ns),
        "documents": sum(made.documents.values()),
        "written": made.written,
        "written_bytes": made.bytes,
        "seconds": round(time.monotonic() - begun, 1),
    }
    if as_json:
        return show.json_line(answer | {"collections": made.documents})
    return show.table([answer], tuple(answer), "")


def import_(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="JSON lines, or BSON (.bson); or --from.")
    ] = None,
    uri: Annotated[
        str | None, typer.Option("--from", metavar="URI", help="A server that holds them instead.")
    ] = None,
    database: Annotated[str, typer.Option("--database", metavar="NAME", help="There.")] = "orderbook&trades",
    symbol: Annotated[str, typer.Option("--symbol", help="Whose collection there, as btcusdt.")] = "",
    security: Annotated[
        str | None, typer.Option("--as", metavar="SECURITY", help="Binance's of their symbol when left out.")
    ] = None,
    into: Annotated[
        str | None, typer.Option("--into", metavar="DATABASE", help="MONGODB_DATABASE when left out.")
    ] = None,
    significant: Annotated[
        int, typer.Option(min=1, metavar="VALUE", help="Trades worth so much were named one by one.")
    ] = 10_000,
    as_json: Json = False,
) -> None:
    """Make an archive of the original logger's documents: without ids, marked as imported."""
    from pymongo.errors import PyMongoError

    from store.connection import NoDatabase, describe, where
    from store.elsewhere import elsewhere
    from store.importing import CannotImport, import_documents
    from store.old import BadOriginal
    from store.writer import WrongWindow
    from wire.names import BadSecurity
    from wire.settings import load_settings

    if (file is None) == (uri is None) or (uri is not None and not symbol):
        raise CannotRun("name a FILE, or --from URI and --symbol")
    settings = load_settings(os.environ)
    with ExitStack() as held:
        progress = held.enter_context(Progress())
        try:
            made = import_documents(
                held.enter_context(elsewhere(settings, None, into)).database,
                settings.window_seconds,
                settings.image_seconds("l2"),
                _old_documents(file, uri, database, symbol, held),
                security,
                _telling(progress, str(file or symbol)),
                significant=significant,
            )
        except (NoDatabase, WrongWindow, CannotImport, BadSecurity) as error:
            raise CannotRun(str(error)) from error
        except (BadOriginal, ValueError) as error:
            raise BadAnswer(str(error)) from error
        except OSError as error:
            raise CannotRun(f"{file} cannot be read: {error.strerror or error}") from error
        except PyMongoError as error:
            raise CannotRun(describe(error, where(settings))) from error
    answer = {
        "security": made.security,
        "from": _iso(made.from_ns),
        "to": _iso(made.to_ns),
        "documents": made.documents,
        "snapshots": made.snapshots,
        "before_snapshot": made.early,
        "unplaced": made.unplaced,
        "stored": made.stored,
    }
    show.json_line(answer) if as_json else show.table([answer], tuple(answer), "")


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    app.command("copy")(copy)
    app.command("import")(import_)


def _old_documents(
    file: Path | None, uri: str | None, database: str, symbol: str, held: ExitStack
) -> Iterator[dict[str, Any]]:
    from store.elsewhere import documents_of, elsewhere
    from store.exporting import read_documents
    from wire.settings import load_settings

    if file is None:
        return documents_of(held.enter_context(elsewhere(load_settings(os.environ), uri, database)), symbol)
    return read_documents(held.enter_context(file.open("rb")), as_bson=file.suffix == ".bson")


def _span(security: str, start: str, end: str) -> tuple[str, int, int]:
    from store.blocks import LAST_NS
    from store.times import BadTime, moment
    from wire.names import BadSecurity, parse_security

    try:
        name = parse_security(security)
        low_ns, high_ns = (LAST_NS if each is None else each for each in map(moment, (start, end)))
    except (BadSecurity, BadTime) as error:
        raise CannotRun(str(error)) from error
    if low_ns > high_ns:
        raise CannotRun(f"the range ends before it begins: {start} to {end}")
    return name, low_ns, high_ns


def _telling(progress: Progress, security: str) -> Any:
    from wire.times import iso

    return lambda documents, time_ns: progress.tell(f"{security}  {iso(time_ns)}  {documents} documents")


def _iso(moment_ns: int) -> str | None:
    from wire.times import iso

    return iso(moment_ns) if moment_ns else None
