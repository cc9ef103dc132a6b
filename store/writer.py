"""Puts documents into the database so that putting twice is putting once.

Each document goes in by a replacement with the filter ``{_id, security, start, covered: {$lt: n}}`` and
upsert, all that waits in one unordered bulk write per collection, acknowledged by the majority and its
journal (MongoDB manual: "Bulk Write Operations", "Write Concern").  A version that is there already and
covers as much or more makes the upsert meet a duplicate key: that is the answer *had*.

Before its first write of a database the writer makes the indexes and checks the window's length, which is
stored when the database is made; before its first document of a security it claims the security for this
recorder.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from pymongo import ReplaceOne, WriteConcern
from pymongo.database import Database
from pymongo.errors import BulkWriteError, DuplicateKeyError, PyMongoError

from store.documents import COLLECTIONS, READING, date_ns, date_of
from store.outcome import HAD, Outcome, Tell, Verdict, of_bulk, of_failure, one_line, second, unencodable
from store.waiting import Entry
from wire.messages import Desired, Document

WRITE_TIMEOUT_MS = 10_000
"""A majority that takes longer is away: the documents are held and tried again."""

SAFE = WriteConcern(w="majority", j=True, wtimeout=WRITE_TIMEOUT_MS)

FORMAT_COLLECTION = "format"
FORMAT_ID = "format"
VERSION = 1
"""Of the documents (condition/FORMAT.md)."""

FLOORS_S = 10.0
"""How old the writer's knowledge of what is kept may be."""

_FEED_OF = {
    "changes": "book",
    "orders": "book",
    "images": "book",
    "book": "book",
    "trades": "trades",
    "audits": "audits",
}
"""Collection, or feed of a row of the ledger -> what is kept together (store.retention)."""

INDEX = [("security", 1), ("start", 1)]


class WrongWindow(ValueError):
    """The database was made with another WINDOW_SECONDS, or by another version."""


def check_format(database: Database[Any], window_seconds: int, grid_seconds: int = 0) -> None:
    """Store the window's length, and that of merged spans, in a new database; compare it in an old one.

    Raises:
        WrongWindow: they differ; the text says what to do.
        PyMongoError: the database could not be asked.
    """
    formats = database.get_collection(FORMAT_COLLECTION, write_concern=SAFE)
    made = {"window_seconds": window_seconds, "version": VERSION}
    if grid_seconds:
        made["compact_seconds"] = grid_seconds
    with suppress(DuplicateKeyError):  # another writer made it at the same instant
        formats.update_one({"_id": FORMAT_ID}, {"$setOnInsert": made}, upsert=True)
    stored = formats.find_one({"_id": FORMAT_ID}) or made
    if stored.get("window_seconds") != window_seconds:
        raise WrongWindow(
            f"WINDOW_SECONDS={window_seconds}: the database {database.name!r} was made with "
            f"{stored.get('window_seconds')}; set that, or name another MONGODB_DATABASE"
        )
    if stored.get("version") != VERSION:
        raise WrongWindow(
            f"the database {database.name!r} has format {stored.get('version')}, this program writes "
            f"{VERSION}; name another MONGODB_DATABASE"
        )


