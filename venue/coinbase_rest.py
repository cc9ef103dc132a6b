"""Coinbase Exchange's REST interface: books, products and trades (protocols.md 2.9)."""

from collections.abc import Sequence
from typing import Annotated, Literal
from urllib.parse import quote, urlencode

import msgspec

from venue.api import (
    Instrument,
    OrderRow,
    OrderSnapshot,
    RestRequest,
    Side,
    Trade,
    UnknownFrame,
)
from venue.checks import GARBAGE, check_number, check_prices, integer, one_line, order_uuid
from venue.decimals import scale_of
from venue.times import nanoseconds

_VENUE = "coinbase"
_TRADES_LIMIT = 1000
_Symbol = Annotated[str, msgspec.Meta(min_length=1)]
_Id = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _Book(msgspec.Struct):
    sequence: msgspec.Raw
    bids: list[tuple[str, str, str]]
    asks: list[tuple[str, str, str]]
    auction_mode: bool = False


class _Product(msgspec.Struct):
    id: _Symbol
    quote_increment: str
    base_increment: str
    status: str
    trading_disabled: bool = False
    cancel_only: bool = False
    auction_mode: bool = False


class _RestTrade(msgspec.Struct):
    trade_id: _Id
    side: Literal["buy", "sell"]
    price: str
    size: str
    time: str


class _Failure(msgspec.Struct):
    message: str


_book = msgspec.json.Decoder(_Book)
_products = msgspec.json.Decoder(_Product | list[_Product])
_rest_trades = msgspec.json.Decoder(list[_RestTrade])
_failure = msgspec.json.Decoder(_Failure)


def snapshot_request(symbol: str, feed: str, levels: int) -> RestRequest:  # noqa: ARG001 - always all
    """Return the request for all orders; the ``level2_batch`` feed brings its own snapshot."""
    if feed != "full":
        raise ValueError(f"{_VENUE} {feed} begins with a snapshot of its own: there is nothing to ask for")
    return RestRequest(f"/products/{quote(symbol, safe='')}/book?level=3", 1)


def snapshot(symbol: str, feed: str, body: bytes, levels: int) -> OrderSnapshot:  # noqa: ARG001
    """Decode a level=3 body: rows as sent, which is taken for queue order but not promised."""
    try:
        book = _book.decode(body)
        rows = [(price, size) for side in (book.bids, book.asks) for price, size, _ in side]
        check_prices(body, rows)
        return OrderSnapshot(
            symbol, integer(bytes(book.sequence)), _rows(book.bids), _rows(book.asks), book.auction_mode
        )
    except GARBAGE as error:
        raise UnknownFrame(f"not a level=3 book of {_VENUE}: {error}") from error


def _rows(side: list[tuple[str, str, str]]) -> list[OrderRow]:
    return [(price, size, order_uuid(order_id)) for price, size, order_id in side]


def instruments_request(symbols: Sequence[str]) -> list[RestRequest]:
    """Return one request for each symbol, so that an unknown one spoils no other."""
    return [RestRequest(f"/products/{quote(symbol, safe='')}", 1) for symbol in symbols]


def instruments(body: bytes) -> dict[str, Instrument]:
    """Decode a product, or the list of all: scales from quote_increment and base_increment."""
    try:
        found = _products.decode(body)
        products = found if isinstance(found, list) else [found]
        return {each.id: _instrument(each) for each in products}
    except GARBAGE as error:
        raise UnknownFrame(f"not a product of {_VENUE}: {error}") from error


def _instrument(product: _Product) -> Instrument:
    if product.status == "delisted":
        status = "delisted"
    elif product.auction_mode:
        status = "auction"
    elif product.status != "online" or product.trading_disabled or product.cancel_only:
        status = "halted"
    else:
        status = "trading"
    scales = scale_of(product.quote_increment), scale_of(product.base_increment)
    return Instrument(product.id, status, *scales)


def trades_request(symbol: str, first_id: int, last_id: int) -> RestRequest:
    """Return the request for the newest 1000 trades up to *last_id*; the rest is a page further back."""
    limit = max(1, min(_TRADES_LIMIT, last_id - first_id + 1))
    query = urlencode({"limit": limit, "after": last_id + 1})
    return RestRequest(f"/products/{quote(symbol, safe='')}/trades?{query}", 1)


def trades(symbol: str, body: bytes) -> list[Trade]:
    """Decode a body of trades, which come newest first with the maker's side, into id order."""
    try:
        rows = sorted(_rest_trades.decode(body), key=lambda row: row.trade_id)
        for row in rows:
            check_number(row.price, above_zero=True)
            check_number(row.size)
        return [
            Trade(
                symbol,
                row.trade_id,
                nanoseconds(row.time),
                row.price,
                row.size,
                Side.BUY if row.side == "sell" else Side.SELL,
            )
            for row in rows
        ]
    except GARBAGE as error:
        raise UnknownFrame(f"not trades of {_VENUE}: {error}") from error


_MEANINGS = {
    400: "the venue does not take this request",
    401: "the key was not accepted: check COINBASE_API_KEY, _SECRET, _PASSPHRASE and this host's clock",
    403: "the venue refuses this host or key: check where it is and what the key may do",
    404: "the venue has no such product: check its spelling, or remove it",
    429: "over 10 requests a second from this IP: asked again more slowly",
    451: "this place is blocked by Coinbase: go through HTTPS_PROXY",
}


def refusal(status: int, body: bytes) -> str:
    """Return one line that says what an HTTP error means and what to do (protocols.md 2.3)."""
    try:
        said = one_line(_failure.decode(body).message) or "no reason given"
    except GARBAGE:
        said = "no reason given"
    trouble = "the venue's own trouble: asked again later" if status >= 500 else "the request was refused"
    return f"{_VENUE}: HTTP {status}: {_MEANINGS.get(status, trouble)}; it said: {said}"
