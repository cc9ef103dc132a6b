"""The Dockerfile builds from locked packages and ends as supervisord, not as root.

No docker runs here: what is checked is the text.
"""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "Dockerfile").read_text()
_JOINED = re.sub(r"^#.*\n", "", TEXT, flags=re.MULTILINE).replace("\\\n", " ")
STEPS = re.findall(r"^([A-Z]+) (.+)$", _JOINED, flags=re.MULTILINE)


def steps(name: str) -> list[str]:
    return [" ".join(rest.split()) for step, rest in STEPS if step == name]


def test_both_stages_are_of_one_pinned_slim_python() -> None:
    images = {image.partition(" ")[0] for image in steps("FROM")}
    assert len(steps("FROM")) == 2
    assert len(images) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-[a-z]+", images.pop())


def test_every_package_is_installed_by_hash_or_built_here() -> None:
    installs = [part for run in steps("RUN") for part in run.split("&&") if "pip install" in part]
    assert installs
    assert all("--require-hashes" in each or "--no-deps --no-index" in each for each in installs)


def test_it_runs_as_a_user_whose_only_place_is_the_volume() -> None:
    assert steps("USER") == ["10001:10001"]
    assert steps("VOLUME") == ["/data"]
    assert "DATA_DIR=/data" in steps("ENV")[-1]
    assert "10001:10001" in (ROOT / "deploy" / "mongo-secrets.sh").read_text()


def test_the_first_process_becomes_supervisord_and_gets_the_signals() -> None:
    assert steps("ENTRYPOINT") == ['["obl-run", "--conf", "/opt/obl/supervisord.conf"]']
    assert steps("STOPSIGNAL") == ["SIGTERM"]
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert {"obl-run", "obl"} <= set(scripts)


def test_what_the_build_needs_is_not_ignored() -> None:
    kept = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), flags=re.MULTILINE)
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    files = ["pyproject.toml", "README.md", "requirements.lock", "requirements-dev.lock", "supervisord.conf"]
    assert sorted(kept) == sorted([*wheel["packages"], *files])
