"""Reads the recorded exchange data of ``../shared/captures``, which is never committed here.

A capture is named by its file's name without ``.jsonl.zst`` or ``.json.zst``.  Mark a test that needs one
``captures``; where the folder is absent the test is skipped, saying so.  The formats and the facts
that each file proves are in the folder's README.md.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import zstandard

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "captures"


class Frame(NamedTuple):
    """One line of a capture, in arrival order."""

    src: str
    """``ws`` or ``http``."""
    recv_ns: int | None
    """The recorder's clock; None where it was not kept."""
    url: str | None
    """Of a REST body."""
    data: bytes
    """The frame or body, verbatim."""


class _Line(msgspec.Struct):
    src: str
    data: str
    recv_ns: int | None = None
    url: str | None = None


def frames(name: str) -> Iterator[Frame]:
    """Yield what the capture *name* holds, without holding all of it in memory."""
    path = _existing(f"{name}.jsonl.zst")
    decoder = msgspec.json.Decoder(_Line)

    def read() -> Iterator[Frame]:
        with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as plain:
            for text in io.BufferedReader(plain):
                line = decoder.decode(text)
                yield Frame(line.src, line.recv_ns, line.url, line.data.encode())

    return read()


def body(name: str) -> bytes:
    """Return the REST body of the capture *name* (``.json.zst``)."""
    with _existing(f"{name}.json.zst").open("rb") as file:
        return zstandard.ZstdDecompressor().stream_reader(file).read()


def text(name: str) -> bytes:
    """Return the file *name* as it is (an oracle ``.json``, or ``vectors/...``)."""
    return _existing(name).read_bytes()


def _existing(name: str) -> Path:
    path = FOLDER / name
    if not FOLDER.is_dir():
        import pytest  # only where there is something to skip: the simulator reads captures too

        pytest.skip(f"no recorded captures here: {FOLDER} is absent")
    return path
