"""The systemd unit runs supervisord in the foreground, for ever, with few rights."""

import re
import shlex
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
UNIT = ROOT / "deploy" / "obl.service"
STOP_STEP_S = 10
"""supervisord.conf lets each process take this long, one priority after the other."""


def sections() -> dict[str, dict[str, list[str]]]:
    """Read the unit: a key may come more than once, which configparser does not allow."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    section = ""
    for line in UNIT.read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            key, equals, value = line.partition("=")
            assert equals, line
            assert key.isalnum(), line
            found[section][key].append(value)
    return found


SERVICE = sections()["Service"]


def test_it_has_the_three_sections_and_is_started_at_boot() -> None:
    assert list(sections()) == ["Unit", "Service", "Install"]
    assert sections()["Install"] == {"WantedBy": ["multi-user.target"]}


def test_it_runs_the_checkouts_logger_and_starts_it_again_whatever_ended_it() -> None:
    assert SERVICE["ExecStart"] == ["@CHECKOUT@/.venv/bin/obl-run --conf @CHECKOUT@/supervisord.conf"]
    assert SERVICE["Restart"] == ["always"]
    assert sections()["Unit"]["StartLimitIntervalSec"] == ["0"]
    assert SERVICE["RestartPreventExitStatus"] == ["2"], "a bad setting: no restart mends it"


def test_settings_come_from_the_file_that_the_installer_puts_there() -> None:
    installer = (ROOT / "deploy" / "install-service").read_text()
    assert SERVICE["EnvironmentFile"] == ["/etc/obl/obl.env"]
    assert "/etc/obl/obl.env" in installer
    assert "@CHECKOUT@" in installer
    assert SERVICE["User"] == ["obl"]


def test_an_orderly_stop_has_time_for_each_step() -> None:
    text = (ROOT / "supervisord.conf").read_text()
    steps = len(set(re.findall(r"^priority=(\d+)$", text, flags=re.MULTILINE)))
    assert set(re.findall(r"^stopwaitsecs=(\d+)$", text, flags=re.MULTILINE)) == {str(STOP_STEP_S)}
    assert SERVICE["KillMode"] == ["mixed"]
    assert int(SERVICE["TimeoutStopSec"][0]) > steps * STOP_STEP_S


@pytest.mark.parametrize("name", ["supervisord.conf", "tests/simulator/demo.conf"])
def test_a_checkout_may_lie_in_a_folder_with_a_space(name: str) -> None:
    commands = re.findall(r"^command=(.+)$", (ROOT / name).read_text(), flags=re.MULTILINE)
    assert commands
    for command in commands:
        words = shlex.split(command.replace("%(ENV_OBL_BIN)s", "/a folder/bin"))
        program = words[3] if words[:2] == ["nice", "-n"] else words[0]
        assert program.startswith("/a folder/bin/"), command


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("PrivateTmp", "yes"),
        ("PrivateDevices", "yes"),
        ("ProtectKernelModules", "yes"),
        ("RestrictNamespaces", "yes"),
        ("CapabilityBoundingSet", ""),
        ("SystemCallFilter", "@system-service"),
    ],
)
def test_it_is_hardened(key: str, value: str) -> None:
    assert SERVICE[key] == [value]


def test_systemd_itself_finds_nothing_wrong(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here to verify the unit with")
    unit = tmp_path / "obl.service"
    text = (
        UNIT.read_text().replace("@CHECKOUT@/.venv/bin/obl-run", "/bin/true").replace("@CHECKOUT@", str(ROOT))
    )
    unit.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    complaints = [line for line in done.stderr.splitlines() if "obl.service" in line]
    assert (done.returncode, complaints) == (0, [])
