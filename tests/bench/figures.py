"""A figure of the bench: what was measured, what stands beside it, and the bar it is to reach."""

import msgspec
from rich.console import Console
from rich.table import Table


class Figure(msgspec.Struct):
    """One line of the table of figures."""

    name: str
    value: float
    unit: str
    beside: str = ""
    """What *beside_value*, in the same unit, is: the floor of this run, or a peer."""
    beside_value: float | None = None
    bar: float | None = None
    least: bool = False
    """The bar is the least that is wanted, not the most."""
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Times what stands beside it."""
        return self.value / self.beside_value if self.beside_value else None

    @property
    def passed(self) -> bool:
        """Whether the bar, if there is one, is reached."""
        if self.bar is None:
            return True
        return self.value >= self.bar if self.least else self.value <= self.bar

    def for_machines(self) -> dict[str, object]:
        """Return all of it as JSON has it."""
        return {**msgspec.to_builtins(self), "ratio": self.ratio, "passed": self.passed}


def show(title: str, figures: list[Figure], console: Console) -> None:
    """Print *figures* as a table."""
    table = Table(title=title)
    table.add_column("figure")
    for name in ("measured", "beside", "ratio", "bar", ""):
        table.add_column(name, justify="right")
    for each in figures:
        beside = f"{each.beside} {each.beside_value:,.2f}" if each.beside_value is not None else each.beside
        ratio = f"{each.ratio:.2f}" if each.ratio is not None else ""
        bar = f"{'>=' if each.least else '<='} {each.bar:,.6g}" if each.bar is not None else ""
        verdict = "" if each.bar is None else "pass" if each.passed else "FAIL"
        table.add_row(each.name, f"{each.value:,.2f} {each.unit}", beside, ratio, bar, verdict)
    console.print(table)
    for note in dict.fromkeys(each.note for each in figures if each.note):
        console.print(note, style="dim")
