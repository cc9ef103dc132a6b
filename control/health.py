"""What is heard of the processes, put together: ``obl status``, ``list`` and ``processes``.

Read from the health of a beat, where it is there:

process    keys
every      state lag_s rss_bytes
ingest     securities{state reason feed since_ns book} (book false: this line has the trades only),
           disk{reason} why nothing is recorded
book       securities{state feed update_id time_ns lag_s lag_bytes gaps_24h (or gaps) audit_pct}
condition  securities{state bytes_per_change, or bytes_per_order where orders are recorded}
store      securities{state reason} of those in trouble, database{reachable behind_s error},
           held_elsewhere[security] that another recorder writes to this database

State of a security, the first that holds:

    error         its venue refused it on every line that spoke, or a stage says error
    pending       no line that beats has subscribed its book
    error         its maintainer or every line of it is lost
    (the book's)  syncing live catching_up gap halted
    syncing       its maintainer has not spoken of it yet

What a lost process said last of being behind grows by its silence.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from control.growth import Growth
from control.registry import orders_text, policy_text
from wire.messages import Beat, Desired, Wanted
from wire.names import bucket_of, venue_of, venue_of_line
from wire.times import iso

SILENCE_S = 5.0
"""A process silent for longer than this is lost: five missed beats of one second."""

_NS_PER_S = 1_000_000_000
_HEALTHY = frozenset({"live", "halted"})


STEADY_S = 20.0
"""A process that was started again is shown as ``restarting`` for this long: one that can only end and be
started again must not look well in between."""


class Heard(msgspec.Struct):
    """The last beat of a process, and how often and when it was started again."""

    beat: Beat
    at_s: float
    restarts: int = 0
    restarted_s: float | None = None


class Workers(msgspec.Struct, frozen=True):
    """Which processes there should be."""

    lines: tuple[str, ...]
    books: int
    conditions: int
    stores: int

    def names(self) -> Iterator[str]:
        """Yield every process that beats, in the order of the data."""
        yield from map(ingester_of, self.lines)
        yield from (f"book-{i}" for i in range(self.books))
        yield from (f"condition-{i}" for i in range(self.conditions))
        yield from (f"store-{i}" for i in range(self.stores))
        yield "compact"

    def ingesters(self, security: str) -> list[str]:
        """Return the processes that record *security*."""
        venue = venue_of(security)
        return [ingester_of(line) for line in self.lines if venue_of_line(line) == venue]

    def maintainer(self, security: str) -> str:
        """Return the process that keeps the book of *security*."""
        return f"book-{bucket_of(security) % self.books}"

    def conditioner(self, security: str) -> str:
        """Return the process that makes the blocks of *security*."""
        return f"condition-{bucket_of(security) % self.conditions}"


def ingester_of(line: str) -> str:
    """Return the process of *line*."""
    return f"ingest-{line.replace('/', '-')}"


class Board:
    """Collects beats; times are given: ``now_s`` of a monotonic clock, ``now_ns`` UTC."""

    def __init__(self, workers: Workers) -> None:
        self.workers = workers
        self._heard: dict[str, Heard] = {}
        self.growth = Growth()

    def hear(self, beat: Beat, now_s: float) -> None:
        """Take note of *beat*."""
        last = self._heard.get(beat.process)
        again = last is not None and (last.beat.pid, last.beat.started_ns) != (beat.pid, beat.started_ns)
        restarts = (last.restarts if last else 0) + again
        restarted_s = now_s if again else last.restarted_s if last else None
        self._heard[beat.process] = Heard(beat, now_s, restarts, restarted_s)

    def alive(self, process: str, now_s: float) -> bool:
        """Whether *process* beats."""
        heard = self._heard.get(process)
        return heard is not None and now_s - heard.at_s <= SILENCE_S

    def _lost(self, process: str, now_s: float) -> bool:
        """Whether *process* has fallen silent; one that only starts was never heard."""
        return process in self._heard and not self.alive(process, now_s)

    def incarnation(self, process: str) -> tuple[int, int] | None:
        """Return pid and start of the last process of that name that was heard; None for none."""
        heard = self._heard.get(process)
        return (heard.beat.pid, heard.beat.started_ns) if heard else None

    def carried(self, process: str) -> frozenset[str]:
        """Return the securities that ingester *process* has subscribed; of any other process none."""
        heard = self._heard.get(process)
        entries = _map(heard.beat.health.get("securities")) if heard else {}
        return frozenset(name for name, entry in entries.items() if _map(entry).get("state") == "subscribed")

    def alone(self, process: str, now_s: float) -> bool:
        """Whether there is a security that *process* carries whose book no other line has at this moment."""
        return any(
            not any(
                other != process and self.alive(other, now_s) and security in self.carried(other)
                for other in self._carriers(security)
            )
            for security in self.carried(process)
        )

    def well(self, desired: Desired, now_s: float) -> frozenset[str]:
        """Return the securities that are recorded as they should be, and ``database`` if it is reachable."""
        healthy = [w.security for w in desired.securities if self.state(w, now_s) in _HEALTHY]
        return frozenset([*healthy, "database"] if self._database(now_s)["reachable"] else healthy)

    def beating(self, now_s: float) -> list[str]:
        """Return every process that beats."""
        return [name for name in self._heard if self.alive(name, now_s)]

    def lines_word(self, wanted: Wanted, now_s: float) -> tuple[str, str]:
        """Return state and reason that the ingesters give for this recording of a security.

        It is ``subscribed`` as soon as one line says so and ``refused`` when all that have spoken do; a
        line that is lost counts only where all are.  The state is "" where none has spoken of it: unknown
        venue, not started, not heard yet.
        """
        carriers = self._carriers(wanted.security)
        alive = [process for process in carriers if self.alive(process, now_s)]
        words: dict[str, str] = {}
        for process in alive or carriers:
            entry = self._entry(process, wanted.security)
            # a word on an earlier recording of the same security is no word on this one
            if entry.get("state") and entry.get("since_ns", wanted.since_ns) == wanted.since_ns:
                words.setdefault(str(entry["state"]), str(entry.get("reason") or ""))
        # every other word is told before "refused", which ends an add
        ranked = sorted(words, key=lambda word: (word != "subscribed", word == "refused"))
        return (ranked[0], words[ranked[0]]) if ranked else ("", "")

    def by_line(self, securities: Iterable[str], now_s: float) -> dict[str, list[str]]:
        """Return one ingester for each of *securities*, each with its own: the first that beats."""
        parts: dict[str, list[str]] = {}
        for security in securities:
            carriers = self._carriers(security)
            for process in [each for each in carriers if self.alive(each, now_s)][:1] or carriers[:1]:
                parts.setdefault(process, []).append(security)
        return parts

    def _carriers(self, security: str) -> list[str]:
        """Return the ingesters that record the book of *security*, not its trades only."""
        lines = self.workers.ingesters(security)
        return [process for process in lines if self._entry(process, security).get("book") is not False]

    def held_elsewhere(self) -> set[str]:
        """Return the securities that another recorder writes to this database."""
        return {
            str(security)
            for heard in self._heard.values()
            for security in _list(heard.beat.health.get("held_elsewhere"))
        }

    def newest_ns(self, security: str) -> int:
        """Return the newest exchange time heard of *security*'s venue, 0 for none."""
        venue = venue_of(security)
        return max(
            (
                _whole(_map(entry).get("time_ns")) or 0
                for heard in self._heard.values()
                for name, entry in _map(heard.beat.health.get("securities")).items()
                if venue_of(name) == venue
            ),
            default=0,
        )

    def state(self, wanted: Wanted, now_s: float) -> str:
        """Return the state of a security, by the table above."""
        security = wanted.security
        line, _ = self.lines_word(wanted, now_s)
        if line == "refused" or self._trouble(security) is not None:
            return "error"
        if line != "subscribed":
            return "pending"
        lines, maintainer = self._carriers(security), self.workers.maintainer(security)
        if self._lost(maintainer, now_s) or not any(self.alive(process, now_s) for process in lines):
            return "error"
        return str(self._entry(maintainer, security).get("state") or "syncing")

    def listed(self, desired: Desired, now_s: float) -> list[dict[str, Any]]:
        """Return the rows of ``obl list``."""
        return [self._listed(wanted, now_s) for wanted in desired.securities]

    def processes(self, now_s: float) -> list[dict[str, Any]]:
        """Return the rows of ``obl processes``: those there should be, then those heard besides."""
        names = dict.fromkeys([*self.workers.names(), *self._heard])
        return [self._process(name, now_s) for name in names]

    def status(self, desired: Desired, now_s: float, now_ns: int, free: int, reserve: int) -> dict[str, Any]:
        """Return what ``obl status`` shows; *free* and *reserve* in bytes of the disk."""
        securities = [self._security(wanted, now_s, now_ns) for wanted in desired.securities]
        processes = self.processes(now_s)
        database = self._database(now_s)
        well = (
            all(row["state"] in _HEALTHY for row in securities)
            and all(
                row["state"] not in ("lost", "starting", "restarting", "error", "paused") for row in processes
            )
            and bool(database["reachable"])
            and free > reserve
        )
        return {
            "ok": well,
            "securities": securities,
            "processes": processes,
            "disk": self._disk(free, reserve),
            "database": database,
        }

    def _listed(self, wanted: Wanted, now_s: float) -> dict[str, Any]:
        security = wanted.security
        row = {
            "security": security,
            "state": self.state(wanted, now_s),
            "policy": policy_text(wanted.policies[-1]),
            "feed": self._feed(security),
            "since": iso(wanted.since_ns),
            "images_s": wanted.policies[-1].images_s or None,
            "orders": orders_text(wanted.policies[-1]),
        }
        reason = self._reason(wanted, now_s)
        return {**row, "reason": reason} if reason else row

    def _security(self, wanted: Wanted, now_s: float, now_ns: int) -> dict[str, Any]:
        security = wanted.security
        book = self._entry(self.workers.maintainer(security), security)
        made = self._entry(self.workers.conditioner(security), security)
        time_ns = _whole(book.get("time_ns"))
        row = {
            "security": security,
            "state": self.state(wanted, now_s),
            "feed": self._feed(security),
            "update_id": book.get("update_id"),
            "time": iso(time_ns, venue_of(security)) if time_ns else None,
            "age_s": round((now_ns - time_ns) / _NS_PER_S, 3) if time_ns else None,
            "lag_s": self._grown(book.get("lag_s"), self.workers.maintainer(security), now_s),
            "lag_bytes": book.get("lag_bytes"),
            "gaps_24h": book.get("gaps_24h", book.get("gaps")),
            "bytes_per_change": made.get("bytes_per_change") or made.get("bytes_per_order"),
            "audit_pct": book.get("audit_pct"),
        }
        reason = self._reason(wanted, now_s)
        return {**row, "reason": reason} if reason else row

    def _process(self, name: str, now_s: float) -> dict[str, Any]:
        heard = self._heard.get(name)
        if heard is None:
            return _process_row(name, None, "starting", None, None, 0)
        health = heard.beat.health
        state = str(health.get("state") or "live")
        if not self.alive(name, now_s):
            state = "lost"
        elif heard.restarted_s is not None and now_s - heard.restarted_s < STEADY_S:
            state = "restarting"
        return _process_row(
            name, heard.beat.pid, state, health.get("lag_s"), health.get("rss_bytes"), heard.restarts
        )

    def _grown(self, seconds: object, process: str, now_s: float) -> float | None:
        """Return *seconds* of which *process* spoke last, and those of its silence where it is lost."""
        heard = self._heard.get(process)
        if heard is None or not isinstance(seconds, int | float):
            return None
        silence_s = 0.0 if self.alive(process, now_s) else now_s - heard.at_s
        return round(seconds + silence_s, 3)

    def _feed(self, security: str) -> str | None:
        sources = [*self.workers.ingesters(security), self.workers.maintainer(security)]
        feeds = (self._entry(process, security).get("feed") for process in sources)
        return next((str(feed) for feed in feeds if feed), None)

    def _reason(self, wanted: Wanted, now_s: float) -> str:
        return self.lines_word(wanted, now_s)[1] or self._trouble(wanted.security) or ""

    def _trouble(self, security: str) -> str | None:
        """Return why a stage calls *security* an error; None where none does."""
        for process in self._heard:
            entry = self._entry(process, security)
            if entry.get("state") == "error":
                return str(entry.get("reason") or f"{process} says error")
        return None

    def _database(self, now_s: float) -> dict[str, Any]:
        """Put the writers' words together: reachable if one says so, behind as far as the last."""
        writers = [name for name in self.workers.names() if name.startswith("store-")]
        names = [name for name in writers if name in self._heard]
        said = {name: _map(self._heard[name].beat.health.get("database")) for name in names}
        behind = [self._grown(word.get("behind_s"), name, now_s) for name, word in said.items()]
        words = [word for name, word in said.items() if self.alive(name, now_s)]
        row = {
            "reachable": any(word.get("reachable") for word in words),
            "behind_s": max((each for each in behind if each is not None), default=None),
        }
        error = next((str(word["error"]) for word in words if word.get("error")), "")
        return {**row, "error": error} if error else row

    def _disk(self, free: int, reserve: int) -> dict[str, Any]:
        row = {
            "free_bytes": free,
            "reserve_bytes": reserve,
            "days_left": self.growth.days_left(free, reserve),
        }
        words = (_map(heard.beat.health.get("disk")).get("reason") for heard in self._heard.values())
        reason = next((str(word) for word in words if word), "")
        return {**row, "reason": reason} if reason else row

    def _entry(self, process: str, security: str) -> Mapping[str, Any]:
        heard = self._heard.get(process)
        return _map(_map(heard.beat.health.get("securities")).get(security)) if heard else {}


def _process_row(
    name: str, pid: int | None, state: str, lag_s: object, rss_bytes: object, restarts: int
) -> dict[str, Any]:
    return {
        "name": name,
        "pid": pid,
        "state": state,
        "lag_s": lag_s,
        "rss_bytes": rss_bytes,
        "restarts": restarts,
    }


def _map(value: object) -> Mapping[str, Any]:
    """Return *value* if it is a map: what another process says is not ours to trust."""
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) else None
