"""Prints answers: JSON for programs, tables for people."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_PIPED_COLUMNS = 200
"""Wide enough that nothing is cut where nobody looks at a terminal."""

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_KIBI = 1024


def json_line(value: Any) -> None:
    """Print *value* as JSON on one line."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def json_lines(values: Iterable[Any], *, flush: bool = False) -> None:
    """Print each of *values* as JSON on a line of its own; with *flush* whoever reads has it at once."""
    for value in values:
        json_line(value)
        if flush:
            sys.stdout.flush()


def text_line(text: str) -> None:
    """Print *text* on a line."""
    sys.stdout.write(text.rstrip() + "\n")


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], empty: str) -> None:
    """Print *columns* of *rows*; *empty* where there are none."""
    from rich.console import Console
    from rich.table import Table

    if not rows:
        sys.stdout.write(empty + "\n")
        return
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        numbers = all(isinstance(row.get(column), int | float | None) for row in rows)
        drawn.add_column(column, justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(text_of(column, row.get(column)) for column in columns))
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console.width = _PIPED_COLUMNS
    console.print(drawn)


def text_of(column: str, value: Any) -> str:
    """Return *value* as a person reads it; bytes with their unit, nothing as ``-``."""
    if value is None:
        return "-"
    if column.endswith("_bytes") and isinstance(value, int):
        return size_text(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def size_text(size_bytes: float) -> str:
    """Return *size_bytes* with the unit that makes it short.

    >>> size_text(3 * 2**30 + 2**29)
    '3.5 GiB'
    """
    unit = 0
    while abs(size_bytes) >= _KIBI and unit < len(_UNITS) - 1:
        size_bytes /= _KIBI
        unit += 1
    return f"{size_bytes:.1f} {_UNITS[unit]}" if unit else f"{size_bytes} B"


def book(answer: Mapping[str, Any], depth: int) -> None:
    """Print a book: a line about it, then the best *depth* levels, asks above bids."""
    certified = answer.get("certified") or {}
    sys.stdout.write(
        f"{answer.get('security')}  time {answer.get('time')}  update {answer.get('update_id')}  "
        f"{answer.get('continuity')}{'  STALE' if answer.get('stale') else ''}\n"
        f"certified from {certified.get('bid_low') or 'the lowest'} to "
        f"{certified.get('ask_high') or 'the highest'}\n"
    )
    asks, bids = answer.get("asks") or [], answer.get("bids") or []
    rows = [{"side": "ask", "price": row[0], "size": row[1]} for row in reversed(asks[:depth])]
    rows += [{"side": "bid", "price": row[0], "size": row[1]} for row in bids[:depth]]
    table(rows, ("side", "price", "size"), "the book is empty")
    sys.stdout.write(f"{len(bids)} bids, {len(asks)} asks\n")
    order_ids(answer)


def order_ids(answer: Mapping[str, Any]) -> None:
    """Say where the orders of a book have no ids."""
    if answer.get("order_ids") == "not kept":
        sys.stdout.write("order ids were not kept: an order is named by the update that named it first\n")
