"""A websocket over a real socket: what the venue does is messages or one clear reason, and nothing blocks."""

import base64
import hashlib
import select
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from queue import Queue
from shutil import which

import pytest
import websocket

from ingest.connection import Connection, Lost, dial
from ingest.framing import Control, Message
from venue import binance

DEADLINE_S = 10


def frame(opcode: int, payload: bytes) -> bytes:
    return websocket.ABNF(1, 0, 0, 0, opcode, 0, payload).format()


@pytest.fixture
def pair() -> Iterator[tuple[Connection, socket.socket]]:
    ours, theirs = socket.socketpair()
    theirs.settimeout(DEADLINE_S)
    connection = Connection(ours)
    yield connection, theirs
    connection.close()
    theirs.close()


def test_what_has_come_is_returned_and_reading_never_waits(pair: tuple[Connection, socket.socket]) -> None:
    connection, venue = pair
    assert connection.read() == ([], False)
    venue.sendall(frame(1, b"one") + frame(9, b"ping") + frame(1, b"two")[:3])
    assert connection.read() == ([b"one", Control(9, b"ping")], False)
    venue.sendall(frame(1, b"two")[3:])
    assert connection.read() == ([b"two"], False)


def test_a_goodbye_is_answered_and_its_reason_told_after_the_messages_before_it(
    pair: tuple[Connection, socket.socket],
) -> None:
    connection, venue = pair
    venue.sendall(
        frame(1, b"last") + frame(8, (1008).to_bytes(2, "big") + b"Pong timeout") + frame(1, b"late")
    )
    assert connection.read() == ([b"last"], True)
    with pytest.raises(Lost, match="1008 Pong timeout"):
        connection.read()
    answer = venue.recv(100)
    assert answer[0] == 0x88


def test_an_abrupt_end_is_a_reason(pair: tuple[Connection, socket.socket]) -> None:
    connection, venue = pair
    venue.close()
    with pytest.raises(Lost, match="without a word"):
        connection.read()


def test_a_broken_protocol_is_a_reason(pair: tuple[Connection, socket.socket]) -> None:
    connection, venue = pair
    venue.sendall(frame(1, b"good") + b"\x83\x00")
    assert connection.read() == ([b"good"], True)
    with pytest.raises(Lost, match="unknown opcode 3"):
        connection.read()


def test_frames_of_ours_are_masked_and_whole(pair: tuple[Connection, socket.socket]) -> None:
    connection, venue = pair
    connection.send("text", b"subscribe")
    connection.send("pong", b"20")
    received = venue.recv(100)
    assert received[0] == 0x81
    assert received[1] == 0x80 | len(b"subscribe")
    mask, masked = received[2:6], received[6 : 6 + len(b"subscribe")]
    assert bytes(b ^ mask[i % 4] for i, b in enumerate(masked)) == b"subscribe"
    assert received[15] == 0x8A


def test_a_venue_that_takes_nothing_in_is_lost_not_waited_for(pair: tuple[Connection, socket.socket]) -> None:
    connection, _ = pair

    def send_on() -> None:
        for _ in range(200):
            connection.send("text", bytes(100_000))

    with pytest.raises(Lost, match="takes nothing in"):
        send_on()


def dialed(url: str) -> tuple[Connection | None, str]:
    found: Queue[tuple[Connection | None, str]] = Queue()
    dial(
        url,
        binance,
        lambda connection, reason: found.put((connection, reason)),
        lambda error: found.put((None, repr(error))),
    )
    return found.get(timeout=DEADLINE_S)


def serve(answer: Callable[[socket.socket], None]) -> int:
    """Listen on loopback and give the first connection to *answer*, in a thread."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with listener, listener.accept()[0] as accepted:
            accepted.settimeout(DEADLINE_S)
            answer(accepted)

    threading.Thread(target=run, daemon=True).start()
    return int(listener.getsockname()[1])


def upgrade(accepted: socket.socket) -> None:
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        request += accepted.recv(4096)
    key = next(line for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
    digest = hashlib.sha1(key.split(b": ")[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11")  # noqa: S324 RFC 6455
    accept = base64.b64encode(digest.digest())
    accepted.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def test_a_refused_handshake_is_explained_by_the_venue() -> None:
    def refuse(accepted: socket.socket) -> None:
        accepted.recv(4096)
        accepted.sendall(b"HTTP/1.1 451 Unavailable\r\nContent-Length: 2\r\n\r\n{}")

    connection, reason = dialed(f"ws://127.0.0.1:{serve(refuse)}/stream")
    assert connection is None
    assert "451" in reason
    assert "data-stream.binance.vision" in reason


@pytest.mark.skipif(which("openssl") is None, reason="needs openssl to make a certificate")
def test_over_tls_large_messages_come_whole_and_an_untrusted_certificate_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *subject]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    payload = bytes(range(256)) * 8000
    done = threading.Event()

    def speak(accepted: socket.socket) -> None:
        # OSError: the client did not trust the certificate
        with suppress(OSError), context.wrap_socket(accepted, server_side=True) as secured:
            upgrade(secured)
            secured.sendall(frame(2, payload) + frame(1, b"end"))
            done.wait(DEADLINE_S)

    connection, reason = dialed(f"wss://localhost:{serve(speak)}/stream")
    assert connection is None
    assert "not trusted" in reason
    monkeypatch.setenv("WEBSOCKET_CLIENT_CA_BUNDLE", str(certificate))
    connection, reason = dialed(f"wss://localhost:{serve(speak)}/stream")
    assert connection is not None, reason
    found: list[Message] = []
    poll = select.poll()
    poll.register(connection.fileno(), 1)
    while len(found) < 2:
        messages, more = connection.read()
        found += messages
        assert more or len(found) == 2 or poll.poll(DEADLINE_S * 1000), "nothing came"
    assert found == [payload, b"end"]
    done.set()
    connection.close()
