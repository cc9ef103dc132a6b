"""The example environment file documents every setting, with the default it has."""

import re
from io import StringIO
from pathlib import Path

import pytest
from dotenv import dotenv_values

from wire.settings import SETTINGS, load_settings

EXAMPLE = (Path(__file__).resolve().parents[3] / "deploy" / "obl.env.example").read_text()
UNCOMMENTED = re.sub(r"^#(?=[A-Z_]+=)", "", EXAMPLE, flags=re.MULTILINE)


def test_every_setting_is_there_once_and_nothing_else() -> None:
    named = re.findall(r"^#?([A-Z_]+)=", EXAMPLE, flags=re.MULTILINE)
    assert sorted(named) == sorted(name.upper() for name in SETTINGS)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_settings_meaning_stands_above_it(name: str) -> None:
    above = EXAMPLE.partition(f"\n#{name.upper()}=")[0].rpartition("\n\n")[2]
    assert " ".join(above.replace("# ", "").split()) == SETTINGS[name]


def test_the_values_are_the_defaults() -> None:
    values = {name: value or "" for name, value in dotenv_values(stream=StringIO(UNCOMMENTED)).items()}
    assert load_settings(values) == load_settings({})


def test_the_file_as_it_comes_sets_nothing() -> None:
    assert dict(dotenv_values(stream=StringIO(EXAMPLE))) == {}


def test_no_value_needs_quotes_or_an_inline_comment() -> None:
    """Systemd, docker and dotenv read those differently."""
    values = re.findall(r"^#[A-Z_]+=(.*)$", EXAMPLE, flags=re.MULTILINE)
    assert [value for value in values if re.search(r"""["'#\s\\$]""", value)] == []
