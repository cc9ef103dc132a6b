"""A document of the wire as the BSON document of the database, and back.

wire.messages.Document   BSON                          note
id                       ``_id``                       unique; a document has many versions, one is kept
security                 ``security``                  with ``start`` in every query and unique key
start_ns                 ``start`` (date)              whole seconds
covered                  ``covered`` (int64)           a version is replaced only by one that covers more
fields["x_ns"]           ``x`` (date)                  and ``x_ns`` (int64) where ms would lose digits
fields[...]              the same name                 condition/FORMAT.md lists them

A BSON date counts milliseconds; exact times are int64 nanoseconds under names of their own.
"""

from collections.abc import Mapping
from typing import Any

import bson
from bson.codec_options import CodecOptions
from bson.datetime_ms import DatetimeMS

from wire.messages import Document

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

COLLECTIONS = ("images", "changes", "orders", "trades", "gaps", "audits")
"""In the order they are written: an image before the block that names it."""

LARGEST_BYTES = 16 * 1024 * 1024 - 16 * 1024
"""MongoDB's limit of a document, less room for the command around it."""

READING: CodecOptions[dict[str, Any]] = CodecOptions(
    document_class=dict, datetime_conversion=bson.codec_options.DatetimeConversion.DATETIME_MS
)
"""Dates stay counted milliseconds: a date beyond Python's calendar is no reason to fail."""

_OWN = frozenset({"_id", "security", "start", "covered"})


class Unstorable(ValueError):
    """No database can keep this document; no retry mends it."""


def block_id(security: str, kind: str, start_ns: int, part: int = 1) -> str:
    """Return the ``_id`` of *part* of the block of *kind* of the window that starts at *start_ns*.

    >>> block_id("binance:BTCUSDT", "changes", 1_723_161_600_000_000_000)
    'binance:BTCUSDT|changes|1723161600'
    >>> block_id("binance:BTCUSDT", "changes", 1_723_161_600_000_000_000, part=2)
    'binance:BTCUSDT|changes|1723161600|p2'
    """
    whole = f"{security}|{kind}|{start_ns // NS_PER_S}"
    return whole if part == 1 else f"{whole}|p{part}"


def image_id(security: str, update_id: int) -> str:
    """Return the ``_id`` of the image of the book right after *update_id*."""
    return f"{security}|image|{update_id}"


def part_of(identity: str) -> int:
    """Return which part of its window the block *identity* is; 1 where it does not say.

    >>> part_of("binance:BTCUSDT|changes|1723161600|p12")
    12
    """
    last = identity.rpartition("|")[2]
    return int(last[1:]) if last[:1] == "p" else 1


def merged_seconds(identity: str) -> int | None:
    """Return how long the merged block *identity* is; None of any other.

    >>> merged_seconds("binance:BTCUSDT|changes|1723161600|m3600")
    3600
    """
    last = identity.rpartition("|")[2]
    return int(last[1:]) if last[:1] == "m" and last[1:].isdecimal() else None


def to_bson(document: Document) -> bytes:
    """Return *document* as the BSON that is stored.

    Raises:
        Unstorable: an unknown collection, a value BSON has no form for, or more than 16 MB.
    """
    if document.collection not in COLLECTIONS:
        raise Unstorable(f"there is no collection {document.collection!r}")
    whole: dict[str, Any] = {
        "_id": document.id,
        "security": document.security,
        "start": _date(document.start_ns),
        "covered": bson.Int64(document.covered),
    }
    for name, value in document.fields.items():
        if name in _OWN:
            raise Unstorable(f"the field {name!r} is the store's own")
        if not name.endswith("_ns"):
            whole[name] = value
            continue
        if value is not None and not isinstance(value, int):
            raise Unstorable(f"{name}={value!r} is no time")
        whole[name.removesuffix("_ns")] = None if value is None else _date(value)
        if value is not None and value % NS_PER_MS:
            whole[name] = bson.Int64(value)
    try:
        data = bson.encode(whole)
    except (bson.errors.BSONError, OverflowError, ValueError) as error:
        raise Unstorable(f"no BSON: {error}") from error
    if len(data) > LARGEST_BYTES:
        raise Unstorable(f"{len(data)} bytes: a document has at most {LARGEST_BYTES}")
    return data


def from_bson(collection: str, stored: Mapping[str, Any]) -> Document:
    """Return the document whose BSON is *stored*, read with READING; the inverse of ``to_bson``."""
    fields: dict[str, Any] = {}
    for name, value in stored.items():
        if name in _OWN or name.removesuffix("_ns") + "_ns" in fields:
            continue
        if isinstance(value, DatetimeMS):
            fields[f"{name}_ns"] = stored.get(f"{name}_ns", date_ns(value))
        else:
            fields[name] = value
    return Document(
        collection=collection,
        id=stored["_id"],
        security=stored["security"],
        start_ns=date_ns(stored["start"]),
        covered=stored["covered"],
        fields=fields,
        reply_to="",
    )


def date_ns(date: DatetimeMS) -> int:
    """Return the nanoseconds since 1970 of a BSON date."""
    return int(date) * NS_PER_MS


def date_of(time_ns: int) -> DatetimeMS:
    """Return the BSON date at or just before *time_ns*."""
    return _date(time_ns)


def _date(time_ns: int) -> DatetimeMS:
    return DatetimeMS(time_ns // NS_PER_MS)
