"""Finds, of documents that the database has already, those that a rebuild has to put in their place.

the stored document                                             is replaced
contradicts itself: checksum, format, chains, an image's hash   unless it covers more than the rebuilt one
is sound, covers as much, and says something else               where the security was made from its beginning
is sound, otherwise                                             never

Receive times are no difference: two lines may have brought an update at different times.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pymongo.database import Database

from store.blocks import header
from store.documents import READING, date_of, from_bson
from store.fold import fold_of
from store.pieces import check_block, pieces_of
from store.unreadable import Damaged
from wire.messages import Document

_BLOCKS = frozenset(("changes", "orders", "trades"))
_RECEIPTS = frozenset(("receipts", "receipts_crc32c"))

_REPLACEABLE = -1
"""Covers less than any document does."""


class Mender:
    """Looks at documents of one database, and makes way for better ones."""

    def __init__(self, database: Database[Any], window_seconds: int) -> None:
        self._database = database
        self._lengths = (window_seconds,)

    def give_way(self, documents: Sequence[Document], whole: frozenset[str]) -> list[Document]:
        """Let what is wrong under the ids of *documents* be replaced; return those that have to be put again.

        *whole* names the securities that were made from their beginning.

        Raises:
            PyMongoError: the database cannot be asked.
        """
        wrong = []
        for collection in sorted({document.collection for document in documents}):
            ours = {each.id: each for each in documents if each.collection == collection}
            held = self._database.get_collection(collection, codec_options=READING)
            for stored in held.find({"_id": {"$in": list(ours)}}):
                document = ours[stored["_id"]]
                if self._is_wrong(document, stored, compare=document.security in whole):
                    # not deleted: should this end here, what is wrong is still there to be seen and replaced
                    key = {"security": document.security, "start": date_of(document.start_ns)}
                    held.update_one({"_id": document.id}, {"$set": {**key, "covered": _REPLACEABLE}})
                    wrong.append(document)
        return wrong

    def _is_wrong(self, document: Document, stored: Mapping[str, Any], *, compare: bool) -> bool:
        try:
            self._check(document.collection, stored)
        except Damaged:
            return _covers(document.collection, stored) <= document.covered
        if not compare or stored.get("covered") != document.covered:
            return False
        return _bare(from_bson(document.collection, stored)) != _bare(document)

    def _check(self, collection: str, stored: Mapping[str, Any]) -> None:
        """Check what *stored* can say of itself.

        Raises:
            Damaged: it contradicts itself.
        """
        if collection in _BLOCKS:
            block = header(collection, stored)
            check_block(block, stored, pieces_of(collection, stored), self._lengths)
        elif collection == "images":
            fold_of(stored, verify=True)


def _covers(collection: str, stored: Mapping[str, Any]) -> int:
    """Return what a damaged document covers: by its chains, for its count may be what is damaged."""
    if collection not in _BLOCKS:
        return 0
    try:
        block = header(collection, stored)
    except Damaged:
        return 0
    if not block.has_ids:
        return block.rows
    return sum(chain.last_id - chain.first_id + 1 for chain in block.chains)


def _bare(document: Document) -> tuple[Any, ...]:
    fields = {name: _plain(value) for name, value in document.fields.items() if name not in _RECEIPTS}
    return document.security, document.start_ns, document.covered, fields


def _plain(value: Any) -> Any:
    """Return *value* with lists for tuples, as BSON gives them back."""
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
