"""The accounts of all rounds: what happened, what was compared, what is missing and why."""

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from tests.chaos.market import Compared, missing_ids
from tests.chaos.schedule import Happened, may_lose

MOST_UNPLACED = 100_000
"""Bounds what is counted where no snapshot came: there is none at the end of a round."""

SLACK_NS = 1_000_000_000
"""How long before a fault what it costs may have been sent: that much waits in sockets at most."""


MOST = 1.2
"""How many times what the exchanges sent to nobody the ledger may hold."""


class Hole(NamedTuple):
    """Ids that no line received, when they were sent, and where the book can go on at the latest."""

    first: int
    last: int
    placed_id: int
    from_ns: int
    to_ns: int


class Tally:
    """Adds up rounds."""

    def __init__(self) -> None:
        self.rounds: Counter[int] = Counter()
        self.faults: Counter[str] = Counter()
        self.trades = self.instants = self.in_holes = 0
        self.lost: list[str] = []
        self.doubled: list[str] = []
        self.wrong: list[str] = []
        self.rows: Counter[str] = Counter()
        self.ids: Counter[str] = Counter()
        self.healed = self.unreceived = 0
        self.unsent = 0
        """Ids that the exchanges sent to nobody, and those until the next REST book that they gave."""
        self.unexplained: list[str] = []

    @property
    def ratio(self) -> float:
        """Ids missing beside those that the exchanges sent to nobody."""
        return self.ids.total() / max(self.unsent, 1)

    @property
    def clean(self) -> bool:
        """Whether nothing was lost, doubled, wrong or unexplained."""
        return not (self.lost or self.doubled or self.wrong or self.unexplained)

    def bad(self) -> str:
        """Return the first few of what is not as it should be."""
        found = {
            "lost": self.lost,
            "doubled": self.doubled,
            "wrong": self.wrong,
            "unexplained": self.unexplained,
        }
        return "; ".join(f"{len(all_)} {name}: {all_[:5]}" for name, all_ in found.items() if all_)

    def add(self, other: "Tally") -> None:
        """Add the accounts of other rounds."""
        for name, theirs in vars(other).items():
            setattr(self, name, getattr(self, name) + theirs)

    def happened(self, lines: int, happened: Sequence[Happened]) -> None:
        """Count a round and its faults."""
        self.rounds[lines] += 1
        self.faults.update(each.accident.what for each in happened if each.accident.what != "calm")

    def compared(self, compared: Compared) -> None:
        """Add what a comparison with the truth found."""
        self.trades += compared.trades
        self.instants += compared.instants
        self.in_holes += compared.in_holes
        self.lost += compared.lost
        self.doubled += compared.doubled
        self.wrong += compared.wrong

    def ledger(
        self,
        security: str,
        rows: Sequence[Mapping[str, Any]],
        unreceived: Mapping[str, Sequence[Hole]],
        unsent: Mapping[str, Sequence[Sequence[int]]],
        happened: Sequence[Happened],
        stored: Mapping[str, Sequence[range]] = MappingProxyType({}),
    ) -> None:
        """Hold the ledger's *rows* of *security* against what happened and, by feed, the unreceived.

        *unsent* is [first, last, where a book can go on] of what the exchange sent to nobody.  *stored* are
        the stretches of ids in the database: a book that waits for its snapshot has use for an update, too,
        that came behind later ones, and *unreceived* does not know it.
        """
        venue = security.partition(":")[0]
        losing = [each for each in happened if may_lose(each.accident, venue)]
        for row in rows:
            if row["state"] == "healed":
                self.healed += row["feed"] == "trades"
            else:
                self.rows[row["cause"]] += 1
                self.ids[row["cause"]] += row["last_id"] - row["first_id"] + 1
        for feed in ("book", "trades"):
            explained: set[int] = set()
            missing = missing_ids(rows, feed)
            named = missing | {n for row in rows if row["state"] == "healed" for n in _ids(row)}
            self.unsent += len(_to_nobody(unsent[feed], missing, to_snapshot=feed == "book"))
            for lost in unreceived[feed]:
                ids = range(lost.first, lost.last + 1)
                kept = {n for n in ids if any(n in each for each in stored.get(feed, ()))}
                if unnamed := set(ids) - named - kept:
                    self.lost.append(
                        f"{security}: {len(unnamed)} ids of {feed} from {min(unnamed)} in no row"
                    )
                may_be_missing = {n for n in missing if lost.first <= n <= lost.placed_id}
                self.unreceived += sum(n <= lost.last for n in may_be_missing)
                if any(_meets(each, lost) for each in losing):
                    explained |= may_be_missing

            strange = sorted(missing - explained)
            if strange:
                what = f"{len(strange)} ids of {feed} from {strange[0]} to {strange[-1]}"
                self.unexplained.append(f"{security}: {what}")

    def table(self) -> str:
        """Return the accounts as text."""
        rounds = ", ".join(f"{count} with {lines} line(s)" for lines, count in sorted(self.rounds.items()))
        rows = [
            ("rounds", f"{self.rounds.total()} ({rounds})"),
            ("faults", f"{self.faults.total()}"),
            *((f"  {kind}", f"{count}") for kind, count in sorted(self.faults.items())),
            ("trades equal to the market's", f"{self.trades}"),
            ("  fetched afterwards (ledger rows healed)", f"{self.healed}"),
            ("books at random instants equal to the market's", f"{self.instants}"),
            ("  instants that raise InHole", f"{self.in_holes}"),
            ("ids missing, in ledger rows", f"{self.ids.total()} in {self.rows.total()} rows"),
            *(
                (f"  {cause}", f"{count} in {self.rows[cause]} rows")
                for cause, count in sorted(self.ids.items())
            ),
            ("  of these received on no line", f"{self.unreceived}"),
            ("  of these before the first usable snapshot", f"{self.ids.total() - self.unreceived}"),
            ("ids that the exchanges sent to nobody, and to the next snapshot", f"{self.unsent}"),
            ("  ids missing are so many times these", f"{self.ratio:.2f}"),
            ("lost", f"{len(self.lost)}"),
            ("doubled", f"{len(self.doubled)}"),
            ("wrong", f"{len(self.wrong)}"),
            ("unexplained", f"{len(self.unexplained)}"),
        ]
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:{width}}  {value}" for name, value in rows)


def _ids(row: Mapping[str, Any]) -> range:
    return range(row["first_id"], (row["first_id"] if row["last_id"] is None else row["last_id"]) + 1)


def _to_nobody(unsent: Sequence[Sequence[int]], missing: set[int], *, to_snapshot: bool) -> set[int]:
    """Return the ids of *unsent*; of trades those alone that were not fetched afterwards."""
    ids: set[int] = set()
    for first, last, placed_id in unsent:
        if to_snapshot:
            ids |= set(range(first, min(placed_id, MOST_UNPLACED + last) + 1))
        else:
            ids |= missing & set(range(first, last + 1))
    return ids


def _meets(happened: Happened, lost: Hole) -> bool:
    """Say whether what is missing was sent while *happened* lasted."""
    return happened.from_ns - SLACK_NS <= lost.to_ns and lost.from_ns <= happened.until_ns
