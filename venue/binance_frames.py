"""What Binance's frames are made of, for those who read one and those who read many."""

from typing import Annotated, Literal

import msgspec

from venue.times import LAST_MS

LARGEST_ID = 2**63 - 1

Id = Annotated[int, msgspec.Meta(ge=0, le=LARGEST_ID)]
Ms = Annotated[int, msgspec.Meta(ge=0, le=LAST_MS)]
Symbol = Annotated[str, msgspec.Meta(min_length=1)]

KIND_WITHIN = 160
"""The type stands behind the stream's name; a frame that has it later is decoded the slow way."""


class TradeData(msgspec.Struct, gc=False):
    """A trade as the venue names its fields."""

    e: Literal["trade"]
    s: Symbol
    t: Id
    p: str
    q: str
    T: Ms
    m: bool


class TradeFrame(msgspec.Struct, gc=False):
    """A trade in its stream."""

    stream: str
    data: TradeData
