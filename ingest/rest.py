"""REST requests, one after another in a thread of their own, so that reading never waits for them.

``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY`` are honoured.  Nothing is retried here: the session
decides that.
"""

import queue
import threading
import time
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3

from ingest.actions import Ask
from ingest.asking import MOST_ASKED, Answer
from venue.api import UnknownFrame, Venue
from wire.names import symbol_of

MOST_BODY_BYTES = 30 * 1024 * 1024
"""A whole L3 book is about 3 MB (protocols.md 2.3); a journal record takes 32 MiB."""

CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0

WHOLE_SECONDS = 30.0
"""For all of a body: a venue that drips it holds up the other requests."""

_CHUNK_BYTES = 256 * 1024


class Fetched(NamedTuple):
    """An answer and what the journal wants to know of it."""

    ask: Ask
    answer: Answer
    asked_ns: int
    received_ns: int


class Rest:
    """The thread and its queue, which holds at most the ``MOST_ASKED`` that the session lets out."""

    def __init__(
        self,
        base: str,
        venue: Venue,
        feed: str,
        done: Callable[[Fetched], None],
        crash: Callable[[Exception], None],
    ) -> None:
        """Start the thread, which calls *done* with each answer and *crash* with what nobody foresaw."""
        self._base = base
        self._venue = venue
        self._feed = feed
        self._done = done
        self._crash = crash
        self._asks: queue.Queue[Ask] = queue.Queue(MOST_ASKED)
        self._pool = _pool(base)
        threading.Thread(target=self._work, name="rest", daemon=True).start()

    def ask(self, ask: Ask) -> None:
        """Make the request; *done* is called in the thread."""
        self._asks.put_nowait(ask)

    def _work(self) -> None:
        try:
            while True:
                ask = self._asks.get()
                asked_ns = time.time_ns()
                answer = self._fetch(ask)
                self._done(Fetched(ask, answer, asked_ns, time.time_ns()))
        except Exception as error:  # noqa: BLE001 handed to the loop, which raises it
            self._crash(error)

    def _fetch(self, ask: Ask) -> Answer:
        try:
            reply = self._pool.request(
                "GET",
                self._base + ask.request.path,
                headers={"User-Agent": "order-book-logger", "Accept-Encoding": "gzip", **ask.request.headers},
                preload_content=False,
                redirect=False,
                retries=False,
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
            )
            try:
                body = _read(reply)
            finally:
                reply.release_conn()
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            return Answer(0, b"", f"{self._base} does not answer: {_reason_of(error)}")
        snapshot_id, problem = None, ""
        if ask.what == "depth" and reply.status == 200:
            snapshot_id, problem = self._snapshot_id(ask, body)
        headers = reply.headers
        return Answer(
            reply.status,
            body,
            problem,
            snapshot_id,
            _number(headers.get("Retry-After")),
            _whole(headers.get("X-MBX-USED-WEIGHT-1M")),
        )

    def _snapshot_id(self, ask: Ask, body: bytes) -> tuple[int | None, str]:
        try:
            found = self._venue.snapshot(symbol_of(ask.securities[0]), self._feed, body, ask.levels)
        except UnknownFrame as error:
            return None, str(error)
        return found.last_id, "" if found.last_id is not None else "a snapshot without an id"


def _pool(base: str) -> urllib3.PoolManager:
    """Return a pool of connections to *base*, through the environment's proxy if there is one."""
    parts = urlsplit(base)
    proxy = getproxies().get(parts.scheme)
    if not proxy or proxy_bypass(parts.hostname or ""):
        return urllib3.PoolManager(maxsize=1)
    with_scheme = urlsplit(proxy if "//" in proxy else f"//{proxy}")
    headers = None
    if with_scheme.username:
        login = f"{unquote(with_scheme.username)}:{unquote(with_scheme.password or '')}"
        headers = urllib3.make_headers(proxy_basic_auth=login)
    scheme = with_scheme.scheme or "http"
    address = f"{scheme}://{with_scheme.hostname}:{with_scheme.port or 80}"
    return urllib3.ProxyManager(address, maxsize=1, proxy_headers=headers)


def _read(reply: urllib3.BaseHTTPResponse) -> bytes:
    """Return the whole body.

    Raises:
        ValueError: too large, or too slow.
    """
    ends = time.monotonic() + WHOLE_SECONDS
    parts: list[bytes] = []
    size = 0
    for part in reply.stream(_CHUNK_BYTES):
        parts.append(part)
        size += len(part)
        if size > MOST_BODY_BYTES:
            raise ValueError(f"a body of more than {MOST_BODY_BYTES} bytes")
        if time.monotonic() > ends:
            raise ValueError(f"a body not whole after {WHOLE_SECONDS:g} s")
    return b"".join(parts)


def _reason_of(error: Exception) -> str:
    match error:
        case urllib3.exceptions.ProxyError():
            return f"the proxy of HTTPS_PROXY refused ({error.args[0] if error.args else error})"
        case urllib3.exceptions.NameResolutionError():
            return "the host's name cannot be resolved: is there a network?"
        case urllib3.exceptions.NewConnectionError():
            return "cannot connect (" + str(error).rpartition(": ")[2] + ")"
        case urllib3.exceptions.TimeoutError():
            return f"nothing in {READ_SECONDS:g} s"
        case _:
            return " ".join(str(error).split())[:300]


def _number(text: str | None) -> float | None:
    return float(text) if text is not None and text.isdecimal() else None


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None
