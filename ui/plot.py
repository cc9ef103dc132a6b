"""``obl plot``: a picture of a range or a moment of the archive, as a file."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ui import show
from ui.archive import From, Json, Security, opened
from ui.exits import BadAnswer, CannotRun

if TYPE_CHECKING:
    from store.history import Archive

_ENDINGS = (".png", ".svg", ".pdf")


class Kind(StrEnum):
    """What is drawn."""

    heatmap = "heatmap"
    book = "book"
    volume = "volume"


def plot(
    security: Security,
    start: From,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE.png", help="Or .svg, .pdf.")],
    end: Annotated[str | None, typer.Argument(metavar="[TO]", help="As TIME; not for --kind book.")] = None,
    kind: Annotated[
        Kind, typer.Option("--kind", help="Depth over time, the book at FROM, traded volume by price.")
    ] = Kind.heatmap,
    as_json: Json = False,
) -> None:
    """Draw depth over time with best bid and ask and trades, a book, or traded volume; holes are grey."""
    if out.suffix not in _ENDINGS:
        raise CannotRun(f"{out}: write a name that ends in {', '.join(_ENDINGS)}")
    if (end is None) is not (kind is Kind.book):
        raise CannotRun("--kind book takes one moment, the other kinds FROM and TO")
    try:
        from ui import pictures
    except ImportError as error:
        raise CannotRun("pictures need matplotlib: pip install 'order-book-logger[analysis]'") from error

    with opened() as archive:
        try:
            if kind is Kind.heatmap:
                drawn = pictures.heatmap(archive, security, start, end or "latest")
            elif kind is Kind.volume:
                drawn = pictures.volume(archive, security, start, end or "latest")
            else:
                drawn = pictures.book(archive, security, start)
        except pictures.NothingToDraw as error:
            raise BadAnswer(str(error)) from error
        drawn.savefig(out)
        if as_json:
            show.json_line(_said(archive, security, start, end) | {"kind": kind.value, "file": str(out)})


def _said(archive: "Archive", security: str, start: str, end: str | None) -> dict[str, Any]:
    """Return what was drawn, and the ledger's rows of the holes in it."""
    from store import shapes
    from store.times import moment
    from wire.names import parse_security, venue_of
    from wire.times import iso

    name = parse_security(security)
    bounds = [moment(each) for each in (start, start if end is None else end)]
    low, high = (archive.newest_book(name) if each is None else each for each in bounds)
    holes = [
        shapes.gap(row)
        for row in archive.gaps(name)
        if row["state"] not in ("healed", "unverifiable")
        and (row["from"] is None or row["from"] <= high)
        and (row["to"] is None or row["to"] >= low)
    ]
    venue = venue_of(name)
    return {"security": name, "from": iso(low, venue), "to": iso(high, venue), "holes": holes}


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command(plot.__name__)(plot)
