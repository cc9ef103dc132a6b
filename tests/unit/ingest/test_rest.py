"""What a REST interface answers is an Answer, whatever goes wrong with it."""

import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue

import pytest

from ingest import rest
from ingest.actions import Ask
from ingest.asking import Answer
from ingest.rest import Fetched, Rest
from venue import binance
from venue.api import RestRequest

DEADLINE_S = 10
DEPTH = json.dumps({"lastUpdateId": 77, "bids": [["1.0", "2"]], "asks": [["3.0", "4"]]}).encode()


class Site(BaseHTTPRequestHandler):
    """Answers by path."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        match self.path:
            case "/depth":
                self.answer(
                    200, gzip.compress(DEPTH), {"Content-Encoding": "gzip", "X-MBX-USED-WEIGHT-1M": "250"}
                )
            case "/nonsense":
                self.answer(200, b"<html>", {})
            case "/busy":
                self.answer(429, b'{"code":-1003,"msg":"no"}', {"Retry-After": "7"})
            case "/moved":
                self.answer(302, b"", {"Location": "/depth"})
            case "/cut":
                self.send_response(200)
                self.send_header("Content-Length", "100")
                self.end_headers()
                self.wfile.write(b"half")
                self.close_connection = True
            case _:
                self.answer(200, bytes(100_000), {})

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def fetch(base: str, path: str, what: str = "depth") -> Answer:
    answers: Queue[Fetched | Exception] = Queue()
    made = Rest(base, binance, "depth", answers.put, answers.put)
    made.ask(Ask(1, what, "gap", ("binance:BTCUSDT",), 5000, RestRequest(path, 1)))  # type: ignore[arg-type]
    found = answers.get(timeout=DEADLINE_S)
    assert isinstance(found, Fetched), found
    assert found.asked_ns <= found.received_ns
    return found.answer


def test_a_book_comes_whole_with_its_id_and_the_weight_that_the_venue_counts(site: str) -> None:
    assert fetch(site, "/depth") == Answer(200, DEPTH, "", 77, None, 250)


def test_a_body_that_is_no_book_is_kept_and_said_to_be_none(site: str) -> None:
    answer = fetch(site, "/nonsense")
    assert (answer.status, answer.body, answer.snapshot_id) == (200, b"<html>", None)
    assert answer.problem


def test_a_refusal_brings_its_status_and_how_long_to_wait(site: str) -> None:
    answer = fetch(site, "/busy")
    assert (answer.status, answer.retry_after_s, answer.snapshot_id) == (429, 7.0, None)


def test_a_redirect_is_not_followed(site: str) -> None:
    assert fetch(site, "/moved").status == 302


def test_a_body_cut_off_or_too_large_is_no_answer(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fetch(site, "/cut").status == 0
    monkeypatch.setattr(rest, "MOST_BODY_BYTES", 50_000)
    answer = fetch(site, "/large", "instrument")
    assert answer.status == 0
    assert "more than 50000 bytes" in answer.problem


def test_nobody_there_is_a_problem_in_one_line() -> None:
    answer = fetch("http://127.0.0.1:9", "/depth")
    assert answer.status == 0
    assert "Connection refused" in answer.problem
    assert "\n" not in answer.problem


def test_a_proxy_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert "proxy" in fetch("http://venue.example", "/depth").problem.lower()


def test_a_proxy_is_asked_in_the_venues_stead(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", site)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    answer = fetch("http://venue.example", "/anything", "instrument")
    assert (answer.status, len(answer.body)) == (200, 100_000)
