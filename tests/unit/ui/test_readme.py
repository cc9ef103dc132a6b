"""The README's tables say what the program does: each is compared with its source."""

import re
from pathlib import Path

from ui import live
from wire.allowed import Secret
from wire.settings import SETTINGS, Settings

README = Path(__file__).parents[3] / "README.md"


def shown(value: object) -> str:
    if value is None or isinstance(value, Secret):
        return ""
    if isinstance(value, tuple):
        value = ",".join(value)
    return f"`{value}`"


def settings_table() -> str:
    rows = [
        f"| `{name.upper()}` | {shown(getattr(Settings, name))} | {meaning} |"
        for name, meaning in SETTINGS.items()
    ]
    return "\n".join(["| variable | default | meaning |", "|---|---|---|", *rows])


def test_the_configuration_table_is_that_of_the_settings() -> None:
    text = README.read_text(encoding="utf-8")
    table = text.partition("<!-- settings -->\n")[2].partition("\n<!-- /settings -->")[0]
    assert table == settings_table()


def test_every_live_command_is_in_the_command_table() -> None:
    rows = "\n".join(re.findall(r"^\| `.*$", README.read_text(encoding="utf-8"), re.MULTILINE))
    assert [name for name in live.NAMES if f"`{name}" not in rows] == []
