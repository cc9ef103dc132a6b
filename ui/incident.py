"""``obl incident``: all there is about a hole or a failed audit, in one file to keep or to send.

file in the zip      holds
incident.json        what was asked for, the span of the records, what of it the journals no longer have
row.json             the ledger's row, or the audit with each difference
records.jsonl        frames and REST bodies of the security, connections and epochs of its line, verbatim
book_before.json     the book before it, every level or order (``obl at``)
book_after.json      the book after it
settings.json        the settings in force, secrets as ``***``
versions.json        of the program, of Python and of the libraries

A record's ``payload`` is its text as it was received; bytes that are no UTF-8 lie in ``payload_base64``.
"""

import json
import os
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zipfile import ZIP_DEFLATED, ZipFile

import typer

from ui import show
from ui.archive import Json, opened
from ui.exits import BadAnswer, CannotRun
from ui.rebuild import journals_of

if TYPE_CHECKING:
    from journal.group import Record
    from store.incident import Incident
    from wire.settings import Settings

_NS_PER_S = 1_000_000_000

Seconds = Annotated[int, typer.Option(min=0, metavar="SECONDS", help="Of records around it.")]


def incident(
    identity: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="SECURITY|FEED|FIRST_ID of obl gaps, or SECURITY|audit|UPDATE_ID of obl audit."
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.zip", help="Where it goes.")],
    before: Seconds = 60,
    after: Seconds = 10,
    as_json: Json = False,
) -> None:
    """Bring frames, books, settings and versions around a hole or a failed audit together in a zip."""
    from store.incident import incident as found_in
    from wire.settings import load_settings

    settings = load_settings(os.environ)
    with opened() as archive:
        found = found_in(archive, identity)
    span = found.from_ns - before * _NS_PER_S, found.to_ns + after * _NS_PER_S
    answer = _written(output, settings, found, span)
    show.json_line(answer) if as_json else show.table([answer], tuple(answer), "")
    if not answer["records"]:
        raise BadAnswer(
            f"the journals have no record of {found.security} from {answer['from']} to {answer['to']} "
            f"({_reach(answer['journals_from'])}): {output} holds the rest; JOURNAL_ARCHIVE_DIR and "
            "JOURNAL_KEEP_SECONDS decide how long records are kept"
        )


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command("incident")(incident)


def _written(output: Path, settings: "Settings", found: "Incident", span: tuple[int, int]) -> dict[str, Any]:
    """Write the zip, whole or not at all; return what is said of it.

    Raises:
        CannotRun: it cannot be written.
    """
    part = output.with_name(f"{output.name}.part")
    try:
        with ZipFile(part, "w", ZIP_DEFLATED) as bundle:
            answer = _fill(bundle, settings, found, span) | {"file": str(output)}
            _put(bundle, "incident.json", answer)
        part.replace(output)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise CannotRun(f"{output} cannot be written: {error.strerror or error}") from error
    return answer


def _fill(bundle: ZipFile, settings: "Settings", found: "Incident", span: tuple[int, int]) -> dict[str, Any]:
    from journal.excerpt import begins_ns, excerpt
    from wire.names import venue_of, venue_of_line
    from wire.times import iso

    _put(bundle, "row.json", found.row)
    _put(bundle, "book_before.json", found.before)
    _put(bundle, "book_after.json", found.after)
    _put(bundle, "settings.json", settings.shown())
    _put(bundle, "versions.json", versions())
    with ExitStack() as held:
        folders, why_none = _folders(settings, held)
        ours = {line: at for line, at in folders.items() if venue_of_line(line) == venue_of(found.security)}
        begun = {line: begins_ns(folder) for line, folder in ours.items()}
        records = (record for folder in ours.values() for record in excerpt(folder, found.security, *span))
        count = _put_records(bundle, records)
    return {
        "id": found.id,
        "from": iso(span[0]),
        "to": iso(span[1]),
        "records": count,
        "journals_from": {line: None if at is None else iso(at) for line, at in begun.items()} or why_none,
        "book_before": found.before.get("update_id"),
        "book_after": found.after.get("update_id"),
    }


def _folders(settings: "Settings", held: ExitStack) -> tuple[dict[str, Path], str]:
    """Return the journals by line, or why there are none: the archive's part is of use alone."""
    try:
        return journals_of(settings, None, held), ""
    except CannotRun as error:
        return {}, str(error)


def _put(bundle: ZipFile, name: str, value: Any) -> None:
    bundle.writestr(name, json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def _put_records(bundle: ZipFile, records: Iterable["Record"]) -> int:
    count = 0
    with bundle.open("records.jsonl", "w") as file:
        for count, record in enumerate(records, 1):  # noqa: B007 - it is what is returned
            file.write(json.dumps(_line(record), ensure_ascii=False).encode() + b"\n")
    return count


def _line(record: "Record") -> dict[str, Any]:
    import msgspec

    from journal.group import Corrupt, Kind
    from journal.payload import Rest, unpack
    from wire.names import epoch_of, number_of
    from wire.times import iso

    line: dict[str, Any] = {
        "line": record.line,
        "position": [epoch_of(record.position), number_of(record.position)],
        "kind": record.kind.name.lower(),
        "recv_time": iso(record.recv_ns),
        "connection": record.connection,
    }
    if record.kind is Kind.FRAME:
        return line | _text(record.payload)
    try:
        content = unpack(record.kind, record.payload)
    except Corrupt:
        return line | _text(record.payload)
    if isinstance(content, Rest):
        asked = {"what": content.what, "cause": content.cause, "status": content.status, "path": content.path}
        return line | asked | {"asked_time": iso(content.asked_ns)} | _text(content.body)
    said: dict[str, Any] = msgspec.to_builtins(msgspec.structs.asdict(content))
    return line | said


def _text(payload: bytes) -> dict[str, str]:
    """Return *payload* under the name that says how it is written."""
    from base64 import b64encode

    try:
        return {"payload": payload.decode()}
    except UnicodeDecodeError:
        return {"payload_base64": b64encode(payload).decode("ascii")}


def versions() -> dict[str, str]:
    """Return the versions of the program, of what it needs, of Python and of the system."""
    import platform
    import re
    from importlib.metadata import PackageNotFoundError, requires, version

    found = {"order-book-logger": version("order-book-logger")}
    for requirement in requires("order-book-logger") or ():
        name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
        if "extra ==" in requirement:
            continue
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found | {"python": platform.python_version(), "system": platform.platform()}


def _reach(begun: dict[str, str | None] | str) -> str:
    """Return in words from when on the journals have records."""
    if isinstance(begun, str):
        return begun or "there is no journal of its venue"
    return "; ".join(f"that of {line} begins at {at}" for line, at in begun.items())
