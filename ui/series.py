"""The commands that print series from the archive: depth, best bid and ask, bars."""

from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any

import typer

from ui import show
from ui.archive import From, Holes, Json, OnHoles, Security, To, opened

Line = dict[str, Any]

_SHOWN_LEVELS = 5
_MOST_LEVELS = 100_000

Every = Annotated[str, typer.Option("--every", help="Length of a step, as 250ms, 1s, 5m, 1h.")]


def depth(
    security: Security,
    start: From,
    end: To,
    as_json: Json = False,
    every: Every = "1s",
    levels: Annotated[int, typer.Option(min=1, max=_MOST_LEVELS, help="Levels a side.")] = _SHOWN_LEVELS,
    gaps: OnHoles = Holes.error,
) -> None:
    """Print the best levels of both sides at regular moments."""
    from store import lines

    with opened() as archive:
        chunks = archive.depth(security, start, end, levels, every, gaps.value)
        _print((line for chunk in chunks for line in lines.depth(chunk)), as_json, _depth)


def top(
    security: Security,
    start: From,
    end: To,
    as_json: Json = False,
    every: Annotated[
        str | None, typer.Option("--every", help="As 1s; left out: whenever one of the two changes.")
    ] = None,
    gaps: OnHoles = Holes.error,
) -> None:
    """Print best bid and best ask, at each of their changes or at regular moments."""
    from store import lines

    with opened() as archive:
        chunks = archive.top(security, start, end, every, gaps.value)
        _print((line for chunk in chunks for line in lines.tops(chunk)), as_json, _top)


def bars(
    security: Security,
    start: From,
    end: To,
    as_json: Json = False,
    every: Every = "1m",
    gaps: OnHoles = Holes.error,
) -> None:
    """Print the trades by interval: open, high, low, close, volumes and their number."""
    from store import lines

    with opened() as archive:
        chunks = archive.bars(security, start, end, every, gaps.value)
        _print((line for chunk in chunks for line in lines.bars(chunk)), as_json, _bar)


_COMMANDS: tuple[Callable[..., None], ...] = (depth, top, bars)


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    for command in _COMMANDS:
        app.command(command.__name__)(command)


def _print(lines: Iterable[Line], as_json: bool, text: Callable[[Line], Iterator[str]]) -> None:
    """Print a line, or some, for each of *lines*: there may be millions, so no table."""
    if as_json:
        show.json_lines(lines)
        return
    for line in lines:
        for each in text(line):
            show.text_line(each)


def _depth(line: Line) -> Iterator[str]:
    yield f"{line['time']}  update {line['update_id']}{_marks(line)}"
    for side in ("asks", "bids"):
        rows = line[side] if side == "bids" else reversed(line[side])
        yield from (f"  {side[:3]}  {price:>14}  {size}" for price, size in rows)


def _top(line: Line) -> Iterator[str]:
    bid, ask = (line[side] or ["-", "-"] for side in ("bid", "ask"))
    yield f"{line['time']}  bid {bid[0]:>14} {bid[1]:<16}  ask {ask[0]:>14} {ask[1]:<16}{_marks(line)}"


def _bar(line: Line) -> Iterator[str]:
    prices = "  ".join(f"{line[name] or '-':>12}" for name in ("open", "high", "low", "close"))
    volumes = f"volume {line['volume']} (bought {line['buy_volume']}, sold {line['sell_volume']})"
    yield f"{line['time']}  {prices}  {volumes}  {line['trades']} trades{_marks(line)}"


def _marks(line: Line) -> str:
    if line.get("stale"):
        return "  STALE"
    return "  HOLE" if line.get("crosses_hole") or line.get("in_hole") else ""
