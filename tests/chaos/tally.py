"""The accounts of all rounds: what happened, what was compared, what is missing and why."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tests.chaos.evidence import Lost
from tests.chaos.market import Compared, missing_ids
from tests.chaos.schedule import Happened, may_lose

SLACK_NS = 1_000_000_000
"""How long before a fault what it costs may have been sent: that much waits in sockets at most."""


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

        self.unexplained: list[str] = []

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
        unreceived: Mapping[str, Sequence[Lost]],
        happened: Sequence[Happened],
    ) -> None:
        """Hold the ledger's *rows* of *security* against what happened and, by feed, the unreceived."""
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
            for lost in unreceived[feed]:
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
            ("lost", f"{len(self.lost)}"),
            ("doubled", f"{len(self.doubled)}"),
            ("wrong", f"{len(self.wrong)}"),
            ("unexplained", f"{len(self.unexplained)}"),
        ]
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:{width}}  {value}" for name, value in rows)


def _meets(happened: Happened, lost: Lost) -> bool:
    """Say whether what is missing was sent while *happened* lasted."""
    return happened.from_ns - SLACK_NS <= lost.to_ns and lost.from_ns <= happened.until_ns
