"""A document of the wire becomes BSON and comes back unchanged, or is refused with a reason."""

from typing import Any

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.documents import READING, Unstorable, block_id, from_bson, part_of, to_bson
from wire.messages import Document

int64 = st.integers(-(2**63), 2**63 - 1)
moments = st.integers(0, 4_102_444_800_000_000_000)
names = st.text("abcdefgh_", min_size=1, max_size=6).filter(lambda n: not n.endswith("_ns") and n != "start")
plain = st.none() | st.booleans() | int64 | st.text("aé€", max_size=3) | st.binary(max_size=3)
values = plain | st.lists(plain, max_size=3) | st.dictionaries(names, plain, max_size=2)


def document(**fields: Any) -> Document:
    return Document("changes", "v:S|changes|10", "v:S", 10_000_000_000, 3, fields, "")


@given(st.dictionaries(names, values, max_size=5), st.dictionaries(names, moments, max_size=3))
def test_a_document_comes_back_as_it_was_stored(fields: dict[str, Any], times: dict[str, int]) -> None:
    dates = {f"{name}_ns": moment for name, moment in times.items() if name not in fields}
    whole = document(**fields, **dates)
    assert from_bson("changes", bson.decode(to_bson(whole), READING)) == whole


def test_the_stored_form_is_readable_in_any_mongo_shell() -> None:
    stored = bson.decode(to_bson(document(end_ns=20_000_000_000, rows=2, body=b"\0\1")))
    assert {name: str(value) for name, value in stored.items()} == {
        "_id": "v:S|changes|10",
        "security": "v:S",
        "start": "1970-01-01 00:00:10",
        "covered": "3",
        "end": "1970-01-01 00:00:20",
        "rows": "2",
        "body": "b'\\x00\\x01'",
    }


def test_a_date_that_would_lose_digits_keeps_them_beside_it() -> None:
    stored = bson.decode(to_bson(document(seen_ns=1_000_000_001)), READING)
    assert (int(stored["seen"]), stored["seen_ns"]) == (1000, 1_000_000_001)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"rows": 2**63}, "no BSON"),
        ({"rows": {1}}, "no BSON"),
        ({"_id": "other"}, "store's own"),
        ({"end_ns": "noon"}, "no time"),
        ({"body": bytes(17 * 1024 * 1024)}, "at most"),
    ],
)
def test_what_no_database_can_keep_is_refused_with_the_reason(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unstorable, match=reason):
        to_bson(document(**fields))


def test_a_document_for_no_collection_of_ours_is_refused() -> None:
    with pytest.raises(Unstorable, match="no collection 'system"):
        to_bson(Document("system.users", "i", "v:S", 0, 1, {}, ""))


def test_ids_of_parts_tell_their_number() -> None:
    assert [part_of(block_id("v:S", "changes", 0, part)) for part in (1, 2, 31)] == [1, 2, 31]
