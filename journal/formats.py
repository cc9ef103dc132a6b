"""Says whether a journal is of this program's format, before anything of it is cut or passed over.

The last character of a magic number is the format's version, of segments (``OBJ1``) and of groups (``OBG1``).

bytes                                          means
``OBJ`` and another character                  a segment of another version
``OBG`` and another character, first group     groups of another version
``OBG1``, right with a header of 24 bytes      groups from before they had a clock (the number was not raised)
anything else                                  this version, or damage, which is the reader's matter

A checksum that is right in our own layout means a damaged magic number: no bit alone stops a start.
"""

import struct
from pathlib import Path

import google_crc32c

from journal.group import HEADER_BYTES, MAGIC, MAX_GROUP_BYTES, Corrupt
from journal.segment import SEGMENT_HEADER_BYTES, SEGMENT_MAGIC, segments_in, unpack_segment_header

_CLOCKLESS_HEADER_BYTES = 24
_CHECKED_FROM = 8
_HEAD = struct.Struct("<4sII")
"""Magic, CRC32C of all from ``_CHECKED_FROM`` on, and bytes after the header: so in both layouts."""


class OtherFormat(RuntimeError):
    """A journal was written by another version of this program; the text is one line that says what to do."""


def check_format(folder: Path) -> None:
    """Return if every segment in *folder* is of this program's format, or merely damaged.

    Raises:
        OtherFormat: one is not; nothing was changed.
        OSError: a segment cannot be read.
    """
    for segment in segments_in(folder):
        found = format_of(segment.path)
        if found:
            raise OtherFormat(
                f"{segment.path} has {found}, this program reads {SEGMENT_MAGIC.decode()} with "
                f"{MAGIC.decode()}: let the version that wrote it run until all is stored, then move "
                f"{folder} away; or use another DATA_DIR"
            )


def format_of(path: Path) -> str:
    """Return what the segment at *path* has of another version; "" where it is ours, damaged or gone."""
    try:
        with path.open("rb") as file:
            head = file.read(SEGMENT_HEADER_BYTES + _HEAD.size)
            magic, group = head[:4], head[SEGMENT_HEADER_BYTES:]
            if _is_other(magic, SEGMENT_MAGIC) and not _is_our_header(head):
                return f"the segment format {magic.decode('ascii', 'replace')}"
            if len(group) < _HEAD.size:
                return ""
            length = min(_HEAD.unpack(group)[2], MAX_GROUP_BYTES)
            file.seek(SEGMENT_HEADER_BYTES)
            data = file.read(HEADER_BYTES + length)
    except FileNotFoundError:
        return ""
    if _is_right(data, HEADER_BYTES):
        return ""
    if _is_other(data[:4], MAGIC):
        return f"the group format {data[:4].decode('ascii', 'replace')}"
    is_clockless = data[:4] == MAGIC and _is_right(data, _CLOCKLESS_HEADER_BYTES)
    return "groups without a clock" if is_clockless else ""


def _is_other(found: bytes, ours: bytes) -> bool:
    """Say whether *found* is the magic number of another version of what *ours* begins."""
    return len(found) == len(ours) and found[:-1] == ours[:-1] and found[-1:].isalnum() and found != ours


def _is_our_header(head: bytes) -> bool:
    """Say whether *head* is our segment's header but for its first bytes, which are then damaged."""
    try:
        unpack_segment_header(SEGMENT_MAGIC + head[len(SEGMENT_MAGIC) : SEGMENT_HEADER_BYTES])
    except Corrupt:
        return False
    return True


def _is_right(data: bytes, header_bytes: int) -> bool:
    """Say whether a group with so long a header begins *data*, whatever its magic number."""
    _, crc, length = _HEAD.unpack_from(data)
    end = header_bytes + length
    return len(data) >= end and bool(google_crc32c.value(data[_CHECKED_FROM:end]) == crc)
