"""Another database to write to: on the server of the settings, or on another one."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple

from pymongo import MongoClient, ReplaceOne
from pymongo.database import Database
from pymongo.errors import PyMongoError

from store.connection import NoDatabase, connect, describe, where
from store.documents import READING
from store.embedded import running
from store.writer import SAFE
from wire.settings import Settings, load_settings

BATCH = 200
"""Documents of one bulk write."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Elsewhere(NamedTuple):
    """A database and the address of its server."""

    database: Database[dict[str, Any]]
    server: str

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Say in one line what this server does instead of what it is asked.

        Raises:
            NoDatabase: it does not answer, or does not let us in.
        """
        try:
            yield
        except PyMongoError as error:
            raise NoDatabase(describe(error, self.server)) from error


@contextmanager
def elsewhere(
    settings: Settings, uri: str | None, name: str | None, *, make: bool = True
) -> Iterator[Elsewhere]:
    """Open the database *name* at *uri*; each as the settings say where it is None.

    The embedded server is started where it does not run; with *make* its folder is made too.
    A URI without a user is tried with the settings' own (MONGODB_USERNAME), where they name one.

    Raises:
        BadSetting: *uri* is none.
        NoDatabase: the embedded server does not start.
    """
    there = settings if uri is None else _at(settings, uri)
    with ExitStack() as held:
        if uri is None:
            held.enter_context(running(settings, make=make))
        client: MongoClient[dict[str, Any]] = held.enter_context(connect(there))
        database = client.get_database(name or settings.mongodb_database, codec_options=READING)
        yield Elsewhere(database, where(there))


def _at(settings: Settings, uri: str) -> Settings:
    named = load_settings({"MONGODB_ENDPOINT": uri})
    return replace(settings, mongodb_endpoint=named.mongodb_endpoint)


def put_documents(
    there: Elsewhere,
    documents: Iterable[dict[str, Any]],
    told: Callable[[int, int], None] | None = None,
) -> int:
    """Put the original logger's *documents* into the collection that is named as their symbol is.

    Putting them again changes nothing.  Return how many there were.

    Raises:
        NoDatabase: the server does not take them.
    """
    count = 0
    numbered = enumerate(documents)
    for _, together in groupby(numbered, key=lambda pair: pair[0] // BATCH):
        batch = [document for _, document in together]
        target = there.database.get_collection(batch[0]["symbol"], write_concern=SAFE)
        with there.asked():
            target.bulk_write([ReplaceOne({"_id": each["_id"]}, each, upsert=True) for each in batch])
        count += len(batch)
        if told is not None:
            told(count, (batch[-1]["DateTime"] - _EPOCH) // timedelta(milliseconds=1) * 1_000_000)
    return count


def documents_of(there: Elsewhere, symbol: str) -> Iterator[dict[str, Any]]:
    """Yield the original logger's documents of *symbol*, in order of time.

    Raises:
        NoDatabase: the server does not give them.
    """
    with there.asked():
        yield from there.database.get_collection(symbol, READING).find().sort("_id")
