"""The commands that read the archive: straight from the database, whether or not the logger runs."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ui import show
from ui.exits import BadAnswer, CannotRun

if TYPE_CHECKING:
    from store.history import Archive

_SHOWN_LEVELS = 20
_SHOWN_DIFFERENCES = 50


class Holes(StrEnum):
    """What to do where updates are missing."""

    error = "error"
    include = "include"
    exclude = "exclude"


Json = Annotated[bool, typer.Option("--json", help="Print JSON: an object, or one a line.")]
Security = Annotated[str, typer.Argument(metavar="SECURITY", help="venue:SYMBOL; Binance's without a venue.")]
Any_ = Annotated[str | None, typer.Argument(metavar="[SECURITY]", help="venue:SYMBOL; all when left out.")]
Time = Annotated[
    str, typer.Argument(metavar="TIME", help="ISO 8601 (UTC when unmarked), latest, or a number since 1970.")
]
From = Annotated[str, typer.Argument(metavar="FROM", help="As TIME; included.")]
To = Annotated[str, typer.Argument(metavar="TO", help="As TIME; not included.")]
OnHoles = Annotated[Holes, typer.Option("--gaps", help="Where updates are missing: end, read on, leave out.")]


def at(
    security: Security,
    time: Time,
    as_json: Json = False,
    depth: Annotated[int | None, typer.Option(min=1, help="Levels a side (all in JSON).")] = None,
    orders: Annotated[bool, typer.Option("--orders", help="Every order, in queue order (L3).")] = False,
    gaps: OnHoles = Holes.error,
    verify: Annotated[bool, typer.Option("--verify", help="Compare every stored hash on the way.")] = False,
) -> None:
    """Print the book as it was at a moment."""
    from store import shapes

    with opened() as archive:
        found = archive.book_at(security, time, gaps.value, verify=verify)
    if found is None:
        return
    if orders and found.orders is None:
        raise CannotRun(f"{found.security} is recorded by levels: there are no orders to show")
    if as_json:
        show.json_line(shapes.book(found, depth=depth, orders=orders))
        return
    answer = shapes.book(found)
    show.book(answer, depth or _SHOWN_LEVELS)
    if orders:
        shown = shapes.book(found, depth=depth or _SHOWN_LEVELS, orders=True)
        rows = [_order(side, row) for side in ("bids", "asks") for row in shown[side]]
        show.table(rows, ("side", "price", "size", "order_id"), "there are no orders")
        show.order_ids(shown)


def replay(
    security: Security,
    start: From,
    end: To,
    as_json: Json = False,
    trades: Annotated[bool, typer.Option("--trades", help="The trades too.")] = False,
    gaps: OnHoles = Holes.error,
    speed: Annotated[
        float | None, typer.Option(min=0, help="1: as it happened; 10: ten times faster; 0: at once.")
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option("--serve", metavar="ENDPOINT", help="Publish it there, as the live tap.")
    ] = None,
) -> None:
    """Print the book at FROM and everything that happened until TO."""
    from store.paced import paced
    from store.shapes import timed
    from store.timeline import by_time

    with opened() as archive:
        if endpoint is not None:
            # (as live: what a consumer of the tap is to see at its pace)
            _serve(archive, security, start, end, 1.0 if speed is None else speed, endpoint, gaps, as_json)
            return
        rows = by_time(archive.replay(security, start, end, trades=trades, gaps=gaps.value), timed)
        lines = _some(paced(rows, speed or 0.0), lambda: archive.within(security, start, end, trades=False))
        show.json_lines(lines, flush=bool(speed)) if as_json else _print_each(
            lines, _happened, flush=bool(speed)
        )


def trades(
    security: Security, start: From, end: To, as_json: Json = False, gaps: OnHoles = Holes.error
) -> None:
    """Print the trades from FROM to TO, in the order of their ids."""
    from store import shapes

    with opened() as archive:
        answers = archive.trades(security, start, end, gaps.value)
        lines = shapes.traded(answers, with_gaps=gaps is not Holes.exclude)
        lines = _some(lines, lambda: archive.within(security, start, end, trades=True))
        show.json_lines(lines) if as_json else _print_each(lines, _trade)


def gaps(security: Any_ = None, as_json: Json = False) -> None:
    """List what is missing, with times and cause."""
    from store import shapes

    with opened() as archive:
        rows = [shapes.gap(row) for row in archive.gaps(security)]
    columns = ("security", "feed", "state", "cause", "first_id", "last_id", "from", "to", "noticed_by")
    show.json_lines(rows) if as_json else show.table(rows, columns, "nothing is missing")


def coverage(security: Any_ = None, as_json: Json = False) -> None:
    """List what is stored without a hole."""
    from store import shapes

    with opened() as archive:
        rows = [shapes.coverage(span) for span in archive.coverage(security)]
    columns = ("security", "feed", "from", "to", "rows", "documents", "first_id", "last_id")
    show.json_lines(rows) if as_json else show.table(rows, columns, "nothing is stored")


def audit(security: Any_ = None, as_json: Json = False) -> None:
    """List how the book compared with fresh snapshots; ends with 1 where the newest found a difference."""
    from store import shapes

    with opened() as archive:
        rows = [shapes.audit(row) for row in archive.audits(security)]
    columns = ("security", "time", "update_id", "levels", "equal", "pct", "misplaced", "found")
    show.json_lines(rows) if as_json else show.table(rows, columns, "nothing was audited yet")
    newest = {row["security"]: row for row in rows}
    bad = [row for row in newest.values() if row["found"]]
    if bad and not as_json:
        names = ("security", "side", "price", "ours", "theirs", "order_id")
        found = [
            dict(zip(names, (row["security"], *each), strict=False))
            for row in bad
            for each in row["differences"]
        ]
        show.table(found[:_SHOWN_DIFFERENCES], names, "")
    if bad:
        named = ", ".join(f"{row['security']} ({row['found']} of {row['levels']})" for row in bad)
        raise BadAnswer(
            f"the newest audit found differences: {named}; the same twice would have resynchronised"
        )


_COMMANDS: tuple[Callable[..., None], ...] = (at, replay, trades, gaps, coverage, audit)


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    for command in _COMMANDS:
        app.command(command.__name__)(command)


@contextmanager
def opened() -> "Iterator[Archive]":
    """Open the archive; what it cannot do ends the command with one line and the right code."""
    from pymongo.errors import PyMongoError

    from store.connection import NoDatabase, describe
    from store.history import Archive, UnknownSecurity, Unreadable
    from store.times import BadTime
    from wire.names import BadSecurity

    server = "MONGODB_ENDPOINT"
    try:
        with Archive() as archive:
            server = archive.server
            yield archive
    except (BadTime, BadSecurity, UnknownSecurity, NoDatabase) as error:
        raise CannotRun(str(error)) from error
    except Unreadable as error:
        raise BadAnswer(str(error)) from error
    except PyMongoError as error:
        raise CannotRun(describe(error, server)) from error


def _some(lines: Iterable[dict[str, Any]], else_check: Callable[[], None]) -> Iterator[dict[str, Any]]:
    """Yield *lines*; where there are none, have *else_check* say why if that is bad."""
    empty = True
    for line in lines:
        empty = False
        yield line
    if empty:
        else_check()


def _serve(
    archive: "Archive",
    security: str,
    start: str,
    end: str,
    speed: float,
    endpoint: str,
    gaps: Holes,
    as_json: bool,
) -> None:
    import zmq

    try:
        count = archive.serve(security, start, end, speed, endpoint, gaps.value)
    except zmq.ZMQError as error:
        raise CannotRun(f"--serve {endpoint}: {error.strerror}: name one as tcp://127.0.0.1:7000") from error
    answer = {"security": security, "endpoint": endpoint, "messages": count}
    show.json_line(answer) if as_json else show.table([answer], tuple(answer), "")


def _print_each(
    lines: Iterable[dict[str, Any]], text: Callable[[dict[str, Any]], str], *, flush: bool = False
) -> None:
    """Print a line for each of *lines*: there may be millions, so no table."""
    for line in lines:
        sys.stdout.write(text(line) + "\n")
        if flush:
            sys.stdout.flush()


def _trade(line: dict[str, Any]) -> str:
    if line.get("type") == "gap":
        return _happened(line)
    return f"{line['time']}  {line['id']:>12}  {line['side']:<4}  {line['price']:>14}  {line['size']}"


def _happened(line: dict[str, Any]) -> str:
    match line["type"]:
        case "image":
            bids, asks = len(line["bids"]), len(line["asks"])
            best = f"best {_best(line['bids'])} / {_best(line['asks'])}"
            return f"{line['time']}  image    update {line['update_id']}  {bids} bids, {asks} asks, {best}"
        case "changes":
            levels = [f"bid {price} {size}" for price, size in line["bids"]]
            levels += [f"ask {price} {size}" for price, size in line["asks"]]
            return f"{line['time']}  changes  update {line['update_id']}  {', '.join(levels)}"
        case "order":
            rest = " ".join(
                str(line[name]) for name in ("side", "price", "size", "order_id") if line.get(name)
            )
            return f"{line['time']}  order    update {line['update_id']}  {line['event']} {rest}"
        case "trade":
            return f"{line['time']}  trade    {line['id']}  {line['side']} {line['size']} at {line['price']}"
        case _:
            ids = f"{line['first_id']} to {line['last_id']}"
            return f"{line['to'] or line['from']}  gap      {line['feed']} ids {ids}, cause {line['cause']}"


def _best(rows: list[list[str]]) -> str:
    return rows[0][0] if rows else "-"


def _order(side: str, row: list[str]) -> dict[str, str]:
    return {"side": side.removesuffix("s"), **dict(zip(("price", "size", "order_id"), row, strict=True))}
