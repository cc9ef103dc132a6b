"""Reads a capture of ``../shared/captures``: the frames with their keys and times, and the REST bodies.

Times pace the replay only: ``recv_ns`` where it was kept, else the exchange time in the frame; they never
go back here.
"""

import io
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec
import zstandard

from tests.simulator.source import EVERYONE

CAPTURES = Path(__file__).resolve().parents[3] / "shared" / "captures"


class Recorded(NamedTuple):
    """A frame, who hears it, and its time since the first frame."""

    key: str
    payload: bytes
    offset_ns: int


class Body(NamedTuple):
    """A REST body; *place* is how many frames came before it, *what* the symbol and (Coinbase) the level."""

    what: str
    place: int
    data: bytes


class Recording(NamedTuple):
    """A capture, or several one after the other."""

    frames: list[Recorded]
    bodies: list[Body]
    symbols: list[str]


class _Line(msgspec.Struct):
    src: str
    data: str
    recv_ns: int | None = None
    url: str = ""


def venue_of(name: str) -> str:
    """Return the exchange whose capture *name* is."""
    return name.partition("_")[0]


def read(names: Iterable[str], folder: Path = CAPTURES) -> Recording:
    """Read captures of one exchange by name, with or without their endings.

    A ``.json.zst`` (a REST body alone) counts as fetched at the place where it is named.

    Raises:
        FileNotFoundError: there is no such capture.
    """
    lines: list[_Line] = []
    for name in names:
        lines += _lines(_find(folder, name), venue_of(name))
    frames: list[Recorded] = []
    bodies: list[Body] = []
    symbols: dict[str, None] = {}
    first_ns = last_ns = 0
    for line in lines:
        if line.src == "http":
            what = _what(line.url)
            symbols[what.partition("?")[0]] = None
            bodies.append(Body(what, len(frames), line.data.encode()))
            continue
        message = msgspec.json.decode(line.data)
        key, payload, symbol = _keyed(message, line.data)
        if not key:
            continue
        if symbol:
            symbols[symbol] = None
        last_ns = max(last_ns, line.recv_ns or _time_ns(message) or last_ns)
        first_ns = first_ns or last_ns
        frames.append(Recorded(key, payload, last_ns - first_ns))
    return Recording(frames, bodies, list(symbols))


def _find(folder: Path, name: str) -> Path:
    for ending in ("", ".jsonl.zst", ".json.zst"):
        path = folder / f"{name}{ending}"
        if path.is_file():
            return path
    raise FileNotFoundError(f"no capture {name} in {folder}")


def _lines(path: Path, venue: str) -> list[_Line]:
    with path.open("rb") as file:
        whole = zstandard.ZstdDecompressor().stream_reader(file).read()
    if path.name.endswith(".json.zst"):
        return [_Line("http", whole.decode(), url=_REST_URLS[path.name.removesuffix(".json.zst")])]
    decoder = msgspec.json.Decoder(_Line)
    return [decoder.decode(line) for line in io.BytesIO(whole)]


_REST_URLS = {
    "binance_rest-depth-btc": "/api/v3/depth?symbol=BTCUSDT",
    "coinbase_rest-book-btc": "/products/BTC-USD/book?level=2",
    "coinbase_rest_level3_BTC-USD_2017": "/products/BTC-USD/book?level=3",
}
"""The files that hold a body only do not say where it came from."""


def _what(url: str) -> str:
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    if "symbol" in query:
        return query["symbol"][0]
    return f"{parts.path.split('/')[2]}?{query['level'][0]}"


def _keyed(message: dict[str, Any], text: str) -> tuple[str, bytes, str]:
    """Return who hears the frame, what they hear, and its symbol; no key for what the server says itself."""
    stream = message.get("stream")
    if stream is not None:
        # The payload verbatim: what stands between the wrapper's "data": and its last brace.
        start = text.index('"data":') + len('"data":')
        return stream, text[start : text.rindex("}")].encode(), message["data"].get("s", "")
    kind, product = message.get("type", ""), message.get("product_id", "")
    if kind == "error":
        return EVERYONE, text.encode(), ""
    channel = _CHANNELS.get(kind)
    if channel is None:
        return "", b"", ""
    return f"{channel}:{product}", text.encode(), product


_CHANNELS = {
    "snapshot": "level2_50",
    "l2update": "level2_50",
    "heartbeat": "heartbeat",
    "last_match": "matches",
    "match": "matches",
    "ticker": "ticker",
    "received": "full",
    "open": "full",
    "done": "full",
    "change": "full",
    "activate": "full",
}
"""A match of a capture of the full channel is heard there too (``replay``)."""


def _time_ns(message: dict[str, Any]) -> int:
    data = message.get("data", message)
    if "E" in data:
        return int(data["E"]) * 1_000_000
    text = data.get("time")
    return int(datetime.fromisoformat(text).timestamp() * 1e6) * 1_000 if text else 0
