"""What the archive knows of an incident: a row of the gap ledger, or an audit.

``_id``                          is of                    the book before         the book after
``security|feed|first id``       ``gaps``                 at ``from``             at ``to``
``security|audit|update id``     ``audits``               at ``time``             AFTER_NS later

Where that moment is not stored (yet), the book of the nearest one that is stands in its place.
"""

from dataclasses import dataclass
from typing import Any

from store import shapes
from store.history import Archive
from store.unreadable import NotStored, UnknownSecurity, Unreadable
from wire.names import parse_security

AFTER_NS = 10_000_000_000
"""What an audit found is either mended by then or still there."""

_AUDIT = "audit"
_PARTS = 3


@dataclass(frozen=True, slots=True)
class Incident:
    """A ledger row or an audit, and the books around it."""

    id: str
    security: str
    from_ns: int
    """Exchange time of the last update before it."""
    to_ns: int
    """Exchange time of the first one after it; of an audit the same as ``from_ns``."""
    row: dict[str, Any]
    before: dict[str, Any]
    """As ``obl at --json``, or only ``error``: why there is none."""
    after: dict[str, Any]


def incident(archive: Archive, identity: str) -> Incident:
    """Return what *archive* knows of the incident *identity*.

    Raises:
        UnknownSecurity: there is no such row.
        BadSecurity: it names no security.
        Unreadable, PyMongoError: see store.history.
    """
    parts = identity.split("|")
    if len(parts) != _PARTS:
        raise UnknownSecurity(
            f"{identity!r} is no incident: write SECURITY|FEED|FIRST_ID of obl gaps, or "
            "SECURITY|audit|UPDATE_ID of obl audit, in quotes"
        )
    security = parse_security(parts[0])
    name = "|".join((security, *parts[1:]))
    is_audit = parts[1] == _AUDIT
    rows = archive.audits(security) if is_audit else archive.gaps(security)
    row = next((row for row in rows if row["_id"] == name), None)
    if row is None:
        asked = f"obl audit {security}" if is_audit else f"obl gaps {security}"
        raise UnknownSecurity(f"the archive has no {name}: {asked} lists what there is")
    from_ns, to_ns, after_ns = _audited(row) if is_audit else _missing(row)
    return Incident(
        id=name,
        security=security,
        from_ns=from_ns,
        to_ns=to_ns,
        row=shapes.audit(row) if is_audit else shapes.gap(row),
        before=_book(archive, security, from_ns),
        after=_book(archive, security, after_ns),
    )


def _audited(row: dict[str, Any]) -> tuple[int, int, int]:
    return row["time"], row["time"], row["time"] + AFTER_NS


def _missing(row: dict[str, Any]) -> tuple[int, int, int]:
    """Return when a hole begins and ends, as far as that is known."""
    from_ns = row["from"] if row["from"] is not None else row["to"]
    if from_ns is None:
        from_ns = int(row["start"]) * 1_000_000
    to_ns = row["to"] if row["to"] is not None else from_ns
    return from_ns, to_ns, to_ns


def _book(archive: Archive, security: str, time_ns: int) -> dict[str, Any]:
    """Return the book at *time_ns*, or at the newest moment before it that is stored."""
    try:
        try:
            found = archive.book_at(security, time_ns, "include")
        except NotStored as error:
            found = archive.book_at(security, error.moment_ns, "include")
    except Unreadable as error:
        return {"error": str(error)}
    return {"error": "it is not stored"} if found is None else shapes.book(found, orders=True)
