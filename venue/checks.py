"""What both venues check of what they decode, and how a decoded message is routed."""

import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation

import msgspec

from venue.api import (
    BookSnapshot,
    Decoded,
    DepthUpdate,
    Ignored,
    Level,
    OrderEvent,
    Route,
    Trade,
    UnknownFrame,
)
from venue.decimals import BadNumber, is_number
from venue.times import BadTime

GARBAGE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, BadNumber, BadTime)
"""What decoding bytes that the venue never sends can raise: each becomes UnknownFrame."""

_LOW_PRICE = re.compile(rb'\["[0".]').search
"""A first text that begins with 0, or is empty, in JSON without spaces."""

_LONGEST_INTEGER = 40
"""Characters; a 64-bit number written as a float with some zeros has fewer."""

_LINE = 300
"""Characters of a venue's own words that are worth a line of a log."""


def check_number(text: str, *, above_zero: bool = False) -> None:
    """Check one number of a message that is not a level.

    Raises:
        UnknownFrame: not a finite decimal number, or zero where that cannot be.
    """
    if not is_number(text) or (above_zero and not text.strip("0.")):
        raise UnknownFrame(f"a value that cannot be true: {text[:40]!r}")


def check_texts(*, prices: Iterable[str | None], sizes: Iterable[str | None]) -> None:
    """Check the numbers of an order event; None stands where the venue gave none.

    Raises:
        UnknownFrame: as ``check_number``.
    """
    for price in prices:
        if price is not None:
            check_number(price, above_zero=True)
    for size in sizes:
        if size is not None:
            check_number(size)


def check_prices(raw: bytes, *sides: Iterable[Level]) -> None:
    """Check that no level of the JSON *raw*, decoded to *sides*, has the price zero.

    Each is looked at only where a level begins with 0, or the JSON is written in an unusual way.

    Raises:
        UnknownFrame: a price is zero, or no text at all.
    """
    if _LOW_PRICE(raw) or b"\\" in raw or len(raw.split(None, 1)) > 1:
        refuse_zero_prices(*sides)


def refuse_zero_prices(*sides: Iterable[Level]) -> None:
    """Check each level of *sides*.

    Raises:
        UnknownFrame: a price is zero, or no text at all.
    """
    for levels in sides:
        for price, _ in levels:
            if not price.strip("0."):
                raise UnknownFrame(f"a price that cannot be true: {price[:40]!r}")


def order_uuid(text: str) -> bytes:
    """Return the 16 bytes of an order's UUID.

    Raises:
        UnknownFrame: not one, written as the venue does: ``d50ec984-77a8-460a-b958-66f114b0de9b``.
    """
    if len(text) == 36 and text[8] == text[13] == text[18] == text[23] == "-":
        try:
            order_id = bytes.fromhex(text.replace("-", ""))
        except ValueError:
            order_id = b""
        if len(order_id) == 16:
            return order_id
    raise UnknownFrame(f"not an order's id: {text[:40]!r}")


def integer(raw: bytes) -> int:
    """Return the integer that a JSON number or its text is, though it be written ``1.3e10`` or ``5.0``.

    Raises:
        UnknownFrame: no integer of 0 to 2**63 - 1.
    """
    text = raw.decode("ascii", "replace").strip().strip('"')
    try:
        number = Decimal(text) if len(text) <= _LONGEST_INTEGER else Decimal("NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    # adjusted() first: int(Decimal("1e999999")) would take all memory
    if not number.is_finite() or number.adjusted() > 18 or number != int(number) or not 0 <= number < 2**63:
        raise UnknownFrame(f"not an integer: {text[:40]!r}")
    return int(number)


def one_line(said: str) -> str:
    """Return what a venue said as one printable line of bounded length."""
    return "".join(c if c.isprintable() else " " for c in said[:_LINE])


def route_of(message: Decoded) -> Route:
    """Return the route of a message that was decoded in full."""
    match message:
        case DepthUpdate(symbol=symbol, first_id=first_id, last_id=last_id):
            return Route(symbol, "book", first_id, last_id)
        case OrderEvent(symbol=symbol, id=sequence):
            return Route(symbol, "book", sequence, sequence)
        case Trade(symbol=symbol, id=trade_id):
            return Route(symbol, "trade", trade_id, trade_id)
        case BookSnapshot(symbol=symbol):
            return Route(symbol, "snapshot")
        case Ignored(symbol=symbol, why="heartbeat"):
            return Route(symbol, "heartbeat")
        case Ignored():
            return Route("", "control")
