"""One websocket: websocket-client's handshake in a thread, then non-blocking reads and writes.

After the handshake the socket is read 256 KB at a time and split by ingest.framing (speed.md: a tenth
of the cost of websocket-client's own reader).  No extension is offered, so no frame is compressed.
``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY`` are honoured by websocket-client, and
``WEBSOCKET_CLIENT_CA_BUNDLE`` or the system's certificates.
"""

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import cast
from urllib.parse import urlsplit

import websocket

from ingest.framing import Control, Message, Opcode, Splitter
from venue.api import Venue

READ_BYTES = 256 * 1024

MOST_READS = 8
"""Reads of one turn, so that a flood on one connection leaves time for the others."""

MOST_UNSENT_BYTES = 1024 * 1024
"""Control frames that a venue does not take in: it has stopped reading."""

HANDSHAKE_SECONDS = 8.0
"""For each of connecting, TLS and the upgrade; a venue that needs longer is tried again."""

_OPCODES = {"text": websocket.ABNF.OPCODE_TEXT, "ping": Opcode.PING, "pong": Opcode.PONG}


class Lost(Exception):
    """The connection is gone; the text says why."""


class Connection:
    """An open websocket that never blocks."""

    def __init__(self, sock: socket.socket, date: str = "") -> None:
        self._socket = sock
        self.date = date
        """The ``Date`` of the handshake's answer."""
        self._socket.setblocking(False)
        self._full_bytes = 0 if isinstance(sock, ssl.SSLSocket) else READ_BYTES
        """After a read of fewer nothing is waiting (epoll(7)); one of TLS ends with a record of 16 KB."""
        self._splitter = Splitter()
        self._unsent = b""
        self._ended = ""
        """Why nothing more will come."""

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._socket.fileno()

    def read(self) -> tuple[list[Message], bool]:
        """Return the messages that have come, and whether more may wait to be read at once.

        Raises:
            Lost: the venue closed the connection, or broke the protocol.  Messages before that
                were returned by earlier calls.
        """
        if self._ended:
            raise Lost(self._ended)
        found: list[Message] = []
        more = False
        try:
            for _ in range(MOST_READS):
                data = self._socket.recv(READ_BYTES)
                if not data:
                    self._ended = "closed by the venue without a word"
                    break
                found += self._splitter.feed(data)
                if self._splitter.broken:
                    self._ended = f"broken websocket protocol: {self._splitter.broken}"
                    break
                if len(data) < self._full_bytes:
                    break
            else:
                more = True
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError as error:
            self._ended = f"connection broken: {error.strerror or error}"
        if self._splitter.goodbye:
            found = self._until_goodbye(found)
        if self._ended and not found:
            raise Lost(self._ended)
        return found, more or bool(self._ended)

    def _until_goodbye(self, found: list[Message]) -> list[Message]:
        """Return the messages before the venue's closing one, which is answered."""
        for number, message in enumerate(found):
            if isinstance(message, Control) and message.opcode == Opcode.CLOSE:
                with suppress(Lost):
                    self._send(_frame(message.payload, Opcode.CLOSE))
                self._ended = _goodbye(message.payload)
                return found[:number]
        return found

    def send(self, kind: str, payload: bytes) -> None:
        """Send one frame of *kind* (``text`` ``ping`` ``pong``).

        Raises:
            Lost: the connection is broken, or the venue takes nothing in.
        """
        self._send(_frame(payload, _OPCODES[kind]))

    def flush(self) -> None:
        """Send what did not fit before.

        Raises:
            Lost: as ``send``.
        """
        if self._unsent:
            self._send(b"")

    def _send(self, data: bytes) -> None:
        self._unsent += data
        try:
            while self._unsent:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            if len(self._unsent) > MOST_UNSENT_BYTES:
                raise Lost("the venue takes nothing in") from None
        except OSError as error:
            raise Lost(f"connection broken: {error.strerror or error}") from error

    def close(self) -> None:
        """Say goodbye, if that is possible at once, and close."""
        with suppress(Lost):
            self._send(_frame(b"\x03\xe8", Opcode.CLOSE))  # 1000: a normal closure
        self._socket.close()


def _frame(payload: bytes, opcode: int) -> bytes:
    """Return one masked frame, as a client sends it."""
    return bytes(websocket.ABNF.create_frame(payload, opcode).format())


def _goodbye(payload: bytes) -> str:
    if len(payload) < 2:
        return "closed by the venue"
    code = int.from_bytes(payload[:2], "big")
    text = "".join(c for c in payload[2:].decode(errors="replace") if c.isprintable())
    return f"closed by the venue: {code} {text}".rstrip()


def dial(
    url: str,
    venue: Venue,
    done: Callable[[Connection | None, str], None],
    crash: Callable[[Exception], None],
) -> None:
    """Open a websocket to *url* in a thread, which calls *done* with it, or with None and the reason.

    It calls *crash* with what nobody foresaw.
    """

    def run() -> None:
        try:
            opened = websocket.create_connection(
                url,
                timeout=HANDSHAKE_SECONDS,
                skip_utf8_validation=True,
                enable_multithread=False,
                header=["User-Agent: order-book-logger"],
                suppress_origin=True,
            )
            date = (opened.getheaders() or {}).get("date", "")
            connection = Connection(cast("socket.socket", opened.sock), date)
        except (websocket.WebSocketException, OSError, ValueError) as error:
            done(None, reason_of(error, venue, urlsplit(url).netloc))
        except Exception as error:  # noqa: BLE001 handed to the loop, which raises it
            crash(error)
        else:
            done(connection, "")

    threading.Thread(target=run, name="dial", daemon=True).start()


def reason_of(error: Exception, venue: Venue, host: str) -> str:
    """Return one line that says why a handshake failed and what to do about it."""
    match error:
        case websocket.WebSocketBadStatusException():
            return venue.refusal(error.status_code, error.resp_body or b"")
        case websocket.WebSocketProxyException():
            return f"the proxy of HTTPS_PROXY refused: {error}"
        case websocket.WebSocketTimeoutException() | TimeoutError():
            return (
                f"{host} does not answer in {HANDSHAKE_SECONDS:g} s: is the network, or HTTPS_PROXY, right?"
            )
        case websocket.WebSocketAddressException() | socket.gaierror():
            return f"the name {host} cannot be resolved: is there a network?"
        case ssl.SSLCertVerificationError():
            return f"the certificate of {host} is not trusted: {error.verify_message}"
        case ssl.SSLError():
            return f"TLS with {host} failed: {error.reason or error}"
        case OSError():
            return f"cannot connect to {host}: {error.strerror or error}"
        case _:
            return f"the handshake with {host} failed: {error}"
