"""Frames that are read together come to what they come to one by one, of one security or of several."""

import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from book import reading
from journal.group import Kind
from tests.journaled import Journal
from tests.unit.book.play import NAME, play
from tests.unit.book.test_any_journal import RECIPE, Told, renamed, step
from venue import binance
from wire.messages import RunMessage
from wire.names import EVERY_SECURITY

OTHER = "binance:YUSDT"


def usual(frame: bytes) -> bytes:
    """Return *frame* with eight decimals, as Binance writes it."""
    return re.sub(
        rb'"([0-9]+)(?:\.([0-9]+))?"', lambda m: b'"%b.%b"' % (m[1], (m[2] or b"").ljust(8, b"0")), frame
    )


class Twins(Journal):
    """Tells of a second security what it is told of the first."""

    def frame(self, recv_ns: int, security: str, payload: bytes, connection: int = 1) -> None:
        """Add a frame of each."""
        super().frame(recv_ns, security, usual(payload), connection)
        other = usual(payload).replace(b"XUSDT", b"YUSDT").replace(b"xusdt", b"yusdt")
        super().frame(recv_ns, OTHER, other, connection)

    def other(
        self,
        kind: Kind,
        recv_ns: int,
        security: str = EVERY_SECURITY,
        payload: bytes = b"",
        connection: int = 0,
    ) -> None:
        """Add a record of each."""
        super().other(kind, recv_ns, security, payload, connection)
        if security == NAME:
            super().other(kind, recv_ns, OTHER, payload, connection)


def groups_of(steps: Sequence[Any], per_group: int, *, twins: bool) -> list[bytes]:
    told = Told(per_group, Twins if twins else Journal)
    if not twins:
        plain = told.journal.frame
        told.journal.frame = lambda at, name, frame, connection=1: plain(at, name, usual(frame), connection)  # type: ignore[method-assign]
    return told.tell(renamed(steps))


def said_of(groups: Sequence[bytes], few: int) -> list[RunMessage]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "FEW_FRAMES", few)
        return play(groups, RECIPE)[1]


@settings(max_examples=150, deadline=None)
@given(st.lists(step, max_size=40), st.sampled_from([1, 3, 16]))
def test_frames_read_together_say_what_they_say_one_by_one(steps: list[Any], per_group: int) -> None:
    groups = groups_of(steps, per_group, twins=False)
    assert said_of(groups, 1) == said_of(groups, 1 << 30)


@settings(max_examples=50, deadline=None)
@given(st.lists(step, max_size=40), st.sampled_from([4, 16]))
def test_so_do_frames_of_two_securities(steps: list[Any], per_group: int) -> None:
    groups = groups_of(steps, per_group, twins=True)
    assert said_of(groups, 1) == said_of(groups, 1 << 30)


def test_usual_frames_are_read_together() -> None:
    told = Told(1)
    frame = told.market.update(0, 0, "9.5", "2", 1)
    assert binance.columns([frame], "depth") is None
    assert binance.columns([usual(frame)], "depth") is not None
