"""The documents of the original logger, made of what the archive answers with; pure (docs/original.md).

event                              document
the book at the start, or after    what is open as an ``update``, dated by its last row; then a ``snapshot``:
a hole                             the whole book, with the trades of its interval before it
changes of levels                  go into the ``update`` of their interval: ``(k N, (k+1) N]``, dated
                                   ``(k+1) N``; with N = 0 each is an ``update`` of its own
a trade                            goes into the next document that is not earlier
the end                            what is open, dated by its interval's end, or by its last row where that
                                   lies outside what was asked for

Trades are grouped by side and by price, rounded up to the step of the price (``decimals_of``); those worth
``SIGNIFICANT`` or more are also named one by one.  All sums are exact integers.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import ulp
from typing import Any

from bson.decimal128 import Decimal128

from store.answers import Answer, Book, Changes, Gap, Trades
from store.leveled import leveled
from store.timeline import Timed, by_time
from venue.decimals import MAX_SCALE, text
from wire.names import symbol_of

SIGNIFICANT = 10_000
"""Price times size, in quote currency, from which the original named a trade by itself."""

EVERY_MS = 1000
"""The original's ORDERBOOK_UPDATEFREQUENCY."""

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000

Row = tuple[str, Any]
"""What happened: ``book``, ``levels``, ``trade`` or ``gap``, and its content."""

_SIDES = ("bought", "sold")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DECIMALS = ((4, 0), (3, 1), (2, 3), (1, 4), (0, 5), (-1, 6), (-2, 7))
"""Above 10**n a step has so many decimals; that of a price up to 0.01 has ``_FINEST``."""
_FINEST = 8
_EXCHANGE_DECIMALS = Decimal("1e-8")
"""No size or price of the original's exchange is finer."""
_NOISE_ULPS = 8
"""What a few sums of doubles are wrong by."""


def decimals_of(price: int, scale: int) -> int:
    """Return the decimals of the step that trades at *price* are grouped by.

    >>> [decimals_of(price, 0) for price in (10_001, 10_000, 101, 11, 2, 1)]
    [0, 1, 3, 4, 5, 6]
    """
    for exponent, decimals in _DECIMALS:
        power = exponent + scale
        if price > (10**power if power >= 0 else 0):
            return decimals
    return _FINEST


