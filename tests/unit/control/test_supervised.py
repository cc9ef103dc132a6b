"""A supervisord that takes the call and does not answer holds control up for seconds, not for ever."""

import socket
from pathlib import Path

import pytest

from control import supervisor_calls


def test_a_supervisord_that_does_not_answer_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_calls, "ANSWER_S", 0.2)
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(path))
        listening.listen()
        with pytest.raises(TimeoutError):
            supervisor_calls.call(path, "getAllProcessInfo")
