"""``obl export``: what is stored as a file of another kind, or as the original logger's database."""

import os
import time
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ui import show
from ui.archive import From, Holes, Json, OnHoles, Security, To, opened
from ui.exits import CannotRun
from ui.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from store.exporting import Sink, Told
    from store.history import Archive


class Format(StrEnum):
    """Of what is written."""

    parquet = "parquet"
    csv = "csv"
    jsonl = "jsonl"
    original = "original"


class Feed(StrEnum):
    """What of a security."""

    changes = "changes"
    trades = "trades"
    orders = "orders"
    images = "images"


ToUri = Annotated[
    str | None,
    typer.Option("--to", metavar="URI", help="Another server: host:port or a mongodb:// URI."),
]
ToDatabase = Annotated[
    str | None,
    typer.Option("--database", metavar="NAME", help="There; MONGODB_DATABASE when left out."),
]


def export(
    security: Security,
    start: From,
    end: To,
    form: Annotated[Format, typer.Option("--format", help="Of the file.")],
    feed: Annotated[Feed, typer.Option("--feed", help="What (original: book and trades).")] = Feed.changes,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Where it goes (.bson: BSON).")
    ] = None,
    to: ToUri = None,
    database: ToDatabase = None,
    every: Annotated[
        int, typer.Option(min=0, metavar="MS", help="Of original: a document's interval; 0: every update.")
    ] = 1000,
    significant: Annotated[
        int, typer.Option(min=1, metavar="VALUE", help="Of original: trades worth so much are named.")
    ] = 10_000,
    gaps: OnHoles = Holes.error,
    as_json: Json = False,
) -> None:
    """Write what happened from FROM to TO as Parquet, CSV, JSON lines or the original logger's documents."""
    is_original = form is Format.original
    if (output is None) == (to is None and database is None):
        raise CannotRun("name a file with -o, or a database with --to and --database")
    if output is None and not is_original:
        raise CannotRun(f"--format {form} goes into a file: name it with -o")
    begun = time.monotonic()
    with ExitStack() as held:
        progress = held.enter_context(Progress())
        archive = held.enter_context(opened())
        name = _known(archive, security)
        told = _telling(progress, name)
        if is_original:
            documents = _documents(archive, name, (start, end), gaps, every, significant)
            if output is not None:
                answer = {"documents": _file_of_documents(output, documents, told)}
            else:
                answer = {"documents": _into_database(documents, to, database, told)}
        else:
            answer = _table(archive, name, (start, end), gaps, form, feed, output or Path(), told)
    made: dict[str, Any] = {"security": name, "format": form.value, **answer}
    if output is not None:
        made |= {"file": str(output), "file_bytes": output.stat().st_size}
    made["seconds"] = round(time.monotonic() - begun, 1)
    show.json_line(made) if as_json else show.table([made], tuple(made), "")


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command("export")(export)


def _known(archive: "Archive", security: str) -> str:
    from wire.names import parse_security

    name = parse_security(security)
    archive.known(name)
    return name


def _telling(progress: Progress, security: str) -> "Told":
    from wire.times import iso

    return lambda rows, time_ns: progress.tell(f"{security}  {iso(time_ns)}  {rows}")


def _table(
    archive: "Archive",
    security: str,
    span: tuple[str, str],
    gaps: Holes,
    form: Format,
    feed: Feed,
    output: Path,
    told: "Told",
) -> dict[str, Any]:
    from store.exporting import MissingLibrary, answers_of, whole_file, write

    answers = answers_of(archive, feed.value, security, *span, gaps.value)
    try:
        with whole_file(output) as part, ExitStack() as files:
            sink = _sink(part, form, feed, security, files)
            rows, holes = write(answers, sink, told)
            files.close()
    except MissingLibrary as error:
        raise CannotRun(str(error)) from error
    except OSError as error:
        raise CannotRun(f"{output} cannot be written: {error.strerror or error}") from error
    return {"feed": feed.value, "rows": rows, "holes": holes}


def _sink(part: Path, form: Format, feed: Feed, security: str, files: ExitStack) -> "Sink":
    from store.exporting import CsvSink, JsonSink, ParquetSink

    if form is Format.parquet:
        return ParquetSink(part, feed.value, security)
    if form is Format.csv:
        return CsvSink(files.enter_context(part.open("w", encoding="utf-8", newline="")), feed.value)
    return JsonSink(files.enter_context(part.open("wb")))


def _documents(
    archive: "Archive", security: str, span: tuple[str, str], gaps: Holes, every_ms: int, significant: int
) -> "Iterator[dict[str, Any]]":
    from store.blocks import LAST_NS
    from store.original import documents
    from store.times import moment

    end_ns = moment(span[1])
    answers = archive.replay(security, *span, trades=True, gaps=gaps.value)
    return documents(
        security,
        answers,
        end_ns=LAST_NS if end_ns is None else end_ns,
        every_ms=every_ms,
        significant=significant,
    )


def _file_of_documents(output: Path, documents: "Iterator[dict[str, Any]]", told: "Told") -> int:
    from store.exporting import whole_file, write_documents

    try:
        with whole_file(output) as part, part.open("wb") as file:
            count = write_documents(documents, file, as_bson=output.suffix == ".bson", told=told)
            file.flush()
            return count
    except OSError as error:
        raise CannotRun(f"{output} cannot be written: {error.strerror or error}") from error


def _into_database(
    documents: "Iterator[dict[str, Any]]", uri: str | None, name: str | None, told: "Told"
) -> int:
    from store.elsewhere import elsewhere, put_documents
    from wire.settings import load_settings

    settings = load_settings(os.environ)
    with elsewhere(settings, uri, name) as there:
        return put_documents(there, documents, told)
