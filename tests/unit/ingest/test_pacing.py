"""Nothing is sent faster than the venue allows, and what matters most goes first."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.pacing import MOST_WAITING, Outgoing, Pacer

GAP = 250


@given(st.lists(st.tuples(st.integers(0, 400), st.sampled_from(["text", "ping", "pong", ""])), max_size=60))
def test_two_frames_are_never_closer_than_the_gap(steps: list[tuple[int, str]]) -> None:
    pacer, now, sent = Pacer(GAP), 0, []
    for wait, what in steps:
        now += wait
        match what:
            case "text":
                pacer.text(b"t")
            case "ping":
                pacer.ping()
            case "pong":
                pacer.pong(b"p")
        if pacer.due(now) is not None:
            sent.append(now)
    assert all(b - a >= GAP for a, b in pairwise(sent))


@given(st.lists(st.binary(min_size=1, max_size=3), max_size=20))
def test_every_text_is_sent_in_order(texts: list[bytes]) -> None:
    pacer = Pacer(GAP)
    for text in texts:
        pacer.text(text)
    assert [pacer.due(i * GAP) for i in range(len(texts))] == [Outgoing("text", t) for t in texts]
    assert pacer.empty()


def test_a_pong_goes_before_a_ping_before_texts_and_answers_only_the_newest_ping() -> None:
    pacer = Pacer(GAP)
    pacer.text(b"subscribe")
    pacer.ping()
    pacer.pong(b"old")
    pacer.pong(b"new")
    found = [pacer.due(i * GAP) for i in range(4)]
    assert found == [Outgoing("pong", b"new"), Outgoing("ping", b""), Outgoing("text", b"subscribe"), None]


def test_the_queue_is_bounded() -> None:
    pacer = Pacer(GAP)
    for _ in range(MOST_WAITING):
        pacer.text(b"x")
    with pytest.raises(OverflowError):
        pacer.text(b"x")
