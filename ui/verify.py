"""``obl verify``: whether what is stored, or journalled, is what it has to be."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ui import show
from ui.archive import Json, opened
from ui.exits import BadAnswer, CannotRun
from ui.progress import Progress

if TYPE_CHECKING:
    from store.history import Archive
    from store.tally import Tally

_COLUMNS = ("security", "from", "to", "documents", "proven", "unverifiable", "first_bad")
_JOURNAL_COLUMNS = ("line", "segments", "groups", "records", "bytes", "torn_bytes", "first_bad")

What = Annotated[
    list[str] | None,
    typer.Argument(metavar="[SECURITY] [FROM TO]", help="All securities and all times when left out."),
]


def verify(
    what: What = None,
    as_json: Json = False,
    journal: Annotated[bool, typer.Option("--journal", help="The journals, without any database.")] = False,
) -> None:
    """Prove what is stored: ids, chains, checksums, book hashes, the ledger of holes."""
    words = what or []
    if journal:
        if words:
            raise CannotRun("--journal takes no security and no times: it walks whole journals")
        return _show(list(_journals()), _JOURNAL_COLUMNS, "line", as_json)
    return _show(list(_stored(words)), _COLUMNS, "security", as_json)


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command("verify")(verify)


def _show(rows: list[dict[str, Any]], columns: Sequence[str], name: str, as_json: bool) -> None:
    """Print *rows*, and end with 1 where one of them has something bad."""
    show.json_lines(rows) if as_json else show.table(rows, columns, "nothing is stored")
    bad = [row for row in rows if row["first_bad"] is not None]
    if bad:
        first = bad[0]
        raise BadAnswer(
            f"{len(bad)} of {len(rows)} not clean; {first[name]}: {first['first_bad']}: {first['reason']}"
        )


def _stored(words: list[str]) -> Iterator[dict[str, Any]]:
    from store.blocks import LAST_NS
    from store.times import BadTime, moment
    from store.verify import verify as walk
    from wire.times import iso

    if len(words) > 3:
        raise CannotRun("too many words: obl verify [SECURITY] [FROM TO]")
    named = words[0] if len(words) % 2 else None
    times = words[len(words) % 2 :] or ["0", "latest"]
    try:
        low_ns, high_ns = (moment(word) for word in times)
    except BadTime as error:
        raise CannotRun(str(error)) from error
    with opened() as archive, Progress() as progress:
        for security in _securities(archive, named):
            found = walk(
                archive.blocks,
                security,
                LAST_NS if low_ns is None else low_ns,
                LAST_NS if high_ns is None else high_ns,
                lambda name, time_ns: progress.tell(f"{name}  {iso(time_ns)}"),
            )
            yield _row(found)


def _securities(archive: "Archive", named: str | None) -> list[str]:
    from store.unreadable import Damaged
    from wire.names import parse_security

    if named is None:
        return [each["security"] for each in archive.securities()]
    security = parse_security(named)
    with suppress(Damaged):  # the walk will say so
        archive.known(security)
    return [security]


def _row(found: "Tally") -> dict[str, Any]:
    from wire.names import venue_of
    from wire.times import iso

    venue, first = venue_of(found.security), found.first_bad
    return {
        "security": found.security,
        "from": None if found.from_ns is None else iso(found.from_ns, venue),
        "to": None if found.to_ns is None else iso(found.to_ns, venue),
        "documents": found.documents,
        "proven": found.proven,
        "unverifiable": found.unverifiable,
        "first_bad": None if first is None else first.id,
        "reason": None if first is None else first.why,
        "bad": found.bad,
    }


def _journals() -> Iterator[dict[str, Any]]:
    from journal.verify import verify as walk
    from wire.settings import load_settings

    folder = load_settings(os.environ).data_dir / "journal"
    lines = sorted(each for each in folder.glob("*") if each.is_dir())
    if not lines:
        raise CannotRun(f"there is no journal in {folder}: set DATA_DIR to where the logger keeps its own")
    for line in lines:
        try:
            found = walk(line)
        except OSError as error:
            raise CannotRun(f"{line} cannot be read: {error.strerror}") from error
        yield {
            "line": found.line or line.name,
            "segments": found.segments,
            "groups": found.groups,
            "records": found.records,
            "bytes": found.bytes,
            "torn_bytes": found.torn_bytes,
            "first_bad": found.first_bad,
            "reason": None if found.first_bad is None else f"{found.why} at byte {found.offset}",
        }
