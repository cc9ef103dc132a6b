"""Random texts that are made once and kept under DATA_DIR, readable by their owner only."""

import os
import secrets
from pathlib import Path

from wire.folders import make_folder, sync_folder


class CannotKeep(OSError):
    """The folder or file of a kept text cannot be made or read."""


def made_once(path: Path, size_bytes: int) -> str:
    """Return the text kept at *path*, first making *size_bytes* random bytes of it, in hex.

    Processes that start together get the same text: it is written aside and linked into place, and
    only the first link succeeds.

    Raises:
        CannotKeep: the folder cannot be made or the file not be read.
    """
    try:
        if not path.exists():
            make_folder(path.parent, 0o700)
            aside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
            descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                os.write(descriptor, secrets.token_hex(size_bytes).encode() + b"\n")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            try:
                os.link(aside, path)
            except FileExistsError:
                pass  # another process was first: its text is the one
            finally:
                aside.unlink()
            sync_folder(path.parent)  # what was written under it, a database say, cannot be read without
        return path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise CannotKeep(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CannotKeep(f"{path}: holds bytes that are no text; put the right text back") from error
