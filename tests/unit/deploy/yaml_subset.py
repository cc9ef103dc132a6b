"""Reads the part of YAML that deploy/compose.yaml keeps to, and refuses all else.

Block mappings, block lists of scalars, lists in brackets, plain and double-quoted scalars, comments on lines
of their own.  No anchors, tags, block scalars or tabs: a reader who knows no YAML can read it too.
"""

import json
import re
from typing import Any

_KEY = re.compile(r"([A-Za-z_][\w.-]*):(?: (.*))?")
_PLAIN = re.compile(r"[\w./](?:[\w./@-]|:(?! |$))*")


class NotInSubset(ValueError):
    """The line is no YAML of this part."""


def load(text: str) -> Any:
    """Return the mappings, lists and texts that *text* holds."""
    if "\t" in text:
        raise NotInSubset("a tab")
    lines = [
        (number, len(line) - len(line.lstrip(" ")), line.strip())
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    value, rest = _block(lines, 0)
    if rest:
        raise NotInSubset(f"line {rest[0][0]}: indented in a way of its own")
    return value


Lines = list[tuple[int, int, str]]


def _block(lines: Lines, indent: int) -> tuple[Any, Lines]:
    if not lines or lines[0][1] < indent:
        return None, lines
    return _list(lines, indent) if lines[0][2].startswith("- ") else _mapping(lines, indent)


def _list(lines: Lines, indent: int) -> tuple[list[Any], Lines]:
    found = []
    while lines and lines[0][1] == indent and lines[0][2].startswith("- "):
        found.append(_scalar(lines[0][0], lines[0][2][2:]))
        lines = lines[1:]
    return found, lines


def _mapping(lines: Lines, indent: int) -> tuple[dict[str, Any], Lines]:
    found: dict[str, Any] = {}
    while lines and lines[0][1] == indent:
        number, _, content = lines[0]
        match = _KEY.fullmatch(content)
        if match is None or match[1] in found:
            raise NotInSubset(f"line {number}: no key, or the same key twice: {content!r}")
        lines = lines[1:]
        if match[2] is not None:
            found[match[1]] = _scalar(number, match[2])
        elif lines and lines[0][1] == indent + 2:
            found[match[1]], lines = _block(lines, indent + 2)
        else:
            found[match[1]] = None
    return found, lines


def _scalar(number: int, text: str) -> Any:
    if text[0] in '["':
        try:
            return json.loads(text)  # what is in brackets or quotes here is the same in JSON
        except ValueError as error:
            raise NotInSubset(f"line {number}: {error}") from error
    if _PLAIN.fullmatch(text) is None:
        raise NotInSubset(f"line {number}: put it in quotes: {text!r}")
    return text
