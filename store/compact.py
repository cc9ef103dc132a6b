"""``obl-compact`` and ``obl compact``: opens a database for merging, one process at a time.

``obl-compact`` makes a pass every PASS_S over the securities of its recorder of which something may have
become old (store.due): the first over all that is stored, the later ones from where the one before ended,
less LATE_S, and once in ALL_S over all again, so that what came late is merged too.  Where the database is
away it waits.  No stage waits for it.
"""

import fcntl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import time_ns as now_ns
from typing import Any

from pymongo.database import Database
from pymongo.errors import PyMongoError

from store.blocks import Blocks
from store.compaction import FEEDS, CannotCompact, Compacted, Compactor
from store.connection import connect, describe, where
from store.documents import NS_PER_S
from store.due import Due, Reach
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


Kinds = tuple[str, ...]
"""The collections of a feed."""


class Passes:
    """The passes over the securities of a recorder; *say* hears what was merged of each kind.

    An *ending* that is set ends a pass between two spans.
    """

    def __init__(
        self,
        database: Database[Any],
        settings: Settings,
        ending: threading.Event,
        say: Callable[[Compacted], None],
    ) -> None:
        self._database = database
        self._settings = settings
        self._ending = ending
        self._say = say
        self._due = Due(settings.compact_seconds, settings.compact_after)
        self._all_at_s = 0.0

    def make(self, now_s: float) -> None:
        """Merge what has become old; *now_s* is on the clock of ``time.monotonic``.

        Raises:
            CannotCompact, WrongWindow, PyMongoError: as ``compactor`` and ``Compactor.run``; call again.
        """
        merging = compactor(self._database, self._settings)
        if now_s >= self._all_at_s:
            self._due.forget()
            self._all_at_s = now_s + ALL_S
        due = self._due.of(securities_of(self._database, self._settings), now_s)
        # (a database without orders, say, is not asked for them by security)
        held = {kind for kinds in FEEDS for kind in kinds if due and self._holds(kind)}
        feeds: list[Kinds] = [tuple(kind for kind in kinds if kind in held) for kinds in FEEDS]
        for security in due:
            seen = self._due.reaches(security) or (None,) * len(feeds)
            reaches = tuple(self._reach(merging, security, *each) for each in zip(feeds, seen, strict=True))
            if [each.end_ns for each in reaches] != [each and each.end_ns for each in seen]:
                self._merge(merging, security, feeds, reaches)
            if self._ending.is_set():
                return
            self._due.looked(security, reaches, now_s)

    def _holds(self, kind: str) -> bool:
        return self._database[kind].find_one({}, {"_id": 1}) is not None

    def _reach(self, merging: Compactor, security: str, kinds: Kinds, seen: Reach | None) -> Reach:
        try:
            # (of a feed that has just begun, all is known with one question)
            few = merging.blocks.few(security, kinds, 0) if seen is None else None
            if few is None:
                about_ns = (now_ns(), seen.newest_ns) if seen else (now_ns(),)
                newest_ns = merging.blocks.newest_ns(security, kinds, *about_ns)
                from_ns = max(0, seen.end_ns - LATE_S * NS_PER_S) if seen else 0
            else:
                newest_ns = max((last_ns for _, last_ns in few), default=0)
                from_ns = min((start_ns for start_ns, _ in few), default=0)
        except Damaged as error:
            self._tell(security, error)
            return Reach(0, 0)
        return Reach(newest_ns, merging.old_until(newest_ns), from_ns)

    def _merge(
        self, merging: Compactor, security: str, feeds: Sequence[Kinds], reaches: Sequence[Reach]
    ) -> None:
        """Merge the old spans of its feeds, as far as there is time."""
        for kinds, reach in zip(feeds, reaches, strict=True):
            total: dict[str, Compacted] = {}
            try:
                for done in merging.feed(security, kinds, reach.from_ns, reach.end_ns):
                    total.setdefault(done.kind, Compacted(security, done.kind)).add(done)
                    if self._ending.is_set():
                        return
            except Damaged as error:
                self._tell(security, error)
            for each in total.values():
                self._say(each)

    def _tell(self, security: str, error: Damaged) -> None:
        log.error('event=not_merged security=%s reason="%s"', security, error)


class Background:
    """The process ``obl-compact``."""

    def __init__(self, loop: Loop, settings: Settings, endpoints: Endpoints, worker: str) -> None:
        self._settings = settings
        self._server = where(settings)
        self._ending = threading.Event()
        self._error = ""
        self._merged = 0
        database = connect(settings)[settings.mongodb_database]
        self._passes = Passes(database, settings, self._ending, self._say)
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
                self._passes.make(time.monotonic())
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
