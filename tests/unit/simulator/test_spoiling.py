"""Frames that look right at their beginning and are not."""

import json

import pytest

from tests.simulator.connection import Faults
from tests.simulator.spoiling import SPOILT
from venue import binance
from venue.api import UnknownFrame

FRAME = (
    b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1795000000123,"s":"BTCUSDT","t":7,"p":"63550.06000000",'
    b'"q":"0.50000000","T":1795000000123,"m":true,"M":true}}'
)


@pytest.mark.parametrize("how", sorted(SPOILT))
def test_a_spoilt_trade_is_none(how: str) -> None:
    binance.decode(FRAME, "depth")
    with pytest.raises(UnknownFrame):
        binance.decode(SPOILT[how](FRAME), "depth")


def test_impossible_numbers_leave_the_rest_of_the_frame_right() -> None:
    assert json.loads(SPOILT["nan"](FRAME))["data"] | {"p": 0} == json.loads(FRAME)["data"] | {"p": 0}
    assert json.loads(SPOILT["negative"](FRAME))["data"]["q"] == "-1"


def test_as_many_frames_are_spoilt_as_were_ordered_and_hold_the_text() -> None:
    faults = Faults(spoil=1, spoil_how="nan", match=b"btcusdt@trade")
    other = b'{"stream":"ethusdt@trade","p":"1.0"}'
    numberless = b'{"stream":"btcusdt@trade"}'
    assert [faults.spoilt(each) for each in (other, numberless)] == [other, numberless]
    assert faults.pending == 1
    assert faults.spoilt(FRAME) != FRAME
    assert faults.spoilt(FRAME) == FRAME
