"""The settings name one server, and no error about it shows a password."""

from pathlib import Path
from typing import Any

import pytest
from pymongo.errors import (
    AutoReconnect,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from store.connection import address, connect, describe, where
from wire.settings import BadSetting, load_settings


def options(tmp_path: Path, **environ: str) -> Any:
    with connect(load_settings({"DATA_DIR": str(tmp_path), **environ}), connect=False) as client:
        return client.options, client._topology_settings.seeds


def test_unset_means_the_embedded_server_with_its_own_password(tmp_path: Path) -> None:
    made, seeds = options(tmp_path, MONGODB_EMBEDDED_PORT="27555")
    secret = tmp_path / "secrets" / "mongodb_password"
    assert seeds == {("127.0.0.1", 27555)}
    assert made.pool_options._credentials.username == "obl"
    assert made.pool_options._credentials.password == secret.read_text().strip()
    assert secret.stat().st_mode & 0o777 == 0o600


def test_hosts_without_a_port_get_the_usual_one_and_the_user_of_the_settings(tmp_path: Path) -> None:
    made, seeds = options(
        tmp_path, MONGODB_ENDPOINT="db1, db2:27018", MONGODB_USERNAME="me", MONGODB_PASSWORD="pw"
    )
    assert seeds == {("db1", 27017), ("db2", 27018)}
    assert (made.pool_options._credentials.username, made.pool_options._ssl_context) == ("me", None)


def test_a_uri_is_taken_as_it_is(tmp_path: Path) -> None:
    made, seeds = options(
        tmp_path, MONGODB_ENDPOINT="mongodb://me:pw@db1,db2/?replicaSet=rs", MONGODB_TLS="True"
    )
    assert (seeds, made.replica_set_name) == ({("db1", 27017), ("db2", 27017)}, "rs")
    assert made.pool_options._ssl_context is not None


@pytest.mark.parametrize(
    "endpoint",
    ["mongodb://me:pa:ss@db", "mongodb://", "db:port", "db:0", "me:pw@db:1", "db/x", "mongodb://x:99999"],
)
def test_an_endpoint_that_cannot_be_read_is_refused_without_showing_it(tmp_path: Path, endpoint: str) -> None:
    with pytest.raises(BadSetting) as error:
        options(tmp_path, MONGODB_ENDPOINT=endpoint)
    assert str(error.value).startswith("MONGODB_ENDPOINT=***: allowed is host:port")
    assert error.value.__cause__ is None


def test_an_address_has_no_user_and_no_password(tmp_path: Path) -> None:
    assert address("mongodb://me:secret@db1:1,db2:2/x?tls=true") == "db1:1,db2:2"
    assert (
        where(load_settings({"MONGODB_ENDPOINT": "mongodb+srv://me:secret@cluster.example"}))
        == "cluster.example"
    )
    assert where(load_settings({})) == "127.0.0.1:27117"


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OperationFailure("authentication failed", 18), "refuses this user: check MONGODB_USERNAME"),
        (OperationFailure("not authorized on x", 13), "refuses this user"),
        (
            ServerSelectionTimeoutError("refused (configured timeouts: 20 s), Topology"),
            "no database answers at db:1",
        ),
        (AutoReconnect("gone"), "no database answers at db:1"),
        (
            OperationFailure("out of disk space\nat once", 14031),
            "is out of disk space (out of disk",
        ),
        (NotPrimaryError("not primary"), "has no primary now"),
        (OperationFailure("no such\ncommand", 59), "says: no such command"),
    ],
)
def test_each_error_is_one_line_that_says_what_to_do(error: PyMongoError, says: str) -> None:
    line = describe(error, "db:1")
    assert says in line
    assert "\n" not in line
    assert "Topology" not in line
