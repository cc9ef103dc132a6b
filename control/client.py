"""Asks control over CURVE, as ``obl`` does.

what happens at the handshake                    error
nobody listens, or the host is not there         NoConnection
the connection is made and cut at once           WrongKey (the server cannot read our first word)
neither within 3 s                               NoConnection
"""

import itertools
import struct
import time
from collections.abc import Mapping
from typing import Any, Self

import msgpack
import zmq

from control.auth import derive

CONNECT_S = 3.0
ANSWER_S = 10.0
"""Twice what control waits for the processes that it asks."""

_EVENT = struct.Struct("=HI")
"""First frame of a monitor message (zmq_socket_monitor(3)): event, value."""

_REFUSED = (
    zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_DISCONNECTED
)
_RETRY = zmq.EVENT_CONNECT_RETRIED | zmq.EVENT_CLOSED


class ControlError(Exception):
    """Control could not be asked, or did not do it; ``code`` is as in control.protocol."""

    code = "failed"


class NoConnection(ControlError):
    """Nobody answers at that address."""

    code = "no_connection"


class WrongKey(ControlError):
    """Somebody listens there who has another key."""

    code = "wrong_key"


class NoAnswer(ControlError):
    """The connection stands and the answer does not come."""

    code = "no_answer"


class Failed(ControlError):
    """Control answered that it cannot."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Client:
    """A connection to control; requests are made one after another.

    Raises:
        NoConnection, WrongKey: within CONNECT_S.
    """

    def __init__(self, host: str, port: int, key: str) -> None:
        self._where = f"{host}:{port}"
        address = f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"
        keys = derive(key)
        self._ids = itertools.count(1)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.linger = 0
        self._socket.ipv6 = ":" in host
        self._socket.curve_serverkey = keys.server.public
        self._socket.curve_publickey = keys.client.public
        self._socket.curve_secretkey = keys.client.secret
        self._monitor = self._socket.get_monitor_socket()
        try:
            self._socket.connect(address)
            self._shake_hands()
        except zmq.ZMQError as error:
            self.close()
            raise NoConnection(f"{self._where} is no address ({error.strerror})") from error
        except ControlError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave, at once."""
        self._socket.disable_monitor()
        self._context.destroy(0)

    def call(self, command: str, args: Mapping[str, Any] | None = None, answer_s: float = ANSWER_S) -> Any:
        """Return the result of *command*.

        Raises:
            Failed: control answered with an error.
            NoAnswer: it did not answer in *answer_s* seconds; the command may still be done.
        """
        number = next(self._ids)
        self._socket.send(msgpack.packb({"id": number, "command": command, "args": dict(args or {})}))
        until = time.monotonic() + answer_s
        while (left := until - time.monotonic()) > 0:
            if not self._socket.poll(int(left * 1000) + 1):
                break
            answer = msgpack.unpackb(self._socket.recv())
            if answer.get("id") not in (number, None):
                continue  # of a call that was given up
            if answer["ok"]:
                return answer["result"]
            raise Failed(answer["error"]["code"], answer["error"]["message"])
        raise NoAnswer(f"{self._where} did not answer within {answer_s:.0f} s: obl status shows its health")

    def _shake_hands(self) -> None:
        until = time.monotonic() + CONNECT_S
        connected = False
        while (left := until - time.monotonic()) > 0:
            if not self._monitor.poll(int(left * 1000) + 1):
                break
            event, _ = _EVENT.unpack(self._monitor.recv_multipart()[0])
            if event & zmq.EVENT_HANDSHAKE_SUCCEEDED:
                return
            connected = connected or bool(event & zmq.EVENT_CONNECTED)
            if event & _REFUSED:
                raise WrongKey(
                    f"{self._where} refuses the key: MANAGER_AUTHKEY, or DATA_DIR/secrets/manager_key, "
                    "must be the running logger's"
                )
            if event & _RETRY and not connected:
                break
        raise NoConnection(
            f"nobody answers at {self._where}: is the logger running (make run)? "
            "MANAGER_HOST and MANAGER_PORT say where it listens"
        )
