"""Keeps the documents that no database takes, as files under DATA_DIR/refused/.

``<name>~<covered>.bson`` is what would have been stored (``.msgpack``: the message, where no BSON could be
made of it); ``.txt`` beside it says why.  Characters of the name that are not letters, digits, ``.``, ``-``
or ``_`` are written as ``=`` and two hex digits.
"""

import os
from pathlib import Path

from store.waiting import Entry
from wire.folders import make_folder, sync_folder
from wire.messages import pack


def file_name(name: str, covered: int) -> str:
    """Return the name, without ending, of the file of one version of one document.

    >>> file_name("binance:BTCUSDT|changes|1723161600", 12)
    'binance=3aBTCUSDT=7cchanges=7c1723161600~12'
    """
    safe = "".join(
        chr(byte) if (chr(byte).isalnum() and byte < 128) or chr(byte) in ".-_" else f"={byte:02x}"
        for byte in name.encode()
    )
    return f"{safe}~{covered}"


def keep(folder: Path, entry: Entry, reason: str) -> Path:
    """Write *entry* and *reason* into *folder* and return the path, synced.

    Raises:
        OSError: the disk refuses; the document is not kept.
    """
    make_folder(folder, 0o700)
    name = file_name(*entry.document.key)
    _write(folder / f"{name}.txt", f"{reason}\n".encode())
    path = folder / f"{name}{'.bson' if entry.data else '.msgpack'}"
    _write(path, entry.data or pack(entry.document))
    sync_folder(folder)
    return path


def _write(path: Path, data: bytes) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    with aside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
