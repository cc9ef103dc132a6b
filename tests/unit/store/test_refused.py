"""A refused document is kept as a file that says why."""

from pathlib import Path

import bson
import pytest

from store.documents import to_bson
from store.refused import file_name, keep
from store.waiting import Entry
from wire.messages import Document, unpack

DOCUMENT = Document("changes", "v:S|changes|10", "v:S", 10_000_000_000, 3, {"rows": 1}, "")


def test_the_file_holds_what_would_have_been_stored_and_the_reason(tmp_path: Path) -> None:
    path = keep(tmp_path / "refused", Entry(DOCUMENT, to_bson(DOCUMENT)), "too large")
    assert bson.decode(path.read_bytes())["_id"] == "v:S|changes|10"
    assert path.with_suffix(".txt").read_text() == "too large\n"
    assert keep(tmp_path / "refused", Entry(DOCUMENT, to_bson(DOCUMENT)), "again") == path


def test_what_has_no_bson_is_kept_as_the_message(tmp_path: Path) -> None:
    path = keep(tmp_path, Entry(DOCUMENT, b""), "no BSON")
    assert unpack(path.read_bytes()) == DOCUMENT


@pytest.mark.parametrize("identity", ["../../etc/passwd", "a/b\0c", "x" * 60, "é|"])
def test_no_id_leaves_the_folder(identity: str, tmp_path: Path) -> None:
    assert (tmp_path / file_name(identity, 1)).parent == tmp_path
    assert "/" not in file_name(identity, 1)
    assert "\0" not in file_name(identity, 1)
