"""Whether a database is what ``obl rebuild`` makes of the journals."""

from typing import Any

from pymongo import MongoClient

from tests.system.running import Logger

COLLECTIONS = ("images", "changes", "orders", "trades", "gaps")
_RECEIPTS = ("receipts", "receipts_crc32c")

Documents = dict[str, dict[str, Any]]


def documents(client: MongoClient[dict[str, Any]], database: str) -> Documents:
    """Return every document but its receive times, by collection and ``_id``."""
    return {
        f"{name} {each['_id']}": {field: value for field, value in each.items() if field not in _RECEIPTS}
        for name in COLLECTIONS
        for each in client[database][name].find()
    }


def different(one: Documents, other: Documents) -> list[str]:
    """Return the names of the documents that only one has, or that differ."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def rebuilt(logger: Logger, *words: str) -> list[dict[str, Any]]:
    """Return what ``obl rebuild`` says it made."""
    return [row for row in logger.answers("rebuild", *words) if row["documents"]]
