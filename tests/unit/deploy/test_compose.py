"""The compose file starts a replica set with authentication before the logger, pinned and without open ports.

No docker runs here: what is checked is the text.
"""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from store.connection import address
from tests.unit.deploy.yaml_subset import NotInSubset, load
from wire.settings import load_settings

ROOT = Path(__file__).resolve().parents[3]
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
MEMBERS = ["mongo1", "mongo2", "mongo3"]
PINNED = re.compile(r"[a-z0-9./-]+:\d+\.\d+\.\d+(-[a-z0-9-]+)?")


@pytest.mark.parametrize(
    "wrong", ["a: &b c", "a: |\n  text", "\ta: b", "a: b\na: c", "a: {b: c}", "a: 'b'", "a:\n  - b: c"]
)
def test_yaml_beyond_the_subset_is_refused(wrong: str) -> None:
    with pytest.raises(NotInSubset):
        load(wrong)


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_is_pinned_and_no_port_is_open(name: str) -> None:
    assert PINNED.fullmatch(SERVICES[name]["image"])
    assert "ports" not in SERVICES[name]
    assert not SERVICES[name].get("privileged")


def test_volumes_and_files_that_are_mounted_exist() -> None:
    used = [volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])]
    assert {name for name in used if not name.startswith(".")} == set(COMPOSE["volumes"])
    assert all((DEPLOY / name).is_file() for name in used if name.startswith("."))


def test_each_service_waits_for_what_it_needs() -> None:
    waits = {
        name: {on: how["condition"] for on, how in service.get("depends_on", {}).items()}
        for name, service in SERVICES.items()
    }
    completed = "service_completed_successfully"
    assert waits == {
        "secrets": {},
        **{member: {"secrets": completed} for member in MEMBERS},
        "mongo-init": dict.fromkeys(MEMBERS, "service_healthy"),
        "logger": {"mongo-init": completed},
    }


@pytest.mark.parametrize("name", MEMBERS)
def test_members_are_of_one_set_with_a_keyfile_and_data_of_their_own(name: str) -> None:
    service = SERVICES[name]
    assert service["command"][:5] == ["mongod", "--replSet", "obl", "--keyFile", "/mongo-secrets/keyfile"]
    assert f"{name}:/data/db" in service["volumes"]
    assert service["healthcheck"]["test"][0] == "CMD"
    assert ("environment" in service) == (name == "mongo1"), "the others join empty"


def test_the_loggers_settings_are_accepted_and_name_the_members_and_user_that_are_made() -> None:
    environment = dict(SERVICES["logger"]["environment"])
    assert environment.pop("MONGODB_PASSWORD_FILE") == "/logger-secrets/mongodb_password"
    settings = load_settings({**environment, "MONGODB_PASSWORD": "made at the first start"})
    script = (DEPLOY / "mongo-init.js").read_text()
    assert settings.mongodb_endpoint is not None
    hosts = address(settings.mongodb_endpoint.reveal())
    assert hosts == ",".join(f"{name}:27017" for name in MEMBERS)
    assert all(f'"{name}:27017"' in script for name in MEMBERS)
    assert f'user: "{settings.mongodb_username}"' in script
    assert f'const DATABASE = "{settings.mongodb_database}";' in script


def test_the_logger_has_no_rights_and_writes_only_to_its_volume() -> None:
    logger = SERVICES["logger"]
    assert logger["read_only"] == "true"
    assert logger["cap_drop"] == ["ALL"]
    assert logger["security_opt"] == ["no-new-privileges:true"]
    assert [volume for volume in logger["volumes"] if not volume.endswith(":ro")] == ["data:/data"]


@pytest.mark.parametrize(
    ("program", "arguments"), [("bash", ["-n", "mongo-secrets.sh"]), ("node", ["--check", "mongo-init.js"])]
)
def test_scripts_parse(program: str, arguments: list[str]) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"no {program} here to parse {arguments[-1]}")
    done = subprocess.run([program, *arguments], cwd=DEPLOY, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_secrets_are_made_once_and_only_for_their_owner(tmp_path: Path) -> None:
    """The script runs with its folders and chown replaced, as it needs root and the mounts."""
    for folder in ("mongo-secrets", "logger-secrets"):
        (tmp_path / folder).mkdir()
    script = (DEPLOY / "mongo-secrets.sh").read_text().replace("chown", ": chown")
    script = re.sub(r"(?<= )/(mongo|logger)-secrets", rf"{tmp_path}/\1-secrets", script)
    made = []
    for _ in range(2):
        subprocess.run(["bash", "-c", script], check=True, capture_output=True)
        files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
        made.append({path.name: path.read_text() for path in files})
        assert {path.stat().st_mode & 0o777 for path in files} == {0o400}
    assert made[0] == made[1]
    assert set(made[0]) == {"keyfile", "root_password", "mongodb_password"}
    assert all(text.isascii() and text.isalnum() and 30 <= len(text) <= 1024 for text in made[0].values())