def grouped(price: int, scale: int) -> str:
    """Return the price of the group of *price*: rounded up to its step.

    >>> grouped(6355001, 2), grouped(6355000, 2), grouped(123456, 4)
    ('63551', '63550', '12.3456')
    """
    decimals = decimals_of(price, scale)
    if decimals >= scale:
        return text(price, scale)
    return text(-(-price // 10 ** (scale - decimals)), decimals)


def number(exact: str) -> float | Decimal128:
    """Return the decimal text as the original stored numbers: a double; Decimal128 where one would lose.

    >>> number("0.25"), number("9007199254740993.123")
    (0.25, Decimal128('9007199254740993.123'))
    """
    double = float(exact)
    value = Decimal(exact)
    return double if decimal_of(double) == value else Decimal128(value)


def decimal_of(double: float) -> Decimal:
    """Return the decimal that *double* was meant to be: what a sum of doubles is wrong by is taken off.

    >>> decimal_of(0.1 + 0.2)
    Decimal('0.3')
    """
    shortest = Decimal(repr(double))
    if not shortest.is_finite() or abs(shortest) >= 10**18:
        return shortest
    rounded = shortest.quantize(_EXCHANGE_DECIMALS)
    return rounded.normalize() if abs(rounded - shortest) <= _NOISE_ULPS * Decimal(ulp(double)) else shortest


def documents(
    security: str,
    answers: Iterable[Answer],
    *,
    end_ns: int,
    every_ms: int = EVERY_MS,
    significant: int = SIGNIFICANT,
) -> Iterator[dict[str, Any]]:
    """Yield the documents of *answers*, which are Archive.replay's with trades, up to *end_ns*."""
    writer = _Writer(symbol_of(security).lower(), every_ms * NS_PER_MS, significant)
    for moment_ns, (what, content) in by_time(leveled(answers), _rows, trades_first=True):
        match what:
            case "book":
                yield from writer.book(moment_ns, content)
            case "levels":
                yield from writer.levels(moment_ns, *content)
            case "trade":
                yield from writer.trade(moment_ns, *content)
            case _:
                yield from writer.flush()
    yield from writer.finish(end_ns)


def _rows(answer: Answer) -> Iterator[Timed[Row]]:
    match answer:
        case Book():
            yield answer.effective_ns, ("book", answer)
        case Changes():
            yield from _levels(answer)
        case Trades():
            rows = answer.rows
            columns = (rows.effective_ns, rows.sides, rows.prices, rows.sizes)
            for moment_ns, *trade in zip(*(column.tolist() for column in columns), strict=True):
                yield moment_ns, ("trade", (*trade, answer.price_scale, answer.size_scale))
        case Gap():
            if answer.feed != "trades":
                yield answer.until_ns, ("gap", None)
        case _:
            raise TypeError("order events are to come as changes of levels")


def _levels(answer: Changes) -> Iterator[Timed[Row]]:
    rows, begin = answer.rows, 0
    prices = [text(price, answer.price_scale) for price in rows.prices.tolist()]
    sizes = [text(size, answer.size_scale) for size in rows.sizes.tolist()]
    counts = zip(answer.visible_ns.tolist(), rows.bid_counts.tolist(), rows.ask_counts.tolist(), strict=True)
    for moment_ns, bids, asks in counts:
        middle, end = begin + bids, begin + bids + asks
        sides = tuple(
            dict(zip(prices[low:high], sizes[low:high], strict=True))
            for low, high in ((begin, middle), (middle, end))
        )
        yield moment_ns, ("levels", sides)
        begin = end


class _Writer:
    """The open document, and how many there were at one moment."""

    def __init__(self, symbol: str, every_ns: int, significant: int) -> None:
        self._symbol = symbol
        self._every_ns = every_ns
        self._significant = significant
        self._bids: dict[str, str] = {}
        self._asks: dict[str, str] = {}
        self._traded: tuple[dict[str, int], dict[str, int]] = ({}, {})
        """Of each side the sums, in units of 10**-18."""
        self._events: list[list[Any]] = []
        self._event_sides: list[str] = []
        self._has_levels = self._has_trades = False
        self._last_ns = 0
        """Of the newest row in it."""
        self._end_ns = 0
        """Of its interval."""
        self._written: tuple[str, int] = ("", 0)

    def book(self, moment_ns: int, book: Book) -> Iterator[dict[str, Any]]:
        """Write the whole book."""
        moment_ns = max(moment_ns, self._last_ns)
        if self._has_levels or self._end_ns < moment_ns:
            yield from self.flush()
        self._bids, self._asks = (
            {text(price, book.price_scale): text(size, book.size_scale) for price, size in side.tolist()}
            for side in (book.bids, book.asks)
        )
        self._last_ns = self._end_ns = moment_ns
        yield self._document("snapshot", moment_ns)

    def levels(self, moment_ns: int, bids: dict[str, str], asks: dict[str, str]) -> Iterator[dict[str, Any]]:
        """Take changes of levels."""
        yield from self._enter(moment_ns)
        self._bids |= bids
        self._asks |= asks
        self._has_levels = True
        if not self._every_ns:
            yield from self.flush()

    def trade(
        self, moment_ns: int, side: int, price: int, size: int, price_scale: int, size_scale: int
    ) -> Iterator[dict[str, Any]]:
        """Take a trade."""
        yield from self._enter(moment_ns)
        group, sums = grouped(price, price_scale), self._traded[side]
        sums[group] = sums.get(group, 0) + size * 10 ** (MAX_SCALE - size_scale)
        if price * size >= self._significant * 10 ** (price_scale + size_scale):
            self._events.append([text(price, price_scale), number(text(size, size_scale))])
            self._event_sides.append(_SIDES[side])
        self._has_trades = True

    def flush(self) -> Iterator[dict[str, Any]]:
        """Write what is open, dated by its newest row."""
        if self._has_levels or self._has_trades:
            yield self._document("update", self._last_ns)

    def finish(self, end_ns: int) -> Iterator[dict[str, Any]]:
        """Write what is open at the end of the range."""
        if self._every_ns and self._end_ns < end_ns:
            self._last_ns = self._end_ns
        yield from self.flush()

    def _enter(self, moment_ns: int) -> Iterator[dict[str, Any]]:
        """Go on to *moment_ns*, having written the interval that ended before it."""
        moment_ns = max(moment_ns, self._last_ns)
        if self._every_ns:
            end_ns = -(-moment_ns // self._every_ns) * self._every_ns
            if end_ns != self._end_ns and (self._has_levels or self._has_trades):
                yield self._document("update", self._end_ns)
            self._end_ns = end_ns
        self._last_ns = moment_ns

    def _document(self, kind: str, moment_ns: int) -> dict[str, Any]:
        made = {
            "_id": self._identity(kind, moment_ns),
            "type": kind,
            "DateTime": _EPOCH + timedelta(milliseconds=moment_ns // NS_PER_MS),
            "timestamp": moment_ns / NS_PER_S,
            "symbol": self._symbol,
            "trades": {
                name: {price: number(text(sums[price], MAX_SCALE)) for price in sorted(sums, key=Decimal)}
                for name, sums in zip(_SIDES, self._traded, strict=True)
            },
            "orberbook": {
                "asks": {price: number(self._asks[price]) for price in sorted(self._asks, key=Decimal)},
                "bids": {
                    price: number(self._bids[price])
                    for price in sorted(self._bids, key=Decimal, reverse=True)
                },
            },
        }
        if self._events:
            made |= {"significantTradeEvents": self._events, "significantTradeSides": self._event_sides}
        self._bids, self._asks, self._traded = {}, {}, ({}, {})
        self._events, self._event_sides = [], []
        self._has_levels = self._has_trades = False
        return made

    def _identity(self, kind: str, moment_ns: int) -> str:
        """Return an ``_id`` with the exact moment, that sorts as the documents follow one another.

        A snapshot right after an update of the same moment is a nanosecond later.
        """
        before, count = self._written
        name = _named(kind, moment_ns)
        if name < before:
            name = _named(kind, moment_ns + 1)
        count = count + 1 if name == before else 0
        self._written = name, count
        return f"{name}-{count:09d}" if count else name


def _named(kind: str, moment_ns: int) -> str:
    return f"{moment_ns // NS_PER_MS}.{moment_ns % NS_PER_MS:06d}{kind}"
