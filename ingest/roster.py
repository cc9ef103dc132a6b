"""The file that says which securities the journal has added and not removed.

It lies in the line's journal folder and is written before the ``add`` or after the ``remove`` is
journalled, so after a crash it names at least those that the journal's end has.  With it a restart
goes on recording at once, and what was removed meanwhile gets its ``remove``.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from wire.folders import sync_folder
from wire.messages import Wanted

NAME = "securities.msgpack"


class BadRoster(ValueError):
    """There is a file, and it is no roster of this version; the text is one line that says what to do."""


def load_roster(folder: Path) -> tuple[Wanted, ...]:
    """Return the securities; none if there is no file.

    Raises:
        BadRoster: nobody knows which securities the journal has added.
    """
    path = folder / NAME
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=tuple[Wanted, ...])
    except FileNotFoundError:
        return ()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRoster(
            f"{path} is damaged or of another version ({error}) and is written anew: what was removed while "
            "the line was down goes after another obl add and obl remove"
        ) from error


def save_roster(folder: Path, securities: Sequence[Wanted]) -> None:
    """Keep *securities*, whole or not at all."""
    part = folder / f"{NAME}.part"
    with part.open("wb") as file:
        file.write(msgspec.msgpack.encode(tuple(securities)))
        file.flush()
        os.fsync(file.fileno())
    part.replace(folder / NAME)
    sync_folder(folder)
