"""A message comes out of its bytes as it went in, and bytes that are none are one typed error."""

from contextlib import suppress
from typing import Any, get_args

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.messages import (
    Answer,
    BadMessage,
    Beat,
    Desired,
    Message,
    Policy,
    Synced,
    Wanted,
    pack,
    pack_all,
    unpack,
    unpack_all,
)
from wire.runs import Cut

int64 = st.integers(-(2**63), 2**63 - 1)
plain = st.recursive(
    st.none() | st.booleans() | int64 | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=5),
    max_leaves=10,
)
policies = st.builds(Policy, int64, int64, int64)
samples: st.SearchStrategy[Any] = st.one_of(
    st.builds(Synced, st.text(), int64),
    st.builds(
        Desired,
        int64,
        st.lists(st.builds(Wanted, st.text(), st.tuples(policies), int64), max_size=3).map(tuple),
    ),
    st.builds(
        Cut,
        *(st.text(), int64, int64, st.dictionaries(st.text(), int64), st.text(), int64),
        st.tuples(st.tuples(int64, int64, st.none() | int64, st.binary())),
        *(int64, st.booleans()),
    ),
    st.builds(Answer, refused=st.tuples(st.tuples(st.text(), int64, st.text()))),
    st.builds(Beat, st.text(), int64, int64, st.dictionaries(st.text(), plain, max_size=3)),
)


@given(samples)
def test_a_message_comes_out_as_it_went_in(message: Message) -> None:
    assert unpack(pack(message)) == message


@given(st.lists(samples, max_size=4))
def test_a_batch_comes_out_as_it_went_in(messages: list[Message]) -> None:
    assert unpack_all(pack_all(messages)) == messages


def test_the_bytes_never_change() -> None:
    assert (
        pack(Synced("binance/a", 1 << 40)).hex() == "93a673796e636564a962696e616e63652f61cf0000010000000000"
    )


def test_every_class_has_a_tag_of_its_own() -> None:
    tags = [each.__struct_config__.tag for each in get_args(Message)]
    assert None not in tags
    assert len(set(tags)) == len(tags)


@given(st.binary() | plain.map(msgpack.packb))
def test_garbage_is_one_typed_error(data: bytes) -> None:
    with suppress(BadMessage):
        unpack(data)
    with suppress(BadMessage):
        unpack_all(data)


def test_a_message_of_a_later_version_is_said() -> None:
    with pytest.raises(BadMessage):
        unpack(msgpack.packb(["unheard-of", 1]))
