"""Endpoints differ for every role, bucket and installation, and fit a Unix socket."""

from pathlib import Path

import pytest

from wire.endpoints import MAX_PATH_BYTES, Endpoints, runtime_folder
from wire.names import BUCKETS
from wire.settings import PIPELINE_PORTS, BadSetting, load_settings


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def every(endpoints: Endpoints) -> list[str]:
    numbered = ("run", "batches", "documents", "answers", "done", "needed", "tap")
    found = [getattr(endpoints, role)(number) for role in numbered for number in range(BUCKETS)]
    found += [endpoints.frames(line) for line in load_settings({"INGEST_LINES": "2"}).lines()]
    return [*found, endpoints.desired(), endpoints.beats()]


@pytest.mark.parametrize("transport", ["ipc", "tcp"])
def test_no_two_roles_share_an_endpoint(transport: str, tmp_path: Path) -> None:
    found = every(Endpoints(load_settings({"PIPELINE_TRANSPORT": transport, "DATA_DIR": str(tmp_path)})))
    assert len(set(found)) == len(found)
    assert all(each.startswith(f"{transport}://") for each in found)


def test_ports_stay_in_their_range() -> None:
    found = every(Endpoints(load_settings({"PIPELINE_TRANSPORT": "tcp", "PIPELINE_PORT": "20000"})))
    ports = [int(each.rpartition(":")[2]) for each in found]
    assert min(ports) >= 20000
    assert max(ports) < 20000 + PIPELINE_PORTS


def test_two_installations_never_meet(tmp_path: Path) -> None:
    here, there = (Endpoints(load_settings({"DATA_DIR": str(tmp_path / name)})) for name in "ab")
    assert not set(every(here)) & set(every(there))


def test_the_folder_is_private(tmp_path: Path) -> None:
    folder = runtime_folder(tmp_path / "data")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert runtime_folder(tmp_path / "data") == folder


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701])
def test_a_folder_that_others_may_enter_is_refused(mode: int, tmp_path: Path) -> None:
    runtime_folder(tmp_path / "data").chmod(mode)
    with pytest.raises(BadSetting, match="ours alone"):
        runtime_folder(tmp_path / "data")


def test_a_link_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder = runtime_folder(tmp_path / "data")
    folder.rmdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadSetting, match="ours alone"):
        runtime_folder(tmp_path / "data")


def test_a_long_runtime_folder_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    found = every(Endpoints(load_settings({"DATA_DIR": str(tmp_path)})))
    assert max(len(each.removeprefix("ipc://")) for each in found) <= MAX_PATH_BYTES
    runtime_folder(tmp_path).rmdir()
