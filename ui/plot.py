"""``obl plot``: a picture of a range or a moment of the archive, as a file."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ui.archive import From, Security, opened
from ui.exits import BadAnswer, CannotRun

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


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command(plot.__name__)(plot)
