"""Reads a document of the original logger, by whichever of its versions it was written; pure.

The sums of trades come apart into trades again, so that what they come to is the same (docs/original.md):
each significant one as it was, and of what is left as many as it takes for none to be significant.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal, localcontext
from typing import Any, NamedTuple

from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128

from store.original import SIGNIFICANT, decimal_of, decimals_of
from store.times import BadTime, moment
from venue.decimals import MAX_SCALE

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000

MOST_PIECES = 100_000
"""Of one sum: 1,000,000,000 at one price in one document is no sum of insignificant trades."""

_DIGITS = 60
"""More than any product of two stored numbers has."""

_SIDES = ("bought", "sold")

_EXACT_ID = re.compile(r"(\d{1,16})\.(\d{6})(?:snapshot|update)(?:-\d{9})?", re.ASCII)

Level = tuple[str, str]
Traded = tuple[int, str, str]
"""Side (0 bought, 1 sold), price and size."""


class BadOriginal(ValueError):
    """It is no document of the original logger; the text says why."""


class Old(NamedTuple):
    """What one document says."""

    is_snapshot: bool
    moment_ns: int
    symbol: str
    bids: list[Level]
    """Best first."""
    asks: list[Level]
    trades: list[Traded]
    unplaced: int
    """Significant trades that are in none of the sums: they are left out."""


def read(document: Mapping[str, Any], significant: int = SIGNIFICANT) -> Old:
    """Return what *document* says.

    Raises:
        BadOriginal: a field is missing, or holds what it cannot.
    """
    with localcontext() as context:
        context.prec = _DIGITS
        try:
            book = document["orberbook"]
            sums = {
                (side, _snapped(price)): _amount(size)
                for side, name in enumerate(_SIDES)
                for price, size in document["trades"][name].items()
            }
            events = list(_events(document.get("significantTradeEvents") or ()))
            sides = document.get("significantTradeSides") or ()
            trades, unplaced = _apart(sums, events, sides, significant)
            return Old(
                _is_snapshot(document["type"]),
                _moment(document),
                str(document["symbol"]),
                _levels(book["bids"], best_first=-1),
                _levels(book["asks"], best_first=1),
                trades,
                unplaced,
            )
        except BadOriginal as error:
            raise BadOriginal(f"the document {document.get('_id')!r}: {error}") from error
        except (KeyError, TypeError, AttributeError, ValueError, ArithmeticError, IndexError) as error:
            why = f"has no {error}" if isinstance(error, KeyError) else f"cannot be read ({error})"
            raise BadOriginal(f"the document {document.get('_id')!r} {why}") from error


def _is_snapshot(kind: object) -> bool:
    if kind not in ("snapshot", "update"):
        raise BadOriginal(f"its type is {kind!r}")
    return kind == "snapshot"


def _moment(document: Mapping[str, Any]) -> int:
    """Return when it holds: from its ``_id`` where that is exact, else its date.

    The original's ``timestamp`` is wrong by its host's zone.
    """
    exact = _EXACT_ID.fullmatch(str(document.get("_id")))
    if exact is not None:
        return int(exact[1]) * NS_PER_MS + int(exact[2])
    date = document["DateTime"]
    try:
        found = int(date) * NS_PER_MS if isinstance(date, DatetimeMS) else moment(_plain(date))
    except BadTime as error:
        raise BadOriginal(str(error)) from error
    if found is None or found <= 0:
        raise BadOriginal(f"its DateTime is {date!r}")
    return found


def _plain(date: Any) -> str | datetime:
    return date if isinstance(date, datetime) else str(date)


def _levels(side: Mapping[str, Any], best_first: int) -> list[Level]:
    """Return a side of the book, every price in one spelling, once."""
    sizes = {_price(price): _amount(size) for price, size in side.items()}
    return [(_text(price), _text(sizes[price])) for price in sorted(sizes, key=lambda at: best_first * at)]


def _price(given: Any) -> Decimal:
    price = Decimal(str(given))
    if not price.is_finite() or price <= 0:
        raise BadOriginal(f"a price is {given!r}")
    return price


def _snapped(given: Any) -> Decimal:
    """Return the price of a group, without what the original's doubles were wrong by."""
    price = _price(given)
    step = Decimal(10) ** -decimals_of(int(price.scaleb(MAX_SCALE)), MAX_SCALE)
    snapped = price.quantize(step)
    return (snapped if abs(snapped - price) * 1000 <= step else price).normalize()


def _amount(given: Any) -> Decimal:
    if isinstance(given, float):
        size = decimal_of(given)
    elif isinstance(given, Decimal128):
        size = given.to_decimal()
    else:
        size = Decimal(str(given))
    if not size.is_finite() or size < 0:
        raise BadOriginal(f"a size is {given!r}")
    return size


def _text(number: Decimal) -> str:
    return f"{number.normalize():f}"


def _events(given: Sequence[Any]) -> Iterator[tuple[Decimal, Decimal]]:
    """Yield price and size of the significant trades: pairs, maps, or one after the other."""
    flat: list[Any] = []
    for each in given:
        if isinstance(each, Mapping):
            flat += [part for pair in each.items() for part in pair]
        elif isinstance(each, list | tuple):
            flat += each
        else:
            flat.append(each)
    for price, size in zip(flat[0::2], flat[1::2], strict=True):
        yield _price(price), _amount(size)


def _apart(
    sums: dict[tuple[int, Decimal], Decimal],
    events: list[tuple[Decimal, Decimal]],
    sides: Sequence[str],
    significant: int,
) -> tuple[list[Traded], int]:
    """Return trades that come to *sums*, the significant *events* among them.

    The original did not say on which side those were (here *sides* does): then it is where more was traded.
    """
    trades: list[Traded] = []
    unplaced = 0
    for number, (price, size) in enumerate(events):
        group = _group(price)
        named = [_SIDES.index(sides[number])] if number < len(sides) else [0, 1]
        side = max(named, key=lambda side: sums.get((side, group), Decimal(0)))
        if not 0 < size <= sums.get((side, group), Decimal(0)):
            unplaced += 1
            continue
        sums[side, group] -= size
        trades.append((side, _text(price), _text(size)))
    for (side, price), left in sums.items():
        trades += ((side, _text(price), _text(size)) for size in _pieces(price, left, significant))
    return trades, unplaced


def _group(price: Decimal) -> Decimal:
    units = int(price.scaleb(MAX_SCALE))
    by = 10 ** (MAX_SCALE - decimals_of(units, MAX_SCALE))
    return Decimal(-(-units // by) * by).scaleb(-MAX_SCALE).normalize()


def _pieces(price: Decimal, left: Decimal, significant: int) -> Iterator[Decimal]:
    """Yield sizes that come to *left*, none of which is significant at *price*."""
    if not left:
        return
    if price * left < significant:
        yield left
        return
    exponent = left.normalize().as_tuple().exponent
    decimals = max(0, -exponent if isinstance(exponent, int) else 0)
    most = Decimal(0)
    while not most:
        unit = Decimal(1).scaleb(-decimals)
        most = (significant / price).quantize(unit, ROUND_FLOOR)
        most -= unit if most * price >= significant else 0
        decimals += 1
        if decimals > MAX_SCALE + 1:
            raise BadOriginal(f"a group at {price} is beyond what can be stored")
    if left / most > MOST_PIECES:
        raise BadOriginal(f"{left} traded at {price} in one document cannot be")
    while left > most:
        yield most
        left -= most
    yield left