class Writer:
    """Writes for one recorder.  Not to be used by two threads.

    *tell* says in one line what an error means that leaves documents to be tried again.
    """

    def __init__(
        self,
        database: Database[Any],
        recorder: str,
        window_seconds: int,
        tell: Tell = one_line,
        *,
        grid_seconds: int = 0,
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._window_seconds = window_seconds
        self._grid_seconds = grid_seconds
        self._tell = tell
        self._prepared = False
        self._claimed: set[str] = set()
        self._floors: dict[str, dict[str, int]] = {}
        """By security and feed: documents that start before it are not kept."""
        self._asks_s = 0.0
        names = (*COLLECTIONS, "securities")
        self._targets = {name: database.get_collection(name, write_concern=SAFE) for name in names}

    def prepare(self) -> None:
        """Check the format and make the indexes, once.

        Raises:
            WrongWindow: this database is not for these settings.
            PyMongoError: the database could not be asked; call again.
        """
        if self._prepared:
            return
        check_format(self._database, self._window_seconds, self._grid_seconds)
        for name in COLLECTIONS:
            self._database[name].create_index(INDEX)
        self._prepared = True

    def put(self, entries: Sequence[Entry]) -> list[Outcome]:
        """Write *entries*, no two of one name, and return what became of each, in their order.

        Raises nothing of the driver's: what failed is in the outcomes.
        """
        try:
            self._learn_floors()
        except PyMongoError as error:
            self._forget()
            return of_failure(error, len(entries), self._tell)
        outcomes: dict[int, Outcome] = self._foreign(entries)
        by_collection: dict[str, list[int]] = {name: [] for name in COLLECTIONS}
        for place, entry in enumerate(entries):
            if place not in outcomes:
                by_collection[entry.document.collection].append(place)
        for collection, places in by_collection.items():
            found = self._put_twice(collection, [entries[place] for place in places])
            outcomes.update(zip(places, found, strict=True))
        return [outcomes[place] for place in range(len(entries))]

    def write_securities(self, desired: Desired) -> list[str]:
        """Store what control wants recorded; return the securities that another recorder holds.

        Raises:
            PyMongoError: the database could not be asked; nothing is promised, call again.
        """
        held_elsewhere = []
        securities = self._securities()
        for wanted in desired.securities:
            if not self._claim(wanted.security):
                held_elsewhere.append(wanted.security)
                continue
            policies = [
                {
                    "every_ms": each.every_ms,
                    "images_s": each.images_s,
                    "order_ids": each.order_ids,
                    "from": each.from_ns,
                }
                for each in wanted.policies
            ]
            changed = {"wanted": True, "since": date_of(wanted.since_ns), "policies": policies}
            securities.update_one({"_id": wanted.security, "recorder": self._recorder}, {"$set": changed})
        names = [wanted.security for wanted in desired.securities]
        securities.update_many(
            {"recorder": self._recorder, "_id": {"$nin": names}}, {"$set": {"wanted": False}}
        )
        return held_elsewhere

    def _foreign(self, entries: Sequence[Entry]) -> dict[int, Outcome]:
        """Return the outcomes of the entries that this recorder may not write, by their place."""
        outcomes: dict[int, Outcome] = {}
        verdicts: dict[str, Outcome | None] = {}
        for place, entry in enumerate(entries):
            security = entry.document.security
            if security not in verdicts:
                verdicts[security] = self._claim_outcome(security)
            outcome = verdicts[security]
            if outcome is not None:
                outcomes[place] = outcome
            elif self._forgotten(entry.document):
                outcomes[place] = HAD
        return outcomes

    def _forgotten(self, document: Document) -> bool:
        """Whether *document* is of a time that is not kept (store.retention)."""
        # (a row of the ledger names its feed in its id)
        kind = document.id.split("|")[1] if document.collection == "gaps" else document.collection
        return document.start_ns < self._floors.get(document.security, {}).get(_FEED_OF[kind], 0)

    def _learn_floors(self) -> None:
        """Ask, now and then, below which times nothing is kept.

        Raises:
            PyMongoError: the database could not be asked.
        """
        if time.monotonic() < self._asks_s:
            return
        found = (
            self._securities().with_options(READING).find({"kept_from": {"$exists": True}}, {"kept_from": 1})
        )
        self._floors = {
            row["_id"]: {feed: date_ns(kept["floor"]) for feed, kept in row["kept_from"].items()}
            for row in found
        }
        self._asks_s = time.monotonic() + FLOORS_S

    def _claim_outcome(self, security: str) -> Outcome | None:
        try:
            if self._claim(security):
                return None
        except PyMongoError as error:
            self._forget()
            return of_failure(error, 1, self._tell)[0]
        return Outcome(Verdict.REFUSED, f"another recorder holds {security} in {self._database.name!r}")

    def _claim(self, security: str) -> bool:
        """Say whether *security* is this recorder's, taking it where it is nobody's."""
        if security in self._claimed:
            return True
        securities = self._securities()
        mine = {"_id": security, "recorder": self._recorder}
        try:
            securities.update_one(mine, {"$setOnInsert": {"security": security}}, upsert=True)
        except DuplicateKeyError:
            if securities.find_one(mine) is None:
                return False  # (had another writer of this recorder been first, it would be ours)
        self._claimed.add(security)
        return True

    def _put_twice(self, collection: str, entries: Sequence[Entry]) -> list[Outcome]:
        outcomes = self._bulk(collection, entries)
        places = [place for place, each in enumerate(outcomes) if each.verdict is Verdict.AGAIN]
        if places:
            again = self._bulk(collection, [entries[place] for place in places])
            for place, outcome in zip(places, again, strict=True):
                outcomes[place] = second(outcome)
        return outcomes

    def _bulk(self, collection: str, entries: Sequence[Entry]) -> list[Outcome]:
        if not entries:
            return []
        try:
            self._targets[collection].bulk_write([_replace(entry) for entry in entries], ordered=False)
        except BulkWriteError as error:
            return of_bulk(error, len(entries), self._tell)
        except (PyMongoError, BSONError, OverflowError) as error:
            if len(entries) > 1 and unencodable(error):
                return [outcome for entry in entries for outcome in self._bulk(collection, [entry])]
            self._forget()
            return of_failure(error, len(entries), self._tell)
        return of_bulk(None, len(entries))

    def _forget(self) -> None:
        """Prepare and claim anew: the server that answers next may have been given an empty folder."""
        self._prepared = False
        self._claimed.clear()

    def _securities(self) -> Any:
        return self._targets["securities"]


def _replace(entry: Entry) -> ReplaceOne[RawBSONDocument]:
    document = entry.document
    key = {
        "_id": document.id,
        "security": document.security,
        "start": date_of(document.start_ns),
        "covered": {"$lt": document.covered},
    }
    return ReplaceOne(key, RawBSONDocument(entry.data), upsert=True)
