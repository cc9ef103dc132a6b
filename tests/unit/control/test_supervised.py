"""A supervisord that takes the call and does not answer holds control up for seconds, not for ever."""

import socket
from pathlib import Path
from xmlrpc.client import ServerProxy

import pytest

from control import supervised


def test_a_supervisord_that_does_not_answer_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervised, "ANSWER_S", 0.2)
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(path))
        listening.listen()
        with (
            ServerProxy("http://127.0.0.1", supervised.Transport(path)) as server,
            pytest.raises(TimeoutError),
        ):
            server.supervisor.getAllProcessInfo()
