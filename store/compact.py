"""``obl-compact`` and ``obl compact``: opens a database for merging, one process at a time.

``obl-compact`` makes a pass every PASS_S over the securities of its recorder: the first over all that is
stored, the later ones from where the one before ended, less LATE_S, and once in ALL_S over all again, so that
what came late is merged too.  Where the database is away it waits.  No stage waits for it.
"""

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymongo.database import Database
from pymongo.errors import PyMongoError

from store.blocks import Blocks
from store.compaction import CannotCompact, Compacted, Compactor
from store.connection import connect, describe, where
from store.documents import NS_PER_S
from store.headers import BOOK_KINDS, TRADE_KINDS
from store.unreadable import Damaged
from store.writer import FORMAT_COLLECTION, FORMAT_ID, SAFE, Writer, WrongWindow
from wire.endpoints import Endpoints
from wire.service import Beats, Loop, log, process_name, run_process
from wire.settings import Settings

PASS_S = 300.0
AWAY_S = 10.0
"""Between two tries while the database is away."""
LATE_S = 86_400
ALL_S = 86_400.0
NICE = 10


def compactor(database: Database[Any], settings: Settings) -> Compactor:
    """Return what merges the blocks of *database*; its grid is fixed with the first call.

    Raises:
        CannotCompact: COMPACT_SECONDS is 0, or not what the database was made with.
        WrongWindow, PyMongoError: as ``Writer.prepare``.
    """
    if not settings.compact_seconds:
        raise CannotCompact("COMPACT_SECONDS=0: nothing is merged; unset it")
    writer = Writer(database, settings.recorder_id(), settings.window_seconds)
    writer.prepare()
    formats = database.get_collection(FORMAT_COLLECTION, write_concern=SAFE)
    unset = {"_id": FORMAT_ID, "compact_seconds": {"$exists": False}}
    formats.update_one(unset, {"$set": {"compact_seconds": settings.compact_seconds}})
    grid_s = (formats.find_one({"_id": FORMAT_ID}) or {}).get("compact_seconds")
    if grid_s != settings.compact_seconds:
        raise CannotCompact(
            f"COMPACT_SECONDS={settings.compact_seconds}: the database {database.name!r} was made with "
            f"{grid_s}; set that"
        )
    blocks = Blocks(database, settings.window_seconds * NS_PER_S, grid_s)
    return Compactor(database, writer, blocks, settings.compact_after * NS_PER_S)


def securities_of(database: Database[Any], settings: Settings) -> list[str]:
    """Return the securities that this recorder writes."""
    found = database["securities"].find({"recorder": settings.recorder_id()}, {"_id": 1})
    return sorted(each["_id"] for each in found)


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """Be the only one that merges here.

    Raises:
        CannotCompact: another process does.
    """
    with (settings.data_dir / "compact.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise CannotCompact("another compaction is at work (obl-compact?): try again later") from error
        yield


class Background:
    """The process ``obl-compact``."""

    def __init__(self, loop: Loop, settings: Settings, endpoints: Endpoints, worker: str) -> None:
        os.nice(NICE)
        self._loop = loop
        self._settings = settings
        self._server = where(settings)
        self._client = connect(settings)
        self._database = self._client[settings.mongodb_database]
        self._ending = threading.Event()
        self._error = ""
        self._merged = 0
        self._from_ns: dict[str, int] = {}
        """From where on the next pass looks, by security."""
        self._ends: dict[str, list[int]] = {}
        """Of the old spans, by security, when it was last looked at."""
        self._all_at_s = 0.0
        self._beats = Beats(loop, endpoints, process_name("compact", worker), self._health)
        self._thread = threading.Thread(target=self._run, name="merging", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End between two spans."""
        self._ending.set()
        self._thread.join(5.0)

    def _run(self) -> None:
        while not self._ending.is_set():
            is_there = self._pass_once() if self._settings.compact_seconds else True
            self._ending.wait(PASS_S if is_there else AWAY_S)

    def _pass_once(self) -> bool:
        """Merge what is old; say whether the database was there for it."""
        try:
            with alone(self._settings):
                self._pass()
            error = ""
        except (CannotCompact, WrongWindow) as failed:
            error = str(failed)
        except PyMongoError as failed:
            # (the store says that it is away, and status with it: nothing is wrong here)
            log.info('event=database_away reason="%s"', describe(failed, self._server))
            return False
        if error and error != self._error:
            log.error('event=not_merged reason="%s"', error)
        self._error = error
        return True

    def _pass(self) -> None:
        merging = compactor(self._database, self._settings)
        if time.monotonic() >= self._all_at_s:
            self._from_ns, self._ends, self._all_at_s = {}, {}, time.monotonic() + ALL_S
        for security in securities_of(self._database, self._settings):
            total: dict[str, Compacted] = {}
            ends = [merging.old_until(security, kinds) for kinds in (BOOK_KINDS, TRADE_KINDS)]
            if self._ends.get(security) == ends:
                continue  # (what came late meanwhile waits until the next span is old)
            try:
                for done in merging.run(security, self._from_ns.get(security, 0)):
                    total.setdefault(done.kind, Compacted(security, done.kind)).add(done)
                    if self._ending.is_set():
                        return
            except Damaged as error:
                log.error('event=not_merged security=%s reason="%s"', security, error)
            self._ends[security] = ends
            self._from_ns[security] = max(0, min(ends) - LATE_S * NS_PER_S)
            for each in total.values():
                self._say(each)

    def _say(self, done: Compacted) -> None:
        if done.skipped:
            log.error(
                'event=not_merged security=%s kind=%s reason="%s"', done.security, done.kind, done.skipped
            )
        self._merged += done.documents_before
        log.info(
            "event=merged security=%s kind=%s spans=%d documents=%d into=%d bytes=%d into_bytes=%d",
            done.security,
            done.kind,
            done.spans,
            done.documents_before,
            done.documents_after,
            done.bytes_before,
            done.bytes_after,
        )

    def _health(self) -> dict[str, Any]:
        return {"state": "error" if self._error else "live", "reason": self._error, "merged": self._merged}


def main() -> None:
    """Run ``obl-compact``."""
    run_process("compact", Background)


if __name__ == "__main__":
    main()
